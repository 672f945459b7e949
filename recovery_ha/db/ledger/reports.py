"""Reports: what somebody says about tasks on nodes, applied in batches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from oslo_utils import strutils

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.ledger.book import Book, StepKey
from recovery_ha.db.ledger.events import clean
from recovery_ha.db.ledger.events import values as event_values
from recovery_ha.db.session import connection, writer
from recovery_ha.domain import errors
from recovery_ha.domain.history import Remark, ReportAnswer
from recovery_ha.domain.ledger import (
    TASK,
    ReportItem,
    ReportVerdict,
    TaskState,
    TaskStatus,
    TransactionStatus,
    judge,
)

_H = models.DeploymentHistory.metadata.tables["deployment_history"]
_E = models.Event.metadata.tables[models.Event.__tablename__]

#: Items of one report.
MOST_ITEMS = 1000
#: Rows of a batch are found by nodes and by names, which also finds rows that
#: nobody asked for: as many for each item at most, else by pairs.
_SURPLUS = 4

_NAME = _H.c.deployment_graph_task_name
_Key = tuple[str, str]

_UPDATE = (
    sa.update(_H)
    .where(_H.c.id == sa.bindparam("row"), _H.c.status == sa.bindparam("was"))
    .values(
        {
            name: sa.bindparam(name)
            for name in (
                "step_id",
                "node_type",
                "status",
                "seq",
                "time_start",
                "time_end",
                "reported_at",
                "message",
                "summary",
                "custom",
                "updated_at",
            )
        }
    )
)


@dataclass(slots=True)
class _Attempt:
    """A row as the batch makes it.

    :ivar row: its id; None: it is to be inserted.
    :ivar was: the status in the database.
    """

    node_id: str
    name: str
    state: TaskState
    row: int | None
    was: TaskStatus | None
    step_id: int | None
    step_key: StepKey | None
    node_type: str | None
    message: str | None
    summary: Any
    custom: Any
    latest: bool = True
    changed: bool = False


@dataclass(slots=True)
class _Change:
    """One item that is applied, for counting and for its event.

    :ivar step_key: the unit's step at that moment: the next item may have it
        join one.
    """

    item: ReportItem
    attempt: _Attempt
    before: TaskStatus | None
    joins: bool
    after: TaskState
    step_key: StepKey | None


class _Batch:
    """The units that a report is about, changed item by item in memory."""

    def __init__(self, book: Book, known: Mapping[_Key, _Attempt]) -> None:
        self._book = book
        self._now = dict(known)
        self.attempts: list[_Attempt] = list(known.values())
        self.changes: list[_Change] = []

    def apply(self, item: ReportItem) -> ReportAnswer:
        """Judge an item, and note what it changes."""
        key = (item.node_id, item.deployment_graph_task_name)
        before = self._now.get(key)
        judged = judge(
            None if before is None else before.state,
            item,
            received=self._book.time,
            lossy=self._book.run.lossy,
            declared=self._book.run.declared,
            ended=self._book.is_ended,
        )
        if judged.verdict is not ReportVerdict.APPLIED or not judged.after:
            return ReportAnswer(judged.verdict, judged.reason)
        wanted = self._wanted_step(item)
        if before is not None and before.step_key not in {None, wanted}:
            if wanted is not None:
                return ReportAnswer(
                    ReportVerdict.ILLEGAL, "The unit is one of another step."
                )
            wanted = before.step_key
        self._change(key, item, before, judged.after, wanted)
        return ReportAnswer(ReportVerdict.APPLIED)

    def _wanted_step(self, item: ReportItem) -> StepKey | None:
        if item.step_name is None:
            return None
        type_ = item.step_type or self._book.run.name
        return type_[:64], item.step_name[:255], item.step_round

    def _change(
        self,
        key: _Key,
        item: ReportItem,
        before: _Attempt | None,
        after: TaskState,
        step: StepKey | None,
    ) -> None:
        joins = before is None or (
            step is not None and before.step_key is None
        )
        was = None if before is None else before.state.status
        attempt = before
        if attempt is None or attempt.state.attempt != after.attempt:
            attempt = _Attempt(
                *key,
                state=after,
                row=None,
                was=None,
                step_id=None,
                step_key=step,
                node_type=None if before is None else before.node_type,
                message=None,
                summary=None,
                custom=None,
            )
            if before is not None:
                before.latest = False
            self.attempts.append(attempt)
            self._now[key] = attempt
        attempt.state, attempt.step_key = after, step
        attempt.changed = True
        _tell(attempt, item)
        self.changes.append(_Change(item, attempt, was, joins, after, step))

    def settle_steps(self) -> None:
        """Have the steps that are missing, and count the changes."""
        self._book.add_steps(
            c.attempt.step_key for c in self.changes if c.attempt.step_key
        )
        for attempt in self.attempts:
            if attempt.step_key is not None:
                attempt.step_id = self._book.find_step(attempt.step_key)
        for change in self.changes:
            step = change.step_key
            self._book.count(
                None if step is None else self._book.find_step(step),
                change.before,
                change.after.status,
                _moment(change.after, self._book.time),
                joins=change.joins,
            )


def _moment(state: TaskState, time: datetime) -> datetime:
    return state.time_end or state.time_start or time


def _tell(attempt: _Attempt, item: ReportItem) -> None:
    """Take over what an item says besides its status."""
    if item.message is not None:
        attempt.message = clean(item.message)
    if item.summary is not None:
        attempt.summary = _masked(item.summary)
    if item.custom is not None:
        attempt.custom = {**(attempt.custom or {}), **_masked(item.custom)}
    if item.node_type is not None:
        attempt.node_type = item.node_type


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return strutils.mask_dict_password(dict(value))
    return clean(value) if isinstance(value, str) else value


@writer
def report(
    ctx: RequestContext,
    reference: str | int,
    items: Sequence[ReportItem],
    *,
    events: bool = True,
    request_id: str | None = None,
) -> list[ReportAnswer]:
    """Apply what somebody says about tasks on nodes, item by item.

    The same report once more changes nothing. What one item has changed the
    next one finds. A transaction that waits runs from the first report on,
    and the lease of its reporter is renewed. The number of statements does
    not depend on the number of items.

    :param reference: uuid or integer id of the transaction.
    :param items: at most :data:`MOST_ITEMS`, in the order in which it
        happened.
    :param events: units that have ended, and remarks, become events.
    :returns: what became of each item, in their order.
    :raises errors.TransactionNotFound: there is none.
    :raises errors.BadRequest: there are too many items.
    """
    if len(items) > MOST_ITEMS:
        raise errors.BadRequest(
            f"A report has at most {MOST_ITEMS} items, this one has"
            f" {len(items)}."
        )
    book = Book.open(ctx, reference)
    batch = _Batch(book, _find(ctx, book, items))
    answers = [batch.apply(item) for item in items]
    if book.is_ended:
        return answers
    if batch.changes:
        batch.settle_steps()
        _write(ctx, book, batch.attempts)
        if events:
            _add_events(ctx, book, batch.changes, request_id)
    started: dict[str, Any] = {}
    if book.run.status is TransactionStatus.PENDING and batch.changes:
        started = {
            "status": str(TransactionStatus.RUNNING),
            "time_start": book.run.time_start or book.time,
        }
    book.save(started)
    return answers


def _find(
    ctx: RequestContext, book: Book, items: Sequence[ReportItem]
) -> dict[_Key, _Attempt]:
    """Return the latest attempts of units; one statement."""
    keys = {(i.node_id, i.deployment_graph_task_name) for i in items}
    rows = connection(ctx).execute(
        sa.select(
            _H.c.id,
            _H.c.node_id,
            _NAME.label("name"),
            _H.c.attempt,
            _H.c.status,
            _H.c.seq,
            _H.c.time_start,
            _H.c.time_end,
            _H.c.step_id,
            _H.c.node_type,
            _H.c.message,
            _H.c.summary,
            _H.c.custom,
        ).where(
            _H.c.task_id == book.run.id,
            _H.c.latest.is_(True),
            _among(keys),
        )
    )
    return {
        (row.node_id, row.name): _Attempt(
            row.node_id,
            row.name,
            state=TaskState(
                TaskStatus(row.status),
                row.attempt,
                row.seq,
                row.time_start,
                row.time_end,
            ),
            row=row.id,
            was=TaskStatus(row.status),
            step_id=row.step_id,
            step_key=None
            if row.step_id is None
            else book.step_key(row.step_id),
            node_type=row.node_type,
            message=row.message,
            summary=row.summary,
            custom=row.custom,
        )
        for row in rows
        if (row.node_id, row.name) in keys
    }


def _among(keys: set[_Key]) -> sa.ColumnElement[bool]:
    nodes = {node for node, _name in keys}
    names = {name for _node, name in keys}
    if len(nodes) * len(names) <= _SURPLUS * len(keys):
        return sa.and_(
            _H.c.node_id.in_(sorted(nodes)), _NAME.in_(sorted(names))
        )
    return sa.tuple_(_H.c.node_id, _NAME).in_(sorted(keys))


def _write(
    ctx: RequestContext, book: Book, attempts: Iterable[_Attempt]
) -> None:
    """Write the attempts that have changed; three statements at most."""
    conn = connection(ctx)
    retried, changed, fresh = [], [], []
    for attempt in attempts:
        if attempt.row is None:
            fresh.append(_new_row(book, attempt))
            continue
        if not attempt.latest:
            retried.append(attempt.row)
        if attempt.changed:
            changed.append(
                {
                    **_columns(book, attempt),
                    "row": attempt.row,
                    "was": str(attempt.was),
                    "updated_at": book.time,
                }
            )
    if retried:
        conn.execute(
            sa.update(_H).where(_H.c.id.in_(retried)).values(latest=False)
        )
    if changed:
        conn.execute(_UPDATE, changed)
    if fresh:
        conn.execute(sa.insert(_H), fresh)


def _columns(book: Book, attempt: _Attempt) -> dict[str, Any]:
    state = attempt.state
    return {
        "step_id": attempt.step_id,
        "node_type": attempt.node_type,
        "status": str(state.status),
        "seq": state.seq,
        "time_start": state.time_start,
        "time_end": state.time_end,
        "reported_at": book.time,
        "message": attempt.message,
        "summary": attempt.summary,
        "custom": attempt.custom,
    }


def _new_row(book: Book, attempt: _Attempt) -> dict[str, Any]:
    return {
        **_columns(book, attempt),
        "task_id": book.run.id,
        "project_id": book.run.project_id or "",
        "cluster_id": book.run.cluster_id,
        "node_id": attempt.node_id,
        "deployment_graph_task_name": attempt.name,
        "attempt": attempt.state.attempt,
        "latest": attempt.latest,
        "created_at": book.time,
        "updated_at": None,
    }


def _add_events(
    ctx: RequestContext,
    book: Book,
    changes: Sequence[_Change],
    request_id: str | None,
) -> None:
    """Write down what ended and what was remarked; two statements at most."""
    told = [
        change
        for change in changes
        if change.after.status in TASK.terminal or change.item.event_info
    ]
    if not told:
        return
    _find_new_rows(ctx, book, [change.attempt for change in told])
    connection(ctx).execute(
        sa.insert(_E),
        [
            event_values(book.run.id, _remark(change), book.time, request_id)
            for change in told
        ],
    )


def _find_new_rows(
    ctx: RequestContext, book: Book, attempts: Sequence[_Attempt]
) -> None:
    fresh = {
        (a.node_id, a.name, a.state.attempt): a
        for a in attempts
        if a.row is None
    }
    if not fresh:
        return
    rows = connection(ctx).execute(
        sa.select(_H.c.id, _H.c.node_id, _NAME, _H.c.attempt).where(
            _H.c.task_id == book.run.id,
            _among({(node, name) for node, name, _attempt in fresh}),
        )
    )
    for row, *key in rows:
        attempt = fresh.get((key[0], key[1], key[2]))
        if attempt is not None:
            attempt.row = row


def _remark(change: _Change) -> Remark:
    item, status = change.item, change.after.status
    failed = status is TaskStatus.ERROR
    successful = {TaskStatus.READY: True, TaskStatus.ERROR: False}.get(status)
    return Remark(
        item.event_info or (item.message if failed else None),
        task=item.deployment_graph_task_name,
        progress=item.progress,
        successful=successful,
        step_id=change.attempt.step_id,
        history_id=change.attempt.row,
        seq=item.seq,
        node_group_id=item.node_group_id,
        instance_id=item.instance_id or item.node_id,
        instance_name=item.instance_name,
        error_id=item.error_id,
        traceback=item.traceback,
    )
