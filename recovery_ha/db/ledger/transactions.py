"""Transactions: their beginning, their end, and finding them."""

from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_utils import uuidutils

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.ledger.book import (
    COLUMNS,
    Book,
    clock,
    not_found,
    to_transaction,
)
from recovery_ha.db.ledger.events import clean
from recovery_ha.db.paging import Page, by_reference, page_rows
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.db.types import now
from recovery_ha.domain import errors
from recovery_ha.domain.history import (
    NewTransaction,
    Transaction,
    TransactionFilter,
)
from recovery_ha.domain.ledger import (
    NOWHERE,
    TASK,
    TRANSACTION,
    Counts,
    Kind,
    TaskStatus,
    TransactionStatus,
)

_T = models.Transaction
_RUNS = _T.metadata.tables[_T.__tablename__]
_H = models.DeploymentHistory.metadata.tables["deployment_history"]
_N = models.Notification.metadata.tables[models.Notification.__tablename__]

#: A node with more rows of history than this, or in more runs, is looked for
#: in each run: the page will soon be full.
_FEW_ROWS = 2000
_FEW_RUNS = 500
#: The origin of what somebody outside reports; its id is that of the user.
REPORTER = "reporter"
SORT_KEYS = (
    "id",
    "uuid",
    "name",
    "kind",
    "status",
    "created_at",
    "updated_at",
    "time_start",
    "time_end",
)
_NO_COUNTS = {
    "progress": 0,
    **{f"count_{field.name}": 0 for field in fields(Counts)},
}
# Built once: composing a statement costs more than running it, and this one
# is run for every report.
_INSERT_RECOVERY = sa.insert(_RUNS).values(
    kind=str(Kind.RECOVERY),
    status=str(TRANSACTION.initial),
    origin_type="notification",
    dry_run=False,
    lossy=False,
    declared=False,
    **_NO_COUNTS,
)


def create(
    ctx: RequestContext, new: NewTransaction
) -> tuple[Transaction, bool]:
    """Have a transaction, with the rows of its graph and its steps.

    :returns: it, and whether it is new: what the same reporter of the same
        project has created under the same name is returned as it is.
    :raises errors.TransactionNotFound: there is no such parent.
    :raises errors.BadRequest: the graph has a node that none can have.
    """
    uuid = new.uuid or uuidutils.generate_uuid()
    try:
        return _create(ctx, uuid, new), True
    except db_exc.DBDuplicateEntry:
        return _settle_duplicate(ctx, uuid, new)
    except db_exc.DBReferenceError as exc:
        raise not_found(str(new.parent_id)) from exc


@writer
def _create(
    ctx: RequestContext, uuid: str, new: NewTransaction
) -> Transaction:
    time = clock()
    rows = _graph_rows(new)
    conn = connection(ctx)
    conn.execute(
        sa.insert(_RUNS).values(
            uuid=uuid,
            kind=str(new.kind),
            name=new.name,
            status=str(new.status),
            graph_type=new.graph_type,
            project_id=new.project_id or "",
            cluster_id=new.cluster_id,
            parent_id=new.parent_id,
            origin_type=new.origin_type,
            origin_id=new.origin_id,
            reporter=new.reporter,
            external_id=new.external_id,
            message=None if new.message is None else clean(new.message),
            dry_run=new.dry_run,
            lossy=new.lossy,
            declared=new.graph is not None,
            tasks_snapshot=new.tasks_snapshot,
            request_id=new.request_id,
            time_start=time
            if new.status is TransactionStatus.RUNNING and not new.time_start
            else new.time_start,
            lease_seconds=new.lease_seconds,
            lease_expires_at=None
            if new.lease_seconds is None
            else now() + new.lease_seconds,
            created_at=time,
            **_NO_COUNTS,
        )
    )
    if not (rows or new.steps):
        return get(ctx, uuid)
    book = Book.open(ctx, uuid)
    book.add_steps(
        (type_[:64], name[:255], 1)
        for type_, names in new.steps.items()
        for name in names
    )
    if rows:
        _insert_graph(ctx, book, rows)
    book.save()
    return get(ctx, uuid)


def _graph_rows(new: NewTransaction) -> list[tuple[str, str, TaskStatus]]:
    """Return node, task and status of each row that a graph begins with."""
    graph = new.graph or {}
    if not all(graph) or NOWHERE in graph:
        raise errors.BadRequest(
            f'A node of the graph cannot be named "" or "{NOWHERE}".'
        )
    rows = [
        (node, name, TASK.initial)
        for node, names in graph.items()
        for name in dict.fromkeys(names)
    ]
    if new.graph is not None:
        somewhere = {name for _node, name, _status in rows}
        rows += [
            (NOWHERE, name, TaskStatus.SKIPPED)
            for name in new.tasks_snapshot or {}
            if name not in somewhere
        ]
    return rows


