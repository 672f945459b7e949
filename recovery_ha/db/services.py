"""Engines report themselves here, and what they can do."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_utils import uuidutils

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.db.types import now
from recovery_ha.domain.services import (
    BUILT_IN_ACTIONS,
    BUILT_IN_WORKFLOWS,
    ServiceRecord,
)

_S = models.Service
#: As ``[engine] service_down_time``, for callers without a configuration.
DOWN_TIME = 60.0


@writer
def beat(
    ctx: RequestContext,
    *,
    host: str,
    owner: str,
    binary: str,
    version: str,
    capabilities: Mapping[str, Iterable[str]],
) -> None:
    """Report an engine as alive.

    :param host: its name; unique, so that the last to report has it.
    :param owner: as which it owns work; a new one means a new start.
    :param capabilities: names, by ``workflows`` and ``actions``.
    """
    conn, stamp = connection(ctx), types.utcnow()
    values: dict[str, Any] = {
        "binary": binary,
        "version": version,
        "owner": owner,
        "capabilities": {k: sorted(v) for k, v in capabilities.items()},
        "seen_at": now(),
    }
    known = conn.scalar(
        sa.select(_S.owner).where(_S.host == host).with_for_update()
    )
    if known is not None:
        if known != owner:
            values["started_at"] = stamp
        conn.execute(
            sa.update(_S)
            .where(_S.host == host)
            .values(**values, updated_at=stamp)
        )
        return
    try:
        with conn.begin_nested():
            conn.execute(
                sa.insert(_S).values(
                    **values,
                    uuid=uuidutils.generate_uuid(),
                    host=host,
                    started_at=stamp,
                    created_at=stamp,
                )
            )
    except db_exc.DBDuplicateEntry as exc:
        raise db_exc.RetryRequest(exc) from exc


@writer
def leave(
    ctx: RequestContext, host: str, owner: str, down_time: float = DOWN_TIME
) -> None:
    """Report an engine as stopped, if it was not started again since."""
    connection(ctx).execute(
        sa.update(_S)
        .where(_S.host == host, _S.owner == owner)
        .values(seen_at=now() - down_time, updated_at=types.utcnow())
    )


@writer
def forget(ctx: RequestContext, seconds: float) -> None:
    """Remove engines that were not heard of for so long."""
    connection(ctx).execute(sa.delete(_S).where(_S.seen_at < now() - seconds))


@reader
def list_services(
    ctx: RequestContext, down_time: float = DOWN_TIME
) -> list[ServiceRecord]:
    """Return all engines that have reported themselves, by name.

    :param down_time: seconds after which one counts as down.
    """
    rows = connection(ctx).execute(
        sa.select(
            _S.id,
            _S.uuid,
            _S.host,
            _S.binary,
            _S.version,
            _S.owner,
            _S.capabilities,
            _S.seen_at,
            _S.started_at,
            sa.case((_S.seen_at > now() - down_time, 1), else_=0),
        ).order_by(_S.host)
    )
    names = ServiceRecord.__dataclass_fields__
    return [
        ServiceRecord(
            **dict(zip(names, row[:-1], strict=False)), alive=bool(row[-1])
        )
        for row in rows
    ]


def known_workflows(
    ctx: RequestContext, down_time: float = DOWN_TIME
) -> frozenset[str]:
    """Return the names of the workflows that a session may have.

    The built-in ones, and those of engines that are alive.
    """
    return BUILT_IN_WORKFLOWS | _capable(ctx, "workflows", down_time)


def known_actions(
    ctx: RequestContext, down_time: float = DOWN_TIME
) -> frozenset[str]:
    """Return the names of the action plug-ins that a session may have.

    The built-in ones, and those of engines that are alive.
    """
    return BUILT_IN_ACTIONS | _capable(ctx, "actions", down_time)


def _capable(
    ctx: RequestContext, what: str, down_time: float
) -> frozenset[str]:
    return frozenset(
        name
        for service in list_services(ctx, down_time)
        if service.alive
        for name in service.capabilities.get(what, ())
    )
