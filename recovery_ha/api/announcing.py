"""Telling others what a request changes: its start, and its end or error."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from recovery_ha.clients import events

T = TypeVar("T")


class Announced:
    """What a request does, from ``.start`` to ``.end`` or ``.error``.

    ::

        with Announced(
            emitter, "segment.create", build, look, request_id=request_id
        ) as told:
            return told(create_segment(...))

    The block must end after the commit: its end is what sends ``.end``.
    """

    def __init__(
        self,
        emitter: events.Emitter | None,
        operation: str,
        build: Callable[..., events.Payload],
        look: Callable[[], Any],
        *,
        request_id: str | None,
    ) -> None:
        """Prepare.

        :param emitter: what sends; None: nobody listens.
        :param operation: the event's type without its last word.
        :param build: makes the payload, of :mod:`recovery_ha.clients.events`.
        :param look: returns what is known before; called only when somebody
            listens. If it raises there is no event at all: the request was
            about nothing that exists.
        :param request_id: of the request.
        """
        listened = emitter is not None and emitter.enabled
        self._emitter = emitter if listened else None
        self._operation = operation
        self._build = build
        self._look = look
        self._request_id = request_id
        self._about: Any = None

    def __call__(self, found: T) -> T:
        """Take what it has become, and return it."""
        self._about = found
        return found

    def __enter__(self) -> "Announced":
        if self._emitter is not None:
            self._about = self._look()
            self._emitter.emit(
                f"{self._operation}.start",
                self._build(self._about),
                request_id=self._request_id,
            )
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._emitter is None:
            return
        if error is None:
            self._emitter.emit(
                f"{self._operation}.end",
                self._build(self._about),
                request_id=self._request_id,
            )
            return
        self._emitter.emit(
            f"{self._operation}.error",
            self._build(self._about, events.fault(error)),
            request_id=self._request_id,
            error=True,
        )
