"""Events: what was said about a run, in its order."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from oslo_utils import strutils

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.ledger import book
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain import errors
from recovery_ha.domain.history import Event, Remark
from recovery_ha.domain.ledger import TRANSACTION
from recovery_ha.domain.recovery import NOTIFICATION

_T = models.Transaction.metadata.tables[models.Transaction.__tablename__]
_E = models.Event.metadata.tables[models.Event.__tablename__]
_N = models.Notification.metadata.tables[models.Notification.__tablename__]

#: Characters of a remark, and of a traceback, that are kept.
_LONGEST = 4000
_LONGEST_TRACEBACK = 16000


def clean(text: str, longest: int = _LONGEST) -> str:
    """Return a text without passwords, and not too long.

    The end goes: what was said first is what it is about.
    """
    masked = str(strutils.mask_password(text[: 2 * longest]))
    return masked if len(masked) <= longest else f"{masked[: longest - 1]}…"


def trace(error: BaseException) -> str:
    """Return where an error was raised, its end if it is too long."""
    said = "".join(traceback.format_exception(error))
    masked = str(strutils.mask_password(said[-2 * _LONGEST_TRACEBACK :]))
    return masked[-_LONGEST_TRACEBACK:]


def values(
    transaction_id: int,
    remark: Remark,
    time: datetime,
    request_id: str | None,
) -> dict[str, Any]:
    """Return the columns of a remark's event."""
    text = remark.text
    if text is not None:
        text = clean(text)
    if remark.error_id is not None:
        said = f"{text}\n" if text else ""
        text = f"{said}Error ID: {remark.error_id}"
    trail = remark.traceback
    return {
        "transaction_id": transaction_id,
        "step_id": remark.step_id,
        "history_id": remark.history_id,
        "seq": remark.seq,
        "node_group_id": remark.node_group_id,
        "instance_id": remark.instance_id,
        "instance_name": remark.instance_name,
        "successful": remark.successful,
        "task": remark.task,
        "progress": remark.progress,
        "event_info": text,
        "error_id": remark.error_id,
        "traceback": trail and clean(trail, _LONGEST_TRACEBACK),
        "request_id": request_id,
        "created_at": time,
    }


@writer
def add_events(
    ctx: RequestContext,
    transaction_uuid: str,
    remarks: Sequence[Remark],
    request_id: str | None = None,
) -> None:
    """Append what was said; nothing of it is ever changed.

    The transaction's row is locked until the commit: see the package. A
    transaction that is not there has no events.
    """
    conn = connection(ctx)
    transaction_id = conn.scalar(
        sa.select(_T.c.id)
        .where(_T.c.uuid == transaction_uuid)
        .with_for_update()
    )
    if transaction_id is None or not remarks:
        return
    time = book.clock()
    conn.execute(
        sa.insert(_E),
        [values(transaction_id, r, time, request_id) for r in remarks],
    )


_COLUMNS = [c for c in _E.c if c.name != "event_info"]


def _event(row: Any) -> Event:
    return Event(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


@reader
def list_events(
    ctx: RequestContext, transaction_uuid: str, since: int, limit: int
) -> list[Event]:
    """Return the events after a cursor, oldest first.

    :param since: the id of the last one known; 0 for none.
    """
    rows = connection(ctx).execute(
        sa.select(*_COLUMNS, _E.c.event_info.label("text"))
        .join(_T, _T.c.id == _E.c.transaction_id)
        .where(_T.c.uuid == transaction_uuid, _E.c.id > since)
        .order_by(_E.c.id)
        .limit(limit)
    )
    return [_event(row) for row in rows]


@reader
def list_step_events(
    ctx: RequestContext,
    step_ids: Sequence[int],
    *,
    instance_id: str | None = None,
    successful: bool | None = None,
    since: int = 0,
    limit: int,
) -> list[Event]:
    """Return the events of steps after a cursor, oldest first.

    :param since: the id of the last one known; 0 for none.
    """
    query = sa.select(*_COLUMNS, _E.c.event_info.label("text")).where(
        _E.c.step_id.in_(step_ids), _E.c.id > since
    )
    if instance_id is not None:
        query = query.where(_E.c.instance_id == instance_id)
    if successful is not None:
        query = query.where(_E.c.successful.is_(successful))
    rows = connection(ctx).execute(query.order_by(_E.c.id).limit(limit))
    return [_event(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Latest:
    """How far a run has come.

    :ivar event: the id of its last event, 0 if there is none.
    :ivar ended: there will be no further one, unless an operator wants it.
    """

    event: int
    ended: bool


_LAST = (
    sa.select(sa.func.max(_E.c.id))
    .where(_E.c.transaction_id == _T.c.id)
    .correlate(_T)
    .scalar_subquery()
)
_LATEST = (
    sa.select(_N.c.status, _LAST)
    .join_from(_N, _T, _T.c.uuid == _N.c.notification_uuid, isouter=True)
    .where(_N.c.notification_uuid == sa.bindparam("uuid"))
)
_LATEST_OF = sa.select(_T.c.status, _LAST).where(
    _T.c.uuid == sa.bindparam("uuid")
)


@reader
def latest(ctx: RequestContext, notification_uuid: str) -> Latest:
    """Return how far a recovery has come, which costs little.

    :raises errors.NotificationNotFound: it was purged.
    """
    row = connection(ctx).execute(_LATEST, {"uuid": notification_uuid}).first()
    if row is None:
        raise errors.NotificationNotFound(
            f"No notification with id {notification_uuid}."
        )
    return Latest(row[1] or 0, row[0] in NOTIFICATION.terminal)


@reader
def latest_of(ctx: RequestContext, transaction_uuid: str) -> Latest:
    """Return how far a transaction of any kind has come.

    :raises errors.TransactionNotFound: there is none.
    """
    row = (
        connection(ctx).execute(_LATEST_OF, {"uuid": transaction_uuid}).first()
    )
    if row is None:
        raise book.not_found(transaction_uuid)
    return Latest(row[1] or 0, row[0] in TRANSACTION.terminal)
