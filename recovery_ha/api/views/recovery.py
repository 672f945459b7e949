"""Segments, hosts, notifications and vmoves in Masakari's form.

Fields which Masakari does not have are not shown up to version 1.3.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from recovery_ha.domain.recovery import (
    Host,
    Notification,
    Segment,
    TaskProgress,
    VMove,
)

#: What is shown of a secret to whoever is not an administrator.
MASK = "***"


def time_text(value: datetime | None) -> str | None:
    """Return a time as all answers have it."""
    return None if value is None else value.isoformat(timespec="microseconds")


def _common(item: Segment | Host | Notification | VMove) -> dict[str, Any]:
    return {
        "id": item.id,
        "created_at": time_text(item.created_at),
        "updated_at": time_text(item.updated_at),
        "deleted_at": None,
        "deleted": False,
    }


def segment(item: Segment) -> dict[str, Any]:
    """Return a segment."""
    return {
        **_common(item),
        "uuid": item.uuid,
        "name": item.name,
        "service_type": item.service_type,
        "enabled": item.enabled,
        "description": item.description,
        "recovery_method": str(item.recovery_method),
    }


def host(item: Host, *, secrets: bool) -> dict[str, Any]:
    """Return a host with its segment.

    :param secrets: show ``control_attributes`` as they are.
    """
    return {
        **_common(item),
        "uuid": item.uuid,
        "name": item.name,
        "failover_segment_id": item.segment.uuid,
        "failover_segment": segment(item.segment),
        "type": item.type,
        "reserved": item.reserved,
        "control_attributes": item.control_attributes if secrets else MASK,
        "on_maintenance": item.on_maintenance,
    }


def notification(item: Notification, *, secrets: bool) -> dict[str, Any]:
    """Return a notification.

    :param secrets: show the values of its payload, which are what a monitor
        made of them.
    """
    payload = item.payload if secrets else dict.fromkeys(item.payload, MASK)
    return {
        **_common(item),
        "notification_uuid": item.uuid,
        "generated_time": time_text(item.generated_time),
        "source_host_uuid": item.source_host_uuid,
        "type": str(item.type),
        "payload": payload,
        "status": str(item.status),
        "failover_segment_uuid": item.segment_uuid,
        "message": item.message,
    }


def workflow_details(tasks: Sequence[TaskProgress]) -> list[dict[str, Any]]:
    """Return what the tasks of a notification's attempts reported."""
    return [
        {
            "name": task.name,
            "progress": task.progress,
            "state": task.state,
            "progress_details": [
                {
                    "timestamp": detail.timestamp,
                    "progress": str(detail.progress),
                    "message": detail.message,
                }
                for detail in task.details
            ],
        }
        for task in tasks
    ]


def vmove(item: VMove) -> dict[str, Any]:
    """Return the move of an instance."""
    return {
        **_common(item),
        "uuid": item.uuid,
        "notification_uuid": item.notification_uuid,
        "instance_uuid": item.instance_uuid,
        "instance_name": item.instance_name,
        "source_host": item.source_host,
        "dest_host": item.dest_host,
        "start_time": time_text(item.start_time),
        "end_time": time_text(item.end_time),
        "type": str(item.type),
        "status": str(item.status),
        "message": item.message,
    }
