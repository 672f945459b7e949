"""Gates: what a notification passes before a recovery begins.

A gate is a function of a snapshot that returns a :class:`Decision`. To add
one, write the function and put it into :data:`GATES`. Every gate says what it
does when it does not know: fail open (pass) or fail closed (hold).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from recovery_ha.domain.hosts_out import HostsOut, beyond
from recovery_ha.domain.recovery import (
    Host,
    MaintenanceCause,
    Notification,
    NotificationType,
    Segment,
)


class Verdict(StrEnum):
    """What a gate says."""

    PASS = "pass"  # noqa: S105 - no password
    #: Not now; it is asked again by itself.
    HOLD = "hold"
    #: Not at all: the notification ends ``ignored``.
    IGNORE = "ignore"
    #: The recovery cannot be done; it fails.
    FAIL = "fail"
    #: This one instance is left out of the recovery.
    LEAVE_OUT = "leave_out"


@dataclass(frozen=True, slots=True)
class Decision:
    """What one gate said about one notification, or one instance of it.

    :ivar gate: the gate's name, stable: it is API.
    :ivar sentence: why, for operators.
    :ivar inputs: what the gate looked at, by name.
    :ivar limit: what it compared that with, or None.
    :ivar subject: the instance's uuid, or "" for the whole notification.
    """

    gate: str
    verdict: Verdict
    sentence: str
    inputs: Mapping[str, Any]
    limit: Any = None
    subject: str = ""


@dataclass(frozen=True, slots=True)
class InSession:
    """The live maintenance session that a host is in.

    :ivar state: the session's.
    :ivar in_work: the session works on the host now.
    """

    uuid: str
    state: str
    in_work: bool = False


@dataclass(frozen=True, slots=True)
class AfterSession:
    """What is known of a host that was in a session when it was reported.

    :ivar uuid: the session's.
    :ivar up: Nova sees its compute service up; None: Nova does not answer.
    :ivar waited: seconds since it was reported.
    :ivar limit: seconds after which Nova would have seen it down.
    """

    uuid: str
    up: bool | None
    waited: float
    limit: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the gates look at.

    :ivar host: None when it was deleted since it was reported.
    :ivar disabled_segment: ``ignore`` or ``hold`` (the option's value).
    :ivar session: that the host is in.
    :ivar mover: uuid of the session that moves the reported instance now.
    :ivar after: the host was in a session, and is in none any more.
    :ivar out: which hosts are out of service.
    :ivar max_hosts_out: how many may be; 0: any number.
    """

    notification: Notification
    segment: Segment
    host: Host | None
    disabled_segment: str
    session: InSession | None = None
    mover: str | None = None
    after: AfterSession | None = None
    out: HostsOut = field(default_factory=lambda: HostsOut({}))
    max_hosts_out: int = 0


Gate = Callable[[Snapshot], Decision]


def segment_enabled(snapshot: Snapshot) -> Decision:
    """Begin with nothing in a segment that an operator has disabled.

    The segment's row is always known, so it neither fails open nor closed.
    """
    segment = snapshot.segment
    inputs = {"segment": segment.name, "enabled": segment.enabled}
    if segment.enabled:
        return Decision(
            "segment_enabled",
            Verdict.PASS,
            f"Segment {segment.name} is enabled.",
            inputs,
        )
    hold = snapshot.disabled_segment == "hold"
    return Decision(
        "segment_enabled",
        Verdict.HOLD if hold else Verdict.IGNORE,
        f"Segment {segment.name} is disabled."
        + (" Waiting until it is enabled." if hold else ""),
        inputs,
        {"disabled_segment": snapshot.disabled_segment},
    )


def host_in_maintenance(snapshot: Snapshot) -> Decision:
    """Leave a host alone that an operator works on.

    A host that is on maintenance because something of it failed is. Fails
    open: a host whose row is gone is recovered.
    """
    host, name = snapshot.host, snapshot.notification.source_host_name
    inputs = {
        "host": name,
        "on_maintenance": bool(host and host.on_maintenance),
        "cause": host.maintenance_cause if host else None,
    }
    if host is None:
        sentence = f"Host {name} is not registered any more."
    elif not host.on_maintenance:
        sentence = f"Host {name} is not on maintenance."
    elif host.maintenance_cause is not MaintenanceCause.OPERATOR:
        sentence = (
            f"Host {name} is on maintenance only because of a failure"
            f" ({host.maintenance_cause})."
        )
    else:
        return Decision(
            "host_in_maintenance",
            Verdict.HOLD,
            f"Host {name} was put on maintenance by an operator. Waiting"
            " until it is taken off.",
            inputs,
        )
    return Decision("host_in_maintenance", Verdict.PASS, sentence, inputs)


