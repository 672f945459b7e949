"""Undoing what a recovery did outside, because an operator wants it."""

from recovery_ha.db import hosts, work
from recovery_ha.domain import errors
from recovery_ha.domain.recovery import NotificationType
from recovery_ha.engine.recovery.environment import Environment
from recovery_ha.engine.recovery.evacuate import release_locks
from recovery_ha.engine.recovery.reserved import settle


def undo(environment: Environment) -> str:
    """Undo what the rows say was done, finished evacuations excepted.

    Each step looks before it acts, so that another engine can end it.

    :returns: a sentence about what was undone and what could not be.
    :raises errors.ComputeUnavailable: Nova does not answer; try again.
    """
    done: list[str] = []
    left: list[str] = []
    other = _other_recovery(environment)
    if other is not None:
        return (
            f"Not rolled back: notification {other} works on host"
            f" {environment.notification.source_host_name} now."
        )
    with environment.undoing():
        locked = release_locks(environment, environment.notification.uuid)
        left += [f"{name} is still locked" for name in locked]
        left += settle(environment, under_way=True)
        record = environment.recall()
        if service := record.get("service"):
            _undo_service(environment, service, done, left)
        if host := record.get("host"):
            hosts.restore_host(
                environment.ctx,
                environment.notification.source_host_uuid,
                host,
            )
            done.append("host taken off maintenance")
    return _sentence(environment.operator(), done, left)


def _other_recovery(environment: Environment) -> str | None:
    """Have the host, so that nobody recovers it meanwhile.

    :returns: the uuid of the work that has it, if it cannot be had.
    """
    notification = environment.notification
    if notification.type is NotificationType.VM:
        return None
    return work.lock_resource(
        environment.ctx,
        environment.lease.claim,
        "host",
        notification.source_host_name,
    )


def _undo_service(
    environment: Environment,
    service: dict[str, object],
    done: list[str],
    left: list[str],
) -> None:
    """Enable a service that we disabled, and let it count as up again."""
    host = environment.notification.source_host_name
    found = environment.compute.find_service(host)
    if found is None:
        left.append(f"Nova has no compute service on {host} any more")
        return
    if service.get("forced_down") and found.forced_down:
        # Nova refuses it until nova-compute has started there again.
        try:
            environment.compute.clear_forced_down(found.id)
            done.append("forced-down cleared")
        except errors.ComputeUnavailable:
            raise
        except errors.ComputeError as exc:
            left.append(f"{host} is still forced down: {exc}")
    if service.get("disabled") and not found.enabled:
        try:
            environment.compute.enable_service(found.id)
            done.append("compute service enabled")
        except errors.ComputeUnavailable:
            raise
        except errors.ComputeError as exc:
            left.append(f"compute service still disabled: {exc}")


def _sentence(operator: str, done: list[str], left: list[str]) -> str:
    said = "; ".join(done) or "nothing had to be undone"
    rest = f" Left: {'; '.join(left)}." if left else ""
    return f"Rolled back by {operator}: {said}.{rest}"
