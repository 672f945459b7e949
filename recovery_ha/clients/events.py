"""Events: what happens, told on the message queue to whoever listens.

Types and payloads are Masakari's (reference 5.3), except where its events
say too little or too much: an ``.end`` event has uuid and id, no event has
``control_attributes``, the payload of a report or SQL. ``vmove.*`` and
``recovery.*`` are ours.
"""

import logging
import socket
import threading
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import oslo_messaging
from oslo_config import cfg
from oslo_messaging import opts as messaging_opts
from oslo_utils import strutils

from recovery_ha import metrics
from recovery_ha.domain import errors
from recovery_ha.domain.recovery import Host, Notification, Segment, VMove

LOG = logging.getLogger(__name__)

Payload = dict[str, Any]
#: What is known of a thing: all of it, or some fields before it exists.
Fields = Mapping[str, Any]

#: Masakari's topic; its listeners need no change.
TOPIC = "versioned_notifications"
_GROUP = "oslo_messaging_notifications"
#: Events that wait for the message queue; beyond it the oldest are dropped.
_LIMIT = 10_000
#: Seconds that the last events have to leave when a process stops.
_STOP_SECONDS = 2.0
#: How much is told of a reason.
_LONGEST = 2000

_SEGMENT = (
    "id",
    "uuid",
    "name",
    "service_type",
    "description",
    "recovery_method",
    "enabled",
)
_HOST = ("id", "uuid", "name", "type", "reserved", "on_maintenance")
_NOTIFICATION = ("id", "generated_time", "source_host_uuid", "type", "status")
_RECOVERY = (
    "source_host_uuid",
    "source_host_name",
    "type",
    "status",
    "request_id",
)
_VMOVE = (
    "id",
    "uuid",
    "notification_uuid",
    "instance_uuid",
    "instance_name",
    "source_host",
    "dest_host",
    "start_time",
    "end_time",
    "type",
    "status",
    "message",
)


# Payloads


def segment_event(
    about: Segment | Fields, fault: Payload | None = None
) -> Payload:
    """Return the payload of a ``segment.*`` event.

    :param about: the segment, or the fields that are known of it.
    :param fault: of an ``.error`` event, by :func:`fault`.
    """
    data = _data(about, _SEGMENT) | {"fault": fault}
    return _object("SegmentApiPayload", "1.1", data)


def host_event(about: Host | Fields, fault: Payload | None = None) -> Payload:
    """Return the payload of a ``host.*`` event, which holds no secret.

    :param about: the host, or the fields that are known of it.
    :param fault: of an ``.error`` event, by :func:`fault`.
    """
    data = _data(about, _HOST)
    if isinstance(about, Host):
        names = (*_SEGMENT, "created_at", "updated_at")
        segment = _object(
            "FailoverSegment", "1.1", _data(about.segment, names)
        )
        data |= {
            "failover_segment_id": about.segment.uuid,
            "failover_segment": segment,
        }
    return _object("HostApiPayload", "1.0", data | {"fault": fault})


def notification_event(
    about: Notification | Fields, fault: Payload | None = None
) -> Payload:
    """Return the payload of a ``notification.*`` event.

    It says what the report is about, but not the report's own payload.

    :param about: the notification, or the fields that are known of it.
    :param fault: of an ``.error`` event, by :func:`fault`.
    """
    data = _data(about, _NOTIFICATION)
    if isinstance(about, Notification):
        data["notification_uuid"] = about.uuid
    return _object("NotificationApiPayload", "1.0", data | {"fault": fault})


def recovery_event(
    notification: Notification,
    *,
    attempt: int,
    message: str | None = None,
    fault: Payload | None = None,
) -> Payload:
    """Return the payload of a ``recovery.*`` event: one attempt.

    :param attempt: its number, from 1.
    :param message: the sentence that it ended with.
    :param fault: of an ``.error`` event, by :func:`fault`.
    """
    data = _data(notification, _RECOVERY) | {
        "notification_uuid": notification.uuid,
        "failover_segment_uuid": notification.segment_uuid,
        "attempt": attempt,
        "message": None if message is None else _clean(message),
        "fault": fault,
    }
    return _object("RecoveryPayload", "1.0", data, "recovery_ha")


def vmove_event(move: VMove, fault: Payload | None = None) -> Payload:
    """Return the payload of a ``vmove.*`` event: the move of one instance.

    :param fault: of an ``.error`` event, by :func:`fault`.
    """
    data = _data(move, _VMOVE) | {"fault": fault}
    if move.message is not None:
        data["message"] = _clean(move.message)
    return _object("VMovePayload", "1.0", data, "recovery_ha")


def fault(error: BaseException | str) -> Payload:
    """Return what an ``.error`` event says of its cause.

    Errors of this service are told in their own words, Nova's included. Of
    any other the class is named and no more: its text may hold SQL. The
    traceback has places in the code, neither values nor messages.

    :param error: what was raised, or the reason where only that is known.
    """
    if isinstance(error, str):
        kind, text = errors.RecoveryFailed.__name__, error
    elif isinstance(error, errors.RecoveryHAError):
        kind, text = type(error).__name__, str(error)
    else:
        kind = type(error).__name__
        text = f"An unexpected error: {kind}. The log has its cause."
    frames = _frames(error)
    module, function = frames[-1][:2] if frames else (__name__, "")
    data = {
        "module_name": module,
        "function_name": function,
        "exception": kind,
        "exception_message": _clean(text),
        "traceback": "\n".join(
            f"{module}, line {line}, in {function}"
            for module, function, line in frames
        ),
    }
    return _object("ExceptionPayload", "1.0", data)