def _insert_graph(
    ctx: RequestContext, book: Book, rows: list[tuple[str, str, TaskStatus]]
) -> None:
    run = book.run
    connection(ctx).execute(
        sa.insert(_H),
        [
            {
                "task_id": run.id,
                "project_id": run.project_id or "",
                "cluster_id": run.cluster_id,
                "node_id": node,
                "deployment_graph_task_name": name,
                "attempt": 1,
                "latest": True,
                "status": str(status),
                "created_at": book.time,
            }
            for node, name, status in rows
        ],
    )
    for status in (TASK.initial, TaskStatus.SKIPPED):
        number = sum(status is row[2] for row in rows)
        book.count(None, None, status, book.time, number=number)


@writer
def insert_recovery(
    ctx: RequestContext,
    uuid: str,
    *,
    name: str,
    project_id: str | None,
    request_id: str | None,
    created_at: datetime,
) -> None:
    """Have the transaction of a notification; one statement, always the same.

    :param uuid: the notification's.
    :param name: which recovery it is: ``host_auto_failure``, ...
    """
    connection(ctx).execute(
        _INSERT_RECOVERY,
        {
            "uuid": uuid,
            "name": name,
            "origin_id": uuid,
            "project_id": project_id or "",
            "request_id": request_id,
            "created_at": created_at,
        },
    )


@reader
def find(
    ctx: RequestContext,
    reference: str | int,
    project_id: str | None = None,
    reported_by: str | None = None,
) -> Transaction | None:
    """Return a transaction by its integer id or uuid, or None.

    :param project_id: whose it has to be; None: anybody's.
    :param reported_by: see :class:`TransactionFilter`.
    """
    query = sa.select(*COLUMNS).where(
        by_reference(_T, "uuid", str(reference)),
        *visible(project_id, reported_by),
    )
    row = connection(ctx).execute(query).first()
    return None if row is None else to_transaction(row)


def get(
    ctx: RequestContext,
    reference: str | int,
    *,
    project_id: str | None = None,
    reported_by: str | None = None,
) -> Transaction:
    """Return a transaction by its integer id or uuid, deleted or not.

    :param project_id: whose it has to be; None: anybody's.
    :param reported_by: see :class:`TransactionFilter`.
    :raises errors.TransactionNotFound: there is none.
    """
    found = find(ctx, reference, project_id, reported_by)
    if found is None:
        raise not_found(reference)
    return found


@writer
def _settle_duplicate(
    ctx: RequestContext, uuid: str, new: NewTransaction
) -> tuple[Transaction, bool]:
    """Return what is in the way of a transaction, and whether it is that one.

    A commit can succeed although the connection broke, and the insert was
    repeated. A replica may not have either row yet, so a writer reads.
    """
    own = find(ctx, uuid)
    if own is not None:
        return own, True
    row = (
        connection(ctx)
        .execute(
            sa.select(*COLUMNS).where(
                _RUNS.c.project_id == (new.project_id or ""),
                _RUNS.c.reporter == new.reporter,
                _RUNS.c.external_id == new.external_id,
            )
        )
        .first()
    )
    if row is None:
        raise db_exc.RetryRequest(errors.Conflict(uuid))
    return to_transaction(row), False


@reader
def get_snapshot(ctx: RequestContext, transaction_id: int) -> dict[str, Any]:
    """Return the definitions of a transaction's tasks by their names."""
    found = connection(ctx).scalar(
        sa.select(_RUNS.c.tasks_snapshot).where(_RUNS.c.id == transaction_id)
    )
    return dict(found or {})


@reader
def list_page(
    ctx: RequestContext, wanted: TransactionFilter, page: Page
) -> list[Transaction]:
    """Return a page of transactions, the newest first unless asked else.

    One statement, one more for a marker, and one for a node.

    :param page: sort keys are :data:`SORT_KEYS`.
    :raises errors.BadRequest: see :func:`page_rows`.
    """
    if not page.sort:
        page = replace(page, sort=(("id", "desc"),))
    conn = connection(ctx)
    rows = page_rows(
        conn,
        sa.select(*COLUMNS).where(*_conditions(conn, wanted)),
        _T,
        page,
        sortable=SORT_KEYS,
        visible=sa.and_(
            sa.true(), *visible(wanted.project_id, wanted.reported_by)
        ),
    )
    return [to_transaction(row) for row in rows]


