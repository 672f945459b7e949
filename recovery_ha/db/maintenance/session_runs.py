"""A session's run in the ledger, written along with the session itself.

A step is a state in one of its rounds; its units are the projects,
instances, hosts and action plug-ins that it is about. Every function is a
part of a transaction that is fenced by the session's claim.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from recovery_ha.context import RequestContext
from recovery_ha.db.ledger import events, runs, steps, transactions
from recovery_ha.db.ledger.reports import MOST_ITEMS, report
from recovery_ha.db.session import writer
from recovery_ha.domain.history import Remark
from recovery_ha.domain.ledger import (
    TASK,
    TRANSACTION,
    Outcome,
    ReportItem,
    TaskStatus,
    TransactionStatus,
)
from recovery_ha.domain.maintenance import Session, SessionState

#: The name of a session's transaction, and the type of its steps.
MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is told of a unit of the session's state.

    :ivar node_id: a project, an instance, or a host.
    :ivar node_type: ``project``, ``instance`` or ``host``.
    :ivar task: what is done with it; None: the state itself.
    :ivar message: why it is so.
    :ivar attempt: from 1; a later one is a new row.
    """

    node_id: str
    node_type: str
    status: TaskStatus
    task: str | None = None
    message: str | None = None
    attempt: int = 1


@writer
def enter(
    ctx: RequestContext,
    uuid: str,
    state: SessionState,
    round: int,  # noqa: A002 - the column's name
) -> None:
    """Have a state begin as a step; said again, it is the same one."""
    runs.start(ctx, uuid)
    steps.begin(ctx, uuid, str(state), MAINTENANCE, round=round)


@writer
def tell(ctx: RequestContext, session: Session, told: Sequence[Told]) -> None:
    """Write down how the units of the session's state are.

    What is known already changes nothing.
    """
    items = [item for one in told for item in _items(session, one)]
    for first in range(0, len(items), MOST_ITEMS):
        some = items[first : first + MOST_ITEMS]
        report(ctx, session.uuid, some, events=False)


def _items(session: Session, told: Told) -> list[ReportItem]:
    # Numbered, so that what has ended is not taken for a new attempt.
    def item(status: TaskStatus, message: str | None) -> ReportItem:
        return ReportItem(
            told.node_id,
            f"{told.task or session.state} ({session.round})",
            status,
            attempt=told.attempt,
            message=message,
            node_type=told.node_type,
            step_type=MAINTENANCE,
            step_name=str(session.state),
            step_round=session.round,
        )

    if told.status in TASK.terminal - {TaskStatus.SKIPPED}:
        return [
            item(TaskStatus.RUNNING, None),
            item(told.status, told.message),
        ]
    return [item(told.status, told.message)]


@writer
def say(
    ctx: RequestContext,
    uuid: str,
    sentence: str | None,
    request_id: str | None,
) -> None:
    """Append to the session's events."""
    if sentence:
        events.add_events(ctx, uuid, [Remark(sentence)], request_id)


@writer
def end(ctx: RequestContext, uuid: str, message: str, outcome: str) -> None:
    """End a session's run; harmless if it has ended.

    :param outcome: ``ready``, ``error`` or ``aborted``.
    """
    if transactions.get(ctx, uuid).status in TRANSACTION.terminal:
        return
    status = (
        TransactionStatus.READY
        if outcome == TransactionStatus.READY
        else TransactionStatus.ERROR
    )
    runs.end(
        ctx,
        uuid,
        status,
        outcome=Outcome.ABORTED if outcome == Outcome.ABORTED else None,
        message=message,
    )


@writer
def reopen(ctx: RequestContext, uuid: str) -> None:
    """Have a run that has ended go on, because its session is continued."""
    runs.reopen(ctx, uuid)
