"""What the ledger's rows may become, and what is counted of them.

A transaction is a run of something; its *units* are pairs of node and task,
each with one row of history per attempt; steps group units. What counts of a
unit is its latest attempt. (Wire names are Fuel's, reference section 2;
steps are Sahara's, reference section 1.)
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from recovery_ha.domain.machine import StateMachine

#: Nodes that are none: all of the cluster together, and the one of tasks that
#: ran nowhere. (The deployer itself is ``master``.)
CLUSTER = "cluster"
NOWHERE = "-"
NO_RESULT = "no result"


class Kind(StrEnum):
    """What a transaction is a run of."""

    RECOVERY = "recovery"
    MAINTENANCE = "maintenance"
    DEPLOYMENT = "deployment"
    CLUSTER = "cluster"


class TransactionStatus(StrEnum):
    """Where a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    READY = "ready"
    ERROR = "error"


class Outcome(StrEnum):
    """Why a run ended as it did, where its status does not say."""

    IGNORED = "ignored"
    ABORTED = "aborted"
    LOST = "lost"


class TaskStatus(StrEnum):
    """Where a task on a node stands."""

    PENDING = "pending"
    RUNNING = "running"
    READY = "ready"
    ERROR = "error"
    SKIPPED = "skipped"


class ReportVerdict(StrEnum):
    """What became of one item of a report."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    STALE = "stale"
    ILLEGAL = "illegal"
    UNKNOWN = "unknown"


_R = TransactionStatus
TRANSACTION = StateMachine(
    name="transaction",
    initial=_R.PENDING,
    moves={
        _R.PENDING: frozenset({_R.RUNNING, _R.READY, _R.ERROR}),
        _R.RUNNING: frozenset({_R.READY, _R.ERROR}),
        _R.READY: frozenset(),
        _R.ERROR: frozenset(),
    },
)

_T = TaskStatus
TASK = StateMachine(
    name="task",
    initial=_T.PENDING,
    moves={
        _T.PENDING: frozenset({_T.RUNNING, _T.SKIPPED}),
        _T.RUNNING: frozenset({_T.READY, _T.ERROR}),
        _T.READY: frozenset(),
        _T.ERROR: frozenset(),
        _T.SKIPPED: frozenset(),
    },
)
#: Of a reporter whose word that a task began may get lost.
LOSSY_TASK = StateMachine(
    name="task of a lossy reporter",
    initial=_T.PENDING,
    moves={
        **TASK.moves,
        _T.PENDING: TASK.moves[_T.PENDING] | {_T.READY, _T.ERROR},
    },
)


@dataclass(frozen=True, slots=True)
class ReportItem:
    """What a reporter says about a task on a node.

    :ivar seq: rises with everything the reporter says; None: it does not
        count, and only ``time`` tells an old item from a new attempt.
    :ivar time: naive UTC, when it happened; None: when it is received.
    :ivar attempt: 1 for the first; None: the latest, or the next one if that
        has ended and the task runs again.
    :ivar summary: JSON, what the task itself says about its run.
    :ivar custom: JSON, further keys of the reporter.
    :ivar step_name: the step that the unit belongs to, made if need be.
    :ivar step_round: which repetition of the step.
    :ivar event_info: a remark, written down as an event.
    :ivar traceback: where it failed, for administrators.
    """

    node_id: str
    deployment_graph_task_name: str
    task_status: TaskStatus
    seq: int | None = None
    time: datetime | None = None
    attempt: int | None = None
    message: str | None = None
    summary: Any = None
    custom: Mapping[str, Any] | None = None
    node_type: str | None = None
    step_name: str | None = None
    step_type: str | None = None
    step_round: int = 1
    node_group_id: str | None = None
    instance_id: str | None = None
    instance_name: str | None = None
    event_info: str | None = None
    error_id: str | None = None
    traceback: str | None = None
    progress: float | None = None


@dataclass(frozen=True, slots=True)
class TaskState:
    """The latest attempt of a unit, as far as judging needs it."""

    status: TaskStatus = TaskStatus.PENDING
    attempt: int = 1
    seq: int | None = None
    time_start: datetime | None = None
    time_end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to become of a unit.

    :ivar after: its latest attempt afterwards; as before unless applied.
    :ivar reason: why it was not applied, "" if it was.
    """

    verdict: ReportVerdict
    after: TaskState | None
    reason: str = ""


