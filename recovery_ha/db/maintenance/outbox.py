"""What is to be told outside: written with what it tells of, sent later.

A destination is the message queue, or one webhook. What one session has to
tell one destination leaves in the order in which it was written: a message
can be claimed when nothing older of its session waits for its destination.
A claim is a short lease; whoever dies with it is followed by another, so
that a message may arrive twice, and never not at all.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_utils import uuidutils

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.db.types import now
from recovery_ha.domain.maintenance import Session

_O, _W = models.OutboxMessage, models.Webhook
_OLDER = sa.orm.aliased(_O)

#: How much of a key is kept as it is; a longer one is known by its digest.
_LONGEST_KEY = 160
#: Messages for the message queue that are claimed, and sent, together.
_TOGETHER = 50
#: How many are looked at, because other engines are after the same ones.
_CANDIDATES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message that was claimed.

    :ivar message_id: what its receivers know it by; a message that is sent
        again, or under two names, has it again.
    :ivar webhook_uuid: where it goes; None: to the message queue.
    :ivar url: of the webhook; None: it is gone, or there was none.
    :ivar secret: the webhook's.
    :ivar attempts: how often it was claimed, this time included.
    """

    id: int
    message_id: str
    session_uuid: str
    webhook_uuid: str | None
    project_id: str | None
    event_type: str
    payload: Mapping[str, Any]
    attempts: int
    created_at: datetime
    url: str | None = None
    secret: str | None = None


@writer
def add(
    ctx: RequestContext,
    *,
    session: Session | str,
    event_type: str | Sequence[str],
    payload: Mapping[str, Any],
    dedupe_key: str,
    project_id: str | None = None,
) -> str:
    """Have something told outside, if the open transaction is committed.

    Called again with the same key it does nothing. Besides the message queue
    it goes to every webhook that the project has now.

    :param session: or its uuid.
    :param event_type: under which name; several are as many messages for
        the message queue, with one message id, and a webhook gets the first.
    :param dedupe_key: of the thing that is told, any length.
    :param project_id: whose webhooks are told; None: nobody's.
    :returns: the message id.
    """
    names = [event_type] if isinstance(event_type, str) else list(event_type)
    message_id = uuidutils.generate_uuid()
    common = {
        "message_id": message_id,
        "session_uuid": session if isinstance(session, str) else session.uuid,
        "project_id": project_id,
        "payload": dict(payload),
        "due_at": now(),
        "attempts": 0,
        "created_at": types.utcnow(),
    }
    key = _short(dedupe_key)
    rows = [
        {
            **common,
            "dedupe_key": f"{key}|{name}",
            "event_type": name,
            "webhook_uuid": None,
        }
        for name in names
    ]
    rows += [
        {
            **common,
            "dedupe_key": f"{key}|{uuid}",
            "event_type": names[0],
            "webhook_uuid": uuid,
        }
        for uuid in _webhooks(ctx, project_id)
    ]
    known = _known(ctx, f"{key}|{names[0]}")
    if known is not None:
        return known
    try:
        with connection(ctx).begin_nested():
            for row in rows:
                connection(ctx).execute(sa.insert(_O).values(**row))
    except db_exc.DBDuplicateEntry:
        found = _known(ctx, f"{key}|{names[0]}")
        return message_id if found is None else found
    return message_id


def _short(key: str) -> str:
    if len(key) <= _LONGEST_KEY:
        return key
    return hashlib.sha256(key.encode()).hexdigest()


def _known(ctx: RequestContext, dedupe_key: str) -> str | None:
    found: str | None = connection(ctx).scalar(
        sa.select(_O.message_id).where(_O.dedupe_key == dedupe_key)
    )
    return found


def _webhooks(ctx: RequestContext, project_id: str | None) -> Iterable[str]:
    if project_id is None:
        return ()
    return (
        connection(ctx)
        .scalars(
            sa.select(_W.uuid)
            .where(_W.project_id == project_id)
            .order_by(_W.id)
        )
        .all()
    )


# Sending


def _first() -> sa.ColumnElement[bool]:
    """Return the condition for what may be sent now, in its turn."""
    waits_for = sa.exists().where(
        _OLDER.session_uuid == _O.session_uuid,
        _OLDER.webhook_uuid.is_not_distinct_from(_O.webhook_uuid),
        _OLDER.due_at.is_not(None),
        _OLDER.id < _O.id,
    )
    return sa.and_(_O.due_at <= now(), ~waits_for)


@reader
def _candidates(
    ctx: RequestContext, which: sa.ColumnElement[bool]
) -> list[sa.Row[Any]]:
    return list(
        connection(ctx).execute(
            sa.select(_O.id, _O.attempts, _O.session_uuid)
            .where(which, _first())
            .order_by(_O.due_at, _O.id)
            .limit(_CANDIDATES)
        )
    )


