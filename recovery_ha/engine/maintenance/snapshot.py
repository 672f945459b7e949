"""What decisions about hosts are made on, read from Nova and Placement.

One list of servers and two requests to Placement per host, and one of each
other list for all: what grows with the cloud are the hosts, not what is asked
of each, and several hosts are asked about at once.
"""

import contextvars
from collections.abc import Sequence
from concurrent import futures

from recovery_ha.db import session_hosts
from recovery_ha.db.maintenance import project_work
from recovery_ha.domain.choosing import CloudHost, CloudSnapshot
from recovery_ha.domain.maintenance import (
    ActionStatus,
    Answer,
    HostType,
    Session,
)
from recovery_ha.domain.ports import ComputeService
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
    hosts = {one.host: one for one in _look(env, wanted)}
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
        skipped=frozenset(
            one.project_id
            for one in session.projects
            if one.answer is Answer.SKIP
        ),
        arriving=arriving(session),
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


def _look(
    env: SessionEnvironment, services: Sequence[ComputeService]
) -> list[CloudHost]:
    if not services:
        return []
    # The first alone: it fetches what the adapters then know for all others.
    found = [_of_host(env, services[0])]
    rest = services[1:]
    if not rest:
        return found
    with futures.ThreadPoolExecutor(
        min(_THREADS, len(rest)), "snapshot"
    ) as pool:
        asked = [
            pool.submit(contextvars.copy_context().run, _of_host, env, service)
            for service in rest
        ]
        try:
            return found + [one.result() for one in asked]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _of_host(env: SessionEnvironment, service: ComputeService) -> CloudHost:
    return CloudHost(
        host=service.host,
        enabled=service.enabled,
        up=service.up,
        servers=tuple(env.compute.list_servers(service.host)),
        amounts=env.placement.amounts(service.host),
    )
