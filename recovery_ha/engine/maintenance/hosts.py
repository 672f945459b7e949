"""The hosts of a session: had, disabled, maintained, enabled again."""

import contextvars
import logging
from collections.abc import Collection, Sequence
from concurrent import futures

from recovery_ha.clients import maintenance_events
from recovery_ha.db import work
from recovery_ha.db.maintenance import host_work
from recovery_ha.domain import errors
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.maintenance import (
    IN_MAINTENANCE,
    MAINTENANCE_COMPLETE,
    HostStatus,
    HostType,
    PluginType,
    Session,
    SessionHost,
)
from recovery_ha.domain.ports import ComputeService
from recovery_ha.engine.maintenance import actions, cloud
from recovery_ha.engine.maintenance.environment import SessionEnvironment
from recovery_ha.plugin import MaintenanceFailed, Waiting

LOG = logging.getLogger(__name__)

_COMPUTE = "nova-compute"
#: What actions of the host's own type are called.
_OWN_TYPE = {
    HostType.COMPUTE: PluginType.COMPUTE,
    HostType.CONTROLLER: PluginType.CONTROLLER,
}
#: Hosts that are not disabled any more: they were, before that.
_BEGUN = frozenset({HostStatus.IN_MAINTENANCE, HostStatus.MAINTAINED})
#: What is raised first when several hosts break off at once.
_URGENT = (
    errors.LeaseLost,
    errors.EngineStopping,
    errors.RecoveryInterrupted,
)


def settle(env: SessionEnvironment, session: Session) -> None:
    """Find out what the session's hosts are, and which it has if it has all.

    :raises MaintenanceFailed: Nova knows no service on one, or another
        session has one.
    :raises errors.ComputeError: Nova does not say.
    """
    found: dict[str, dict[str, str]] = {}
    for service in env.compute.list_all_services():
        found.setdefault(service.host, {})[service.binary] = service.id
    names = [one.host for one in session.hosts]
    if session.all_hosts and not names:
        names = sorted(host for host, ids in found.items() if _COMPUTE in ids)
    if not names:
        raise MaintenanceFailed("Nova knows no compute host.")
    unknown = [name for name in names if name not in found]
    if unknown:
        raise MaintenanceFailed(
            f"Nova knows no service on {', '.join(unknown)}."
        )
    hosts = [
        SessionHost(
            ordinal=place,
            host=name,
            type=host_type(found[name]),
            status=HostStatus.PENDING,
            service_id=found[name].get(_COMPUTE),
        )
        for place, name in enumerate(names)
    ]
    try:
        host_work.settle_hosts(env.ctx, env.lease.claim, hosts)
    except errors.Conflict as exc:
        raise MaintenanceFailed(str(exc)) from exc


def host_type(binaries: Collection[str]) -> HostType:
    """Return what a host is on which Nova knows services.

    Whatever of Nova is not nova-compute controls: nova-conductor,
    nova-scheduler, and those of earlier releases.

    :param binaries: the names of these services.
    """
    if _COMPUTE in binaries:
        return HostType.COMPUTE
    return HostType.CONTROLLER


def lock(env: SessionEnvironment, session: Session) -> None:
    """Have the session's hosts for itself.

    :raises Waiting: a recovery, or something else, has one.
    """
    names = [one.host for one in session.hosts]
    taken = host_work.lock_hosts(env.ctx, env.lease.claim, names)
    if taken is None:
        return
    what = (
        f"notification {taken.uuid}, which recovers it or uses it as its"
        " reserved host"
        if taken.kind == WorkKind.RECOVERY
        else f"{taken.kind} {taken.uuid}, which has it"
    )
    raise Waiting(
        work.clock(env.ctx) + env.conf.maintenance.lock_interval,
        f"Waiting for host {taken.host}: {what}.",
    )


# Placing nothing on hosts