@writer
def _claim(
    ctx: RequestContext,
    head: "sa.Row[Any]",
    which: sa.ColumnElement[bool],
    lease_seconds: float,
    *,
    together: int,
) -> list[Message]:
    conn = connection(ctx)
    taken = {"due_at": now() + lease_seconds, "attempts": _O.attempts + 1}
    won = conn.execute(
        sa.update(_O)
        .where(
            _O.id == head.id,
            _O.attempts == head.attempts,
            _O.due_at <= now(),
        )
        .values(**taken)
    )
    if won.rowcount != 1:
        return []
    # What follows it is nobody else's before it was sent.
    following = conn.scalars(
        sa.select(_O.id)
        .where(
            which,
            _O.session_uuid == head.session_uuid,
            _O.due_at.is_not(None),
            _O.id > head.id,
        )
        .order_by(_O.id)
        .limit(together - 1)
    ).all()
    if following:
        conn.execute(sa.update(_O).where(_O.id.in_(following)).values(**taken))
    return _messages(ctx, [head.id, *following])


def _messages(ctx: RequestContext, ids: Collection[int]) -> list[Message]:
    rows = connection(ctx).execute(
        sa.select(
            *(
                getattr(_O, name)
                for name in (
                    "id",
                    "message_id",
                    "session_uuid",
                    "webhook_uuid",
                    "project_id",
                    "event_type",
                    "payload",
                    "attempts",
                    "created_at",
                )
            ),
            _W.url,
            _W.secret,
        )
        .join(_W, _W.uuid == _O.webhook_uuid, isouter=True)
        .where(_O.id.in_(ids))
        .order_by(_O.id)
    )
    return [Message(**row._mapping) for row in rows]  # noqa: SLF001 - public


def claim_for_queue(
    ctx: RequestContext, lease_seconds: float
) -> list[Message]:
    """Have messages of one session to send to the message queue, in order.

    :param lease_seconds: within which they are to be marked as sent, by the
        database's clock; then they may be claimed by others.
    :returns: none, if none is due.
    """
    which = _O.webhook_uuid.is_(None)
    for head in _candidates(ctx, which):
        found = _claim(ctx, head, which, lease_seconds, together=_TOGETHER)
        if found:
            return found
    return []


def claim_for_webhook(
    ctx: RequestContext,
    lease_seconds: float,
    *,
    busy: Collection[str] = (),
    busy_projects: Collection[str] = (),
) -> Message | None:
    """Have one message to send to a webhook, or None if none is due.

    :param lease_seconds: see :func:`claim_for_queue`.
    :param busy: uuids of webhooks whose messages are not wanted now.
    :param busy_projects: ids of projects whose messages are not.
    """
    which = sa.and_(
        _O.webhook_uuid.is_not(None),
        _O.webhook_uuid.not_in(sorted(busy)),
        _O.project_id.not_in(sorted(busy_projects)),
    )
    for head in _candidates(ctx, which):
        found = _claim(ctx, head, which, lease_seconds, together=1)
        if found:
            return found[0]
    return None


@writer
def settle(
    ctx: RequestContext,
    message: Message,
    *,
    error: str | None = None,
    retry_in: float | None = None,
) -> bool:
    """Write down how sending a claimed message went.

    :param error: why it could not be sent; None: it was.
    :param retry_in: seconds until it is tried again; None: never.
    :returns: False if somebody else has claimed it meanwhile; then nothing
        was changed.
    """
    stamp = types.utcnow()
    values: dict[str, Any] = {
        "due_at": None if retry_in is None else now() + retry_in,
        "message": error,
        "updated_at": stamp,
    }
    if error is None:
        values["sent_at"] = stamp
    result = connection(ctx).execute(
        sa.update(_O)
        .where(
            _O.id == message.id,
            _O.attempts == message.attempts,
            _O.sent_at.is_(None),
        )
        .values(**values)
    )
    return result.rowcount == 1


@writer
def give_back(ctx: RequestContext, messages: Sequence[Message]) -> None:
    """Have claimed messages that were not sent claimable at once."""
    for message in messages:
        connection(ctx).execute(
            sa.update(_O)
            .where(
                _O.id == message.id,
                _O.attempts == message.attempts,
                _O.due_at.is_not(None),
            )
            .values(due_at=now())
        )


@writer
def drop_ended(ctx: RequestContext, before: datetime, size: int) -> int:
    """Remove some messages that were sent, or given up, before a time.

    :param size: at most so many.
    :returns: how many were removed.
    """
    conn = connection(ctx)
    ids = conn.scalars(
        sa.select(_O.id)
        .where(_O.created_at < before, _O.due_at.is_(None))
        .order_by(_O.created_at, _O.id)
        .limit(size)
    ).all()
    if ids:
        conn.execute(sa.delete(_O).where(_O.id.in_(ids)))
    return len(ids)
