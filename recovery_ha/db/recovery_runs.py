"""A recovery's run in the ledger, written along with the recovery itself.

Every function is a part of the transaction in which the recovery's own rows
change, or fenced by its claim: neither of the two can be there without the
other. What a commit that succeeded unheard of repeats changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types, work
from recovery_ha.db.ledger import events, runs, transactions
from recovery_ha.db.ledger.book import Book, clock
from recovery_ha.db.ledger.reports import MOST_ITEMS, report
from recovery_ha.db.session import connection, writer
from recovery_ha.domain.history import Remark
from recovery_ha.domain.lease import Claim
from recovery_ha.domain.ledger import (
    TASK,
    TRANSACTION,
    Outcome,
    ReportItem,
    TaskStatus,
    TransactionStatus,
)
from recovery_ha.domain.recovery import (
    Notification,
    NotificationStatus,
    VMove,
    VMoveStatus,
)
from recovery_ha.domain.stages import EVACUATE_TASK

_N = models.Notification
_T = models.Transaction.metadata.tables[models.Transaction.__tablename__]
_H = models.DeploymentHistory.metadata.tables["deployment_history"]
_E = models.Event.metadata.tables[models.Event.__tablename__]

_MAIN = "main"
_INSTANCE = "instance"
_ENDS = {
    NotificationStatus.FINISHED: TransactionStatus.READY,
    NotificationStatus.IGNORED: TransactionStatus.READY,
    NotificationStatus.FAILED: TransactionStatus.ERROR,
}
_MOVES = {
    VMoveStatus.ONGOING: TaskStatus.RUNNING,
    VMoveStatus.SUCCEEDED: TaskStatus.READY,
    VMoveStatus.IGNORED: TaskStatus.READY,
    VMoveStatus.FAILED: TaskStatus.ERROR,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a task of a flow is in the ledger.

    :ivar attempt: the one that the flow makes; None: the next one.
    """

    step_type: str = _MAIN
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """What the tasks of a flow run on: a host or an instance.

    :ivar type: ``host`` or ``instance``.
    """

    id: str
    type: str


@writer
def start_flow(
    ctx: RequestContext,
    claim: Claim,
    flow_uuid: str,
    *,
    new_attempt: bool,
    node: Node | None = None,
    tasks: Mapping[str, str] | None = None,
) -> dict[str, Place]:
    """Record that a new flow is going to work on the notification.

    Its transaction runs from now on, and has a step for each task. Said
    again, it changes nothing: a commit that seemed to fail is repeated.

    :param new_attempt: it is the first of an attempt.
    :param tasks: step types by task name, in order.
    :returns: where each of the tasks is in the ledger.
    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    known = connection(ctx).scalar(
        sa.select(_N.flow_uuid).where(_N.notification_uuid == claim.uuid)
    )
    work.update_owned(
        ctx,
        claim,
        flow_uuid=flow_uuid,
        held=False,
        attempts=_N.attempts + int(new_attempt and known != flow_uuid),
        updated_at=types.utcnow(),
    )
    return _begin(ctx, claim.uuid, node, tasks or {})


def _begin(
    ctx: RequestContext,
    uuid: str,
    node: Node | None,
    tasks: Mapping[str, str],
) -> dict[str, Place]:
    book = Book.open(ctx, uuid)
    # A task that two flows have in different parts stays where it was.
    was = {key[1]: key[0] for key in map(book.step_key, book.steps)}
    places = {name: was.get(name, type_) for name, type_ in tasks.items()}
    book.add_steps(
        ((type_, name, 1) for name, type_ in places.items()), expected=1
    )
    started: dict[str, Any] = {}
    if book.run.status is TransactionStatus.PENDING:
        started = {
            "status": str(TransactionStatus.RUNNING),
            "time_start": book.run.time_start or book.time,
        }
    book.save(started)
    if node is None or not places:
        return {}
    made = connection(ctx).execute(
        sa.select(
            _H.c.deployment_graph_task_name, _H.c.attempt, _H.c.status
        ).where(
            _H.c.task_id == book.run.id,
            _H.c.node_id == node.id,
            _H.c.latest.is_(True),
        )
    )
    next_ = {
        name: attempt + (status in TASK.terminal)
        for name, attempt, status in made
    }
    return {
        name: Place(type_, next_.get(name, 1))
        for name, type_ in places.items()
    }


# Tasks


@writer
def tell_task(
    ctx: RequestContext,
    claim: Claim,
    notification: Notification,
    node: Node,
    task: str,
    place: Place,
    remarks: Sequence[Remark],
    *,
    status: TaskStatus | None = None,
) -> None:
    """Write down what a task says, and that it began or ended.

    :param remarks: of the task; the last one says how it ended.
    :param status: what it is from now on; None: as before.
    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    if status is not None:
        ended = status in TASK.terminal and remarks
        item = ReportItem(
            node.id,
            task,
            status,
            attempt=place.attempt,
            message=remarks[-1].text if ended else None,
            node_type=node.type,
            step_type=place.step_type,
            step_name=task,
        )
        report(ctx, claim.uuid, [item], events=False)
    if remarks:
        _add_events(ctx, notification, node, task, remarks)


