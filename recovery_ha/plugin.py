"""The public module for third parties: what a plug-in may rely on.

A task of a recovery flow is a subclass of :class:`RecoveryTask`, announced as
an entry point in ``recovery_ha.task_flow.tasks`` and named by it in
``[taskflow_driver_recovery_flows]``::

    class SendMailTask(RecoveryTask):
        what = "send a mail"

        def execute(self, host_name, notification_uuid):
            self.progress(0.6, f"Writing about {host_name}")

The arguments of ``execute`` are the task's inputs: ``notification_uuid`` and
``host_name`` in every flow, ``instance_uuid`` in those of instances,
``process_name`` in those of processes, ``reserved_host`` and
``reserved_host_list`` in those of hosts that go to a reserved host, and what
earlier tasks provide (``default_provides``); the built-in ones provide
``instance_uuids``, ``evacuated`` and ``failed``.

What provisions clusters is a subclass of :class:`ProvisioningPlugin`,
announced as an entry point in ``recovery_ha.provisioning_plugins``.

The documentation has complete packages of both in ``doc/examples``.
"""

import abc
import functools
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Protocol

from taskflow import task

from recovery_ha.domain.history import ClusterInstance, NodeGroup

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


# Clusters


class ProvisionedCluster(Protocol):
    """A cluster as its plug-in sees it, while this engine owns it.

    What changes something raises when it is not this engine's any more, when
    the engine is to stop, or when the cluster is to be deleted instead; let
    it pass.
    """

    @property
    def id(self) -> str:
        """Its uuid."""

    @property
    def name(self) -> str:
        """Its name, unique in its project."""

    @property
    def project_id(self) -> str | None:
        """Whose it is; None: nobody's."""

    @property
    def plugin_version(self) -> str | None:
        """Which version of the software is wanted."""

    @property
    def extra(self) -> Mapping[str, Any]:
        """Further keys that it was created with."""

    def node_groups(self) -> Sequence[NodeGroup]:
        """Return its groups as they are now.

        Each has the ``count`` of instances that are wanted, and the
        ``instances`` that were written down.
        """

    def add_instances(self, instances: Sequence[ClusterInstance]) -> None:
        """Write down instances that there are now; harmless twice."""

    def remove_instances(
        self, node_group_id: str, instance_ids: Collection[str]
    ) -> None:
        """Write down that instances are gone; harmless twice."""

    def set_status(self, status: str, description: str | None = None) -> None:
        """Show how far it is, in a word: ``Waiting``, ``Configuring``, ...

        :param description: a sentence; None leaves what is shown.
        """

    def still_mine(self) -> bool:
        """Tell whether this engine may still act.

        Ask before each call that changes something outside.
        """

    def wait(self, seconds: float) -> None:
        """Sleep, or raise when the work is to stop."""


class ProvisioningPlugin(abc.ABC):
    """What creates, scales and deletes clusters.

    There is one object of it in each engine, and its methods are called in
    several threads, for several clusters, at once. A method runs to the end
    of what is to be done. After a crash it is called again, in another
    engine, perhaps in the middle: it looks at what is there, in the world and
    in ``cluster.node_groups()``, and does what is missing. What it raises
    ends the run, and the cluster is in status ``Error``.

    Steps and events are told with :mod:`recovery_ha.provisioning`:
    ``add_provisioning_step``, ``add_successful_event``, ``add_fail_event``,
    ``event_wrapper``. They find the run by themselves, also in threads that
    are started with a copy of the caller's :mod:`contextvars` context.

    :ivar conf: the configuration, with the options of the plug-in's group.
    """

    def __init__(self, conf: Any) -> None:
        """Make the plug-in; each engine does this when it starts."""
        self.conf = conf

    @abc.abstractmethod
    def get_provisioning_steps(self) -> Mapping[str, Sequence[str]]:
        """Return the names of the steps there are going to be, in order.

        :returns: by ``creating``, ``scaling`` and ``deleting``.
        """

    @abc.abstractmethod
    def create(self, cluster: ProvisionedCluster) -> None:
        """Have all instances of a cluster, and what runs on them."""

    @abc.abstractmethod
    def scale(self, cluster: ProvisionedCluster) -> None:
        """Have each node group be of the size that is wanted now."""

    @abc.abstractmethod
    def delete(self, cluster: ProvisionedCluster) -> None:
        """Have nothing left of a cluster, however far it had come."""