def reason(env: SessionEnvironment, session: Session) -> str:
    """Return what Nova is told when a host is disabled."""
    text: str = env.conf.maintenance.service_disable_reason
    return text.replace("%(session_id)s", session.uuid)


def disable(
    env: SessionEnvironment, session: Session, hosts: Collection[str] | None
) -> None:
    """Have Nova place nothing on compute hosts of the session.

    Not one that is in maintenance: that was disabled before it was begun,
    and whoever has died with it may have enabled it at its end.

    :param hosts: None: all that were not maintained.
    :raises errors.ComputeError: Nova does not say, or refuses.
    """
    wanted = [
        one
        for one in session.hosts
        if one.type is HostType.COMPUTE
        and one.status not in _BEGUN
        and (hosts is None or one.host in hosts)
    ]
    if not wanted:
        return
    services = {one.host: one for one in env.compute.list_services()}
    for host in wanted:
        service = services.get(host.host)
        if service is None:
            raise MaintenanceFailed(
                f"Nova knows no nova-compute on {host.host} any more."
            )
        _disable(env, session, host, service)


def _disable(
    env: SessionEnvironment,
    session: Session,
    host: SessionHost,
    service: ComputeService,
) -> None:
    if not service.enabled:
        if not host.disabled_by_us and host.reason_before is None:
            host_work.update_host(
                env.ctx,
                env.lease.claim,
                host.host,
                reason_before=service.disabled_reason or "",
            )
        return
    # Written down first: what is not known to be ours is never taken back.
    if not host.disabled_by_us:
        host_work.update_host(
            env.ctx,
            env.lease.claim,
            host.host,
            disabled_by_us=True,
            reason_before=None,
        )
    env.compute.disable_service(service.id, reason(env, session))
    LOG.info("Host %s is disabled for session %s.", host.host, session.uuid)


def enable(env: SessionEnvironment, session: Session, host: str) -> None:
    """Have Nova place instances on a host again, if we have kept it from it.

    A service that somebody else has disabled since, with another reason,
    stays so.

    :raises errors.ComputeError: Nova does not say, or refuses.
    """
    row = next(one for one in session.hosts if one.host == host)
    if not row.disabled_by_us:
        return
    service = env.compute.find_service(host)
    ours = reason(env, session)[: host_work.LONGEST_REASON]
    if (
        service is not None
        and not service.enabled
        and (service.disabled_reason or ours) == ours
    ):
        env.compute.enable_service(service.id)
        LOG.info("Host %s is enabled, session %s.", host, session.uuid)
    host_work.update_host(env.ctx, env.lease.claim, host, disabled_by_us=False)


# Maintaining hosts


def maintain(
    env: SessionEnvironment, session: Session, hosts: Sequence[str]
) -> None:
    """Maintain hosts, several at once.

    :raises Waiting: some are still to come.
    :raises MaintenanceFailed: an action has failed on one.
    """
    known = {one.host: one for one in session.hosts}
    left = [
        name
        for name in hosts
        if known[name].status is not HostStatus.MAINTAINED
    ]
    # Those that were begun, before a crash for instance, come first.
    left.sort(key=lambda name: known[name].status is HostStatus.PENDING)
    batch = left[: env.conf.maintenance.max_parallel_hosts]
    raised: list[Exception] = []
    if len(batch) == 1:
        raised = _tried(env, session, batch[0])
    elif batch:
        with futures.ThreadPoolExecutor(len(batch), "maintain") as pool:
            done = [
                pool.submit(
                    contextvars.copy_context().run,
                    _tried,
                    env,
                    session,
                    name,
                )
                for name in batch
            ]
            raised = [exc for one in done for exc in one.result()]
    env.delivery.kick()
    _raise(raised)
    if len(left) > len(batch):
        # Between two lots an administrator's wish is heard.
        raise Waiting(
            work.clock(env.ctx),
            f"{len(left) - len(batch)} empty hosts are still to be"
            " maintained.",
        )


