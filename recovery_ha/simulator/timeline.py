"""Everything that happens later: one thread, one heap of due times."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable

LOG = logging.getLogger(__name__)


class Event:
    """Something that will happen, unless it is cancelled before."""

    __slots__ = ("cancelled", "due", "run")

    def __init__(self, due: float, run: Callable[[], None]) -> None:
        self.due = due
        self.run = run
        self.cancelled = False

    def cancel(self) -> None:
        """Make sure that the event does not happen; too late is harmless."""
        self.cancelled = True


class Timeline:
    """Runs events at their time, holding the lock of the world.

    :param lock: held while an event runs; callers of `after` hold it too
    :param changed: called, with the lock held, when events have run
    """

    def __init__(
        self, lock: threading.RLock, changed: Callable[[], None]
    ) -> None:
        self._wakeup = threading.Condition(lock)
        self._changed = changed
        self._heap: list[tuple[float, int, Event]] = []
        self._numbers = itertools.count()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def after(self, seconds: float, run: Callable[[], None]) -> Event:
        """Have `run` called in `seconds`; events of one time keep order."""
        with self._wakeup:
            event = Event(time.monotonic() + seconds, run)
            item = (event.due, next(self._numbers), event)
            heapq.heappush(self._heap, item)
            if self._heap[0] is item:
                self._wakeup.notify()
        return event

    def start(self) -> None:
        """Start the thread."""
        self._stopping = False
        self._thread = threading.Thread(
            target=self._loop, name="timeline", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread and forget what has not happened."""
        with self._wakeup:
            self._stopping = True
            self._heap.clear()
            self._wakeup.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def clear(self) -> None:
        """Forget everything that has not happened yet."""
        with self._wakeup:
            self._heap.clear()

    def _loop(self) -> None:
        with self._wakeup:
            while not self._stopping:
                if self._run_due():
                    self._changed()
                self._wakeup.wait(self._pause())

    def _pause(self) -> float | None:
        if not self._heap:
            return None
        return max(0.0, self._heap[0][0] - time.monotonic())

    def _run_due(self) -> bool:
        ran = False
        while self._heap and self._heap[0][0] <= time.monotonic():
            event = heapq.heappop(self._heap)[2]
            if event.cancelled:
                continue
            ran = True
            try:
                event.run()
            except (LookupError, TypeError, ValueError, AttributeError):
                # One broken event must not end time for all the others.
                LOG.exception("An event of the simulated cloud failed")
        return ran
