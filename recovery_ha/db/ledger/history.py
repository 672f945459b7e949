"""Reading the history of tasks: of one run, and of all of them.

A page is a union of one part for each combination of wanted values, each part
in the order of an index and no longer than the page. So what a page costs
does not depend on how many rows there are, and no database has to guess;
MariaDB, which guesses badly, is told the index.
"""

import itertools
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models
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

_COLUMNS = [c for c in _H.c if c.name not in {"created_at", "updated_at"}]
#: More combinations than this are one part with lists of values.
_MOST_PARTS = 24
_STATUSES = [str(status) for status in TaskStatus]


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
    fixed = [_H.c.task_id == transaction_id]
    if after:
        fixed.append(_H.c.id > after)
    if not wanted.attempts:
        fixed.append(_H.c.latest.is_(True))
    values = {
        _H.c.node_id: list(wanted.nodes),
        _NAME: list(wanted.tasks_names),
        _H.c.status: [str(s) for s in wanted.statuses],
    }
    if not (wanted.tasks_names or wanted.nodes):
        # The index is by status before it is by id.
        values[_H.c.status] = values[_H.c.status] or _STATUSES
    index = _index_of_run(wanted)
    query = _page(values, fixed, limit, index, is_descending=False)
    return [_row(row) for row in connection(ctx).execute(query)]


@reader
def list_all_runs(
    ctx: RequestContext,
    wanted: HistoryFilter,
    *,
    limit: int,
    before: int | None = None,
) -> list[HistoryRow]:
    """Return a page of the history of all runs, the newest row first.

    One statement.

    :param before: the id of the last row of the page before; None: none.
    """
    fixed: list[sa.ColumnElement[bool]] = []
    if before is not None:
        fixed.append(_H.c.id < before)
    if not wanted.attempts:
        fixed.append(_H.c.latest.is_(True))
    if wanted.since is not None:
        fixed.append(_H.c.reported_at >= wanted.since)
    if wanted.project_id is not None:
        fixed.append(_H.c.project_id == wanted.project_id)
    if wanted.reported_by is not None:
        own = sa.select(_T.c.id).where(*visible(None, wanted.reported_by))
        fixed.append(_H.c.task_id.in_(own))
    if wanted.cluster_id is not None:
        fixed.append(_H.c.cluster_id == wanted.cluster_id)
    values = {
        _H.c.node_id: list(wanted.nodes),
        _NAME: list(wanted.tasks_names),
        _H.c.status: [str(s) for s in wanted.statuses],
    }
    by_status = wanted.nodes or wanted.project_id or wanted.cluster_id
    if by_status and not wanted.tasks_names:
        values[_H.c.status] = values[_H.c.status] or _STATUSES
    index = _index_of_runs(wanted)
    query = _page(values, fixed, limit, index, is_descending=True)
    return [_row(row) for row in connection(ctx).execute(query)]


def _index_of_run(wanted: HistoryFilter) -> str:
    """Return the index in whose order a page of one run is read."""
    if wanted.tasks_names:
        return (
            "uq_deployment_history_unit"
            if wanted.nodes
            else "ix_deployment_history_name"
        )
    suffix = "node" if wanted.nodes else "status"
    return f"ix_deployment_history_{suffix}"


def _index_of_runs(wanted: HistoryFilter) -> str | None:
    """Return the index for a page of all runs; None: the best is not known."""
    if wanted.since is not None:
        return None
    if wanted.tasks_names:
        suffix = "success" if wanted.nodes else "runs_name"
    elif wanted.nodes:
        suffix = "runs_node"
    elif wanted.cluster_id is not None:
        suffix = "runs_cluster"
    elif wanted.project_id is not None:
        suffix = "runs_project"
    elif wanted.statuses:
        suffix = "runs_status"
    else:
        return "PRIMARY"
    return f"ix_deployment_history_{suffix}"


def _page(
    values: dict[Any, list[str]],
    fixed: list[sa.ColumnElement[bool]],
    limit: int | None,
    index: str | None,
    *,
    is_descending: bool,
) -> sa.Select[Any]:
    """Return the query of a page; see the module.

    The rows themselves are read last: those of the page only.

    :param values: the wanted values by column; empty: any.
    :param index: MariaDB has to use it.
    """
    wanted = {column: found for column, found in values.items() if found}
    if limit is None:
        every = sa.select(*_COLUMNS).where(*fixed, *_either(wanted))
        return every.order_by(_order(_H.c.id, is_descending))
    combinations = list(itertools.product(*wanted.values()))
    if 1 < len(combinations) <= _MOST_PARTS:
        conditions = [
            [c == v for c, v in zip(wanted, combination, strict=True)]
            for combination in combinations
        ]
    else:
        conditions = [_either(wanted)]
    parts = [
        _hinted(sa.select(_H.c.id), index)
        .where(*fixed, *condition)
        .order_by(_order(_H.c.id, is_descending))
        .limit(limit)
        .subquery()
        for condition in conditions
    ]
    ids = sa.union_all(*(sa.select(part.c.id) for part in parts)).subquery()
    page = (
        sa.select(ids.c.id)
        .order_by(_order(ids.c.id, is_descending))
        .limit(limit)
        .subquery()
    )
    return (
        sa.select(*_COLUMNS)
        .join(page, page.c.id == _H.c.id)
        .order_by(_order(_H.c.id, is_descending))
    )


def _hinted(query: sa.Select[Any], index: str | None) -> sa.Select[Any]:
    if index is None:
        return query
    for dialect in ("mysql", "mariadb"):
        query = query.with_hint(_H, f"FORCE INDEX ({index})", dialect)
    return query


def _order(column: Any, is_descending: bool) -> Any:
    return column.desc() if is_descending else column.asc()


def _either(
    wanted: dict[Any, list[str]],
) -> list[sa.ColumnElement[bool]]:
    """Return the conditions for lists of values, but not for any status."""
    return [
        column.in_(found)
        for column, found in wanted.items()
        if found is not _STATUSES
    ]


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
    numbers = [
        sa.func.count(
            sa.case((sa.and_(_H.c.latest.is_(True), _H.c.status == status), 1))
        )
        for status in (field.name for field in fields(Counts))
    ]
    rows = connection(ctx).execute(
        sa.select(_H.c.node_id, *numbers)
        .where(_H.c.task_id == transaction_id, _H.c.node_id > after)
        .group_by(_H.c.node_id)
        .order_by(_H.c.node_id)
        .limit(limit)
    )
    return [UnitCounts(node, Counts(*found)) for node, *found in rows]


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
    # Not a join: the rows of a node are read from the index alone.
    dry = sa.select(_T.c.id).where(_T.c.dry_run.is_(True))
    query = (
        sa.select(_H.c.node_id, _NAME, sa.func.max(_H.c.task_id))
        .where(
            _H.c.node_id.in_(nodes),
            _H.c.status == str(TaskStatus.READY),
            _H.c.task_id.not_in(dry),
        )
        .group_by(_H.c.node_id, _NAME)
        .order_by(_H.c.node_id, _NAME)
    )
    if tasks_names:
        query = query.where(_NAME.in_(tasks_names))
    if project_id is not None:
        query = query.where(_H.c.project_id == project_id)
    rows = connection(ctx).execute(query)
    return [LastSuccess(node, name, run) for node, name, run in rows]
