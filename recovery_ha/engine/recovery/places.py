"""Places: how many evacuations one engine may have under way at once."""

import threading

from recovery_ha.domain.recovery import VMove


class Places:
    """The evacuations that are under way, over all hosts of an engine.

    What is under way already when it becomes this engine's takes a place
    even where none is left: it cannot be stopped, but nothing new begins
    before enough others have ended. Safe to use from any thread.
    """

    def __init__(self, limit: int) -> None:
        """Have so many places, all of them free."""
        self._limit = limit
        self._lock = threading.Lock()
        self._taken: dict[str, set[int]] = {}

    def take(self, move: VMove) -> bool:
        """Have a place for a move that is to begin; False: there is none."""
        with self._lock:
            if self._has(move):
                return True
            if sum(map(len, self._taken.values())) >= self._limit:
                return False
            self._add(move)
            return True

    def adopt(self, move: VMove) -> None:
        """Have a place for a move that has begun, whatever the limit."""
        with self._lock:
            self._add(move)

    def give_back(self, move: VMove) -> None:
        """Give the place of a move back, if it has one."""
        with self._lock:
            self._taken.get(move.notification_uuid, set()).discard(move.id)

    def leave(self, notification_uuid: str) -> None:
        """Give all places of a recovery back: it goes on elsewhere, if so."""
        with self._lock:
            self._taken.pop(notification_uuid, None)

    def _has(self, move: VMove) -> bool:
        return move.id in self._taken.get(move.notification_uuid, ())

    def _add(self, move: VMove) -> None:
        self._taken.setdefault(move.notification_uuid, set()).add(move.id)
