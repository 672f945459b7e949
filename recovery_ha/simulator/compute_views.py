"""How Nova shows things, by microversion."""

import hashlib
from typing import Any

from recovery_ha.simulator.compute_service import href_of, stamp, stamp_z
from recovery_ha.simulator.moves import IN_PROGRESS
from recovery_ha.simulator.records import (
    Aggregate,
    Compute,
    Flavor,
    Migration,
    Server,
    ServerGroup,
)
from recovery_ha.simulator.routing import Context

WITH_FAULT = ("ERROR", "DELETED")
RUNNING_PROGRESS = ("ACTIVE", "BUILD", "REBUILD", "RESIZE", "MIGRATING")


def links(context: Context, path: str) -> list[dict[str, str]]:
    """Return the links of a thing."""
    return [
        {"rel": "self", "href": href_of(context, path)},
        {"rel": "bookmark", "href": f"{context.root_url}/compute{path}"},
    ]


def server_brief(context: Context, server: Server) -> dict[str, Any]:
    """Return a server as the short list shows it."""
    return {
        "id": server.uuid,
        "name": server.name,
        "links": links(context, f"/servers/{server.uuid}"),
    }


def server(context: Context, server: Server) -> dict[str, Any]:
    """Return a server as its owner or, with more in it, an admin sees it."""
    status = server.status
    shown = {
        **server_brief(context, server),
        "accessIPv4": "",
        "accessIPv6": "",
        "addresses": {},
        "created": stamp_z(server.created),
        "updated": stamp_z(server.updated),
        "flavor": _embedded_flavor(context, server.flavor),
        "hostId": _host_id(server),
        "image": _image(context, server),
        "metadata": server.metadata,
        "status": status,
        "tenant_id": server.project_id,
        "user_id": server.user_id,
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": _zone(context, server),
        "OS-EXT-STS:task_state": server.task_state,
        "OS-EXT-STS:vm_state": server.vm_state,
        "OS-EXT-STS:power_state": server.power_state,
        "OS-SRV-USG:launched_at": stamp(server.launched),
        "OS-SRV-USG:terminated_at": None,
        "config_drive": "",
        "key_name": None,
        "os-extended-volumes:volumes_attached": [],
    }
    if status in RUNNING_PROGRESS:
        shown["progress"] = 0
    if status in WITH_FAULT and server.fault:
        shown["fault"] = {
            **server.fault,
            "created": stamp_z(server.fault["created"]),
        }
    _add_by_version(context, server, shown)
    if context.caller.admin:
        _add_for_admin(context, server, shown)
    return shown


def _add_by_version(
    context: Context, server: Server, shown: dict[str, Any]
) -> None:
    since: dict[int, dict[str, Any]] = {
        9: {"locked": server.locked},
        19: {"description": server.description},
        26: {"tags": []},
        63: {"trusted_image_certificates": None},
        73: {"locked_reason": server.locked_reason},
        96: {"pinned_availability_zone": None},
    }
    if context.path != "/servers/detail":
        group = [server.group] if server.group else []
        since[71] = {"server_groups": group}
    for minor, fields in since.items():
        if context.has(minor):
            shown.update(fields)


def _add_for_admin(
    context: Context, server: Server, shown: dict[str, Any]
) -> None:
    compute = context.world.computes.find(server.host)
    attributes: dict[str, Any] = {
        "host": server.host,
        "instance_name": f"instance-{server.number:08x}",
        "hypervisor_hostname": compute and compute.hypervisor_hostname,
    }
    if context.has(3):
        attributes |= {
            "hostname": server.name,
            "kernel_id": "",
            "launch_index": 0,
            "ramdisk_id": "",
            "reservation_id": f"r-{server.uuid[:8]}",
            "root_device_name": "/dev/sda",
            "user_data": None,
        }
    shown.update(
        {f"OS-EXT-SRV-ATTR:{key}": attributes[key] for key in attributes}
    )
    if context.has(16):
        shown["host_status"] = _host_status(context, compute)


def _host_status(context: Context, compute: Compute | None) -> str:
    if compute is None:
        return ""
    if compute.forced_down:
        return "DOWN"
    if compute.disabled:
        return "MAINTENANCE"
    return "UP" if context.world.computes.up(compute) else "UNKNOWN"


def _host_id(server: Server) -> str:
    if server.host is None:
        return ""
    return hashlib.sha224(
        (server.project_id + server.host).encode()
    ).hexdigest()


def _zone(context: Context, server: Server) -> str:
    compute = context.world.computes.find(server.host)
    return compute.zone if compute is not None else ""


def _image(context: Context, server: Server) -> Any:
    if server.image_id is None:
        return ""
    href = f"{context.root_url}/compute/images/{server.image_id}"
    return {
        "id": server.image_id,
        "links": [{"rel": "bookmark", "href": href}],
    }


def _embedded_flavor(context: Context, flavor: Flavor) -> dict[str, Any]:
    if not context.has(47):
        bookmark = links(context, f"/flavors/{flavor.id}")[1:]
        return {"id": flavor.id, "links": bookmark}
    return {
        "vcpus": flavor.vcpus,
        "ram": flavor.ram,
        "disk": flavor.disk,
        "ephemeral": 0,
        "swap": 0,
        "original_name": flavor.name,
        "extra_specs": flavor.extra_specs,
    }


