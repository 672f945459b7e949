"""How the instances of a host leave it: decided from rows and Nova's records.

Everything here is a function of what is written on an instance's row and of
what Nova says now. Whoever owns the session asks the same question and gets
the next step, at whatever instruction the one before has died.

A row with ``requested_at`` and ``attempts`` says that a request may have been
sent; with ``requested_at`` alone, since when something is waited for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from recovery_ha.domain.maintenance import (
    ActionStatus,
    InstanceAction,
    SessionInstance,
)
from recovery_ha.domain.ports import Migration, Server

_LIVE, _COLD = InstanceAction.LIVE_MIGRATE, InstanceAction.MIGRATE
_OWN = InstanceAction.OWN_ACTION
#: Nova's names of its records of moves, and of the actions that began them.
LIVE_MIGRATION = "live-migration"
COLD_MIGRATION = "migration"
_KINDS = {LIVE_MIGRATION: _LIVE, COLD_MIGRATION: _COLD}
_NOVA_ACTIONS = {_LIVE: "live-migration", _COLD: "migrate"}

#: States of Nova's record while a move is under way.
OPEN = frozenset(
    {
        "accepted",
        "queued",
        "preparing",
        "running",
        "pre-migrating",
        "migrating",
        "post-migrating",
        "confirming",
        "reverting",
    }
)
#: In which a live migration can be aborted.
_ABORTABLE = frozenset({"queued", "preparing", "running"})
#: States which say that it came to nothing.
_FAILED = frozenset({"error", "failed", "cancelled", "reverted"})
_DELETED = frozenset({"deleted", "soft-delete"})

#: How often Nova is asked to abort one, besides the attempts at moving it.
_ABORTS = 5

#: Which move Nova can make of an instance, by vm_state and what is wanted.
_WAYS: Mapping[tuple[str, InstanceAction], InstanceAction] = {
    ("active", _LIVE): _LIVE,
    ("active", _COLD): _COLD,
    ("paused", _LIVE): _LIVE,
    ("paused", _COLD): _LIVE,
    ("stopped", _LIVE): _COLD,
    ("stopped", _COLD): _COLD,
}
#: Why Nova cannot move an instance, by vm_state, and who can help.
_HINDRANCES = {
    "suspended": "it is suspended; it can be moved when it was resumed",
    "rescued": "it is in rescue; it can be moved when it was unrescued",
    "shelved": "it is shelved; it leaves the host when it is offloaded",
    "resized": "it waits for its user to confirm or revert a resize",
}


class MoveStep(StrEnum):
    """The next thing to do for an instance.

    ``begin`` starts to wait, ``adopt`` takes a move for ours that is under
    way already, ``fall_back`` has it be asked for otherwise next time.
    """

    WAIT = "wait"
    BEGIN = "begin"
    ADOPT = "adopt"
    ASK = "ask"
    ABORT = "abort"
    CONFIRM = "confirm"
    FALL_BACK = "fall_back"
    DONE = "done"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Decision:
    """A step and the sentence that says why.

    :ivar kind: of ASK, ADOPT and FALL_BACK: by which action.
    :ivar record: of ADOPT and ABORT: Nova's record of the move.
    :ivar explain: Nova's name of the action that failed; it may say more on
        it.
    """

    step: MoveStep
    sentence: str
    kind: InstanceAction | None = None
    record: Migration | None = None
    explain: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long, and how often; times in seconds.

    :ivar live: that a live migration may take.
    :ivar cold: that a cold migration may take, and its confirmation again.
    :ivar own: that a project may take.
    :ivar settle: how long a request that was sent by somebody who cannot
        tell any more may stay invisible in Nova.
    :ivar attempts: how often Nova is asked for one kind of move.
    :ivar fall_back: a live migration that failed is followed by a cold one.
    """

    live: float
    cold: float
    own: float
    settle: float
    attempts: int
    fall_back: bool

    def of(self, kind: InstanceAction) -> float:
        """Return how long something of a kind may take."""
        return {_LIVE: self.live, _COLD: self.cold, _OWN: self.own}[kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known of an instance at one moment.

    :ivar source: the host that it is to leave.
    :ivar action: what was agreed.
    :ivar server: None: Nova does not know it any more.
    :ivar records: Nova's of its moves away from the host, in any order.
    :ivar now: epoch seconds by the database's clock.
    """

    row: SessionInstance
    source: str
    action: InstanceAction
    server: Server | None
    records: Sequence[Migration]
    now: float

    @property
    def elapsed(self) -> float:
        """Seconds since Nova was asked, or waiting began; 0: neither."""
        since = self.row.requested_at
        return 0.0 if since is None else self.now - since

    @property
    def is_sent(self) -> bool:
        """Whether a request may have been sent."""
        return may_be_under_way(self.row) and self.row.source_host in {
            None,
            self.source,
        }

    @property
    def latest(self) -> Migration | None:
        """Nova's newest record of a move since it was asked."""
        return _newest(r for r in self.records if r.id > self.row.baseline)

    @property
    def under_way(self) -> Migration | None:
        """Nova's newest record, whoever wanted the move, if it is open."""
        found = _newest(self.records)
        return found if found and found.status in OPEN else None


def _newest(records: Iterable[Migration]) -> Migration | None:
    mine = [record for record in records if record.type in _KINDS]
    return max(mine, key=lambda record: record.id, default=None)


def may_be_under_way(row: SessionInstance) -> bool:
    """Tell whether a request for a move may have been sent."""
    return row.requested_at is not None and row.attempts > 0


def next_step(look: Look, limits: Limits) -> Decision:
    """Decide what is done with an instance next."""
    server = look.server
    if server is None or server.vm_state in _DELETED:
        return Decision(MoveStep.DONE, "The instance was deleted.")
    if server.host != look.source:
        return _elsewhere(look, server, limits)
    if look.row.action_status is ActionStatus.PENDING:
        return _anew(look, server, limits)
    if look.is_sent:
        return _at_source(look, server, limits)
    return _not_asked(look, server, limits)


# On another host, or on none


def _elsewhere(look: Look, server: Server, limits: Limits) -> Decision:
    place = f"On {server.host}" if server.host else "On no host"
    state = f"{place}, {server.vm_state}"
    if server.task_state is not None and server.host:
        return _patient(look, limits, f"{state}, {server.task_state}.")
    if server.vm_state == "resized":
        return _resized(look, limits, state)
    if server.vm_state == "error" and look.is_sent:
        return _fail(look, f"In error {place.lower()}: {_fault(server)}")
    return Decision(MoveStep.DONE, f"{state}.")


def _resized(look: Look, limits: Limits, state: str) -> Decision:
    """Decide on what may be brought back to where it was at any time."""
    record = look.latest if look.is_sent else None
    ours = record is not None and record.type == COLD_MIGRATION
    if not ours or (record and record.status == "confirming"):
        return _patient(look, limits, f"{state}, not confirmed.")
    # The migration itself was one more.
    if look.row.attempts > limits.attempts + 1:
        return Decision(
            MoveStep.FAIL,
            f"{state}, and could not be confirmed: {look.row.message}",
        )
    return Decision(MoveStep.CONFIRM, f"{state}; to be confirmed.")


# Still where it was


def _anew(look: Look, server: Server, limits: Limits) -> Decision:
    """Decide on an instance that nothing was done with since it was agreed.

    Something may have been done before, in an earlier round.
    """
    unsettled = (
        look.is_sent and look.latest is None and look.elapsed < limits.settle
    )
    if unsettled and look.action is not _OWN:
        return Decision(
            MoveStep.WAIT,
            "A move may have been asked for before; giving Nova time to"
            " show it.",
        )
    # What was asked for then does not count any more.
    forgotten = replace(
        look.row, kind=None, requested_at=None, baseline=0, attempts=0
    )
    return _not_asked(replace(look, row=forgotten), server, limits)


def _not_asked(look: Look, server: Server, limits: Limits) -> Decision:
    if look.action is _OWN:
        return _patient(look, limits, "Its project is to act itself.")
    record = look.under_way
    if record is not None and server.task_state is not None:
        return Decision(
            MoveStep.ADOPT,
            f"It is being moved already: Nova's record is {record.status}.",
            _KINDS[record.type],
            record,
        )
    if server.task_state is not None:
        return _patient(look, limits, f"It is busy: {server.task_state}.")
    if server.vm_state == "building":
        return _patient(look, limits, "It is being built.")
    return _ask(look, server, limits)


def _ask(look: Look, server: Server, limits: Limits) -> Decision:
    tried = look.row.kind
    wanted = look.action if tried is None or tried is _OWN else tried
    kind = _WAYS.get((server.vm_state, wanted))
    if kind is None or (kind is _LIVE and _has_fallen_back(look)):
        return Decision(MoveStep.FAIL, f"Nova cannot move it: {_why(server)}.")
    if look.row.kind is kind and look.row.attempts >= limits.attempts:
        return Decision(
            MoveStep.FAIL,
            f"Nova was asked {look.row.attempts} times and did nothing:"
            f" {look.row.message or 'it says no why'}",
            explain=_NOVA_ACTIONS[kind],
        )
    other = "" if kind is wanted else f", {server.vm_state} as it is"
    return Decision(MoveStep.ASK, f"{kind}{other}.", kind)


def _has_fallen_back(look: Look) -> bool:
    return look.row.kind is _COLD and look.action is _LIVE


def _why(server: Server) -> str:
    if server.vm_state == "error":
        return f"it is in error: {_fault(server)}"
    return _HINDRANCES.get(server.vm_state, f"it is {server.vm_state}")


def _at_source(look: Look, server: Server, limits: Limits) -> Decision:
    """Decide on an instance whose move was asked for, or may have been."""
    record = look.latest
    if record is None:
        return _without_trace(look, server, limits)
    said = f"Nova's record of the {record.type} is {record.status}"
    if record.status in OPEN:
        return _still_moving(look, record, limits, said)
    if record.status not in _FAILED:
        return _patient(
            look, limits, f"{said}, and it is still shown on {server.host}."
        )
    if server.task_state is not None:
        return _patient(look, limits, f"{said}; it is {server.task_state}.")
    if server.vm_state == "error":
        return _fail(look, f"In error after its move: {_fault(server)}")
    if record.type == LIVE_MIGRATION:
        return fall_back(look, limits, _live_failure(look, record, limits))
    return _fail(look, f"The cold migration failed: {said}.")


def _without_trace(look: Look, server: Server, limits: Limits) -> Decision:
    if server.task_state is not None:
        return _patient(look, limits, f"It is {server.task_state}.")
    if look.elapsed < limits.settle:
        return Decision(
            MoveStep.WAIT,
            "A move may have been asked for; giving Nova time to show it.",
        )
    return _ask(look, server, limits)


def _still_moving(
    look: Look, record: Migration, limits: Limits, said: str
) -> Decision:
    if record.type != LIVE_MIGRATION:
        return _patient(look, limits, f"{said}.")
    over = look.elapsed - limits.live
    if over < 0:
        return Decision(MoveStep.WAIT, f"{said}.")
    late = f"The live migration did not end within {limits.live:g} s"
    tried = look.row.attempts >= limits.attempts + _ABORTS
    if record.status in _ABORTABLE and not tried:
        return Decision(
            MoveStep.ABORT, f"{late}; to be aborted.", record=record
        )
    if over > limits.settle + (0 if tried else limits.live):
        return _fail(look, f"{late} and could not be aborted: {said}.")
    return Decision(MoveStep.WAIT, f"{late}: {said}.")


def _live_failure(look: Look, record: Migration, limits: Limits) -> str:
    if record.status == "cancelled" and look.elapsed >= limits.live:
        return (
            f"The live migration did not end within {limits.live:g} s and"
            " was aborted."
        )
    return f"The live migration failed: Nova's record is {record.status}."


def fall_back(look: Look, limits: Limits, why: str) -> Decision:
    """Decide what follows a live migration that failed, or was refused."""
    server = look.server
    explain = _NOVA_ACTIONS[_LIVE]
    if not limits.fall_back:
        return Decision(MoveStep.FAIL, why, explain=explain)
    state = server.vm_state if server else "gone"
    if look.action is not _LIVE or _WAYS.get((state, _COLD)) is not _COLD:
        return Decision(
            MoveStep.FAIL,
            f"{why} It is {state} and cannot be moved otherwise.",
            explain=explain,
        )
    return Decision(
        MoveStep.FALL_BACK, f"{why} It is moved cold.", _COLD, explain=explain
    )


def refused(
    look: Look,
    limits: Limits,
    kind: InstanceAction,
    words: str,
    *,
    passing: bool,
) -> Decision:
    """Decide what follows when Nova has refused to move an instance.

    :param words: Nova's.
    :param passing: only in the state that it is in: it is looked at again,
        and the number of attempts is bounded.
    """
    if passing:
        return Decision(MoveStep.WAIT, words)
    if kind is _LIVE:
        return fall_back(look, limits, words)
    return Decision(MoveStep.FAIL, words)


def _patient(look: Look, limits: Limits, sentence: str) -> Decision:
    """Wait, as long as what is being done may take."""
    if look.row.requested_at is None:
        return Decision(MoveStep.BEGIN, sentence)
    most = limits.of(look.row.kind or look.action)
    if look.elapsed > most:
        return _fail(look, f"{sentence} That took longer than {most:g} s.")
    return Decision(MoveStep.WAIT, sentence)


def _fail(look: Look, sentence: str) -> Decision:
    explain = None
    if look.is_sent and look.row.kind is not None:
        explain = _NOVA_ACTIONS.get(look.row.kind)
    return Decision(MoveStep.FAIL, sentence, explain=explain)


def _fault(server: Server) -> str:
    return server.fault or "Nova says no why"