def judge(
    before: TaskState | None,
    item: ReportItem,
    *,
    received: datetime,
    lossy: bool = False,
    declared: bool = False,
    ended: bool = False,
) -> Judgement:
    """Decide on one item of a report.

    :param before: the unit's latest attempt; None if it has none.
    :param received: naive UTC, for an item that has no time.
    :param lossy: a task may end without a word that it began.
    :param declared: all units are known beforehand.
    :param ended: the transaction has ended.
    """
    refused = _refusal(before, item, declared=declared)
    if refused is None and ended:
        refused = (ReportVerdict.STALE, "The transaction has ended.")
    if refused is not None:
        return Judgement(refused[0], before, refused[1])
    moves = LOSSY_TASK if lossy else TASK
    target = item.task_status
    if before is None or _is_new_attempt(before, item):
        attempt = 1 if before is None else before.attempt + 1
        fresh = TaskState(attempt=attempt)
        may = target is moves.initial or target in moves.moves[moves.initial]
        start = fresh
    else:
        may = target in moves.moves[before.status]
        start = before
    if not may:
        return Judgement(
            ReportVerdict.ILLEGAL,
            before,
            f"A task that is {start.status} cannot become {target}.",
        )
    seq = start.seq if item.seq is None else item.seq
    moment = item.time or received
    after = _moved(replace(start, seq=seq), target, moment)
    return Judgement(ReportVerdict.APPLIED, after)


def _refusal(
    before: TaskState | None, item: ReportItem, *, declared: bool
) -> tuple[ReportVerdict, str] | None:
    """Return why an item says nothing new, whatever moves there are."""
    if item.node_id == NOWHERE and item.task_status is not _T.SKIPPED:
        return ReportVerdict.ILLEGAL, "What ran nowhere can be skipped only."
    if before is None:
        if declared and item.node_id != NOWHERE:
            return ReportVerdict.UNKNOWN, "The graph has no such unit."
        if item.attempt not in {None, 1}:
            return ReportVerdict.ILLEGAL, "The attempt before is missing."
        return None
    return _by_number(before, item) or _by_status(before, item)


def _by_number(
    before: TaskState, item: ReportItem
) -> tuple[ReportVerdict, str] | None:
    if item.seq is not None and before.seq is not None:
        if item.seq == before.seq:
            return ReportVerdict.DUPLICATE, "It is known."
        if item.seq < before.seq:
            return ReportVerdict.STALE, "Something later is known."
    if item.attempt is not None:
        if item.attempt < before.attempt:
            return ReportVerdict.STALE, "There is a later attempt."
        if item.attempt > before.attempt and not _is_new_attempt(before, item):
            return ReportVerdict.ILLEGAL, "The attempt before has not ended."
    return None


def _by_status(
    before: TaskState, item: ReportItem
) -> tuple[ReportVerdict, str] | None:
    """Tell an old message that came late from a new attempt."""
    if item.attempt is not None and item.attempt > before.attempt:
        return None
    if item.task_status is before.status:
        return ReportVerdict.DUPLICATE, "It is known."
    if before.status is _T.RUNNING and item.task_status is _T.PENDING:
        return ReportVerdict.STALE, "It runs already."
    again = (
        before.status in TASK.terminal and item.task_status in TASK.unfinished
    )
    if again and (item.attempt == before.attempt or _is_late(before, item)):
        return ReportVerdict.STALE, "It has ended already."
    return None


def _is_late(before: TaskState, item: ReportItem) -> bool:
    """Tell whether an item without a number is of an attempt that is over."""
    if item.seq is not None or item.time is None or before.time_end is None:
        return False
    return item.time < before.time_end or item.time == before.time_start


def _is_new_attempt(before: TaskState, item: ReportItem) -> bool:
    if before.status not in TASK.terminal:
        return False
    if item.attempt is not None:
        return item.attempt == before.attempt + 1
    return item.task_status in TASK.unfinished


def _moved(state: TaskState, target: TaskStatus, time: datetime) -> TaskState:
    """Return a state with its new status and times; none is overwritten."""
    start, end = state.time_start, state.time_end
    if target is not _T.PENDING and start is None:
        start = time
    if target in TASK.terminal and start is not None:
        end = max(time, start)
    return replace(state, status=target, time_start=start, time_end=end)


