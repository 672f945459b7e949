"""Which hosts are out of service, and one limit for all who take them out.

Recoveries and maintenance sessions both ask here. Whoever takes a host out
does so in the transaction in which it has asked, so that two of them never
take the last place.
"""

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models, work
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain.hosts_out import HostsOut, awaited, beyond
from recovery_ha.domain.lease import Claim, WorkKind
from recovery_ha.domain.recovery import NotificationType

_N = models.Notification
_H = models.MaintenanceHost
_LOCK = models.ResourceLock
_IN_MAINTENANCE = "in_maintenance"


@reader
def look(ctx: RequestContext) -> HostsOut:
    """Return which hosts are out: recovered, or in a session's maintenance.

    A host is being recovered from when its recovery has locked it until that
    has ended, between attempts too. Reserved hosts are not out.
    """
    conn = connection(ctx)
    recovering = conn.execute(
        sa.select(_LOCK.key, _LOCK.owner_uuid)
        .join(_N, _N.notification_uuid == _LOCK.owner_uuid)
        .where(
            _LOCK.type == "host",
            _LOCK.owner_kind == WorkKind.RECOVERY,
            _LOCK.key == _N.source_host_name,
            _N.type == NotificationType.COMPUTE_HOST,
        )
    )
    maintained = conn.scalars(
        sa.select(_H.live_name)
        .where(_H.live_name.is_not(None), _H.status == _IN_MAINTENANCE)
        .order_by(_H.live_name)
    )
    return HostsOut(
        {row[0]: row[1] for row in recovering},
        tuple(name for name in maintained if name is not None),
    )


@writer
def look_alone(ctx: RequestContext, claim: Claim) -> HostsOut:
    """Return which hosts are out, and let nobody else ask so meanwhile.

    That is until the transaction ends, in which the caller takes a host out
    or leaves it.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.alone(ctx, claim, "hosts_out")
    return look(ctx)


@writer
def refusal(
    ctx: RequestContext, claim: Claim, host: str, *, limit: int
) -> str | None:
    """Return why a session may not take a host out now, or None if it may.

    To be called in the transaction that sets the host IN_MAINTENANCE, before
    that. Those that it has taken already stay out.

    :param claim: the session's.
    :param host: the one that it is about to work on.
    :param limit: ``[host_failure] max_hosts_out``; 0: no limit.
    :returns: a sentence for administrators.
    :raises errors.LeaseLost: and nothing was changed.
    """
    out = look_alone(ctx, claim)
    if host in out.maintained:
        return None
    return awaited(out, host) or beyond(out, host, limit)


@writer
def wake_reports(ctx: RequestContext, *hosts: str) -> None:
    """Have held reports looked at now, because hosts are back in service.

    They are looked at by themselves, too, every ``[engine] hold_interval``.

    :param hosts: only reports about these; none given: about any host.
    """
    if hosts:
        work.wake_held(ctx, _N.source_host_name.in_(hosts))
    else:
        work.wake_held(ctx)