def flavor(context: Context, flavor: Flavor) -> dict[str, Any]:
    """Return a flavor."""
    shown: dict[str, Any] = {
        "id": flavor.id,
        "name": flavor.name,
        "vcpus": flavor.vcpus,
        "ram": flavor.ram,
        "disk": flavor.disk,
        "swap": 0 if context.has(75) else "",
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": True,
        "rxtx_factor": 1.0,
        "links": links(context, f"/flavors/{flavor.id}"),
    }
    if context.has(55):
        shown["description"] = None
    if context.has(61):
        shown["extra_specs"] = flavor.extra_specs
    return shown


def service(context: Context, compute: Compute) -> dict[str, Any]:
    """Return the compute service of a host."""
    computes = context.world.computes
    uuids = context.has(53)
    shown: dict[str, Any] = {
        "binary": "nova-compute",
        "host": compute.host,
        "id": compute.service_uuid if uuids else compute.number,
        "zone": compute.zone,
        "status": "disabled" if compute.disabled else "enabled",
        "state": "up" if computes.up(compute) else "down",
        "updated_at": stamp(computes.updated_at(compute)),
        "disabled_reason": compute.disabled_reason,
    }
    if context.has(11):
        shown["forced_down"] = compute.forced_down
    return shown


def hypervisor(
    context: Context, compute: Compute, *, detail: bool
) -> dict[str, Any]:
    """Return a hypervisor; with its load below 2.88 and in details."""
    shown: dict[str, Any] = {
        "id": compute.uuid if context.has(53) else compute.number,
        "hypervisor_hostname": compute.hypervisor_hostname,
        "state": "up" if context.world.computes.up(compute) else "down",
        "status": "disabled" if compute.disabled else "enabled",
    }
    if detail:
        shown |= {
            "hypervisor_type": "fake",
            "hypervisor_version": 1000,
            "host_ip": "192.0.2.2",
            "service": {
                "id": compute.service_uuid
                if context.has(53)
                else compute.number,
                "host": compute.host,
                "disabled_reason": compute.disabled_reason,
            },
        }
        if context.has(88):
            shown["uptime"] = None
        else:
            shown |= _load(context, compute)
    return shown


def _load(context: Context, compute: Compute) -> dict[str, Any]:
    used = context.world.allocations.used(compute.host)
    total = compute.inventory
    # A host without disks of its own offers none in Placement.
    disk, disk_used = total.get("DISK_GB", 0), used.get("DISK_GB", 0)
    servers = context.world.servers.values()
    return {
        "vcpus": total["VCPU"],
        "vcpus_used": used["VCPU"],
        "memory_mb": total["MEMORY_MB"],
        "memory_mb_used": used["MEMORY_MB"],
        "free_ram_mb": total["MEMORY_MB"] - used["MEMORY_MB"],
        "local_gb": disk,
        "local_gb_used": disk_used,
        "free_disk_gb": disk - disk_used,
        "disk_available_least": disk - disk_used,
        "current_workload": 0,
        "running_vms": sum(one.host == compute.host for one in servers),
        "cpu_info": {} if context.has(28) else "{}",
    }


def migration(context: Context, migration: Migration) -> dict[str, Any]:
    """Return a migration record."""
    flavor_number = int(migration.server.flavor.id)
    shown: dict[str, Any] = {
        "id": migration.id,
        "source_compute": migration.source_compute,
        "source_node": migration.source_node,
        "dest_compute": migration.dest_compute,
        "dest_node": migration.dest_node,
        "dest_host": None,
        "instance_uuid": migration.server.uuid,
        "status": migration.status,
        "old_instance_type_id": flavor_number,
        "new_instance_type_id": flavor_number,
        "created_at": stamp(migration.created_at),
        "updated_at": stamp(migration.updated_at),
    }
    if context.has(23):
        shown["migration_type"] = migration.migration_type
        if (
            migration.migration_type == "live-migration"
            and migration.status in IN_PROGRESS
        ):
            uuid = migration.server.uuid
            path = f"/servers/{uuid}/migrations/{migration.id}"
            shown["links"] = links(context, path)
    if context.has(59):
        shown["uuid"] = migration.uuid
    if context.has(80):
        shown["user_id"] = migration.server.user_id
        shown["project_id"] = migration.server.project_id
    return shown


def aggregate(context: Context, aggregate: Aggregate) -> dict[str, Any]:
    """Return a host aggregate."""
    shown = {
        "id": aggregate.id,
        "name": aggregate.name,
        "hosts": aggregate.hosts,
        "metadata": aggregate.metadata,
        "availability_zone": aggregate.availability_zone,
        "created_at": stamp(aggregate.created_at),
        "updated_at": stamp(aggregate.updated_at),
        "deleted_at": None,
        "deleted": False,
    }
    if context.has(41):
        shown["uuid"] = aggregate.uuid
    return shown


def server_group(context: Context, group: ServerGroup) -> dict[str, Any]:
    """Return a server group."""
    shown: dict[str, Any] = {
        "id": group.uuid,
        "name": group.name,
        "members": [
            one.uuid
            for one in context.world.servers.values()
            if one.group == group.uuid
        ],
    }
    if context.has(13):
        shown["project_id"] = group.project_id
        shown["user_id"] = group.user_id
    if context.has(64):
        return shown | {"policy": group.policy, "rules": group.rules}
    return shown | {"policies": [group.policy], "metadata": {}}
