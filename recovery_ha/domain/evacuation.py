"""How one instance is evacuated: decided from rows and Nova's records.

Everything here is a function of what is written on the vmove row and of what
Nova says now. That makes an evacuation resumable at any instruction: whoever
owns the recovery asks the same question and gets the next step.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from recovery_ha.domain.ports import Migration, Server
from recovery_ha.domain.recovery import VMove, VMoveStatus

#: States of Nova's evacuation record while the evacuation is under way.
OPEN_MIGRATION = frozenset({"accepted", "pre-migrating", "migrating"})
#: States which say that the server is on its new host.
DONE_MIGRATION = frozenset({"done", "completed"})
#: Task states which say that the server is going away.
_LEAVING = frozenset({"deleting", "soft-deleting"})
#: States of a server that its user has deleted, while Nova still has it.
_DELETED = frozenset({"deleted", "soft-delete"})
#: Task states of an evacuation, and of a rebuild.
_REBUILDING = frozenset(
    {"rebuilding", "rebuild_block_device_mapping", "rebuild_spawning"}
)
#: What the user of a server that runs, or could, may bring it to.
_CHOSEN = frozenset(
    {
        "active",
        "stopped",
        "paused",
        "suspended",
        "rescued",
        "resized",
        "shelved",
        "shelved_offloaded",
    }
)
_POWER_SHUTDOWN = 4
_SHOWN_FAILURES = 10


@dataclass(frozen=True, slots=True)
class Treatment:
    """What an instance needs around its evacuation (reference 3.3).

    :ivar reset_before: set it to error first, so that Nova accepts the
        evacuation whatever it was doing.
    :ivar stop_after: stop it on the new host.
    :ivar error_after: leave it in error, as it was found.
    """

    reset_before: bool = False
    stop_after: bool = False
    error_after: bool = False


def treatment(
    vm_state: str, task_state: str | None, power_state: int
) -> Treatment:
    """Return what an instance found in that state needs.

    Nova evacuates what is active, stopped or in error and leaves it active,
    stopped and active; other states are brought to error first. An instance
    that nobody had running ends stopped.
    """
    busy = task_state is not None
    if vm_state == "active":
        return Treatment(reset_before=busy)
    if vm_state == "stopped":
        return Treatment(reset_before=busy, stop_after=busy)
    if vm_state == "error":
        return Treatment(reset_before=busy, stop_after=True, error_after=True)
    if vm_state == "resized" and power_state != _POWER_SHUTDOWN:
        return Treatment(reset_before=True)
    return Treatment(reset_before=True, stop_after=True)


def needs_lock(move: VMove) -> bool:
    """Tell whether an instance has to be kept from its user.

    While Nova evacuates one, its task state keeps the user from everything
    but deleting it. Where more is to be done before or after that, only a
    lock does.
    """
    wanted = treatment(move.vm_state, move.task_state, move.power_state)
    return wanted.reset_before or wanted.stop_after


def is_ha_enabled(metadata: Mapping[str, str], key: str) -> bool:
    """Tell whether an instance's metadata marks it as highly available."""
    word = str(metadata.get(key, "")).strip().lower()
    return word in {"1", "t", "true", "on", "y", "yes"}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An instance to evacuate.

    :ivar adopted: an evacuation record of it is open already; wait for that
        one instead of asking for another.
    :ivar migration_baseline: see :class:`VMove`.
    """

    server: Server
    ha_enabled: bool
    adopted: bool
    migration_baseline: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which instances of a host are evacuated, in order, and which not.

    :ivar left_out: pairs of an instance and the sentence that says why.
    """

    chosen: tuple[Candidate, ...]
    left_out: tuple[tuple[Server, str], ...]


def select(
    servers: Iterable[Server],
    evacuations: Iterable[Migration],
    *,
    excluded: Mapping[str, str],
    ha_key: str,
    evacuate_all: bool,
    ignore_error: bool,
) -> Selection:
    """Choose the instances of a failed host, the HA-enabled ones first.

    :param servers: what Nova lists on the host.
    :param evacuations: Nova's evacuation records of the host, in any order.
    :param excluded: why some are left alone, by uuid.
    :param ha_key: the metadata key that marks an HA-enabled instance.
    :param evacuate_all: also those without the mark.
    :param ignore_error: leave out those in vm_state error.
    """
    records = list(evacuations)
    newest = max((record.id for record in records), default=0)
    underway = {
        record.instance_uuid: record.id
        for record in sorted(records, key=lambda r: r.id)
        if record.status in OPEN_MIGRATION
    }
    chosen: list[Candidate] = []
    left_out: list[tuple[Server, str]] = []
    for server in sorted(servers, key=lambda s: s.id):
        marked = is_ha_enabled(server.metadata, ha_key)
        reason = excluded.get(server.id) or _leave_out(
            server, marked, evacuate_all, ignore_error
        )
        if reason:
            left_out.append((server, reason))
            continue
        open_id = underway.get(server.id)
        chosen.append(
            Candidate(
                server,
                marked,
                open_id is not None,
                newest if open_id is None else open_id - 1,
            )
        )
    chosen.sort(key=lambda candidate: not candidate.ha_enabled)
    return Selection(tuple(chosen), tuple(left_out))


def _leave_out(
    server: Server, marked: bool, evacuate_all: bool, ignore_error: bool
) -> str | None:
    if server.task_state in _LEAVING:
        return f"it is being deleted (task state {server.task_state})"
    if ignore_error and server.vm_state == "error":
        return "it is in vm_state error, which is ignored by configuration"
    if not marked and not evacuate_all:
        return "it is not HA-enabled, and only those are evacuated"
    return None


