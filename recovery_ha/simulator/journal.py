"""What was asked of the cloud: the calls that change it, and counts of all."""

import dataclasses
import threading
from collections import Counter, deque
from typing import Any

# Older calls are forgotten; a journal is for tests, not an archive.
CALLS_KEPT = 100000
SECRETS = frozenset({"password", "adminPass", "admin_pass", "secret", "token"})


@dataclasses.dataclass
class Call:
    """One call that changes the cloud, or would have.

    :param time: seconds since the epoch
    :param request_id: what the client sent as X-OpenStack-Request-ID
    :param status: None as long as it has not been answered, and when it
        never was
    :param fault: number of the fault it met
    :param held: it was held by that fault
    :param dropped: its connection was closed without an answer
    """

    seq: int
    time: float
    service: str
    method: str
    path: str
    action: str | None
    server: str | None
    body: Any
    user: str | None
    request_id: str | None
    user_agent: str | None
    microversion: str | None
    status: int | None = None
    fault: int | None = None
    held: bool = False
    dropped: bool = False


class Journal:
    """The calls and the counts; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: deque[Call] = deque(maxlen=CALLS_KEPT)
        self._seq = 0
        self._counts: Counter[tuple[str, str]] = Counter()

    def append(self, **fields: Any) -> Call:
        """Write a call down and return it, for its end to be filled in."""
        fields["body"] = masked(fields.get("body"))
        with self._lock:
            self._seq += 1
            call = Call(seq=self._seq, **fields)
            self._calls.append(call)
        return call

    def calls(self, since: int = 0, action: str | None = None) -> list[Call]:
        """Return the calls after `since`, perhaps of one action only."""
        with self._lock:
            return [
                call
                for call in self._calls
                if call.seq > since and action in {None, call.action}
            ]

    def count(self, service: str, route: str) -> None:
        """Count a request, whatever becomes of it."""
        with self._lock:
            self._counts[service, route] += 1

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of requests by service and route."""
        shown: dict[str, dict[str, int]] = {}
        with self._lock:
            for (service, route), number in sorted(self._counts.items()):
                shown.setdefault(service, {})[route] = number
        return shown

    def clear(self) -> None:
        """Forget the calls and the counts; seq goes on."""
        with self._lock:
            self._calls.clear()
            self._counts.clear()

    def clear_calls(self) -> None:
        """Forget the calls; seq goes on."""
        with self._lock:
            self._calls.clear()

    def clear_counts(self) -> None:
        """Count from zero again."""
        with self._lock:
            self._counts.clear()


def masked(value: Any) -> Any:
    """Return a JSON value with the secrets in it made unreadable."""
    if isinstance(value, dict):
        return {
            key: "***" if key in SECRETS else masked(item)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value