# Counting


@dataclass(frozen=True, slots=True)
class Counts:
    """How many units have which status, by their latest attempts."""

    pending: int = 0
    running: int = 0
    ready: int = 0
    error: int = 0
    skipped: int = 0

    @property
    def units(self) -> int:
        """How many there are."""
        return self.pending + self.running + self.finished

    @property
    def finished(self) -> int:
        """How many have ended."""
        return self.ready + self.error + self.skipped

    def moved(
        self, before: TaskStatus | None, after: TaskStatus, number: int = 1
    ) -> "Counts":
        """Return the counts when units have become something else.

        :param before: None: there were no such units.
        :param number: of units.
        """
        now = {str(after): getattr(self, after) + number}
        if before is not None:
            was = now.get(before, getattr(self, before))
            now[str(before)] = was - number
        return replace(self, **now)


@dataclass(frozen=True, slots=True)
class StepState:
    """What is counted of a step.

    :ivar expected: how many units were announced; None: nobody said.
    :ivar closed: no unit will be added any more.
    :ivar completed: units that are done, skipped ones included.
    :ivar failed: units that are in error.
    :ivar completed_at: when it was decided; None while it is not.
    """

    units: int = 0
    expected: int | None = None
    closed: bool = False
    completed: int = 0
    failed: int = 0
    started_at: datetime | None = None
    completed_at: datetime | None = None

    @property
    def total(self) -> int:
        """Units announced, or known if those are more."""
        return max(self.expected or 0, self.units)

    @property
    def is_done(self) -> bool:
        """Every unit has ended and no other is expected any more."""
        ended = self.completed + self.failed
        if self.closed:
            return ended >= self.units
        return self.expected is not None and ended >= self.total

    @property
    def successful(self) -> bool | None:
        """Whether it succeeded; None until that is decided.

        One unit that failed decides, and so does one that was announced and
        never came; a retry of a unit reopens.
        """
        if self.failed:
            return False
        return self.completed >= self.total if self.is_done else None

    @property
    def progress(self) -> int:
        """Per cent of the units that have ended."""
        if self.is_done:
            return 100
        ended = self.completed + self.failed
        return min(100 * ended // self.total, 99) if self.total else 0

    @property
    def duration(self) -> float | None:
        """Seconds from the first unit to the last; None until it is done."""
        if self.started_at is None or self.completed_at is None:
            return None
        return (self.completed_at - self.started_at).total_seconds()


def count_unit(
    step: StepState,
    before: TaskStatus | None,
    after: TaskStatus,
    time: datetime,
    number: int = 1,
) -> StepState:
    """Return a step some of whose units have changed.

    :param before: the status of its latest attempt until now; None: the unit
        is new here.
    :param time: naive UTC, when it changed.
    """
    started = step.started_at
    if after is not TaskStatus.PENDING and (started is None or time < started):
        started = time
    return settled(
        replace(
            step,
            units=step.units + number * (before is None),
            completed=step.completed + number * (_done(after) - _done(before)),
            failed=step.failed + number * (_bad(after) - _bad(before)),
            started_at=started,
        ),
        time,
    )


def _done(status: TaskStatus | None) -> int:
    return int(status in {TaskStatus.READY, TaskStatus.SKIPPED})


def _bad(status: TaskStatus | None) -> int:
    return int(status is TaskStatus.ERROR)


def close_step(step: StepState) -> StepState:
    """Return a step that gets no further units; one never begun is left."""
    return replace(step, closed=step.closed or step.started_at is not None)


def settled(step: StepState, time: datetime) -> StepState:
    """Return a step with the time at which it was done, if it is."""
    if not step.is_done:
        return replace(step, completed_at=None)
    started = step.started_at or time
    ended = step.completed_at or max(time, started)
    return replace(step, started_at=started, completed_at=max(ended, time))


def progress(counts: Counts, steps: Iterable[StepState]) -> int:
    """Return how many per cent of a run are done.

    Each step weighs the same, as do all units without one together.
    """
    parts = []
    units, finished = counts.units, counts.finished
    for step in steps:
        parts.append(step.progress)
        units -= step.units
        finished -= step.completed + step.failed
    if units > 0:
        parts.append(100 * finished // units)
    return sum(parts) // len(parts) if parts else 0