def _tried(
    env: SessionEnvironment, session: Session, host: str
) -> list[Exception]:
    """Maintain one host, in any thread; return what it has raised."""
    try:
        maintain_one(env, session, host)
    except Exception as exc:  # noqa: BLE001 - judged when all have ended
        return [exc]
    return []


def _raise(raised: Sequence[Exception]) -> None:
    for kind in (*_URGENT, errors.ComputeUnavailable):
        for exc in raised:
            if isinstance(exc, kind):
                raise exc
    failed = [exc for exc in raised if isinstance(exc, MaintenanceFailed)]
    others = [exc for exc in raised if not isinstance(exc, MaintenanceFailed)]
    unforeseen = [exc for exc in others if not isinstance(exc, Waiting)]
    if unforeseen:
        raise unforeseen[0]
    if failed:
        raise MaintenanceFailed(" ".join(str(exc) for exc in failed))
    for exc in others:
        raise exc


def maintain_one(env: SessionEnvironment, session: Session, host: str) -> None:
    """Maintain one host, from wherever it stands.

    :raises Waiting: it may not be taken out of service now.
    :raises MaintenanceFailed: an action has failed.
    """
    row = next(one for one in session.hosts if one.host == host)
    if not _take(env, session, row):
        return
    env.delivery.kick()
    try:
        _act(env, session, row)
    except MaintenanceFailed as exc:
        host_work.end_host(env.ctx, env.lease.claim, session, host, str(exc))
        raise
    tell(env, session, host, MAINTENANCE_COMPLETE)
    enable(env, session, host)
    host_work.end_host(env.ctx, env.lease.claim, session, host, None)
    env.delivery.kick()


def _take(env: SessionEnvironment, session: Session, row: SessionHost) -> bool:
    """Have a host in maintenance; False if it is not empty after all."""
    if (
        row.type is HostType.COMPUTE
        and row.status is HostStatus.PENDING
        and cloud.left_on(env, session, row.host)
    ):
        LOG.info("Host %s is not empty any more.", row.host)
        return False
    why = host_work.take_host(
        env.ctx,
        env.lease.claim,
        session,
        row.host,
        _payload(session, row.host, IN_MAINTENANCE),
        max_hosts_out=env.conf.host_failure.max_hosts_out,
    )
    if why is not None:
        raise Waiting(
            work.clock(env.ctx) + env.conf.maintenance.lock_interval, why
        )
    return True


def _act(env: SessionEnvironment, session: Session, row: SessionHost) -> None:
    actions.run(env, session, PluginType.HOST, row.host)
    own = _OWN_TYPE.get(row.type)
    if own is not None:
        actions.run(env, session, own, row.host)


def _payload(
    session: Session, host: str, state: str
) -> maintenance_events.Payload:
    return maintenance_events.host_payload(
        session=session,
        project_id=session.project_id,
        host=host,
        state=state,
    )


def tell(
    env: SessionEnvironment, session: Session, host: str, state: str
) -> None:
    """Have administrators told of a host, once per round and state."""
    host_work.tell_host(
        env.ctx,
        env.lease.claim,
        session,
        host,
        _payload(session, host, state),
    )


# Undoing


def release(
    env: SessionEnvironment, session: Session
) -> tuple[list[str], errors.ComputeUnavailable | None]:
    """Enable the hosts that we have disabled, as far as Nova lets us.

    :returns: a sentence for each that stays disabled, and the outage that
        is worth waiting for, if there is one.
    """
    left: list[str] = []
    outage: errors.ComputeUnavailable | None = None
    for one in session.hosts:
        try:
            enable(env, session, one.host)
        except errors.ComputeUnavailable as exc:
            left.append(f"Host {one.host} is still disabled: {exc}")
            outage = exc
        except errors.ComputeError as exc:
            left.append(f"Host {one.host} stays disabled: {exc}")
    return left, outage
