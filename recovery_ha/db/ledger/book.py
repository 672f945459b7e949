"""A transaction while it is being changed: locked, with its counters."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.paging import by_reference
from recovery_ha.db.session import connection
from recovery_ha.db.types import now
from recovery_ha.domain import errors
from recovery_ha.domain.history import Transaction
from recovery_ha.domain.ledger import (
    TRANSACTION,
    Counts,
    Kind,
    Outcome,
    StepState,
    TaskStatus,
    TransactionStatus,
    count_unit,
    progress,
    settled,
)

_T = models.Transaction
_S = models.Step
_RUNS = _T.metadata.tables[_T.__tablename__]
_STEPS = _S.metadata.tables[_S.__tablename__]

_COUNTS = [f"count_{field.name}" for field in fields(Counts)]
#: What is read of a transaction: neither its lease nor its definitions,
#: which may be large.
COLUMNS = [
    column
    for column in _RUNS.c
    if not column.name.startswith("lease_") and column.name != "tasks_snapshot"
]
_UPDATE_STEP = (
    sa.update(_STEPS)
    .where(_STEPS.c.id == sa.bindparam("step"))
    .values(
        {
            name: sa.bindparam(name)
            for name in (
                "expected",
                "units",
                "total",
                "completed",
                "failed",
                "closed",
                "successful",
                "progress",
                "started_at",
                "completed_at",
                "duration",
                "updated_at",
            )
        }
    )
)
_LIST_STEPS = (
    sa.select(
        _STEPS.c.id,
        _STEPS.c.seq,
        _STEPS.c.step_type,
        _STEPS.c.step_name,
        _STEPS.c.round,
        _STEPS.c.units,
        _STEPS.c.expected,
        _STEPS.c.closed,
        _STEPS.c.completed,
        _STEPS.c.failed,
        _STEPS.c.started_at,
        _STEPS.c.completed_at,
    )
    .where(_STEPS.c.transaction_id == sa.bindparam("run"))
    .order_by(_STEPS.c.seq)
)

#: Type, name and round of a step: what it is in its transaction.
StepKey = tuple[str, str, int]


def clock() -> datetime:
    """Return the time in naive UTC, with its fraction: runs may be short."""
    return datetime.now(UTC).replace(tzinfo=None)


def to_transaction(row: Any) -> Transaction:
    """Return what a row of :data:`COLUMNS` says."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    counts = Counts(*(values.pop(name) for name in _COUNTS))
    outcome = values.pop("outcome")
    return Transaction(
        kind=Kind(values.pop("kind")),
        status=TransactionStatus(values.pop("status")),
        outcome=None if outcome is None else Outcome(outcome),
        project_id=values.pop("project_id") or None,
        counts=counts,
        **values,
    )


def not_found(reference: str | int) -> errors.TransactionNotFound:
    """Return the error that says so."""
    return errors.TransactionNotFound(f"No transaction with id {reference}.")


@dataclass(slots=True)
class _Entry:
    id: int
    seq: int
    state: StepState
    changed: bool = False