def maintenance_session(snapshot: Snapshot) -> Decision:
    """Recover nothing that a maintenance session has in its hands.

    A host of a session is not recovered as if it had failed; when the
    session has let go of it, only if it is really down. An instance waits
    until it has arrived, or its host is back; processes of a host that is
    worked on are stopped on purpose. Fails closed: while Nova does not say
    whether a host has come back, it waits.
    """
    match snapshot.notification.type:
        case NotificationType.COMPUTE_HOST:
            verdict, sentence = _host_in_session(snapshot)
        case NotificationType.VM:
            verdict, sentence = _instance_in_session(snapshot)
        case NotificationType.PROCESS:
            verdict, sentence = _process_in_session(snapshot)
    session, after = snapshot.session, snapshot.after
    inputs = {
        "host": snapshot.notification.source_host_name,
        "session": session.uuid if session else None,
        "state": session.state if session else None,
        "in_work": bool(session and session.in_work),
        "mover": snapshot.mover,
        "was_in": after.uuid if after else None,
        "up": after.up if after else None,
    }
    return Decision("maintenance_session", verdict, sentence, inputs)


def _host_in_session(snapshot: Snapshot) -> tuple[Verdict, str]:
    host = snapshot.notification.source_host_name
    session, after = snapshot.session, snapshot.after
    if snapshot.notification.payload.get("event") == "STARTED":
        return Verdict.PASS, f"Host {host} is not reported as failed."
    if session is not None:
        return Verdict.HOLD, (
            f"Host {host} is in maintenance session {session.uuid}"
            f" ({session.state}). Waiting until the session has ended."
        )
    if after is None:
        return Verdict.PASS, f"Host {host} is in no maintenance session."
    ended = f"Maintenance session {after.uuid} has let go of host {host}."
    if after.up is None:
        return Verdict.HOLD, (
            f"{ended} Waiting for Nova to say whether it is up."
        )
    if not after.up:
        return Verdict.PASS, (
            f"{ended} Nova does not see its compute service up."
        )
    if after.waited < after.limit:
        return Verdict.HOLD, (
            f"{ended} Nova sees its compute service up: waiting whether it"
            f" still does {after.limit:g} seconds after the report."
        )
    return Verdict.IGNORE, (
        f"{ended} Nova sees its compute service up: it has not failed."
    )


def _instance_in_session(snapshot: Snapshot) -> tuple[Verdict, str]:
    instance = snapshot.notification.payload.get("instance_uuid")
    host, session = snapshot.notification.source_host_name, snapshot.session
    if snapshot.mover is not None:
        return Verdict.HOLD, (
            f"Instance {instance} is being moved by maintenance session"
            f" {snapshot.mover}. Waiting until it has arrived."
        )
    if session is not None and session.in_work:
        return Verdict.HOLD, (
            f"Host {host} is being worked on in maintenance session"
            f" {session.uuid}. Waiting until it is back."
        )
    return Verdict.PASS, f"No maintenance session moves instance {instance}."


def _process_in_session(snapshot: Snapshot) -> tuple[Verdict, str]:
    host, session = snapshot.notification.source_host_name, snapshot.session
    if session is not None and session.in_work:
        return Verdict.IGNORE, (
            f"Host {host} is being worked on in maintenance session"
            f" {session.uuid}: its processes are stopped and started."
        )
    return Verdict.PASS, f"No maintenance session works on host {host}."


