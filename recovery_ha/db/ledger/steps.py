"""Steps: the parts of a run, announced, begun, closed and read."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.ledger.book import Book
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain import errors, provisioning
from recovery_ha.domain.history import Event, Step
from recovery_ha.domain.ledger import close_step

_S = models.Step.metadata.tables[models.Step.__tablename__]
_T = models.Transaction.metadata.tables[models.Transaction.__tablename__]
_E = models.Event.metadata.tables[models.Event.__tablename__]

_COLUMNS = [
    *(c for c in _S.c if c.name not in {"expected", "units", "closed"}),
    _T.c.cluster_id,
    _T.c.project_id,
]
_SELECT = sa.select(*_COLUMNS).join(_T, _T.c.id == _S.c.transaction_id)
_EVENT_COLUMNS = [
    column.label("text") if column.name == "event_info" else column
    for column in _E.c
]


def _step(row: sa.Row[Any], events: Sequence[Event] = ()) -> Step:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    project_id = values.pop("project_id") or None
    return Step(**values, project_id=project_id, events=tuple(events))


def _not_found(step_id: int) -> errors.StepNotFound:
    return errors.StepNotFound(f"No step with id {step_id}.")


def _refuse_ended(book: Book) -> None:
    if book.is_ended:
        raise errors.TransactionEnded(
            f"Transaction {book.run.id} has ended: it is {book.run.status}."
        )


@writer
def declare(
    ctx: RequestContext,
    reference: str | int,
    steps: Mapping[str, Sequence[str]],
    *,
    round: int = 1,  # noqa: A002 - the column's name
) -> list[Step]:
    """Say which steps there are going to be, so that progress has a measure.

    Those that are there already stay as they are.

    :param steps: names by step type, in order.
    :returns: all steps of the transaction, in order.
    :raises errors.TransactionNotFound: there is none.
    :raises errors.TransactionEnded: it has ended.
    """
    book = Book.open(ctx, reference)
    _refuse_ended(book)
    book.add_steps(
        (type_[:64], name[:255], round)
        for type_, names in steps.items()
        for name in names
    )
    book.save()
    return list_steps(ctx, [book.run.id])[book.run.id]


@writer
def begin(
    ctx: RequestContext,
    reference: str | int,
    step_name: str,
    step_type: str | None = None,
    *,
    total: int | None = None,
    round: int = 1,  # noqa: A002 - the column's name
) -> Step:
    """Begin a step; said again, it is the same one.

    Steps are in line: those before that have begun get no further units.

    :param step_type: ``creating``, ``scaling``, ``deleting`` or any other;
        None: the name of the transaction.
    :param total: how many units it is going to have; None: not known.
    :raises errors.TransactionNotFound: there is none.
    :raises errors.TransactionEnded: it has ended.
    """
    book = Book.open(ctx, reference)
    _refuse_ended(book)
    key = ((step_type or book.run.name)[:64], step_name[:255], round)
    found = book.find_step(key)
    for step_id in book.steps:
        if step_id != found:
            book.set_step(step_id, close_step(book.step_state(step_id)))
    book.add_steps([key])
    step_id = _known(book.find_step(key))
    state = book.step_state(step_id)
    book.set_step(
        step_id,
        replace(
            state,
            expected=state.expected if total is None else total,
            started_at=state.started_at or book.time,
        ),
    )
    book.save()
    return get(ctx, step_id)


def _known(step_id: int | None) -> int:
    if step_id is None:  # pragma: no cover - it has just been made
        raise RuntimeError("a step was not found again")
    return step_id


@writer
def close(ctx: RequestContext, step_id: int) -> Step:
    """Say that a step gets no further units, which decides it.

    :raises errors.StepNotFound: there is none.
    :raises errors.TransactionEnded: its transaction has ended.
    """
    book = Book.open(ctx, get(ctx, step_id).transaction_id)
    _refuse_ended(book)
    state = book.step_state(step_id)
    book.set_step(step_id, replace(state, closed=True))
    book.save()
    return get(ctx, step_id)


@reader
def get(ctx: RequestContext, step_id: int) -> Step:
    """Return a step.

    :raises errors.StepNotFound: there is none.
    """
    row = connection(ctx).execute(_SELECT.where(_S.c.id == step_id)).first()
    if row is None:
        raise _not_found(step_id)
    return _step(row)


@reader
def list_steps(
    ctx: RequestContext,
    transaction_ids: Sequence[int],
    *,
    events: bool = False,
    event_limit: int = 1000,
) -> dict[int, list[Step]]:
    """Return the steps of transactions by transaction, in their order.

    One statement, two with events.

    :param events: with the steps' events, the latest ``event_limit`` of each
        step, oldest first.
    """
    conn = connection(ctx)
    rows = conn.execute(
        _SELECT.where(_S.c.transaction_id.in_(transaction_ids)).order_by(
            _S.c.transaction_id, _S.c.seq
        )
    ).all()
    said: dict[int, list[Event]] = {row.id: [] for row in rows}
    if events and rows:
        numbered = (
            sa.select(
                _E.c.id,
                sa.func.row_number()
                .over(partition_by=_E.c.step_id, order_by=_E.c.id.desc())
                .label("place"),
            )
            .where(_E.c.step_id.in_(list(said)))
            .subquery()
        )
        for row in conn.execute(
            sa.select(*_EVENT_COLUMNS)
            .join(numbered, numbered.c.id == _E.c.id)
            .where(numbered.c.place <= event_limit)
            .order_by(_E.c.id)
        ):
            event = Event(**row._mapping)  # noqa: SLF001 - as in _step
            said[row.step_id].append(event)
    found: dict[int, list[Step]] = {run: [] for run in transaction_ids}
    for row in rows:
        found[row.transaction_id].append(_step(row, said[row.id]))
    return found


@reader
def find_current(ctx: RequestContext, transaction_id: int) -> Step | None:
    """Return the newest step that is begun and undecided.

    :returns: else the newest that failed; None if there is neither.
    """
    return provisioning.find_current(
        list_steps(ctx, [transaction_id])[transaction_id]
    )
