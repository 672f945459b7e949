"""Faults that can be injected, and the requests that they hold."""

import dataclasses
import itertools
import re
import threading
import time
from typing import Any

from recovery_ha.simulator.errors import BadRequest, NotFound

KINDS = ("http", "rebuild", "migration", "cold-migration")


@dataclasses.dataclass(eq=False)
class Fault:
    """A fault; a field that is None matches everything.

    :param kind: `http` meets requests, `rebuild` evacuations, `migration`
        live migrations and `cold-migration` the others
    :param service: identity, compute, placement, image or alarm
    :param method: an HTTP method
    :param path: a regular expression, searched in the path behind the
        service's prefix
    :param action: a server action
    :param server: the UUID of a server
    :param host: the destination, of all kinds but http
    :param when: before, or after the request took effect
    :param status: HTTP status to answer instead
    :param body: JSON to answer with `status`; None takes the service's own
        format with `message`
    :param message: what the answer or the server's fault says
    :param times: how often it strikes; None means for ever
    :param delay_seconds: wait so long first
    :param disconnect: close the connection without an answer
    :param hold: keep the request until the fault is released
    :param drop: close held connections on release, without taking effect
    :param result: error or stuck, of all kinds but http; a cold migration
        may also be `refused`: it ends at once, and the server is as before
    """

    kind: str = "http"
    service: str | None = None
    method: str | None = None
    path: str | None = None
    action: str | None = None
    server: str | None = None
    host: str | None = None
    when: str = "before"
    status: int | None = None
    body: Any = None
    message: str = "Injected fault"
    times: int | None = 1
    delay_seconds: float = 0.0
    disconnect: bool = False
    hold: bool = False
    drop: bool = False
    result: str = "error"
    id: int = 0
    hits: int = 0
    held: int = 0
    released: threading.Event = dataclasses.field(
        default_factory=threading.Event
    )

    def matches(
        self,
        service: str,
        method: str,
        path: str,
        action: str | None,
        server: str | None,
    ) -> bool:
        """Return whether a request is one that this fault is meant for."""
        return (
            self.service in {None, service}
            and (self.method or method).upper() == method
            and self.action in {None, action}
            and self.server in {None, server}
            and (self.path is None or bool(re.search(self.path, path)))
        )

    def shown(self) -> dict[str, Any]:
        """Return the fault as the control interface shows it."""
        fields = [field.name for field in dataclasses.fields(self)]
        shown = {name: getattr(self, name) for name in fields}
        shown["released"] = self.released.is_set()
        return shown


_STATE = ("id", "hits", "held", "released")
_TYPES: dict[str, tuple[type, ...]] = {
    "status": (int, type(None)),
    "times": (int, type(None)),
    "delay_seconds": (int, float),
    "disconnect": (bool,),
    "hold": (bool,),
    "drop": (bool,),
    "message": (str,),
}
_WORDS = {
    "kind": KINDS,
    "when": ("before", "after"),
    "result": ("error", "stuck", "refused"),
}


class Faults:
    """The faults that are set; the first that matches strikes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._faults: dict[int, Fault] = {}

    def add(self, **fields: Any) -> Fault:
        """Set a fault.

        :raises BadRequest: a field is unknown or its value not possible
        """
        _check(fields)
        fault = Fault(**fields)
        with self._lock:
            fault.id = next(self._ids)
            self._faults[fault.id] = fault
        return fault

    def all(self) -> list[Fault]:
        """Return the faults, those that have struck out included."""
        with self._lock:
            return list(self._faults.values())

    def get(self, id_: int) -> Fault:
        """Return a fault.

        :raises NotFound: there is none of that number
        """
        with self._lock:
            if id_ not in self._faults:
                raise NotFound(f"Fault {id_} could not be found.")
            return self._faults[id_]

    def release(self, id_: int) -> Fault:
        """Let the requests go that a fault holds; it strikes no more.

        :raises NotFound: there is none of that number
        """
        fault = self.get(id_)
        fault.released.set()
        return fault

    def remove(self, id_: int) -> None:
        """Remove a fault and release what it holds.

        :raises NotFound: there is none of that number
        """
        self.release(id_)
        with self._lock:
            self._faults.pop(id_, None)

    def clear(self) -> None:
        """Remove all faults and release what they hold."""
        with self._lock:
            faults = list(self._faults.values())
            self._faults.clear()
        for fault in faults:
            fault.released.set()

    def strike(
        self,
        service: str,
        method: str,
        path: str,
        action: str | None,
        server: str | None,
    ) -> Fault | None:
        """Return the fault that a request meets, if any, and count it."""
        if not self._faults:
            return None
        with self._lock:
            for fault in self._faults.values():
                if (
                    fault.kind == "http"
                    and _left(fault)
                    and fault.matches(service, method, path, action, server)
                ):
                    fault.hits += 1
                    return fault
        return None

    def take(self, kind: str, server: str, host: str) -> Fault | None:
        """Return the fault that a move to a host meets, and count it."""
        with self._lock:
            for fault in self._faults.values():
                if (
                    fault.kind == kind
                    and _left(fault)
                    and fault.server in {None, server}
                    and fault.host in {None, host}
                ):
                    fault.hits += 1
                    return fault
        return None

    def hold(self, fault: Fault) -> None:
        """Wait until the fault is released."""
        with self._lock:
            fault.held += 1
        try:
            fault.released.wait()
        finally:
            with self._lock:
                fault.held -= 1


class Outages:
    """Services that answer nothing but an error; safe from any thread."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[int, float | None]] = {}

    def begin(
        self, service: str, status: int = 503, seconds: float | None = None
    ) -> None:
        """Let a service fail.

        :param status: what it answers to every request
        :param seconds: how long; None means until it is ended
        """
        until = None if seconds is None else time.monotonic() + seconds
        self._until[service] = (status, until)

    def end(self, service: str | None = None) -> None:
        """End the outage of one service, or of all."""
        if service is None:
            self._until.clear()
        else:
            self._until.pop(service, None)

    def status(self, service: str) -> int | None:
        """Return what a service answers, or None when it works."""
        status, until = self._until.get(service, (None, None))
        if until is not None and time.monotonic() >= until:
            self._until.pop(service, None)
            return None
        return status

    def all(self) -> dict[str, int]:
        """Return the services that fail and what they answer."""
        found = {name: self.status(name) for name in list(self._until)}
        return {name: code for name, code in found.items() if code}


def _left(fault: Fault) -> bool:
    if fault.released.is_set():
        return False
    return fault.times is None or fault.hits < fault.times


def _check(fields: dict[str, Any]) -> None:
    known = {field.name for field in dataclasses.fields(Fault)}
    for name, value in fields.items():
        if name not in known or name in _STATE:
            raise BadRequest(f"{name} is not a field of a fault")
        if name in _TYPES and not isinstance(value, _TYPES[name]):
            raise BadRequest(f"{name} cannot be {value!r}")
        if name in _WORDS and value not in _WORDS[name]:
            raise BadRequest(f"{name} is one of {', '.join(_WORDS[name])}")
    try:
        re.compile(fields.get("path") or "")
    except (re.error, TypeError) as error:
        raise BadRequest(f"path is not a regular expression: {error}") from (
            error
        )