def _add_events(
    ctx: RequestContext,
    notification: Notification,
    node: Node,
    task: str,
    remarks: Sequence[Remark],
) -> None:
    # Their order is that of the commits: the transaction's row is locked.
    conn = connection(ctx)
    found = conn.execute(
        sa.select(_T.c.id, _H.c.id, _H.c.step_id)
        .join_from(
            _T,
            _H,
            sa.and_(
                _H.c.task_id == _T.c.id,
                _H.c.node_id == node.id,
                _H.c.deployment_graph_task_name == task,
                _H.c.latest.is_(True),
            ),
            isouter=True,
        )
        .where(_T.c.uuid == notification.uuid)
        .with_for_update(of=_T)
    ).first()
    if found is None:
        return
    time = clock()
    conn.execute(
        sa.insert(_E),
        [
            events.values(
                found[0],
                replace(one, history_id=found[1], step_id=found[2]),
                time,
                notification.request_id,
            )
            for one in remarks
        ],
    )


# Instances


@dataclass(frozen=True, slots=True)
class Moved:
    """A vmove that has another status now.

    :ivar before: what it had.
    """

    move: VMove
    before: VMoveStatus


@writer
def tell_moves(ctx: RequestContext, uuid: str, moved: Iterable[Moved]) -> None:
    """Write down which evacuations have begun or ended.

    The caller has fenced the transaction. The number of statements does not
    depend on that of the moves.

    :param uuid: the notification's.
    """
    items = [item for one in moved for item in _items(one)]
    for start in range(0, len(items), MOST_ITEMS):
        report(ctx, uuid, items[start : start + MOST_ITEMS], events=False)


def _items(moved: Moved) -> list[ReportItem]:
    move = moved.move
    status = _MOVES.get(move.status)
    if status is None or move.status is moved.before:
        return []
    if status is TaskStatus.RUNNING:
        return [_item(move, status)]
    if moved.before is VMoveStatus.ONGOING:
        return [_item(move, status)]
    if move.status is VMoveStatus.IGNORED:
        return [_item(move, TaskStatus.SKIPPED)]
    # It ends without having been asked for. The time tells what is said
    # twice from a further attempt.
    time = move.end_time or move.updated_at
    return [
        _item(move, TaskStatus.RUNNING, time),
        _item(move, status, time),
    ]


def _item(
    move: VMove, status: TaskStatus, time: datetime | None = None
) -> ReportItem:
    ended = status in TASK.terminal
    summary: dict[str, Any] = {
        "instance_name": move.instance_name,
        "source_host": move.source_host,
        "dest_host": move.dest_host,
    }
    if move.status is VMoveStatus.IGNORED:
        summary["outcome"] = str(Outcome.IGNORED)
    return ReportItem(
        move.instance_uuid,
        EVACUATE_TASK,
        status,
        time=time,
        message=move.message if ended else None,
        summary=summary,
        node_type=_INSTANCE,
        step_type=_MAIN,
        step_name=EVACUATE_TASK,
        instance_name=move.instance_name,
    )


@writer
def expect_moves(ctx: RequestContext, uuid: str, total: int) -> None:
    """Announce how many instances a recovery evacuates.

    The caller has fenced the transaction.

    :param uuid: the notification's.
    """
    book = Book.open(ctx, uuid)
    key = next(
        (
            key
            for key in map(book.step_key, book.steps)
            if key[1] == EVACUATE_TASK
        ),
        None,
    )
    step_id = None if key is None else book.find_step(key)
    if step_id is None:
        return
    state = book.step_state(step_id)
    # The task itself is one as well.
    book.set_step(step_id, replace(state, expected=total + 1))
    book.save()


# Ends


@writer
def end(
    ctx: RequestContext,
    uuid: str,
    status: NotificationStatus,
    message: str,
    *,
    cancelled: bool = False,
) -> None:
    """End the transaction of a notification that ends, and all its tasks.

    :param status: the notification's; a terminal one.
    :param cancelled: by an operator.
    """
    wanted = _ENDS[status]
    run = transactions.get(ctx, uuid)
    outcome = Outcome.ABORTED if cancelled else None
    if status is NotificationStatus.IGNORED:
        outcome = Outcome.IGNORED
    if run.status in TRANSACTION.terminal and run.status is not wanted:
        runs.reopen(ctx, uuid)
    runs.end(
        ctx,
        run.id,
        wanted,
        outcome=outcome,
        message=message,
        unended=message,
    )


@writer
def end_all(
    ctx: RequestContext,
    uuids: Sequence[str],
    status: NotificationStatus,
    message: str,
) -> None:
    """End the transactions of several notifications for the same reason.

    One statement for all those that have not begun.
    """
    if not uuids:
        return
    conn, time = connection(ctx), clock()
    outcome = None
    if status is NotificationStatus.IGNORED:
        outcome = str(Outcome.IGNORED)
    begun = conn.scalars(
        sa.select(_T.c.uuid).where(
            _T.c.uuid.in_(uuids), _T.c.time_start.is_not(None)
        )
    ).all()
    conn.execute(
        sa.update(_T)
        .where(
            _T.c.uuid.in_(uuids),
            _T.c.time_start.is_(None),
            _T.c.status == str(TRANSACTION.initial),
        )
        .values(
            status=str(_ENDS[status]),
            outcome=outcome,
            message=events.clean(message),
            progress=100 if _ENDS[status] is TransactionStatus.READY else 0,
            time_start=time,
            time_end=time,
            updated_at=time,
        )
    )
    for uuid in begun:
        end(ctx, uuid, status, message)
