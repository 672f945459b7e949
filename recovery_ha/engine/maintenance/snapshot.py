"""What decisions about hosts are made on, read from Nova and Placement.

One of each list for all hosts, and two requests to Placement for each, of
which several are asked about at once; of a few hosts the servers are listed
host by host.
"""

import contextvars
from collections.abc import Mapping, Sequence
from concurrent import futures

from recovery_ha.db import session_hosts
from recovery_ha.db.maintenance import project_work
from recovery_ha.domain.choosing import CloudHost, CloudSnapshot
from recovery_ha.domain.maintenance import (
    ActionStatus,
    HostStatus,
    HostType,
    Session,
)
from recovery_ha.domain.ports import Amounts, ComputeService
from recovery_ha.engine.maintenance import cloud
from recovery_ha.engine.maintenance.environment import SessionEnvironment

#: How many hosts are asked about at once.
_THREADS = 8
#: Where a session remembers which hosts instances are moved to.
TARGETS = "_targets"


def take(env: SessionEnvironment, session: Session) -> CloudSnapshot:
    """Return the session's compute hosts and those its instances may go to.

    A host that another session is still to empty is none of them: what went
    there would have to leave again.

    :raises errors.ComputeError: Nova or Placement does not say.
    """
    mine = {one.host for one in session.hosts if one.type is HostType.COMPUTE}
    taken = session_hosts.to_be_emptied(env.ctx, session.uuid)
    wanted = [
        service
        for service in env.compute.list_services()
        if service.host in mine
        or (service.enabled and service.up and service.host not in taken)
    ]
    amounts = _amounts(env, [service.host for service in wanted])
    hosts = _hosts(env, wanted, amounts)
    instances, groups = project_work.constraints_of(
        env.ctx,
        {
            server.id: server.project_id
            for host in hosts.values()
            for server in host.servers
        },
    )
    return CloudSnapshot(
        hosts=hosts,
        groups=tuple(env.compute.list_server_groups()),
        instances=instances,
        constraints=groups,
        skipped=cloud.skipped(session),
        arriving=arriving(session),
    )


def take_unmaintained(
    env: SessionEnvironment, session: Session
) -> CloudSnapshot:
    """Return the computes that are not maintained, without what is free.

    :raises errors.ComputeError: Nova does not say.
    """
    left = {
        one.host
        for one in session.hosts
        if one.type is HostType.COMPUTE
        and one.status is not HostStatus.MAINTAINED
    }
    services = [
        service
        for service in (env.compute.list_services() if left else ())
        if service.host in left
    ]
    return CloudSnapshot(
        hosts=_hosts(env, services, {}), skipped=cloud.skipped(session)
    )


def arriving(session: Session) -> dict[str, str]:
    """Return where instances of a session that are under way will be."""
    targets = session.record.get(TARGETS) or {}
    return {
        one.instance_id: targets[one.instance_id]
        for one in session.instances
        if one.action_status is ActionStatus.RUNNING
        and one.instance_id in targets
    }


def _hosts(
    env: SessionEnvironment,
    services: Sequence[ComputeService],
    amounts: Mapping[str, Amounts | None],
) -> dict[str, CloudHost]:
    servers = env.compute.list_servers_of([one.host for one in services])
    return {
        one.host: CloudHost(
            host=one.host,
            enabled=one.enabled,
            up=one.up,
            servers=tuple(servers[one.host]),
            amounts=amounts.get(one.host),
        )
        for one in services
    }


def _amounts(
    env: SessionEnvironment, hosts: Sequence[str]
) -> dict[str, Amounts | None]:
    """Return what Placement says of hosts, by name."""
    if not hosts:
        return {}
    # The first alone: it fetches what the adapter then knows for all others.
    found = {hosts[0]: env.placement.amounts(hosts[0])}
    rest = hosts[1:]
    if not rest:
        return found
    with futures.ThreadPoolExecutor(
        min(_THREADS, len(rest)), "snapshot"
    ) as pool:
        asked = {
            host: pool.submit(
                contextvars.copy_context().run, env.placement.amounts, host
            )
            for host in rest
        }
        try:
            return found | {host: one.result() for host, one in asked.items()}
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
