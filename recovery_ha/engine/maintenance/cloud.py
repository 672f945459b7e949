"""What a session has to know of the cloud, as Nova and Placement tell it."""

from collections.abc import Collection, Sequence

from recovery_ha.clients import maintenance_events
from recovery_ha.db.maintenance import project_work
from recovery_ha.domain.maintenance import (
    ActionStatus,
    Answer,
    HostStatus,
    HostType,
    Session,
    SessionInstance,
    SessionProject,
    SilentProject,
)
from recovery_ha.domain.ports import Server
from recovery_ha.engine.maintenance.environment import SessionEnvironment
from recovery_ha.plugin import MaintenanceFailed

_RULES = {
    SilentProject.MIGRATE: Answer.MIGRATE,
    SilentProject.LIVE_MIGRATE: Answer.LIVE_MIGRATE,
    SilentProject.SKIP: Answer.SKIP,
}


def computes(session: Session) -> list[str]:
    """Return the names of the session's compute hosts, in order."""
    return [
        one.host
        for one in sorted(session.hosts, key=lambda host: host.ordinal)
        if one.type is HostType.COMPUTE
    ]


def skipped(session: Session) -> frozenset[str]:
    """Return the projects whose instances stay where they are."""
    return frozenset(
        one.project_id for one in session.projects if one.answer is Answer.SKIP
    )


def left_on(
    env: SessionEnvironment, session: Session, host: str
) -> list[Server]:
    """Return the servers that are on a host and may not stay there.

    :raises errors.ComputeError: Nova does not say.
    """
    stays = skipped(session)
    return [
        server
        for server in env.compute.list_servers(host)
        if server.project_id not in stays
    ]


def update_instances(env: SessionEnvironment, session: Session) -> None:
    """Write down which instances are on the session's hosts, and whose.

    :raises MaintenanceFailed: there is a project that nobody can ask, and
        that is not allowed.
    :raises errors.ComputeError: Nova or Aodh does not say.
    """
    known = {one.instance_id: one for one in session.instances}
    servers = {
        server.id: server
        for there in env.compute.list_servers_of(computes(session)).values()
        for server in there
    }
    wanted, _groups = project_work.constraints_of(
        env.ctx, {one.id: one.project_id for one in servers.values()}
    )
    instances = [
        SessionInstance(
            instance_id=server.id,
            name=server.name,
            project_id=server.project_id,
            host=server.host,
            group_id=wanted[server.id].group_id
            if server.id in wanted
            else None,
        )
        for server in servers.values()
    ]
    # One that is on its way may be on no host of the session for a moment.
    moving = {
        one.project_id
        for one in known.values()
        if one.action_status is ActionStatus.RUNNING
    }
    status = {one.host: one.status for one in session.hosts}
    needed = moving | {
        one.project_id
        for one in instances
        if status.get(one.host) is not HostStatus.MAINTAINED
    }
    instances += _moved_out(session, servers)
    project_ids = moving | {one.project_id for one in instances}
    project_work.set_instances(
        env.ctx,
        env.lease.claim,
        _answers(env, sorted(project_ids), needed),
        instances,
    )


def _moved_out(
    session: Session, servers: Collection[str]
) -> list[SessionInstance]:
    """Return instances that the session has moved to hosts outside of it.

    Their projects are still to be told when all is over: they may have
    scaled in for it.

    :param servers: ids of those that are on its hosts.
    """
    mine = {one.host for one in session.hosts}
    return [
        one
        for one in session.instances
        if one.action_status is ActionStatus.DONE
        and one.host not in mine
        and one.instance_id not in servers
    ]


def _answers(
    env: SessionEnvironment,
    project_ids: Sequence[str],
    needed: Collection[str],
) -> list[SessionProject]:
    """Decide how each project is dealt with.

    :param needed: those whose instances still have to be moved. Anybody's
        may have come to hosts that are maintained, where nothing is done
        with them.
    """
    told = project_work.projects_with_webhooks(env.ctx, project_ids)
    if not told.issuperset(project_ids):
        told |= env.alarms.subscribed_projects(
            maintenance_events.project_events(env.conf)
        )
    silent = [one for one in project_ids if one not in told and one in needed]
    rule = SilentProject(env.conf.maintenance.projects_without_alarm)
    if silent and rule is SilentProject.FAIL:
        many = "Projects" if len(silent) > 1 else "Project"
        have = "have" if len(silent) > 1 else "has"
        raise MaintenanceFailed(
            f"{many} {', '.join(silent)} {have} instances on the hosts of the"
            " session and neither an alarm for maintenance in Aodh nor a"
            " webhook, so that nobody would reply ([maintenance]"
            " projects_without_alarm)."
        )
    return [
        SessionProject(
            project_id=one,
            answer=Answer.ASK
            if one in told
            else _RULES[rule]
            if one in needed
            else Answer.SKIP,
        )
        for one in project_ids
    ]
