"""What the message of a recovery that has ended says."""

from recovery_ha.db import vmoves
from recovery_ha.domain import errors
from recovery_ha.domain.leftovers import service_left
from recovery_ha.domain.ports import ComputeService
from recovery_ha.domain.recovery import NotificationType, VMoveStatus
from recovery_ha.engine.recovery.environment import Environment


def summary(environment: Environment) -> str:
    """Return what a recovery that has succeeded comes down to."""
    notification = environment.notification
    match notification.type:
        case NotificationType.VM:
            return _of_instance(environment)
        case NotificationType.PROCESS:
            return (
                f"Compute service on {notification.source_host_name} is"
                f" disabled because {notification.payload['process_name']}"
                " has failed."
            )
        case NotificationType.COMPUTE_HOST:
            return _of_host(environment)


def _of_instance(environment: Environment) -> str:
    found = environment.recall().get("instance", {})
    instance = environment.notification.payload["instance_uuid"]
    if found.get("vm_state") == "error":
        return (
            f"Instance {instance} was in error"
            f" ({found.get('fault') or 'Nova says no why'}) and is active"
            " after a hard reboot."
        )
    return f"Instance {instance} is active again."


def _of_host(environment: Environment) -> str:
    notification = environment.notification
    host = notification.source_host_name
    moves = vmoves.list_vmoves(environment.ctx, notification.uuid)
    done = sum(m.status is VMoveStatus.SUCCEEDED for m in moves)
    ignored = sum(m.status is VMoveStatus.IGNORED for m in moves)
    locked = [m.instance_name for m in moves if m.locked_by_us]
    said = (
        f"{done} of {len(moves)} instances of {host} evacuated"
        + (f", {ignored} were deleted meanwhile" if ignored else "")
        + (f"; still locked: {', '.join(locked)}" if locked else "")
        + "."
    )
    why = environment.recall().get("empty")
    return f"{said} {why}" if why and not moves else said


def left_behind(environment: Environment, *, failed: bool) -> str | None:
    """Return in which state the compute service of a host is left, if ours.

    :param failed: what was done may differ from what was wanted, and the
        host may be back: Nova is asked.
    """
    host = environment.notification.source_host_name
    record = environment.recall().get("service")
    if not record:
        return None
    found: ComputeService | None = None
    if failed:
        try:
            with environment.undoing():
                found = environment.compute.find_service(host)
        except errors.ComputeError:
            found = None
        else:
            if found is None:
                return None
    return service_left(host, record, found)
