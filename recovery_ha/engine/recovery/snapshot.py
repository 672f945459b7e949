"""What the gates look at, read together."""

from recovery_ha.db import (
    decisions,
    hosts_out,
    recovery,
    segments,
    session_hosts,
)
from recovery_ha.domain import errors
from recovery_ha.domain.gates import AfterSession, InSession, Snapshot
from recovery_ha.domain.hosts_out import HostsOut
from recovery_ha.domain.recovery import NotificationType, Segment
from recovery_ha.engine.recovery.environment import Environment


def look(environment: Environment, segment: Segment) -> Snapshot:
    """Return what is known about a notification before its recovery.

    Nova is asked only about a host that a maintenance session has let go of.
    """
    ctx, conf = environment.ctx, environment.conf
    notification = environment.notification
    limit = conf.host_failure.max_hosts_out
    mover = None
    if notification.type is NotificationType.VM:
        instance = str(notification.payload["instance_uuid"])
        mover = session_hosts.find_mover(ctx, instance)
    session = session_hosts.find(ctx, notification.source_host_name)
    return Snapshot(
        notification,
        segment,
        segments.find_host(ctx, notification.source_host_uuid),
        conf.engine.disabled_segment,
        session=session,
        mover=mover,
        after=_after(environment, session),
        out=hosts_out.look(ctx) if limit else HostsOut({}),
        max_hosts_out=limit,
    )


def _after(
    environment: Environment, session: InSession | None
) -> AfterSession | None:
    """Return what is known of a host that has left a session, if it has.

    What the gate said last, when it held the report, tells which session.
    """
    notification = environment.notification
    if (
        session is not None
        or not notification.held
        or notification.type is not NotificationType.COMPUTE_HOST
    ):
        return None
    said = decisions.find_inputs(
        environment.ctx, notification.uuid, "maintenance_session"
    )
    uuid = said.get("session") or said.get("was_in")
    if uuid is None:
        return None
    up: bool | None
    try:
        service = environment.compute.find_service(
            notification.source_host_name
        )
        up = service is not None and service.up
    except errors.ComputeError:
        up = None
    return AfterSession(
        uuid,
        up,
        recovery.age(environment.ctx, notification.uuid),
        environment.conf.wait_period_after_service_update,
    )
