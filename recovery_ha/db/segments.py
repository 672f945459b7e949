"""Segments and their hosts."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_utils import uuidutils

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types, work
from recovery_ha.db.paging import Page, by_reference, page_rows
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain import errors
from recovery_ha.domain.recovery import (
    NOTIFICATION,
    Host,
    MaintenanceCause,
    RecoveryMethod,
    Segment,
)

_S = models.Segment
_H = models.Host
_N = models.Notification

SEGMENT_SORT_KEYS = (
    "id",
    "uuid",
    "name",
    "service_type",
    "enabled",
    "description",
    "recovery_method",
    "created_at",
    "updated_at",
)
HOST_SORT_KEYS = (
    "id",
    "uuid",
    "name",
    "type",
    "reserved",
    "on_maintenance",
    "failover_segment_id",
    "created_at",
    "updated_at",
)

_SEGMENT_COLUMNS: list[Any] = [
    _S.id,
    _S.uuid,
    _S.name,
    _S.service_type,
    _S.enabled,
    _S.description,
    _S.recovery_method,
    _S.created_at,
    _S.updated_at,
]
_HOST_COLUMNS: list[Any] = [
    _H.id,
    _H.uuid,
    _H.name,
    _H.type,
    _H.reserved,
    _H.control_attributes,
    _H.on_maintenance,
    _H.maintenance_cause,
    _H.created_at,
    _H.updated_at,
]


_SEGMENT_QUERY: sa.Select[Any] = sa.select(*_SEGMENT_COLUMNS).where(
    _S.deleted == 0
)


def _segment(values: Mapping[str, Any]) -> Segment:
    return Segment(
        **{
            **values,
            "recovery_method": RecoveryMethod(values["recovery_method"]),
        }
    )


def _segment_row(row: sa.Row[Any]) -> Segment:
    return _segment(dict(row._mapping))  # noqa: SLF001 - public in SQLAlchemy


_HOST_QUERY: sa.Select[Any] = sa.select(
    *_HOST_COLUMNS,
    *(column.label(f"segment_{column.key}") for column in _SEGMENT_COLUMNS),
).join(_S, _S.uuid == _H.failover_segment_id)


def _host_row(row: sa.Row[Any]) -> Host:
    values = dict(row._mapping)  # noqa: SLF001 - public in SQLAlchemy
    segment = {
        column.key: values.pop(f"segment_{column.key}")
        for column in _SEGMENT_COLUMNS
    }
    cause = values.pop("maintenance_cause")
    return Host(
        **values,
        maintenance_cause=None if cause is None else MaintenanceCause(cause),
        segment=_segment(segment),
    )


def _refuse_in_use(
    ctx: RequestContext, segment_uuid: str, *, held: bool = True
) -> None:
    """Refuse a change while a report about one of the hosts is unfinished.

    The rows of the segment's hosts are locked first, which
    ``find_reported_host`` waits for: no report can slip in between.

    :param held: also while all that there are wait for a gate to open.
    """
    conn = connection(ctx)
    hosts = conn.scalars(
        sa.select(_H.uuid)
        .where(_H.failover_segment_id == segment_uuid, _H.deleted == 0)
        .order_by(_H.id)
        .with_for_update()
    ).all()
    busy = conn.scalar(
        sa.select(_N.notification_uuid)
        .where(
            _N.source_host_uuid.in_(hosts),
            _N.status.in_([str(state) for state in NOTIFICATION.unfinished]),
            sa.true()
            if held
            else sa.not_(sa.and_(_N.held, _N.flow_uuid.is_(None))),
        )
        .limit(1)
    )
    if busy is not None:
        raise errors.SegmentInUse(
            f"Failover segment {segment_uuid} is in use: notification {busy}"
            " of one of its hosts is not finished."
        )


# Segments


@reader
def list_segments(
    ctx: RequestContext,
    page: Page,
    *,
    name: str | None = None,
    recovery_method: str | None = None,
    service_type: str | None = None,
    enabled: bool | None = None,
) -> list[Segment]:
    """Return a page of segments, filtered by equality.

    :raises errors.BadRequest: see :func:`page_rows`.
    """
    query = _SEGMENT_QUERY
    wanted = {
        "name": name,
        "recovery_method": recovery_method,
        "service_type": service_type,
        "enabled": enabled,
    }
    for key, value in wanted.items():
        if value is not None:
            query = query.where(getattr(_S, key) == value)
    rows = page_rows(
        connection(ctx), query, _S, page, sortable=SEGMENT_SORT_KEYS
    )
    return [_segment_row(row) for row in rows]


@reader
def get_segment(
    ctx: RequestContext,
    reference: str,
    query: sa.Select[Any] = _SEGMENT_QUERY,
) -> Segment:
    """Return a segment by its uuid or integer id.

    :param query: may lock it.
    :raises errors.SegmentNotFound: there is none.
    """
    row = (
        connection(ctx)
        .execute(query.where(by_reference(_S, "uuid", reference)))
        .first()
    )
    if row is None:
        raise errors.SegmentNotFound(
            f"No failover segment with id {reference}."
        )
    return _segment_row(row)


@writer
def create_segment(
    ctx: RequestContext,
    *,
    name: str,
    recovery_method: RecoveryMethod,
    service_type: str,
    description: str | None = None,
    enabled: bool = True,
) -> Segment:
    """Add a segment.

    :raises errors.NameExists: another one has that name.
    """
    uuid = uuidutils.generate_uuid()
    try:
        connection(ctx).execute(
            sa.insert(_S).values(
                uuid=uuid,
                name=name,
                recovery_method=str(recovery_method),
                service_type=service_type,
                description=description,
                enabled=enabled,
                created_at=types.utcnow(),
                deleted=0,
            )
        )
    except db_exc.DBDuplicateEntry as exc:
        raise _segment_exists(name) from exc
    return get_segment(ctx, uuid)


def _segment_exists(name: str) -> errors.NameExists:
    return errors.NameExists(
        f"A failover segment with name {name} already exists."
    )


@writer
def update_segment(
    ctx: RequestContext, reference: str, changes: Mapping[str, Any]
) -> Segment:
    """Change columns of a segment.

    It may be enabled and disabled at any time, if nothing else is changed.
    What was held because it was disabled goes on.

    :param changes: values by column name.
    :raises errors.SegmentNotFound: there is none.
    :raises errors.SegmentInUse: a host of it is being recovered.
    :raises errors.NameExists: another one has the new name.
    """
    segment = get_segment(ctx, reference)
    if set(changes) != {"enabled"}:
        _refuse_in_use(ctx, segment.uuid)
    if changes.get("enabled"):
        work.wake_held(ctx, _N.failover_segment_uuid == segment.uuid)
    try:
        connection(ctx).execute(
            sa.update(_S)
            .where(_S.id == segment.id, _S.deleted == 0)
            .values(**changes, updated_at=types.utcnow())
        )
    except db_exc.DBDuplicateEntry as exc:
        raise _segment_exists(changes["name"]) from exc
    return get_segment(ctx, segment.uuid)


@writer
def delete_segment(ctx: RequestContext, reference: str) -> None:
    """Remove a segment and its hosts.

    :raises errors.SegmentNotFound: there is none.
    :raises errors.SegmentInUse: a host of it is being recovered.
    """
    # create_host waits for this lock, else its host would be left behind.
    segment = get_segment(ctx, reference, _SEGMENT_QUERY.with_for_update())
    _refuse_in_use(ctx, segment.uuid)
    conn, deleted_at = connection(ctx), types.utcnow()
    conn.execute(
        sa.update(_H)
        .where(_H.failover_segment_id == segment.uuid, _H.deleted == 0)
        .values(deleted=_H.id, deleted_at=deleted_at)
    )
    conn.execute(
        sa.update(_S)
        .where(_S.id == segment.id, _S.deleted == 0)
        .values(deleted=_S.id, deleted_at=deleted_at)
    )


# Hosts


@reader
def list_hosts(
    ctx: RequestContext,
    segment_reference: str,
    page: Page,
    *,
    name: str | None = None,
    type: str | None = None,  # noqa: A002 - the column's and filter's name
    on_maintenance: bool | None = None,
    reserved: bool | None = None,
) -> list[Host]:
    """Return a page of a segment's hosts, filtered by equality.

    :raises errors.SegmentNotFound: there is no such segment.
    :raises errors.BadRequest: see :func:`page_rows`.
    """
    segment = get_segment(ctx, segment_reference)
    query = _HOST_QUERY.where(
        _H.deleted == 0, _H.failover_segment_id == segment.uuid
    )
    wanted = {
        "name": name,
        "type": type,
        "on_maintenance": on_maintenance,
        "reserved": reserved,
    }
    for key, value in wanted.items():
        if value is not None:
            query = query.where(getattr(_H, key) == value)
    rows = page_rows(connection(ctx), query, _H, page, sortable=HOST_SORT_KEYS)
    return [_host_row(row) for row in rows]


@reader
def get_host(
    ctx: RequestContext, segment_reference: str, reference: str
) -> Host:
    """Return a host of a segment by its uuid or integer id.

    :raises errors.SegmentNotFound: there is no such segment.
    :raises errors.HostNotFound: the segment has no such host.
    """
    segment = get_segment(ctx, segment_reference)
    row = (
        connection(ctx)
        .execute(
            _HOST_QUERY.where(
                by_reference(_H, "uuid", reference),
                _H.deleted == 0,
                _H.failover_segment_id == segment.uuid,
            )
        )
        .first()
    )
    if row is None:
        raise errors.HostNotFound(
            f"No host with id {reference} in failover segment {segment.uuid}."
        )
    return _host_row(row)


@reader
def find_host(ctx: RequestContext, uuid: str) -> Host | None:
    """Return a host of any segment by its uuid, or None."""
    row = (
        connection(ctx)
        .execute(_HOST_QUERY.where(_H.uuid == uuid, _H.deleted == 0))
        .first()
    )
    return None if row is None else _host_row(row)


@writer
def create_host(
    ctx: RequestContext,
    segment_reference: str,
    *,
    name: str,
    type: str,  # noqa: A002 - the column's name
    control_attributes: str,
    reserved: bool = False,
    on_maintenance: bool = False,
) -> Host:
    """Add a host to a segment.

    :raises errors.SegmentNotFound: there is no such segment.
    :raises errors.NameExists: a host of this or another segment has it.
    """
    segment = get_segment(
        ctx, segment_reference, _SEGMENT_QUERY.with_for_update(read=True)
    )
    uuid = uuidutils.generate_uuid()
    try:
        connection(ctx).execute(
            sa.insert(_H).values(
                uuid=uuid,
                name=name,
                type=type,
                control_attributes=control_attributes,
                reserved=reserved,
                on_maintenance=on_maintenance,
                maintenance_cause=_cause(on_maintenance),
                failover_segment_id=segment.uuid,
                created_at=types.utcnow(),
                deleted=0,
            )
        )
    except db_exc.DBDuplicateEntry as exc:
        raise _host_exists(name) from exc
    return get_host(ctx, segment.uuid, uuid)


def _host_exists(name: str) -> errors.NameExists:
    return errors.NameExists(f"A host with name {name} already exists.")


def _cause(on_maintenance: bool) -> str | None:
    return str(MaintenanceCause.OPERATOR) if on_maintenance else None


@writer
def update_host(
    ctx: RequestContext,
    segment_reference: str,
    reference: str,
    changes: Mapping[str, Any],
) -> Host:
    """Change columns of a host.

    A host that is taken off maintenance may fail again at once: reports that
    equal an earlier, ended one are no duplicates of it any more. What was
    held because of the maintenance goes on, and is no reason to refuse it.

    :param changes: values by column name.
    :raises errors.HostNotFound: the segment has no such host.
    :raises errors.SegmentInUse: a host of the segment is being recovered.
    :raises errors.NameExists: another host has the new name.
    """
    host = get_host(ctx, segment_reference, reference)
    conn, values = connection(ctx), dict(changes)
    renamed = values.get("name", host.name) != host.name
    back = values.get("on_maintenance") is False
    _refuse_in_use(ctx, host.segment.uuid, held=renamed or not back)
    if "on_maintenance" in values:
        values["maintenance_cause"] = _cause(values["on_maintenance"])
        if back:
            work.wake_held(ctx, _N.source_host_uuid == host.uuid)
            conn.execute(
                sa.update(_N)
                .where(
                    _N.source_host_uuid == host.uuid,
                    _N.dedupe_until.is_not(None),
                )
                .values(dedupe_key=None, dedupe_until=None)
            )
    try:
        conn.execute(
            sa.update(_H)
            .where(_H.id == host.id, _H.deleted == 0)
            .values(**values, updated_at=types.utcnow())
        )
    except db_exc.DBDuplicateEntry as exc:
        raise _host_exists(changes["name"]) from exc
    return get_host(ctx, host.segment.uuid, host.uuid)


@writer
def delete_host(
    ctx: RequestContext, segment_reference: str, reference: str
) -> None:
    """Remove a host from its segment.

    :raises errors.HostNotFound: the segment has no such host.
    :raises errors.SegmentInUse: a host of the segment is being recovered.
    """
    host = get_host(ctx, segment_reference, reference)
    _refuse_in_use(ctx, host.segment.uuid)
    connection(ctx).execute(
        sa.update(_H)
        .where(_H.id == host.id, _H.deleted == 0)
        .values(deleted=_H.id, deleted_at=types.utcnow())
    )