class Book:
    """A transaction that nobody else changes until the commit.

    :ivar run: as it was when it was locked.
    :ivar counts: as they are by now.
    :ivar time: naive UTC, when the change is made.
    """

    def __init__(self, ctx: RequestContext, run: Transaction) -> None:
        self.run = run
        self.counts = run.counts
        self.time = clock()
        self._connection = connection(ctx)
        self._steps: dict[StepKey, _Entry] = {}
        self._keys: dict[int, StepKey] = {}
        self._load_steps()

    @classmethod
    def open(cls, ctx: RequestContext, reference: str | int) -> "Book":
        """Lock a transaction, by its integer id or uuid.

        Two statements. The lock is the transaction's, and is taken before
        anything else of it is read.

        :raises errors.TransactionNotFound: there is none.
        """
        row = (
            connection(ctx)
            .execute(
                sa.select(*COLUMNS)
                .where(by_reference(_T, "uuid", str(reference)))
                .with_for_update()
            )
            .first()
        )
        if row is None:
            raise not_found(reference)
        return cls(ctx, to_transaction(row))

    @property
    def is_ended(self) -> bool:
        """Whether it was at its end when it was locked."""
        return self.run.status in TRANSACTION.terminal

    # Steps

    def _load_steps(self) -> None:
        rows = self._connection.execute(_LIST_STEPS, {"run": self.run.id})
        for id_, seq, type_, name, round_, *state in rows:
            key = (type_, name, round_)
            if key not in self._steps:
                self._steps[key] = _Entry(id_, seq, StepState(*state))
                self._keys[id_] = key

    def find_step(self, key: StepKey) -> int | None:
        """Return the id of a step, None if there is no such step."""
        entry = self._steps.get(key)
        return None if entry is None else entry.id

    def step_key(self, step_id: int) -> StepKey:
        """Return type, name and round of a step."""
        return self._keys[step_id]

    def step_state(self, step_id: int) -> StepState:
        """Return what is counted of a step by now."""
        return self._steps[self._keys[step_id]].state

    @property
    def steps(self) -> list[int]:
        """The ids of the steps, in their order."""
        return [entry.id for entry in self._steps.values()]

    def add_steps(
        self, wanted: Iterable[StepKey], expected: int | None = None
    ) -> None:
        """Have steps that are not there yet; two statements, or none.

        :param expected: how many units are announced of each new one.
        """
        fresh = [
            key for key in dict.fromkeys(wanted) if key not in self._steps
        ]
        if not fresh:
            return
        state = settled(StepState(expected=expected), self.time)
        first = 1 + max((e.seq for e in self._steps.values()), default=0)
        self._connection.execute(
            sa.insert(_STEPS),
            [
                {
                    **_values(state),
                    "transaction_id": self.run.id,
                    "seq": seq,
                    "step_type": type_,
                    "step_name": name,
                    "round": round_,
                    "created_at": self.time,
                }
                for seq, (type_, name, round_) in enumerate(fresh, first)
            ],
        )
        self._load_steps()

    def set_step(self, step_id: int, state: StepState) -> None:
        """Have other counters of a step."""
        entry = self._steps[self._keys[step_id]]
        if not state.is_done or state.completed_at is None:
            state = settled(state, self.time)  # else it keeps its end
        entry.changed = entry.changed or state != entry.state
        entry.state = state

    def count(
        self,
        step_id: int | None,
        before: TaskStatus | None,
        after: TaskStatus,
        time: datetime,
        *,
        joins: bool = False,
        number: int = 1,
    ) -> None:
        """Count that units have become something else.

        :param before: the status of their latest attempts until now; None:
            they are new.
        :param time: naive UTC, when that was.
        :param joins: they did not belong to the step before.
        :param number: of units.
        """
        self.counts = self.counts.moved(before, after, number)
        if step_id is not None:
            entry = self._steps[self._keys[step_id]]
            was = None if joins else before
            entry.state = count_unit(entry.state, was, after, time, number)
            entry.changed = True

    # Writing

    def save(self, values: Mapping[str, Any] | None = None) -> None:
        """Write the counters, and whatever else changes of the transaction.

        Two statements, one if no step has changed. The lease of a reporter
        outside is renewed.

        :param values: of further columns; ``progress`` follows the counters
            unless it is one of them.
        """
        changed = [entry for entry in self._steps.values() if entry.changed]
        if changed:
            self._connection.execute(
                _UPDATE_STEP,
                [
                    {
                        "step": entry.id,
                        "updated_at": self.time,
                        **_values(entry.state),
                    }
                    for entry in changed
                ],
            )
        states = [entry.state for entry in self._steps.values()]
        self._connection.execute(
            sa.update(_RUNS)
            .where(
                _RUNS.c.id == self.run.id,
                _RUNS.c.status == str(self.run.status),
            )
            .values(
                {
                    **dict(zip(_COUNTS, _numbers(self.counts), strict=True)),
                    "progress": progress(self.counts, states),
                    "updated_at": self.time,
                    "lease_expires_at": now() + _RUNS.c.lease_seconds,
                    **(values or {}),
                }
            )
        )


def _numbers(counts: Counts) -> list[int]:
    return [getattr(counts, field.name) for field in fields(Counts)]


def _values(state: StepState) -> dict[str, Any]:
    return {
        "expected": state.expected,
        "units": state.units,
        "total": state.total,
        "completed": state.completed,
        "failed": state.failed,
        "closed": state.closed,
        "successful": state.successful,
        "progress": state.progress,
        "started_at": state.started_at,
        "completed_at": state.completed_at,
        "duration": state.duration,
    }
