"""Hosts as recoveries see them: of any segment, by name or uuid."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types
from recovery_ha.db.session import connection, writer
from recovery_ha.domain.recovery import (
    MaintenanceCause,
    RecoveryMethod,
    ReportedHost,
)

_H = models.Host

# Built once, from the table, with no more columns than are needed: composing
# and hashing a statement of mapped classes costs several times as much as
# running it, the driver's time grows by column, and this one is run for every
# report.
_HOSTS = _H.metadata.tables[_H.__tablename__]
_SEGMENTS = models.Segment.metadata.tables[models.Segment.__tablename__]
_METHOD = (
    sa.select(_SEGMENTS.c.recovery_method)
    .where(_SEGMENTS.c.uuid == _HOSTS.c.failover_segment_id)
    .scalar_subquery()
)
_REPORTED_HOST = (
    sa.select(
        _HOSTS.c.uuid,
        _HOSTS.c.failover_segment_id,
        _HOSTS.c.on_maintenance,
        _HOSTS.c.maintenance_cause,
        _METHOD,
    )
    .where(_HOSTS.c.name == sa.bindparam("host_name"), _HOSTS.c.deleted == 0)
    .with_for_update(read=True)
)


@writer
def find_reported_host(ctx: RequestContext, name: str) -> ReportedHost | None:
    """Return a host of any segment by its name, or None.

    It cannot be changed or deleted until the transaction ends.
    """
    row = connection(ctx).execute(_REPORTED_HOST, {"host_name": name}).first()
    if row is None:
        return None
    uuid, segment_uuid, on_maintenance, cause, method = row
    return ReportedHost(
        uuid,
        name,
        segment_uuid,
        on_maintenance,
        None if cause is None else MaintenanceCause(cause),
        RecoveryMethod(method),
    )


@writer
def restore_host(
    ctx: RequestContext, uuid: str, was: Mapping[str, Any]
) -> None:
    """Have a host as it was before it failed, unless an operator changed it.

    :param was: ``reserved``, ``on_maintenance`` and ``cause`` of then.
    """
    connection(ctx).execute(
        sa.update(_H)
        .where(
            _H.uuid == uuid,
            _H.deleted == 0,
            _H.on_maintenance.is_(True),
            _H.maintenance_cause != MaintenanceCause.OPERATOR,
        )
        .values(
            reserved=was["reserved"],
            on_maintenance=was["on_maintenance"],
            maintenance_cause=was["cause"],
            updated_at=types.utcnow(),
        )
    )
