"""Reading the history of tasks: of one run, and of all of them."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.ledger import pages
from recovery_ha.db.ledger.transactions import visible
from recovery_ha.db.session import connection, reader
from recovery_ha.domain.history import (
    HistoryFilter,
    HistoryRow,
    LastSuccess,
    UnitCounts,
)
from recovery_ha.domain.ledger import Counts, TaskStatus

_H = models.DeploymentHistory.metadata.tables["deployment_history"]
_T = models.Transaction.metadata.tables[models.Transaction.__tablename__]
_NAME = _H.c.deployment_graph_task_name

#: What so few rows were reported after is read in the order of that time.
_FEW = 1000
#: As many different times are looked through for the least id.
_MOST_TIMES = 6000
#: Their databases find the different values of an index without reading all.
_SKIPS = {"mysql", "mariadb"}


def _row(row: sa.Row[Any]) -> HistoryRow:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return HistoryRow(
        status=TaskStatus(values.pop("status")),
        project_id=values.pop("project_id") or None,
        **values,
    )


@reader
def list_page(
    ctx: RequestContext,
    transaction_id: int,
    wanted: HistoryFilter,
    *,
    limit: int | None = None,
    after: int = 0,
) -> list[HistoryRow]:
    """Return a page of a transaction's history, in the order of the rows' ids.

    One statement. Tasks that ran nowhere have rows of node ``-``.

    :param limit: at most so many; None: all there are.
    :param after: the id of the last row of the page before; 0: none.
    """
    index = _index_of_run(wanted)
    values = {_H.c.task_id: [transaction_id], **_values(wanted)}
    conn = connection(ctx)
    query = pages.page(conn, index, values, _fixed(wanted), limit, after=after)
    return [_row(row) for row in conn.execute(query)]


@reader
def list_all_runs(
    ctx: RequestContext,
    wanted: HistoryFilter,
    *,
    limit: int,
    before: int | None = None,
) -> list[HistoryRow]:
    """Return a page of the history of all runs, the newest row first.

    One statement, and with ``since`` one or two more.

    :param before: the id of the last row of the page before; None: none.
    """
    fixed = _fixed(wanted)
    if wanted.since is not None:
        fixed.append(_H.c.reported_at >= wanted.since)
    if wanted.reported_by is not None:
        own = sa.select(_T.c.id).where(*visible(None, wanted.reported_by))
        fixed.append(_H.c.task_id.in_(own))
    values = _values(wanted)
    if wanted.project_id is not None:
        values[_H.c.project_id] = [wanted.project_id]
    if wanted.cluster_id is not None:
        values[_H.c.cluster_id] = [wanted.cluster_id]
    conn = connection(ctx)
    index, after = _index_of_runs(wanted), 0
    if wanted.since is not None:
        if _is_recent(conn, wanted.since):
            index = pages.REPORTED
        elif before is not None and conn.dialect.name in _SKIPS:
            after = _floor(conn, wanted.since)
    query = pages.page(
        conn,
        index,
        values,
        fixed,
        limit,
        after=after,
        before=before,
        newest=True,
    )
    return [_row(row) for row in conn.execute(query)]


def _values(wanted: HistoryFilter) -> pages.Values:
    """Return what both histories are filtered by, each value once."""
    return {
        _H.c.node_id: list(dict.fromkeys(wanted.nodes)),
        _NAME: list(dict.fromkeys(wanted.tasks_names)),
        _H.c.status: list(dict.fromkeys(map(str, wanted.statuses))),
    }


def _fixed(wanted: HistoryFilter) -> list[sa.ColumnElement[bool]]:
    return [] if wanted.attempts else [_H.c.latest.is_(True)]


def _index_of_run(wanted: HistoryFilter) -> pages.Index:
    """Return the index that a page of one run is read from."""
    if wanted.tasks_names:
        return pages.UNIT_OF_RUN if wanted.nodes else pages.NAME_OF_RUN
    return pages.NODE_OF_RUN if wanted.nodes else pages.STATUS_OF_RUN


def _index_of_runs(wanted: HistoryFilter) -> pages.Index:
    """Return the index that a page of all runs is read from."""
    of_project = wanted.project_id is not None
    if wanted.nodes and wanted.tasks_names:
        return pages.UNIT
    if wanted.nodes:
        return pages.NODE_OF_PROJECT if of_project else pages.NODE
    if wanted.tasks_names:
        return pages.TASK
    if wanted.cluster_id is not None:
        return pages.CLUSTER
    if of_project:
        return pages.PROJECT
    # It knows the time too, and is smaller than the rows themselves.
    is_limited = wanted.statuses or wanted.since is not None
    return pages.STATUS if is_limited else pages.PRIMARY


def _is_recent(conn: sa.Connection, since: datetime) -> bool:
    """Tell whether only few rows have been reported since then.

    Else most of the rows with the largest ids have, and it is these that a
    page is looked for in.
    """
    query = (
        pages.hinted(sa.select(_H.c.id), pages.REPORTED)
        .where(_H.c.reported_at >= since)
        .order_by(_H.c.reported_at)
        .offset(_FEW)
        .limit(1)
    )
    return conn.execute(query).first() is None


def _floor(conn: sa.Connection, since: datetime) -> int:
    """Return an id that no row reported since then is below; 0: not known.

    All rows of a report have one time, so that MariaDB skips most of them. It
    is the pages after the first that come to an end of the rows.
    """
    each = (
        pages.hinted(
            sa.select(sa.func.min(_H.c.id).label("id")), pages.REPORTED
        )
        .where(_H.c.reported_at >= since)
        .group_by(_H.c.reported_at)
        .limit(_MOST_TIMES + 1)
        .subquery()
    )
    number, least = conn.execute(
        sa.select(sa.func.count(), sa.func.min(each.c.id))
    ).one()
    return least - 1 if 0 < number <= _MOST_TIMES else 0


@reader
def counts_by_node(
    ctx: RequestContext, transaction_id: int, *, limit: int, after: str = ""
) -> list[UnitCounts]:
    """Return how many tasks of each node have which status, nodes in order.

    One statement, which reads the rows of these nodes once, from an index
    alone. The sum over all nodes is the transaction's ``counts``.

    :param limit: of nodes.
    :param after: the last node of the page before; "": none.
    """
    conn = connection(ctx)
    found = _nodes_of(conn, transaction_id, limit, after)
    numbers = [
        sa.select(sa.func.count())
        .select_from(_H)
        .where(
            _H.c.task_id == transaction_id,
            _H.c.node_id == found.c.node_id,
            _H.c.status == status.name,
            _H.c.latest.is_(True),
        )
        .correlate(found)
        .scalar_subquery()
        for status in fields(Counts)
    ]
    rows = conn.execute(
        sa.select(found.c.node_id, *numbers).order_by(found.c.node_id)
    )
    return [UnitCounts(node, Counts(*counts)) for node, *counts in rows]


def _nodes_of(
    conn: sa.Connection, transaction_id: int, limit: int, after: str
) -> sa.FromClause:
    """Return the next nodes of a run, none of whose rows are counted yet.

    MariaDB by itself skips from node to node, the others are led.
    """
    of_run = _H.c.task_id == transaction_id
    if conn.dialect.name in _SKIPS:
        return (
            pages.hinted(sa.select(_H.c.node_id), pages.NODE_OF_RUN)
            .where(of_run, _H.c.node_id > after)
            .group_by(_H.c.task_id, _H.c.node_id)
            .order_by(_H.c.node_id)
            .limit(limit)
            .subquery()
        )
    next_ = sa.select(_H.c.node_id).where(of_run).order_by(_H.c.node_id)
    first = next_.where(_H.c.node_id > after).limit(1).subquery()
    found = sa.select(first.c.node_id, sa.literal(1).label("number")).cte(
        "found", recursive=True
    )
    following = (
        next_.where(_H.c.node_id > found.c.node_id)
        .limit(1)
        .correlate(found)
        .scalar_subquery()
    )
    found = found.union_all(
        sa.select(following, found.c.number + 1).where(
            found.c.node_id.is_not(None), found.c.number < limit
        )
    )
    return (
        sa.select(found.c.node_id)
        .where(found.c.node_id.is_not(None))
        .subquery()
    )


@reader
def last_successes(
    ctx: RequestContext,
    nodes: Sequence[str],
    *,
    tasks_names: Sequence[str] = (),
    project_id: str | None = None,
) -> list[LastSuccess]:
    """Return the last transaction in which each task was ready on each node.

    Dry runs do not count. What a node is like now follows from it (Fuel
    reference, section 3).

    :param tasks_names: these only; empty: all.
    """
    if not nodes:
        return []
    conn = connection(ctx)
    units = _units_of(conn, nodes)
    counts = [_T.c.id == _H.c.task_id, _T.c.dry_run.is_(False)]
    if project_id is not None:
        counts.append(_T.c.project_id == project_id)
    last = (
        pages.hinted(sa.select(_H.c.task_id), pages.SUCCESS)
        .where(
            _H.c.node_id == units.c.node_id,
            units.c.name == _NAME,
            _H.c.status == str(TaskStatus.READY),
            sa.exists().where(*counts),
        )
        .order_by(_H.c.task_id.desc())
        .limit(1)
        .correlate(units)
        .scalar_subquery()
    )
    query = sa.select(units.c.node_id, units.c.name, last)
    if tasks_names:
        query = query.where(units.c.name.in_(tasks_names))
    return sorted(
        (
            LastSuccess(node, name, run)
            for node, name, run in conn.execute(query)
            if run is not None
        ),
        key=lambda found: (found.node_id, found.deployment_graph_task_name),
    )


def _units_of(conn: sa.Connection, nodes: Sequence[str]) -> sa.FromClause:
    """Return pairs of the nodes and tasks, all that there are rows of.

    MariaDB by itself skips from name to name, but only if it need not look
    at the nodes; the others are led from one to the next of each node.
    """
    wanted = list(dict.fromkeys(nodes))
    name = _NAME.label("name")
    if conn.dialect.name in _SKIPS:
        names = (
            pages.hinted(sa.select(name), pages.TASK)
            .group_by(_NAME)
            .subquery()
        )
        listed = sa.union_all(
            *(sa.select(sa.literal(node).label("node_id")) for node in wanted)
        ).subquery()
        return (
            sa.select(listed.c.node_id, names.c.name)
            .join_from(listed, names, sa.true())
            .subquery()
        )
    firsts = (
        sa.select(_H.c.node_id, name)
        .where(_H.c.node_id == node)
        .order_by(_NAME)
        .limit(1)
        .subquery()
        for node in wanted
    )
    begun = sa.union_all(*map(sa.select, firsts)).subquery()
    found = sa.select(begun).cte("found", recursive=True)
    following = (
        sa.select(_NAME)
        .where(_H.c.node_id == found.c.node_id, found.c.name < _NAME)
        .order_by(_NAME)
        .limit(1)
        .correlate(found)
        .scalar_subquery()
    )
    found = found.union_all(
        sa.select(found.c.node_id, following).where(found.c.name.is_not(None))
    )
    return sa.select(found).where(found.c.name.is_not(None)).subquery()
