"""Pages of the history of tasks, each read from one index.

A page is a union of one part for each combination of the values that the
columns of an index are to have, each part in the order of that index and no
longer than the page. What else is wanted is looked up in the index too. So
what a page costs hardly depends on how many rows there are, and no database
has to guess: MariaDB is told the index, PostgreSQL an order that only this
index has.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from recovery_ha.db import models
from recovery_ha.domain.ledger import TaskStatus

_H = models.DeploymentHistory.metadata.tables["deployment_history"]
_NAME = _H.c.deployment_graph_task_name

_COLUMNS = [c for c in _H.c if c.name not in {"created_at", "updated_at"}]
#: More combinations than this are one part with lists of values.
_MOST_PARTS = 120
_STATUSES = [str(status) for status in TaskStatus]
#: Wanted values by column; a column without any is not limited.
Values = dict[sa.Column[Any], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Index:
    """An index to read a page from.

    :ivar columns: those that come before the id; a part has one value of
        each.
    :ivar ordered: the id is the next column.
    """

    name: str
    columns: tuple[sa.Column[Any], ...] = ()
    ordered: bool = True


def _index(name: str, *columns: sa.Column[Any], ordered: bool = True) -> Index:
    return Index(f"ix_deployment_history_{name}", columns, ordered)


PRIMARY = Index("PRIMARY")
REPORTED = _index("reported_at", ordered=False)
UNIT_OF_RUN = Index(
    "uq_deployment_history_unit",
    (_H.c.task_id, _H.c.node_id, _NAME),
    ordered=False,
)
NAME_OF_RUN = _index("name", _H.c.task_id, _NAME)
NODE_OF_RUN = _index("node", _H.c.task_id, _H.c.node_id, _H.c.status)
STATUS_OF_RUN = _index("status", _H.c.task_id, _H.c.status)
SUCCESS = _index("success", _H.c.node_id, _NAME, _H.c.status, ordered=False)
UNIT = _index("runs_unit", _H.c.node_id, _NAME, _H.c.status)
NODE = _index("runs_node", _H.c.node_id, _H.c.status)
NODE_OF_PROJECT = _index(
    "runs_project_node", _H.c.project_id, _H.c.node_id, _H.c.status
)
TASK = _index("runs_name", _NAME, _H.c.status)
CLUSTER = _index("runs_cluster", _H.c.cluster_id, _H.c.status)
PROJECT = _index("runs_project", _H.c.project_id, _H.c.status)
STATUS = _index("runs_status", _H.c.status)


def page(
    conn: sa.Connection,
    index: Index,
    values: Values,
    fixed: Sequence[sa.ColumnElement[bool]],
    limit: int | None,
    *,
    after: int = 0,
    before: int | None = None,
    newest: bool = False,
) -> sa.Select[Any]:
    """Return the query of a page; see the module.

    The rows themselves are read last: those of the page only.

    :param values: what is wanted of some columns.
    :param fixed: what else is.
    :param after: only rows with larger ids.
    :param before: and with smaller ids; None: any.
    :param newest: those with the largest ids come first, not the smallest.
    """
    beyond = _between(after, before)
    direction = sa.desc if newest else sa.asc
    if limit is None:
        every = sa.select(*_COLUMNS).where(*fixed, *_among(values), *beyond)
        return every.order_by(direction(_H.c.id))
    choices = [
        values.get(column) or (_STATUSES if column is _H.c.status else [])
        for column in index.columns
    ]
    ids = hinted(sa.select(_H.c.id), index)
    if not index.ordered or math.prod(map(len, choices)) > _MOST_PARTS:
        # Nothing has an index in the order of a sum, so all is read that is
        # wanted of this one.
        rows = ids.where(*fixed, *_among(values), *beyond)
        parts = [rows.order_by(direction(_H.c.id + 0))]
    else:
        rest = {c: v for c, v in values.items() if c not in index.columns}
        ids = ids.where(*fixed, *_among(rest))
        parts = [
            _part(conn, ids.where(*beyond), index.columns, chosen, direction)
            for chosen in itertools.product(*choices)
        ]
    found = sa.union_all(
        *(sa.select(part.limit(limit).subquery().c.id) for part in parts)
    ).subquery()
    page = (
        sa.select(found.c.id)
        .order_by(direction(found.c.id))
        .limit(limit)
        .subquery()
    )
    return (
        sa.select(*_COLUMNS)
        .join(page, page.c.id == _H.c.id)
        .order_by(direction(_H.c.id))
    )


def _part(
    conn: sa.Connection,
    ids: sa.Select[Any],
    columns: Sequence[sa.Column[Any]],
    chosen: Sequence[Any],
    direction: Callable[[Any], Any],
) -> sa.Select[Any]:
    """Return the query of what has the chosen values, in order."""
    equal = [c == value for c, value in zip(columns, chosen, strict=True)]
    order: list[sa.Column[Any]] = [_H.c.id]
    if equal and conn.dialect.name == "postgresql":
        # It takes what equals one value out of an order, and finds that the
        # primary key has the rest of it too. A list may have more values.
        values = sa.literal([chosen[0]], sa.ARRAY(columns[0].type))
        equal[0] = columns[0] == sa.any_(values)
        order.insert(0, columns[0])
    return ids.where(*equal).order_by(*map(direction, order))


def _between(after: int, before: int | None) -> list[sa.ColumnElement[bool]]:
    above = [_H.c.id > after] if after else []
    return above if before is None else [*above, _H.c.id < before]


def hinted(query: sa.Select[Any], index: Index) -> sa.Select[Any]:
    """Return a query that MariaDB has to read from an index."""
    for dialect in ("mysql", "mariadb"):
        query = query.with_hint(_H, f"FORCE INDEX ({index.name})", dialect)
    return query


def _among(values: Values) -> list[sa.ColumnElement[bool]]:
    return [
        column == wanted[0] if len(wanted) == 1 else column.in_(wanted)
        for column, wanted in values.items()
        if wanted
    ]
