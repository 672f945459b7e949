"""How transactions begin to run, end, are opened again, or are lost."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.ledger import transactions
from recovery_ha.db.ledger.book import Book, clock
from recovery_ha.db.ledger.events import clean
from recovery_ha.db.paging import by_reference
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.db.types import now
from recovery_ha.domain import errors
from recovery_ha.domain.history import Transaction
from recovery_ha.domain.ledger import (
    NO_RESULT,
    TASK,
    TRANSACTION,
    Kind,
    Outcome,
    TaskStatus,
    TransactionStatus,
    close_step,
)

_T = models.Transaction
_RUNS = _T.metadata.tables[_T.__tablename__]
_H = models.DeploymentHistory.metadata.tables["deployment_history"]

_UNFINISHED = [str(status) for status in sorted(TRANSACTION.unfinished)]
#: What becomes of tasks that have not ended when their transaction ends.
_LEFT_OVER = {
    TaskStatus.PENDING: TaskStatus.SKIPPED,
    TaskStatus.RUNNING: TaskStatus.ERROR,
}
_LOST = "The reporter was silent for longer than its lease."


def _ended(run: Transaction) -> errors.TransactionEnded:
    return errors.TransactionEnded(
        f"Transaction {run.id} has ended: it is {run.status}."
    )


@writer
def start(ctx: RequestContext, reference: str | int) -> Transaction:
    """Have a transaction run; harmless if it does.

    :raises errors.TransactionNotFound: there is none.
    :raises errors.TransactionEnded: it has ended.
    """
    sources = TRANSACTION.sources(TransactionStatus.RUNNING)
    time = clock()
    connection(ctx).execute(
        sa.update(_RUNS)
        .where(
            by_reference(_T, "uuid", str(reference)),
            _RUNS.c.status.in_([str(status) for status in sources]),
        )
        .values(
            status=str(TransactionStatus.RUNNING),
            time_start=sa.func.coalesce(_RUNS.c.time_start, time),
            updated_at=time,
            lease_expires_at=now() + _RUNS.c.lease_seconds,
        )
    )
    run = transactions.get(ctx, reference)
    if run.status in TRANSACTION.terminal:
        raise _ended(run)
    return run


@writer
def end(
    ctx: RequestContext,
    reference: str | int,
    status: TransactionStatus,
    *,
    outcome: Outcome | None = None,
    message: str | None = None,
    result: Any = None,
    time_end: datetime | None = None,
    unended: str = NO_RESULT,
) -> Transaction:
    """Bring a transaction to its end, in a constant number of statements.

    Tasks that have not begun are skipped, those that have not ended are in
    error for want of a result, and every step is decided. The same end once
    more is harmless.

    :param status: ``ready`` or ``error``.
    :param message: why; None leaves what is known.
    :param result: JSON.
    :param time_end: naive UTC; None: now.
    :param unended: the message of tasks that have not ended.
    :raises errors.TransactionNotFound: there is none.
    :raises errors.TransactionEnded: it has ended otherwise.
    :raises errors.IllegalTransition: that status is no end.
    """
    book = Book.open(ctx, reference)
    if book.is_ended and book.run.status is status:
        return book.run
    if book.is_ended:
        raise _ended(book.run)
    if status not in TRANSACTION.terminal:
        raise errors.IllegalTransition(f"{status} is no end of a transaction.")
    _end_tasks(ctx, book, clean(unended))
    for step in book.steps:
        book.set_step(step, close_step(book.step_state(step)))
    values: dict[str, Any] = {
        "status": str(status),
        "outcome": None if outcome is None else str(outcome),
        "result": result,
        "time_start": book.run.time_start or book.time,
        "time_end": time_end or book.time,
        "lease_expires_at": None,
    }
    if message is not None:
        values["message"] = clean(message)
    if status is TransactionStatus.READY:
        values["progress"] = 100
    book.save(values)
    return transactions.get(ctx, book.run.id)


def _end_tasks(ctx: RequestContext, book: Book, message: str) -> None:
    """End the tasks that have not ended; three statements, or none."""
    counts = book.counts
    if counts.units == counts.finished:
        return
    conn = connection(ctx)
    groups = conn.execute(
        sa.select(_H.c.step_id, _H.c.status, sa.func.count())
        .where(
            _H.c.task_id == book.run.id,
            _H.c.status.in_([str(status) for status in TASK.unfinished]),
        )
        .group_by(_H.c.step_id, _H.c.status)
    ).all()
    for step_id, status, number in groups:
        before = TaskStatus(status)
        after = _LEFT_OVER[before]
        book.count(step_id, before, after, book.time, number=number)
    for before, after in _LEFT_OVER.items():
        values: dict[str, Any] = {
            "status": str(after),
            "time_start": sa.func.coalesce(_H.c.time_start, book.time),
            "time_end": book.time,
            "updated_at": book.time,
        }
        if after is TaskStatus.ERROR:
            values["message"] = message
        conn.execute(
            sa.update(_H)
            .where(_H.c.task_id == book.run.id, _H.c.status == str(before))
            .values(values)
        )


@writer
def reopen(ctx: RequestContext, uuid: str) -> None:
    """Have a recovery or session that has ended wait for an engine again.

    For an operator's retry only: outside of the table of moves, as that is of
    its own row. What is known of its tasks stays: new attempts follow.
    """
    connection(ctx).execute(
        sa.update(_RUNS)
        .where(
            _RUNS.c.uuid == uuid,
            _RUNS.c.kind.in_([str(Kind.RECOVERY), str(Kind.MAINTENANCE)]),
            _RUNS.c.status.in_([str(s) for s in TRANSACTION.terminal]),
        )
        .values(
            status=str(TRANSACTION.initial),
            outcome=None,
            time_end=None,
            updated_at=clock(),
        )
    )


# Reporters outside


@writer
def renew_lease(ctx: RequestContext, reference: str | int) -> Transaction:
    """Hear that a reporter is alive, though it has nothing to say.

    :raises errors.TransactionNotFound: there is none.
    :raises errors.TransactionEnded: it has ended, perhaps as lost.
    """
    connection(ctx).execute(
        sa.update(_RUNS)
        .where(
            by_reference(_T, "uuid", str(reference)),
            _RUNS.c.status.in_(_UNFINISHED),
        )
        .values(
            lease_expires_at=now() + _RUNS.c.lease_seconds,
            updated_at=clock(),
        )
    )
    run = transactions.get(ctx, reference)
    if run.status in TRANSACTION.terminal:
        raise _ended(run)
    return run


@reader
def _overdue(ctx: RequestContext, limit: int) -> list[int]:
    rows = connection(ctx).scalars(
        sa.select(_RUNS.c.id)
        .where(
            _RUNS.c.status.in_(_UNFINISHED),
            _RUNS.c.lease_expires_at <= now(),
        )
        .order_by(_RUNS.c.lease_expires_at)
        .limit(limit)
    )
    return list(rows)


@writer
def _close_lost(
    ctx: RequestContext, transaction_id: int
) -> Transaction | None:
    # Locked first: a report that comes at this moment renews the lease.
    still = connection(ctx).scalar(
        sa.select(_RUNS.c.id)
        .where(
            _RUNS.c.id == transaction_id,
            _RUNS.c.status.in_(_UNFINISHED),
            _RUNS.c.lease_expires_at <= now(),
        )
        .with_for_update()
    )
    if still is None:
        return None
    return end(
        ctx,
        transaction_id,
        TransactionStatus.ERROR,
        outcome=Outcome.LOST,
        message=_LOST,
    )


def close_lost(ctx: RequestContext, limit: int = 100) -> list[Transaction]:
    """End the transactions whose reporters fell silent, each by itself.

    :param limit: at most so many; there may be more.
    :returns: those that were ended.
    """
    found = [_close_lost(ctx, one) for one in _overdue(ctx, limit)]
    return [run for run in found if run is not None]