def visible(
    project_id: str | None, reported_by: str | None
) -> list[sa.ColumnElement[bool]]:
    """Return the conditions on transactions that a caller may know of.

    :param project_id: see :class:`TransactionFilter`, as the other.
    """
    column = _RUNS.c
    found: list[sa.ColumnElement[bool]] = []
    if project_id is not None:
        found.append(column.project_id == project_id)
    if reported_by is not None:
        own = sa.select(_N.c.notification_uuid).where(
            _N.c.reporter == reported_by
        )
        found.append(
            sa.or_(
                sa.and_(
                    column.origin_type == REPORTER,
                    column.origin_id == reported_by,
                ),
                column.uuid.in_(own),
            )
        )
    return found


def _conditions(
    conn: sa.Connection, wanted: TransactionFilter
) -> list[sa.ColumnElement[bool]]:
    column = _RUNS.c
    found = visible(wanted.project_id, wanted.reported_by)
    if wanted.reporter is not None:
        found.append(column.reporter == wanted.reporter)
    if wanted.cluster_id is not None:
        found.append(column.cluster_id == (wanted.cluster_id or None))
    found += [
        column[name].in_([str(value) for value in values])
        for name, values in (
            ("status", wanted.statuses),
            ("name", wanted.names),
            ("kind", wanted.kinds),
        )
        if values
    ]
    if wanted.since is not None:
        found.append(column.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(column.created_at < wanted.until)
    if wanted.deleted is not None:
        is_kept = column.deleted_at.is_(None)
        found.append(sa.not_(is_kept) if wanted.deleted else is_kept)
    if wanted.parent_id is not None:
        found.append(
            column.parent_id.is_not_distinct_from(wanted.parent_id or None)
        )
    if wanted.node is not None:
        found.append(_has_node(conn, wanted.node))
    return found


def _has_node(conn: sa.Connection, node: str) -> sa.ColumnElement[bool]:
    """Return the condition that something happened on a node.

    Of a node with few rows the transactions are read here: a page would be
    looked for in all that others are in.
    """
    some = (
        sa.select(_H.c.task_id)
        .where(_H.c.node_id == node)
        # The order of an index that has the transactions too.
        .order_by(_H.c.deployment_graph_task_name, _H.c.status, _H.c.task_id)
        .limit(_FEW_ROWS + 1)
    )
    for dialect in ("mysql", "mariadb"):
        some = some.with_hint(
            _H, "FORCE INDEX (ix_deployment_history_success)", dialect
        )
    rows = some.subquery()
    found = conn.execute(
        sa.select(rows.c.task_id, sa.func.count())
        .group_by(rows.c.task_id)
        .limit(_FEW_RUNS + 1)
    ).all()
    are_few = sum(number for _run, number in found) <= _FEW_ROWS
    if are_few and len(found) <= _FEW_RUNS:
        return _RUNS.c.id.in_([run for run, _number in found])
    # Not EXISTS: a database may turn that into a join, and read all that
    # ever happened on the node.
    return (
        sa.select(_H.c.id)
        .where(_H.c.task_id == _RUNS.c.id, _H.c.node_id == node)
        .limit(1)
        .correlate(_RUNS)
        .scalar_subquery()
        .is_not(None)
    )


@writer
def delete(
    ctx: RequestContext, reference: str | int, *, force: bool = False
) -> None:
    """Hide a transaction and all that are parts of it; nothing is lost.

    :param force: although it has not ended.
    :raises errors.TransactionNotFound: there is none.
    :raises errors.TransactionRunning: it, or a part of it, has not ended.
    """
    root = get(ctx, reference)
    tree = (
        sa.select(_RUNS.c.id, _RUNS.c.status)
        .where(_RUNS.c.id == root.id)
        .cte("tree", recursive=True)
    )
    tree = tree.union_all(
        sa.select(_RUNS.c.id, _RUNS.c.status).join(
            tree, _RUNS.c.parent_id == tree.c.id
        )
    )
    conn = connection(ctx)
    rows = conn.execute(sa.select(tree.c.id, tree.c.status)).all()
    running = [row.id for row in rows if row.status in TRANSACTION.unfinished]
    if running and not force:
        raise errors.TransactionRunning(
            f"You cannot delete running task manually: transaction"
            f" {running[0]} has not ended."
        )
    time = clock()
    conn.execute(
        sa.update(_RUNS)
        .where(
            _RUNS.c.id.in_([row.id for row in rows]),
            _RUNS.c.deleted_at.is_(None),
        )
        .values(deleted_at=time, updated_at=time)
    )