def _object(
    name: str, version: str, data: Payload, namespace: str = "masakari"
) -> Payload:
    """Return data in the form in which oslo.versionedobjects sends it."""
    return {
        "masakari_object.name": name,
        "masakari_object.namespace": namespace,
        "masakari_object.version": version,
        "masakari_object.data": data,
    }


def _data(about: object, names: Sequence[str]) -> Payload:
    """Return some fields as JSON has them; unknown ones are left out."""
    if isinstance(about, Mapping):
        return {n: _plain(about[n]) for n in names if n in about}
    return {name: _plain(getattr(about, name)) for name in names}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value.isoformat(timespec='seconds')}Z"
    return str(value) if isinstance(value, str) else value


def _clean(text: str) -> str:
    """Return a reason without the statement that a database refused."""
    said, _, _statement = text.partition("[SQL")
    said = " ".join(said.split())[:_LONGEST]
    return str(strutils.mask_password(said))


def _frames(error: BaseException | str) -> list[tuple[str, str, int]]:
    """Return module, function and line of each step to where it was raised."""
    if isinstance(error, str):
        return []
    return [
        (
            frame.f_globals.get("__name__", "?"),
            frame.f_code.co_name,
            line,
        )
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]


# Sending


class _Context(dict[str, str]):
    """The context of a message.

    oslo.messaging sends no plain dict, and no context that it cannot ask to
    leave out what is secret.
    """

    def redacted_copy(self) -> "_Context":
        """Return all of it: nothing is secret."""
        return self


@dataclass(frozen=True, slots=True)
class _Event:
    """What waits for the message queue."""

    context: _Context
    type: str
    payload: Payload
    error: bool


class Emitter:
    """Sends events from a thread of its own.

    Nobody ever waits for the message queue. While it is down events wait in
    memory; when there are too many the oldest are dropped, which is logged
    once and counted. Without a driver in ``[oslo_messaging_notifications]``,
    which is the default, nothing is made and nothing is sent.

    The thread starts with the first event, so a server may fork before.

    :ivar enabled: events are sent; else building them is work for nothing.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        binary: str,
        host: str | None = None,
        *,
        limit: int = _LIMIT,
    ) -> None:
        """Read the configuration; nothing is connected to yet.

        :param binary: this program, and ``host`` its machine: the publisher.
        :param limit: how many events may wait.
        """
        for group, options in messaging_opts.list_opts():
            if group == _GROUP:
                conf.register_opts(options, group=_GROUP)
        self.enabled = bool({*conf[_GROUP].driver} - {"noop"})
        self._conf = conf
        self._publisher = f"{binary}:{host or socket.gethostname()}"
        self._limit = limit
        self._waiting: deque[_Event] = deque()
        self._dropped = 0
        self._changed = threading.Condition()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def emit(
        self,
        event_type: str,
        payload: Payload,
        *,
        request_id: str | None = None,
        error: bool = False,
    ) -> None:
        """Have an event sent; returns at once.

        What it tells must have been committed.

        :param event_type: for example ``segment.create.end``.
        :param request_id: of the request that it comes from; it is all that
            the message's context has, which may not hold a token.
        :param error: it goes to the listeners of priority error.
        """
        if not self.enabled:
            return
        with self._changed:
            if self._stopped:
                return
            if len(self._waiting) >= self._limit:
                self._waiting.popleft()
                self._drop()
            context = _Context()
            if request_id:
                context["request_id"] = request_id
            self._waiting.append(_Event(context, event_type, payload, error))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="events", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def stop(self) -> None:
        """Send what is waiting, as far as that goes quickly, and end."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)
            if self._waiting:
                LOG.warning("%d events were not sent.", len(self._waiting))

    def _drop(self) -> None:
        if not self._dropped:
            LOG.warning(
                "Events wait for the message queue; there are more than %d,"
                " and the oldest are dropped.",
                self._limit,
            )
        self._dropped += 1
        metrics.event_dropped()

    def _run(self) -> None:
        transport = oslo_messaging.get_notification_transport(self._conf)
        notifier = oslo_messaging.Notifier(
            transport, self._publisher, topics=[TOPIC]
        )
        while (event := self._next()) is not None:
            # What fails in there oslo.messaging logs and raises nothing.
            send = notifier.error if event.error else notifier.info
            send(event.context, event.type, event.payload)
        transport.cleanup()

    def _next(self) -> _Event | None:
        """Wait for an event; None when there will be none any more."""
        with self._changed:
            if not self._waiting and self._dropped:
                LOG.warning("%d events were dropped.", self._dropped)
                self._dropped = 0
            while not self._waiting:
                if self._stopped:
                    return None
                self._changed.wait()
            return self._waiting.popleft()
