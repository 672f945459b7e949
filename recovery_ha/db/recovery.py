"""Notifications: accepting and reading."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_utils import uuidutils

from recovery_ha.context import RequestContext
from recovery_ha.db import hosts, models, types
from recovery_ha.db.ledger import transactions
from recovery_ha.db.paging import Page, by_reference, page_rows
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.db.types import now
from recovery_ha.domain import errors
from recovery_ha.domain.recovery import (
    NOTIFICATION,
    NewNotification,
    Notification,
    NotificationStatus,
    NotificationType,
    admit,
    dedupe_key,
    recovery_name,
)

_N = models.Notification

NOTIFICATION_SORT_KEYS = (
    "id",
    "notification_uuid",
    "generated_time",
    "source_host_uuid",
    "type",
    "status",
    "failover_segment_uuid",
    "created_at",
    "updated_at",
)
_NOTIFICATION_COLUMNS = [
    c
    for c in _N.__table__.c
    if not c.name.startswith(
        ("lease_", "wake_", "dedupe_", "received_", "reporter")
    )
]


def _notification(row: sa.Row[Any]) -> Notification:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return Notification(
        uuid=values.pop("notification_uuid"),
        segment_uuid=values.pop("failover_segment_uuid"),
        type=NotificationType(values.pop("type")),
        status=NotificationStatus(values.pop("status")),
        **values,
    )


# Accepting and reading


def create_notification(
    ctx: RequestContext, report: NewNotification
) -> Notification:
    """Accept a report, or refuse it; once returned it is never lost.

    Two equal reports cannot both be accepted: the database refuses the
    second one's key, however many processes try at once.

    :raises errors.UnknownHostReported: no segment has a host of that name.
    :raises errors.HostUnderMaintenance: see :func:`admit`.
    :raises errors.DuplicateNotification: an equal report has not ended, or
        ended too short a time ago.
    """
    uuid = uuidutils.generate_uuid()
    try:
        return _insert_notification(ctx, uuid, report)
    except db_exc.DBDuplicateEntry:
        return _settle_duplicate(ctx, uuid, report)


# Built once, from the table; see ``hosts._REPORTED_HOST``.
_INSERT = sa.insert(_N.metadata.tables[_N.__tablename__]).values(
    received_at=now(),
    wake_at=now(),
    lease_epoch=0,
    attempts=0,
    attempts_before=0,
    held=False,
)


@writer
def _insert_notification(
    ctx: RequestContext, uuid: str, report: NewNotification
) -> Notification:
    host = hosts.find_reported_host(ctx, report.hostname)
    if host is None:
        raise errors.UnknownHostReported(
            f"Host with name {report.hostname} could not be found in any"
            " failover segment."
        )
    admit(report, host)
    conn = connection(ctx)
    created_at = types.utcnow()
    values = {
        "notification_uuid": uuid,
        "generated_time": report.generated_time,
        "source_host_uuid": host.uuid,
        "source_host_name": host.name,
        "type": str(report.type),
        "payload": dict(report.payload),
        "status": str(NOTIFICATION.initial),
        "failover_segment_uuid": host.segment_uuid,
        "request_id": report.request_id,
        "reporter": ctx.user_id,
        "created_at": created_at,
    }
    result = conn.execute(
        _INSERT,
        {
            **values,
            "dedupe_key": dedupe_key(report.type, host.uuid, report.payload),
        },
    )
    transactions.insert_recovery(
        ctx,
        uuid,
        name=recovery_name(report.type, host.recovery_method),
        project_id=ctx.project_id,
        request_id=report.request_id,
        created_at=created_at,
    )
    return Notification(
        id=_new_id(result),
        uuid=uuid,
        generated_time=report.generated_time,
        source_host_uuid=host.uuid,
        source_host_name=host.name,
        type=report.type,
        payload=dict(report.payload),
        status=NOTIFICATION.initial,
        segment_uuid=host.segment_uuid,
        message=None,
        request_id=report.request_id,
        flow_uuid=None,
        attempts=0,
        joined_to=None,
        created_at=created_at,
        updated_at=None,
    )


def _new_id(result: sa.CursorResult[Any]) -> int:
    key = result.inserted_primary_key
    if key is None:  # pragma: no cover - an insert always has one
        raise RuntimeError("the database gave no id")
    return int(key[0])


def _settle_duplicate(
    ctx: RequestContext, uuid: str, report: NewNotification
) -> Notification:
    """Say what a refused key means.

    Our own row may be the one in the way: a commit can succeed although the
    client saw the connection break, and the insert was repeated. Or the
    other report ended long ago and nobody has cleared its key yet.
    """
    own = _find(ctx, uuid)
    if own is not None:
        return own
    clear_expired_keys(ctx)
    try:
        return _insert_notification(ctx, uuid, report)
    except db_exc.DBDuplicateEntry as exc:
        raise errors.DuplicateNotification(
            f"Notification received from host {report.hostname} of type"
            f" {report.type} is a duplicate of one that has not ended, or"
            " ended a short time ago."
        ) from exc


@reader
def _find(
    ctx: RequestContext, reference: str, reporter: str | None = None
) -> Notification | None:
    row = (
        connection(ctx)
        .execute(
            sa.select(*_NOTIFICATION_COLUMNS).where(
                by_reference(_N, "notification_uuid", reference),
                _is_of(reporter),
            )
        )
        .first()
    )
    return None if row is None else _notification(row)


def _is_of(reporter: str | None) -> sa.ColumnElement[bool]:
    return sa.true() if reporter is None else _N.reporter == reporter


def get_notification(
    ctx: RequestContext, reference: str, *, reporter: str | None = None
) -> Notification:
    """Return a notification by its uuid or integer id.

    :param reporter: id of the user who must have posted it; None: anybody.
    :raises errors.NotificationNotFound: there is none.
    """
    found = _find(ctx, reference, reporter)
    if found is None:
        raise errors.NotificationNotFound(
            f"No notification with id {reference}."
        )
    return found


@reader
def age(ctx: RequestContext, uuid: str) -> float:
    """Return for how many seconds a notification has been accepted."""
    value = connection(ctx).scalar(
        sa.select(now() - _N.received_at).where(_N.notification_uuid == uuid)
    )
    return float(value or 0.0)


@reader
def list_notifications(
    ctx: RequestContext,
    page: Page,
    *,
    status: str | None = None,
    type: str | None = None,  # noqa: A002 - the column's and filter's name
    source_host_uuid: str | None = None,
    generated_since: datetime | None = None,
    reporter: str | None = None,
) -> list[Notification]:
    """Return a page of notifications, filtered by equality.

    :param generated_since: naive UTC; only those generated then or later.
    :param reporter: id of the user who posted them; None: anybody. Of
        others' the page's marker tells nothing either.
    :raises errors.BadRequest: see :func:`page_rows`.
    """
    query = sa.select(*_NOTIFICATION_COLUMNS).where(_is_of(reporter))
    wanted = {
        "status": status,
        "type": type,
        "source_host_uuid": source_host_uuid,
    }
    for key, value in wanted.items():
        if value is not None:
            query = query.where(getattr(_N, key) == value)
    if generated_since is not None:
        query = query.where(_N.generated_time >= generated_since)
    rows = page_rows(
        connection(ctx),
        query,
        _N,
        page,
        sortable=NOTIFICATION_SORT_KEYS,
        uuid_column="notification_uuid",
        visible=_is_of(reporter),
    )
    return [_notification(row) for row in rows]


@writer
def clear_expired_keys(ctx: RequestContext) -> int:
    """Let reports be accepted again whose duplicate window is over.

    :returns: how many keys were cleared.
    """
    result = connection(ctx).execute(
        sa.update(_N)
        .where(_N.dedupe_until <= now())
        .values(dedupe_key=None, dedupe_until=None)
    )
    return int(result.rowcount)
