"""Maintenance sessions as they are created, with all that they begin with.

A host is in one live session: a unique column of its row says so, not a look
before the insert.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types
from recovery_ha.db.ledger import transactions
from recovery_ha.db.maintenance import outbox, session_runs
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain import errors
from recovery_ha.domain.history import NewTransaction
from recovery_ha.domain.ledger import Kind
from recovery_ha.domain.maintenance import (
    SESSION,
    Download,
    HostStatus,
    HostType,
    PluginUse,
)

_S = models.MaintenanceSession
_H = models.MaintenanceHost
_A = models.MaintenanceAction

#: What administrators are told of a session's state.
SESSION_EVENT = "maintenance.session"
_NOT_BEGUN = "No engine has begun with the session yet."
#: How often a host is looked for that another session had a moment ago.
_TRIES = 3
#: How many hosts a refusal names.
_NAMED = 5


def create(
    ctx: RequestContext,
    *,
    uuid: str,
    hosts: Sequence[str],
    maintenance_at: datetime,
    metadata: Mapping[str, Any],
    workflow: str,
    actions: Sequence[PluginUse],
    payload: Mapping[str, Any],
    downloads: Sequence[Download] = (),
) -> None:
    """Have a session, its run in the ledger, and its first message.

    :param hosts: names; none: all compute hosts, which an engine looks up.
    :param maintenance_at: naive UTC.
    :param actions: in the order in which they run.
    :param payload: of the message that it is there.
    :param downloads: archives for its actions.
    :raises errors.HostInSession: a host is in another live session; the text
        names both.
    """
    values: dict[str, Any] = {
        "uuid": uuid,
        "state": str(SESSION.initial),
        "round": 1,
        "workflow": workflow,
        "maintenance_at": maintenance_at,
        "session_metadata": dict(metadata),
        "download": [asdict(one) for one in downloads],
        "all_hosts": not hosts,
        "aborted": False,
        "paused": False,
        "seen": 0,
        "percent_done": 0,
        "record": {},
        "message": _NOT_BEGUN,
        "project_id": ctx.project_id,
        "user_id": ctx.user_id,
        "request_id": ctx.request_id,
        "lease_epoch": 0,
        "attempts": 0,
        "wake_at": types.now(),
        "created_at": types.utcnow(),
    }
    for _ in range(_TRIES):
        try:
            _create(ctx, values, hosts, actions, payload)
        except db_exc.DBDuplicateEntry:
            if _exists(ctx, uuid):
                return  # the insert was repeated after a lost connection
            _refuse_taken(ctx, hosts)
        else:
            return
    raise errors.HostInSession(
        "Other sessions come and go on these hosts; try again."
    )


@writer
def _create(
    ctx: RequestContext,
    values: Mapping[str, Any],
    hosts: Sequence[str],
    actions: Sequence[PluginUse],
    payload: Mapping[str, Any],
) -> None:
    conn, uuid = connection(ctx), values["uuid"]
    common = {"session_uuid": uuid, "created_at": values["created_at"]}
    conn.execute(sa.insert(_S).values(**values))
    if hosts:
        rows = [
            {
                **common,
                "ordinal": ordinal,
                "host": host,
                "live_name": host,
                # An engine asks Nova.
                "type": str(HostType.OTHER),
                "status": str(HostStatus.PENDING),
                "disabled_by_us": False,
            }
            for ordinal, host in enumerate(hosts)
        ]
        # Whoever else wants some of them comes upon them in the same order.
        rows.sort(key=lambda row: row["host"])
        conn.execute(sa.insert(_H), rows)
    if actions:
        conn.execute(
            sa.insert(_A),
            [
                {
                    "session_uuid": uuid,
                    "ordinal": one.ordinal,
                    "plugin": one.plugin,
                    "type": str(one.type),
                    # The column: a list of rows goes by its name.
                    "metadata": dict(one.metadata),
                }
                for one in actions
            ],
        )
    # Of no project: it tells of the instances of all.
    transactions.create(
        ctx,
        NewTransaction(
            kind=Kind.MAINTENANCE,
            name=session_runs.MAINTENANCE,
            uuid=uuid,
            origin_type="session",
            origin_id=uuid,
            request_id=ctx.request_id,
        ),
    )
    session_runs.say(ctx, uuid, "The session was created.", ctx.request_id)
    outbox.add(
        ctx,
        session=uuid,
        event_type=SESSION_EVENT,
        payload=payload,
        dedupe_key=f"{uuid}:1:{SESSION_EVENT}:{SESSION.initial}",
    )


@reader
def _exists(ctx: RequestContext, uuid: str) -> bool:
    found = connection(ctx).scalar(sa.select(_S.id).where(_S.uuid == uuid))
    return found is not None


@reader
def _refuse_taken(ctx: RequestContext, hosts: Sequence[str]) -> None:
    """Say which hosts are in which sessions; none may be any more.

    :raises errors.HostInSession: some are.
    """
    rows = (
        connection(ctx)
        .execute(
            sa.select(_H.live_name, _H.session_uuid, _S.deleted_at)
            .join(_S, _S.uuid == _H.session_uuid)
            .where(_H.live_name.in_(hosts))
            .order_by(_H.live_name)
        )
        .all()
    )
    if rows:
        told = ", ".join(
            f"{host} (session {uuid}"
            f"{', which is being undone' if deleted_at else ''})"
            for host, uuid, deleted_at in rows[:_NAMED]
        )
        more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
        raise errors.HostInSession(
            f"A host can be in one session at a time; in others are {told}"
            f"{more}."
        )
