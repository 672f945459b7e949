"""Removing a session's rows; its transaction tells of it from then on."""

from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import logbooks, models
from recovery_ha.db.session import connection, writer
from recovery_ha.domain.maintenance import LOCALHOST, logbook_uuid

_M = models.MaintenanceSession
_H = models.MaintenanceHost
#: By their references, the last first.
_PARTS: tuple[Any, ...] = (
    models.MaintenanceActionRun,
    models.MaintenanceAction,
    models.MaintenanceInstance,
    models.MaintenanceProject,
    _H,
)


@writer
def drop(ctx: RequestContext, uuid: str) -> None:
    """Remove a session with its parts and the progress of its actions.

    The caller has made sure that nobody works on it.
    """
    conn = connection(ctx)
    names = conn.scalars(sa.select(_H.host).where(_H.session_uuid == uuid))
    books = [logbook_uuid(uuid, name) for name in (LOCALHOST, *names)]
    logbooks.drop(conn, books)
    for table in _PARTS:
        conn.execute(sa.delete(table).where(table.session_uuid == uuid))
    conn.execute(sa.delete(_M).where(_M.uuid == uuid))
