"""What a report comes down to (reference 2.3)."""

from dataclasses import dataclass
from enum import StrEnum

from recovery_ha.domain.recovery import (
    Notification,
    NotificationStatus,
    NotificationType,
    Segment,
)


class PlanAction(StrEnum):
    """What a plan comes down to."""

    RECOVER_HOST = "recover_host"
    RECOVER_INSTANCE = "recover_instance"
    RECOVER_PROCESS = "recover_process"
    END = "end"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is going to be done about a notification, and why.

    :ivar status: for END, the status it gets.
    :ivar sentence: the reason, shown to operators and logged.
    """

    action: PlanAction
    sentence: str
    status: NotificationStatus | None = None


#: VM events that mean "it stopped and nobody asked for it" (reference 2.3).
RECOVERABLE_VM_EVENTS = frozenset(
    {
        ("LIFECYCLE", "STOPPED_FAILED"),
        ("IO_ERROR", "IO_ERROR_REPORT"),
        ("QEMU_GUEST_AGENT_ERROR", "STOPPED_FAILED"),
    }
)
_PROCESS = "nova-compute"


def plan(notification: Notification, segment: Segment) -> Plan:
    """Decide what to do about a notification that all gates let pass."""
    match notification.type:
        case NotificationType.COMPUTE_HOST:
            return _plan_host(notification, segment)
        case NotificationType.VM:
            return _plan_instance(notification)
        case NotificationType.PROCESS:
            return _plan_process(notification)


def end(status: NotificationStatus, sentence: str) -> Plan:
    """Return the plan that ends a notification."""
    return Plan(PlanAction.END, sentence, status)


def _plan_host(notification: Notification, segment: Segment) -> Plan:
    payload, host = notification.payload, notification.source_host_name
    host_status = payload.get("host_status")
    if host_status != "NORMAL":
        return end(
            NotificationStatus.IGNORED,
            f"The report says host_status {host_status or 'nothing'}, not"
            f" NORMAL: {host} may still be alive, and evacuating a living"
            " host is unsafe.",
        )
    if payload["event"] == "STARTED":
        return end(
            NotificationStatus.FINISHED,
            f"{host} has started; nothing to do.",
        )
    return Plan(
        PlanAction.RECOVER_HOST,
        f"{host} has stopped: evacuate its instances by method"
        f" {segment.recovery_method}.",
    )


def _plan_instance(notification: Notification) -> Plan:
    payload = notification.payload
    event = (payload["event"], payload["vir_domain_event"])
    instance = payload["instance_uuid"]
    if event not in RECOVERABLE_VM_EVENTS:
        return end(
            NotificationStatus.IGNORED,
            f"Event {event[0]} {event[1]} of instance {instance} needs no"
            " recovery.",
        )
    return Plan(
        PlanAction.RECOVER_INSTANCE,
        f"Instance {instance} has failed ({event[0]} {event[1]}): start it"
        " again.",
    )


def _plan_process(notification: Notification) -> Plan:
    payload, host = notification.payload, notification.source_host_name
    process = payload["process_name"]
    if payload["event"] == "STARTED":
        return end(
            NotificationStatus.FINISHED,
            f"{process} on {host} has started; nothing to do.",
        )
    if process != _PROCESS:
        return end(
            NotificationStatus.FINISHED,
            f"{process} on {host} has stopped; only {_PROCESS} has a"
            " recovery.",
        )
    return Plan(
        PlanAction.RECOVER_PROCESS,
        f"{process} on {host} has stopped: keep new instances off {host}.",
    )
