"""Pages by keyset: what comes after a marker row in a given order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from recovery_ha.domain import errors

#: So many digits always fit in 64 bits.
_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted, in which order.

    :ivar limit: at most so many; None means all.
    :ivar marker: id or uuid of the last row of the page before.
    :ivar sort: pairs of column name and ``asc`` or ``desc``.
    """

    limit: int | None = None
    marker: str | None = None
    sort: tuple[tuple[str, str], ...] = ()


def by_reference(table: Any, uuid_column: str, reference: str) -> Any:
    """Return the condition that finds a row by its integer id or its uuid."""
    if reference.isascii() and reference.isdecimal():
        # No database can compare a number of more than 64 bits.
        number = int(reference) if len(reference) <= _DIGITS else -1
        return table.id == number
    return getattr(table, uuid_column) == reference


def page_rows(
    connection: Connection,
    query: sa.Select[Any],
    table: Any,
    page: Page,
    *,
    sortable: Sequence[str],
    uuid_column: str = "uuid",
    visible: sa.ColumnElement[bool] | None = None,
) -> Sequence[sa.Row[Any]]:
    """Return the rows of a page.

    Without a unique column at the end of the order, ``created_at`` and
    ``id`` are added in the direction of the first key, as Masakari does
    (reference 1.5). NULL sorts before everything else on every database.

    :param query: what to list, with its filters, unordered.
    :param table: the model that markers and sort keys belong to.
    :param sortable: the columns a caller may sort by.
    :param visible: the condition that rows meet which a caller may know of;
        None: all. A marker may be a row that the filters leave out.
    :raises errors.BadRequest: unknown sort key or marker; it names them.
    """
    sort = list(page.sort) or [("created_at", "desc")]
    for key, _direction in sort:
        if key not in sortable:
            raise errors.BadRequest(
                f"Invalid sort_key {key!r}: allowed are"
                f" {', '.join(sorted(sortable))}."
            )
    chosen = {key for key, _ in sort}
    if "id" not in chosen:
        # Nothing after a unique column says anything, but it would keep the
        # database from reading the page in the order of an index.
        sort += [
            (key, sort[0][1])
            for key in ("created_at", "id")
            if key not in chosen
        ]
    if page.marker is not None:
        query = query.where(
            _after(
                connection,
                table,
                sa.and_(
                    by_reference(table, uuid_column, page.marker),
                    sa.true() if visible is None else visible,
                ),
                page.marker,
                sort,
            )
        )
    for key, direction in sort:
        column = getattr(table, key)
        terms = (
            [column]
            if not column.nullable
            else [
                column.is_not(None),
                column,
            ]
        )
        query = query.order_by(
            *(sa.desc(t) if direction == "desc" else sa.asc(t) for t in terms)
        )
    if page.limit is not None:
        query = query.limit(page.limit)
    return connection.execute(query).all()


def _after(
    connection: Connection,
    table: Any,
    is_marker: sa.ColumnElement[bool],
    marker: str,
    sort: Sequence[tuple[str, str]],
) -> sa.ColumnElement[bool]:
    row = connection.execute(
        sa.select(*(getattr(table, key) for key, _ in sort)).where(is_marker)
    ).first()
    if row is None:
        raise errors.BadRequest(
            f"Invalid marker {marker!r}: there is no such row."
        )
    alternatives = []
    equal: list[sa.ColumnElement[bool]] = []
    for (key, direction), value in zip(sort, row, strict=True):
        column = getattr(table, key)
        alternatives.append(
            sa.and_(*equal, _beyond(column, value, direction == "desc"))
        )
        equal.append(column.is_(None) if value is None else column == value)
    return sa.or_(*alternatives)


def _beyond(column: Any, value: Any, descending: bool) -> Any:
    """Return the condition for values that come strictly after ``value``."""
    if value is None:
        return sa.false() if descending else column.is_not(None)
    # A condition that is never true may keep a database from its index.
    has_nulls = column.nullable
    if isinstance(column.type, sa.Boolean):
        column, value = sa.cast(column, sa.Integer), int(value)
    if not descending:
        return column > value
    below = column < value
    return sa.or_(below, column.is_(None)) if has_nulls else below
