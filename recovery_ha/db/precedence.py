"""Who goes first when two want the same host or instance.

Each function is fenced by the claim: it changes nothing and raises
:class:`errors.LeaseLost` when the notification is somebody else's by now.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import hosts_out, models, owned, work
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.db.types import now
from recovery_ha.domain.hosts_out import beyond
from recovery_ha.domain.lease import Claim, WorkKind
from recovery_ha.domain.recovery import (
    Notification,
    NotificationStatus,
    NotificationType,
)

_N = models.Notification
_LOCK = models.ResourceLock

_WAITING_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Awaited:
    """Another notification's recovery, or a session, is in the way.

    :ivar uuid: of that; None if it is the limit of hosts that are out.
    :ivar joined: this one ends with it; else it waits for it.
    """

    uuid: str | None
    joined: bool = False


@writer
def lock_host(
    ctx: RequestContext,
    claim: Claim,
    notification: Notification,
    *,
    max_hosts_out: int = 0,
) -> Awaited | None:
    """Have the host for this recovery, or let another one go first.

    A second report of a host that is being recovered ends together with the
    recovery under way. One of a host that serves another recovery as its
    reserved host waits until that has ended, and so does one of a host that
    a maintenance session has.

    :param max_hosts_out: how many hosts may be out of service at once, those
        in maintenance included; 0: any number.
    :returns: None, or what is in the way: then the row has been released.
    :raises errors.LeaseLost: and nothing was changed.
    """
    host = notification.source_host_name
    why = None
    if max_hosts_out:
        out = hosts_out.look_alone(ctx, claim)
        if host not in out.recovering:
            why = beyond(out, host, max_hosts_out)
    owner = work.lock_resource(ctx, claim, "host", host)
    if owner is None and why is None:
        return None
    if owner is None:
        work.unlock_resources(ctx, claim, host)
        said = f"{why} Waiting until one is back."
        owned.hold(ctx, claim, notification, said, wake_in=_WAITING_SECONDS)
        return Awaited(None)
    if _is_session(ctx, owner):
        return _await_session(ctx, claim, notification, owner, f"host {host}")
    joined = _host_of(ctx, owner) == host
    owned.stand_back(
        ctx,
        claim,
        notification,
        owner,
        f"Joined to notification {owner}, which recovers {host}; ends with it."
        if joined
        else f"Waiting for notification {owner}, which uses {host} as its"
        " reserved host.",
        joined=joined,
    )
    return Awaited(owner, joined)


def _is_session(ctx: RequestContext, owner: str) -> bool:
    kind = connection(ctx).scalar(
        sa.select(_LOCK.owner_kind).where(_LOCK.owner_uuid == owner).limit(1)
    )
    return kind == WorkKind.MAINTENANCE


def _await_session(
    ctx: RequestContext,
    claim: Claim,
    notification: Notification,
    owner: str,
    what: str,
) -> Awaited:
    said = f"Waiting for maintenance session {owner}, which has {what}."
    owned.hold(ctx, claim, notification, said, wake_in=_WAITING_SECONDS)
    return Awaited(owner)


def _host_of(ctx: RequestContext, uuid: str) -> str | None:
    return connection(ctx).scalar(
        sa.select(_N.source_host_name).where(_N.notification_uuid == uuid)
    )


@writer
def lock_instance(
    ctx: RequestContext,
    claim: Claim,
    notification: Notification,
    instance_uuid: str,
) -> Awaited | None:
    """Have an instance for this recovery, or let another one go first.

    A recovery of its host takes it over; a second report of it ends with the
    first.

    :returns: None, or what is in the way: then the row has been released.
    :raises errors.LeaseLost: and nothing was changed.
    """
    host = notification.source_host_name
    owner = host_owner(ctx, host)
    why = f"which recovers {host} with its instances"
    if owner is None:
        owner = work.lock_resource(ctx, claim, "instance", instance_uuid)
        why = f"which recovers instance {instance_uuid}"
    if owner is None:
        return None
    work.unlock_resources(ctx, claim)
    if _is_session(ctx, owner):
        what = f"instance {instance_uuid}"
        return _await_session(ctx, claim, notification, owner, what)
    owned.stand_back(
        ctx,
        claim,
        notification,
        owner,
        f"Joined to notification {owner}, {why}; ends with it.",
        joined=True,
    )
    return Awaited(owner, joined=True)


@reader
def host_owner(ctx: RequestContext, host: str) -> str | None:
    """Return the uuid of the notification that recovers a host, if any."""
    return connection(ctx).scalar(
        sa.select(_LOCK.owner_uuid)
        .join(_N, _N.notification_uuid == _LOCK.owner_uuid)
        .where(
            _LOCK.type == "host",
            _LOCK.key == host,
            _N.source_host_name == host,
        )
    )


@writer
def await_instances(
    ctx: RequestContext, claim: Claim, notification: Notification
) -> bool:
    """Let recoveries of the host's instances come to their next safe point.

    :returns: True if there are any at work: then the row has been released,
        and will be claimed again soon.
    :raises errors.LeaseLost: and nothing was changed.
    """
    at_work = connection(ctx).scalar(
        sa.select(_N.notification_uuid)
        .where(
            _N.source_host_uuid == notification.source_host_uuid,
            _N.status == NotificationStatus.RUNNING,
            _N.type == NotificationType.VM,
            _N.lease_expires_at > now(),
        )
        .limit(1)
    )
    if at_work is None:
        return False
    owned.stand_back(
        ctx,
        claim,
        notification,
        at_work,
        f"Taking over from notification {at_work}, which recovers an instance"
        " of the host.",
        joined=False,
    )
    return True
