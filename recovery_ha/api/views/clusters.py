"""Clusters, steps and events in Sahara's form (reference, section 1)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from recovery_ha.api.views.times import shown
from recovery_ha.domain.history import Cluster, Event, NodeGroup, Step
from recovery_ha.domain.provisioning import sentence

#: Sahara's further fields, which this service only keeps, with what they are
#: when nobody has set them.
KEPT: dict[str, Any] = {
    "anti_affinity": [],
    "cluster_configs": {},
    "cluster_template_id": None,
    "default_image_id": None,
    "domain_name": None,
    "is_protected": False,
    "is_public": False,
    "is_transient": False,
    "neutron_management_network": None,
    "provisioning_steps": {},
    "shares": None,
    "use_autoconfig": True,
    "user_keypair_id": None,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a cluster is shown, and how.

    :ivar events: the steps' events, too.
    :ivar epoch: times in seconds.
    :ivar traces: where failures come from; for administrators.
    """

    events: bool = False
    epoch: bool = False
    traces: bool = False


def cluster(
    item: Cluster, steps: Iterable[Step], wanted: Wanted
) -> dict[str, Any]:
    """Return a cluster with its steps."""
    told = [
        step(one, wanted)
        for one in sorted(steps, key=lambda one: (one.created_at, one.id))
    ]
    return {
        **KEPT,
        **{key: item.extra[key] for key in KEPT if key in item.extra},
        "id": item.uuid,
        "name": item.name,
        "description": item.description,
        "tenant_id": item.project_id,
        "project_id": item.project_id,
        "plugin_name": item.plugin_name,
        "plugin_version": item.plugin_version,
        "hadoop_version": item.plugin_version,
        "status": item.status,
        "status_description": item.status_description or "",
        "info": {},
        "node_groups": [_node_group(group) for group in item.node_groups],
        "created_at": shown(item.created_at, epoch=wanted.epoch),
        "updated_at": shown(item.updated_at, epoch=wanted.epoch),
        "provisioning_progress": told,
        "provision_progress": told,
    }


def _node_group(group: NodeGroup) -> dict[str, Any]:
    return {
        "id": group.uuid,
        "name": group.name,
        "count": group.count,
        "flavor_id": group.flavor_id,
        "node_processes": list(group.node_processes),
        "instances": [
            {
                "instance_id": one.instance_id,
                "instance_name": one.instance_name,
                "internal_ip": one.internal_ip,
                "management_ip": one.management_ip,
            }
            for one in group.instances
        ],
    }


def step(item: Step, wanted: Wanted) -> dict[str, Any]:
    """Return a step, with its events if they are wanted."""
    found: dict[str, Any] = {
        "id": str(item.id),
        "cluster_id": item.cluster_id,
        "tenant_id": item.project_id,
        "project_id": item.project_id,
        "step_name": item.step_name,
        "step_type": item.step_type,
        "completed": item.completed,
        "failed": item.failed,
        "total": item.total,
        "successful": item.successful,
        "progress": item.progress,
        "started_at": shown(item.started_at, epoch=wanted.epoch),
        "completed_at": shown(item.completed_at, epoch=wanted.epoch),
        "duration": item.duration,
        "info": sentence(item),
        "created_at": shown(item.created_at, epoch=wanted.epoch),
        "updated_at": shown(item.updated_at, epoch=wanted.epoch),
    }
    if wanted.events:
        found["events"] = [event(one, item, wanted) for one in item.events]
    return found


def event(item: Event, of: Step, wanted: Wanted) -> dict[str, Any]:
    """Return an event.

    :param of: its step.
    """
    info = item.text
    if wanted.traces and item.traceback:
        info = "\n".join(filter(None, [info, item.traceback]))
    created_at = shown(item.created_at, epoch=wanted.epoch)
    return {
        "id": str(item.id),
        "cluster_id": of.cluster_id,
        "step_id": str(of.id),
        "provision_step_id": str(of.id),
        "provisioning_step_id": str(of.id),
        "node_group_id": item.node_group_id,
        "instance_id": item.instance_id,
        "instance_name": item.instance_name,
        "successful": item.successful,
        "event_info": info,
        "error_id": item.error_id,
        "created_at": created_at,
        # An event never changes.
        "updated_at": created_at,
    }