class Step(StrEnum):
    """The next thing to do for one vmove."""

    ASK = "ask"
    WAIT = "wait"
    LOOK = "look"
    STOP = "stop"
    SET_ERROR = "set_error"
    SUCCEED = "succeed"
    FAIL = "fail"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Decision:
    """A step and the sentence that says why.

    :ivar dest_host: for SUCCEED, where the instance is.
    """

    step: Step
    sentence: str
    dest_host: str | None = None


def latest_evacuation(
    move: VMove, evacuations: Iterable[Migration]
) -> Migration | None:
    """Return the newest record that is about this move, or None."""
    mine = [
        record
        for record in evacuations
        if record.instance_uuid == move.instance_uuid
        and record.id > move.migration_baseline
    ]
    return max(mine, key=lambda record: record.id, default=None)


def next_step(
    move: VMove,
    record: Migration | None,
    *,
    now: float,
    settle_seconds: float,
) -> Decision:
    """Decide from the row and Nova's evacuation record.

    :param record: see :func:`latest_evacuation`.
    :param now: epoch seconds by the database's clock.
    :param settle_seconds: how long a request that was sent by somebody who
        cannot tell any more may stay invisible in Nova.
    :returns: ASK, WAIT, or LOOK: the server itself must be read, and
        :func:`judge` says what comes next.
    """
    if record is not None:
        if record.status in OPEN_MIGRATION:
            return Decision(
                Step.WAIT, f"Nova's evacuation record is {record.status}."
            )
        return Decision(
            Step.LOOK, f"Nova's evacuation record is {record.status}."
        )
    if move.accepted:
        return Decision(
            Step.WAIT, "Nova accepted the evacuation and has no record yet."
        )
    if move.requested_at is None:
        return Decision(Step.ASK, "No evacuation has been asked for.")
    if now - move.requested_at < settle_seconds:
        return Decision(
            Step.WAIT,
            "An evacuation may have been asked for; giving Nova time to"
            " show it.",
        )
    return Decision(
        Step.LOOK, "An evacuation may have been asked for; Nova shows none."
    )


def judge(
    move: VMove, record: Migration | None, server: Server | None
) -> Decision:
    """Decide from the server itself, after :func:`next_step` said LOOK."""
    if server is None or server.vm_state in _DELETED:
        return Decision(Step.IGNORE, "The instance was deleted meanwhile.")
    if server.host == move.source_host:
        return _judge_at_source(record, server)
    return _judge_elsewhere(move, record, server)


def _judge_elsewhere(
    move: VMove, record: Migration | None, server: Server
) -> Decision:
    wanted = treatment(move.vm_state, move.task_state, move.power_state)
    if server.task_state is not None:
        return Decision(
            Step.WAIT,
            f"On {server.host}, task state {server.task_state}.",
        )
    if wanted.error_after and server.vm_state in {"stopped", "error"}:
        if server.vm_state == "error":
            return _succeed(server, "in error, as it was found")
        return Decision(
            Step.SET_ERROR, "Stopped; it was in error when it was found."
        )
    if server.vm_state == "error":
        return Decision(
            Step.FAIL,
            f"In error on {server.host}: {server.fault or 'Nova says no why'}",
        )
    if wanted.stop_after and server.vm_state != "stopped":
        return Decision(
            Step.STOP, f"On {server.host}; it was not running before."
        )
    if not wanted.stop_after and server.vm_state != _expected(move):
        if _was_free(move, record) and server.vm_state in _CHOSEN:
            return Decision(
                Step.SUCCEED,
                f"Evacuated; it has become {server.vm_state} since.",
                dest_host=record.dest_compute if record else None,
            )
        return Decision(
            Step.WAIT,
            f"On {server.host}, {server.vm_state} and not yet"
            f" {_expected(move)}.",
        )
    return _succeed(server, server.vm_state)


def _was_free(move: VMove, record: Migration | None) -> bool:
    """Tell whether its user may have acted on a server before we looked.

    Nova closes its record when it has nothing more to do.
    """
    done = record is not None and record.status in DONE_MIGRATION
    return done and not move.locked_by_us


def _expected(move: VMove) -> str:
    return "stopped" if move.vm_state == "stopped" else "active"


def _judge_at_source(record: Migration | None, server: Server) -> Decision:
    if record is None:
        # Any other task state is what its user asked of a dead host, before
        # or since: Nova has not begun with an evacuation.
        if server.task_state in _REBUILDING | _LEAVING:
            return Decision(
                Step.WAIT,
                f"Still on {server.host}, task state {server.task_state}.",
            )
        return Decision(
            Step.ASK, "Nova shows no trace of the evacuation asked for."
        )
    if record.status in DONE_MIGRATION:
        return Decision(
            Step.WAIT,
            f"The evacuation is {record.status}, the server is not yet shown"
            " on its new host.",
        )
    reason = server.fault or f"Nova's evacuation record is {record.status}"
    return Decision(Step.FAIL, f"Evacuation failed: {reason}")


def _succeed(server: Server, state: str) -> Decision:
    return Decision(
        Step.SUCCEED, f"On {server.host}, {state}.", dest_host=server.host
    )


def verdict(moves: Iterable[VMove]) -> str | None:
    """Return why a host recovery failed, or None if it did not.

    :param moves: all vmoves of the notification, each in the state of its
        latest attempt.
    """
    rows = list(moves)
    failed = [m for m in rows if m.status is VMoveStatus.FAILED]
    if not failed:
        return None
    shown = "; ".join(
        f"{m.instance_name} ({m.instance_uuid}): {m.message}"
        for m in failed[:_SHOWN_FAILURES]
    )
    more = ""
    if len(failed) > _SHOWN_FAILURES:
        more = f"; and {len(failed) - _SHOWN_FAILURES} more"
    return (
        f"{len(failed)} of {len(rows)} instances were not evacuated:"
        f" {shown}{more}"
    )
