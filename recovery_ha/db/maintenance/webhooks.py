"""Where projects want to be told, besides the message queue.

The secret of a webhook is read by nobody but the engine that sends.
"""

import hashlib
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_utils import uuidutils

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types
from recovery_ha.db.paging import Page, by_reference, page_rows
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain import errors

_W = models.Webhook

SORT_KEYS = ("id", "uuid", "created_at")
#: How many webhooks a project may have.
MOST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A webhook, without its secret."""

    id: int
    uuid: str
    project_id: str
    url: str
    created_at: datetime


_COLUMNS = [getattr(_W, field.name) for field in fields(Webhook)]


def _webhook(row: Any) -> Webhook:
    return Webhook(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def _not_found(reference: str) -> errors.WebhookNotFound:
    return errors.WebhookNotFound(f"No webhook with id {reference}.")


def create(
    ctx: RequestContext, *, project_id: str, url: str, secret: str
) -> Webhook:
    """Have a webhook.

    :param secret: with which messages to it are signed.
    :raises errors.WebhookExists: the project has one of that URL, or
        :data:`MOST` of them.
    """
    uuid = uuidutils.generate_uuid()
    try:
        return _create(ctx, uuid, project_id, url, secret)
    except db_exc.DBDuplicateEntry as exc:
        own = _find(ctx, uuid, None)
        if own is not None:  # the insert was repeated after a lost connection
            return own
        raise errors.WebhookExists(
            f"Project {project_id} has a webhook of the URL {url} already."
        ) from exc


@writer
def _create(
    ctx: RequestContext, uuid: str, project_id: str, url: str, secret: str
) -> Webhook:
    conn = connection(ctx)
    conn.execute(
        sa.insert(_W).values(
            uuid=uuid,
            project_id=project_id,
            url=url,
            url_digest=hashlib.sha256(url.encode()).hexdigest(),
            secret=secret,
            created_at=types.utcnow(),
        )
    )
    # Those that come at once may be a few more, which does no harm.
    number = conn.scalar(
        sa.select(sa.func.count()).where(_W.project_id == project_id)
    )
    if number is not None and number > MOST:
        raise errors.WebhookExists(
            f"Project {project_id} has {MOST} webhooks, which is as many as"
            " there may be; delete one."
        )
    return get(ctx, uuid)


def get(
    ctx: RequestContext, reference: str, *, project_id: str | None = None
) -> Webhook:
    """Return a webhook by its uuid or integer id.

    :param project_id: whose it has to be; None: anybody's.
    :raises errors.WebhookNotFound: there is none.
    """
    found = _find(ctx, reference, project_id)
    if found is None:
        raise _not_found(reference)
    return found


@reader
def _find(
    ctx: RequestContext, reference: str, project_id: str | None
) -> Webhook | None:
    query = sa.select(*_COLUMNS).where(by_reference(_W, "uuid", reference))
    if project_id is not None:
        query = query.where(_W.project_id == project_id)
    row = connection(ctx).execute(query).first()
    return None if row is None else _webhook(row)


@reader
def list_page(
    ctx: RequestContext, page: Page, *, project_id: str | None = None
) -> list[Webhook]:
    """Return a page of webhooks; one statement, one more for a marker.

    :param page: sort keys are :data:`SORT_KEYS`.
    :param project_id: whose; None: all.
    :raises errors.BadRequest: see :func:`page_rows`.
    """
    if not page.sort:
        page = replace(page, sort=(("id", "asc"),))
    query, visible = sa.select(*_COLUMNS), None
    if project_id is not None:
        visible = _W.project_id == project_id
        query = query.where(visible)
    rows = page_rows(
        connection(ctx), query, _W, page, sortable=SORT_KEYS, visible=visible
    )
    return [_webhook(row) for row in rows]


@writer
def delete(
    ctx: RequestContext, reference: str, *, project_id: str | None = None
) -> None:
    """Remove a webhook; what was to be sent to it is given up.

    :param project_id: whose it has to be; None: anybody's.
    :raises errors.WebhookNotFound: there is none.
    """
    query = sa.delete(_W).where(by_reference(_W, "uuid", reference))
    if project_id is not None:
        query = query.where(_W.project_id == project_id)
    if not connection(ctx).execute(query).rowcount:
        raise _not_found(reference)
