"""Requests that wait for news, each of which keeps a thread busy."""

import threading
import time
from collections.abc import Callable

#: Seconds between two looks.
_LOOK_SECONDS = 0.5
#: Seconds after which there may be a place for another one.
RETRY_AFTER = "1"


class Waiting:
    """The places of one process for requests that wait."""

    def __init__(
        self, limit: int, stopping: threading.Event | None = None
    ) -> None:
        """Have places.

        :param limit: how many requests may wait at once.
        :param stopping: ends every wait when it is set.
        """
        self._places = threading.BoundedSemaphore(limit)
        self._stopping = stopping or threading.Event()

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition is true, or the time is over.

        It is looked at at most twice a second.

        :returns: False if there was no place: then nothing was waited for.
        """
        end = time.monotonic() + seconds
        if not self._places.acquire(blocking=False):
            return False
        try:
            while not condition():
                left = end - time.monotonic()
                if left <= 0 or self._stopping.wait(min(left, _LOOK_SECONDS)):
                    break
        finally:
            self._places.release()
        return True