def hosts_out(snapshot: Snapshot) -> Decision:
    """Take no more hosts out of service at once than the option says.

    Hosts that are recovered and hosts that sessions work on count alike.
    What it looks at is in the database, so it fails neither open nor closed.
    """
    notification, limit = snapshot.notification, snapshot.max_hosts_out
    host = notification.source_host_name
    inputs = {
        "host": host,
        "recovered": sorted(snapshot.out.recovering),
        "in_maintenance": list(snapshot.out.maintained),
    }
    why = None
    if notification.type is not NotificationType.COMPUTE_HOST:
        sentence = "Only recoveries of hosts take a host out of service."
    elif not limit:
        sentence = "There is no limit of hosts that are out of service."
    else:
        why = beyond(snapshot.out, host, limit)
        count = len(snapshot.out.besides(host))
        sentence = (
            f"{count} other hosts are out of service, of {limit} that may be."
        )
    return Decision(
        "hosts_out",
        Verdict.PASS if why is None else Verdict.HOLD,
        sentence if why is None else f"{why} Waiting until one is back.",
        inputs,
        limit,
    )


#: In the order in which they are asked; the first that does not pass decides.
GATES: tuple[Gate, ...] = (
    segment_enabled,
    host_in_maintenance,
    maintenance_session,
    hosts_out,
)


def ask(snapshot: Snapshot, gates: Iterable[Gate] = GATES) -> list[Decision]:
    """Return what the gates say, up to the first that does not pass."""
    said: list[Decision] = []
    for gate in gates:
        said.append(gate(snapshot))
        if said[-1].verdict is not Verdict.PASS:
            break
    return said


def service_down(
    host: str, *, up: bool, forced_down: bool, waited: float, limit: float
) -> Decision:
    """Evacuate nothing from a host that Nova sees alive.

    Fails closed: it is asked until Nova says "down" or the time is over,
    and Nova not answering is no "down".

    :param waited: seconds since it was asked first.
    :param limit: seconds it is waited at most.
    """
    inputs = {"host": host, "up": up, "forced_down": forced_down}
    if not up:
        how = "was forced down" if forced_down else "is down"
        return Decision(
            "service_down",
            Verdict.PASS,
            f"Nova's compute service on {host} {how}.",
            {**inputs, "waited_seconds": round(waited, 1)},
            limit,
        )
    if waited < limit:
        return Decision(
            "service_down",
            Verdict.HOLD,
            f"Waiting for Nova to see the service on {host} down",
            inputs,
            limit,
        )
    return Decision(
        "service_down",
        Verdict.FAIL,
        f"Nova still sees the compute service on {host} up after"
        f" {limit:g} seconds; instances of a living host are not evacuated.",
        {**inputs, "waited_seconds": round(waited, 1)},
        limit,
    )


def others_up(host: str, *, up: int, total: int) -> Decision:
    """Believe that a host is down only of a Nova that sees others up.

    Fails closed: where every service is down, it is rather the message
    queue, the database or the clock that has failed, and there is nowhere to
    evacuate to. A cloud of one host says nothing about itself.

    :param up: how many of the other compute services Nova sees up.
    :param total: how many others there are.
    """
    inputs = {"host": host, "others_up": up, "others": total}
    if up or not total:
        return Decision(
            "others_up",
            Verdict.PASS,
            f"Nova sees {up} of {total} other compute services up.",
            inputs,
        )
    return Decision(
        "others_up",
        Verdict.HOLD,
        f"Nova sees none of the {total} other compute services up: waiting"
        f" until it does before anything is evacuated from {host}.",
        inputs,
    )


def list_is_empty(
    host: str, *, known: bool, there: Sequence[str], elsewhere: int
) -> Decision:
    """Believe that there are no instances on a host only if all agree.

    Fails closed where Placement knows of an instance that Nova itself, asked
    for that one, still has on the host; open where Placement does not know
    the host, which then never had any.

    :param known: Placement knows the host.
    :param there: an instance that uses the host and is on it.
    :param elsewhere: how many use it and are on other hosts.
    """
    inputs = {
        "host": host,
        "known_to_placement": known,
        "there": list(there),
        "elsewhere": elsewhere,
    }
    said = f"Nova lists no instances on {host}"
    if there:
        return Decision(
            "list_is_empty",
            Verdict.HOLD,
            f"{said}, but instance {there[0]} is there: the list is not"
            " believed, and asked for again.",
            inputs,
        )
    why = "Placement knows of no resources that are used there"
    if not known:
        why = "Placement does not know the host"
    elif elsewhere:
        why = (
            f"those {elsewhere} for which Placement has resources there are"
            " on other hosts"
        )
    return Decision(
        "list_is_empty", Verdict.PASS, f"{said}, and {why}.", inputs
    )
