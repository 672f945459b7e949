"""What projects ask of whoever moves their instances.

An entry is its project's: nobody else's reads, changes or removes it. Each
project has its own for an id, so that who comes first keeps nobody out; which
of them counts is decided by whose the instance is, when it is moved.
"""

from collections.abc import Callable
from dataclasses import asdict, fields, replace
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from oslo_db import exception as db_exc

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types
from recovery_ha.db.paging import Page, page_rows
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import (
    GroupConstraints,
    InstanceAction,
    InstanceConstraints,
)

T = TypeVar("T", InstanceConstraints, GroupConstraints)

SORT_KEYS = ("id", "created_at", "updated_at")


class Constraints(Generic[T]):
    """The entries of instances, or those of groups.

    :ivar key: the column that names what an entry is about.
    """

    def __init__(
        self, model: Any, key: str, kind: Callable[..., T], what: str
    ) -> None:
        """Say where entries are.

        :param kind: what an entry is made of.
        :param what: what refusals call the thing that it is about.
        """
        self.key = key
        self._model, self._what = model, what
        self._kind: Callable[..., T] = kind
        self._names = [field.name for field in fields(kind)]  # type: ignore[arg-type]

    def not_found(self, reference: str) -> errors.ConstraintsNotFound:
        """Return the error that says so."""
        return errors.ConstraintsNotFound(
            f"No constraints of {self._what} {reference}."
        )

    def get(
        self, ctx: RequestContext, reference: str, project_id: str | None
    ) -> T:
        """Return an entry; one statement.

        :param project_id: whose it has to be; None: anybody's, and the
            oldest if there are several.
        :raises errors.ConstraintsNotFound: there is none.
        """
        return _get(ctx, self, reference, project_id)

    def list_page(
        self, ctx: RequestContext, page: Page, project_id: str | None
    ) -> tuple[list[T], str]:
        """Return a page of entries; one statement, one more for a marker.

        :param page: its marker is the id of an instance or group, or what
            was returned with the page before; sort keys are
            :data:`SORT_KEYS`.
        :param project_id: whose; None: all.
        :returns: the entries, and the marker of the last one, which names
            no other; empty without entries.
        :raises errors.BadRequest: see :func:`page_rows`.
        """
        return _list_page(ctx, self, page, project_id)

    def put(self, ctx: RequestContext, entry: T) -> None:
        """Have an entry, instead of the one that its project may have."""
        _put(ctx, self, entry)

    def delete(
        self, ctx: RequestContext, reference: str, project_id: str | None
    ) -> None:
        """Remove an entry.

        :param project_id: whose it has to be; None: all that there are, of
            whichever projects.
        :raises errors.ConstraintsNotFound: there is none.
        """
        _delete(ctx, self, reference, project_id)

    # For the functions below, which are one transaction each

    def select(self) -> sa.Select[Any]:
        """Return the statement that reads all entries."""
        return sa.select(*(getattr(self._model, n) for n in self._names))

    def where(
        self, reference: str, project_id: str | None
    ) -> list[sa.ColumnElement[bool]]:
        """Return the conditions that find an entry."""
        found = [getattr(self._model, self.key) == reference]
        if project_id is not None:
            found.append(self._model.project_id == project_id)
        return found

    @property
    def model(self) -> Any:
        """The table."""
        return self._model

    def entry(self, row: Any) -> T:
        """Return what a row says."""
        found = row._mapping  # noqa: SLF001 - SQLAlchemy's public name
        values = {name: found[name] for name in self._names}
        if values.get("migration_type") is not None:
            values["migration_type"] = InstanceAction(values["migration_type"])
        return self._kind(**values)


INSTANCES = Constraints(
    models.InstanceConstraints,
    "instance_id",
    InstanceConstraints,
    "instance",
)
GROUPS = Constraints(
    models.GroupConstraints, "group_id", GroupConstraints, "group"
)


@reader
def _get(
    ctx: RequestContext,
    of: Constraints[T],
    reference: str,
    project_id: str | None,
) -> T:
    row = (
        connection(ctx)
        .execute(
            of.select()
            .where(*of.where(reference, project_id))
            .order_by(of.model.id)
            .limit(1)
        )
        .first()
    )
    if row is None:
        raise of.not_found(reference)
    return of.entry(row)


@reader
def _list_page(
    ctx: RequestContext,
    of: Constraints[T],
    page: Page,
    project_id: str | None,
) -> tuple[list[T], str]:
    if not page.sort:
        page = replace(page, sort=(("id", "asc"),))
    visible = None
    query = of.select().add_columns(of.model.id)
    if project_id is not None:
        visible = of.model.project_id == project_id
        query = query.where(visible)
    rows = page_rows(
        connection(ctx),
        query,
        of.model,
        page,
        sortable=SORT_KEYS,
        uuid_column=of.key,
        visible=visible,
    )
    last = ""
    if rows:
        # Several projects may have an entry of that name, one project not.
        name = "id" if project_id is None else of.key
        last = str(getattr(rows[-1], name))
    return [of.entry(row) for row in rows], last


@writer
def _put(ctx: RequestContext, of: Constraints[T], entry: T) -> None:
    conn, stamp = connection(ctx), types.utcnow()
    values = {
        name: str(value) if isinstance(value, InstanceAction) else value
        for name, value in asdict(entry).items()
    }
    changed = conn.execute(
        sa.update(of.model)
        .where(*of.where(values[of.key], entry.project_id))
        .values(**values, updated_at=stamp)
    )
    if changed.rowcount:
        return
    try:
        with conn.begin_nested():
            conn.execute(
                sa.insert(of.model).values(**values, created_at=stamp)
            )
    except db_exc.DBDuplicateEntry as exc:
        # Somebody was quicker with the very same: this one comes after it.
        raise db_exc.RetryRequest(exc) from exc


@writer
def _delete(
    ctx: RequestContext,
    of: Constraints[T],
    reference: str,
    project_id: str | None,
) -> None:
    changed = connection(ctx).execute(
        sa.delete(of.model).where(*of.where(reference, project_id))
    )
    if not changed.rowcount:
        raise of.not_found(reference)
