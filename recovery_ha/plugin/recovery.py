"""Tasks of recovery flows: what a third party subclasses."""

import functools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Protocol

from taskflow import task

#: Seconds between two writes of a task's progress; the last is always kept.
_WRITE_SECONDS = 0.25
#: More remarks than this and the oldest but the first are dropped.
_MAX_REMARKS = 500


class TaskFailed(Exception):
    """A task could not do its work; the text is shown to operators.

    What it raised is the ``__cause__``.

    :ivar error_id: by which the log and the events know the failure.
    """

    error_id: str | None = None


class TaskEnvironment(Protocol):
    """What a task is given by the engine that runs it."""

    @property
    def conf(self) -> Any:
        """The configuration, with the options of the plug-in's group."""

    @property
    def compute(self) -> Any:
        """Nova, on behalf of this recovery."""

    def still_mine(self) -> bool:
        """Tell whether this engine still owns the recovery."""

    def is_interruption(self, exc: BaseException) -> bool:
        """Tell whether an error means "stop here, somebody goes on"."""

    def wait(self, seconds: float) -> None:
        """Sleep, or raise when the recovery is not this engine's any more."""

    def publish(
        self,
        task_name: str,
        remarks: list[dict[str, str]],
        status: str | None = None,
        failure: TaskFailed | None = None,
    ) -> None:
        """Show what a task has newly reported to those who follow.

        :param status: ``running``, ``ready`` or ``error`` when it has begun
            or ended with this.
        :param failure: how it failed; it is given its id.
        """

    def undoing(self) -> AbstractContextManager[None]:
        """Let the task undo things although an operator has stopped it."""


class RecoveryTask(task.Task):
    """A task of a recovery flow.

    A subclass writes ``execute``, which names its inputs as arguments, and
    ``revert`` if there is something to release or to take back. ``execute``
    may run again after a crash, from its start: it looks at the world before
    it acts. What it raises ends the attempt; then the tasks that have run
    are reverted, the latest first, and the next attempt runs all again.

    :cvar default_provides: the name of what ``execute`` returns, or a tuple
        of names if it returns a tuple; later tasks have it as an input.
    :cvar what: completes the sentence "Failed to ...".
    :cvar started: said when the task starts; ``{name}`` is its class name.
    :cvar finished: said when it has succeeded.
    """

    what = "run the task"
    started = "Started execution of {name}"
    finished = "Finished execution of {name}"

    def __init__(self, environment: TaskEnvironment) -> None:
        """Make the task; the engine does this when it builds a flow."""
        super().__init__(name=type(self).__name__)
        self.version = (1, 0)
        self.environment = environment
        self._remarks: list[dict[str, str]] = []
        self._fresh: list[dict[str, str]] = []
        self._written_at = 0.0
        self._latest = 0.0
        self._unwritten = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Have each task report its start, end and failure by itself."""
        super().__init_subclass__(**kwargs)
        if "execute" in cls.__dict__:
            cls.execute = _reporting(cls.execute)
        if "revert" in cls.__dict__:
            cls.revert = _owned(cls.revert)

    @property
    def conf(self) -> Any:
        """The configuration."""
        return self.environment.conf

    @property
    def compute(self) -> Any:
        """Nova, on behalf of this recovery."""
        return self.environment.compute

    def still_mine(self) -> bool:
        """Tell whether this engine still owns the recovery.

        Ask before each call that changes something outside.
        """
        return self.environment.still_mine()

    def wait(self, seconds: float) -> None:
        """Sleep; what was reported is written first.

        :raises Exception: when the recovery is not this engine's any more;
            let it pass.
        """
        self.flush()
        self.environment.wait(seconds)

    def progress(self, fraction: float, message: str) -> None:
        """Report how far the task has come; operators see it at once.

        :param fraction: 0 to 1.
        :param message: a sentence for operators; no secrets.
        """
        self._latest = round(min(max(fraction, 0.0), 1.0), 3)
        remark = {
            "timestamp": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}",
            "progress": str(self._latest),
            "message": message,
        }
        self._remarks.append(remark)
        self._fresh.append(remark)
        if len(self._remarks) > _MAX_REMARKS:
            del self._remarks[1]
        self._unwritten = True
        if time.monotonic() - self._written_at >= _WRITE_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what was reported and not yet written."""
        if self._unwritten:
            self._publish()

    def _begin(self, sentence: str) -> None:
        self._written_at = time.monotonic()  # written here, not before
        self.progress(0.5, sentence)
        self._publish("running")

    def _end(
        self,
        status: str,
        sentence: str,
        failure: TaskFailed | None = None,
    ) -> None:
        self._written_at = time.monotonic()
        self.progress(1.0, sentence)
        self._publish(status, failure)

    def _publish(
        self, status: str | None = None, failure: TaskFailed | None = None
    ) -> None:
        self._unwritten = False
        self._written_at = time.monotonic()
        fresh, self._fresh = self._fresh, []
        self.environment.publish(self.name, fresh, status, failure)
        self.notifier.notify(
            task.EVENT_UPDATE_PROGRESS,
            {
                "progress": self._latest,
                "progress_details": list(self._remarks),
            },
        )

    def recall(self, remarks: list[dict[str, str]]) -> None:
        """Go on after what an earlier run of the task had reported."""
        self._remarks = list(remarks)


def _make_plain(error: BaseException | None) -> None:
    """Have an error, and what led to it, be such that it can be kept.

    taskflow keeps the arguments of each as JSON, whatever they are.
    """
    seen: set[int] = set()
    found = [error]
    while found:
        one = found.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(
            item if isinstance(item, str | int | float | None) else str(item)
            for item in one.args
        )
        found += [one.__cause__, one.__context__]


def _reporting(execute: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(execute)
    def run(self: RecoveryTask, *args: Any, **kwargs: Any) -> Any:
        name = type(self).__name__
        self._begin(self.started.format(name=name))
        try:
            result = execute(self, *args, **kwargs)
        except Exception as exc:
            if self.environment.is_interruption(exc):
                raise
            sentence = f"Failed to {self.what}: {exc}"
            _make_plain(exc)
            failure = TaskFailed(sentence)
            failure.__cause__ = exc
            self._end("error", sentence, failure)
            raise failure from exc
        self._end("ready", self.finished.format(name=name))
        return result

    return run


def _owned(revert: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(revert)
    def run(self: RecoveryTask, *args: Any, **kwargs: Any) -> Any:
        if not self.still_mine():
            return None
        try:
            with self.environment.undoing():
                return revert(self, *args, **kwargs)
        except Exception as exc:
            if self.environment.is_interruption(exc):
                raise
            raise TaskFailed(f"Failed to undo: {exc}") from exc

    return run
