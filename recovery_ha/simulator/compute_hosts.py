"""What Nova tells of its hosts: services, hypervisors, migrations, zones."""

import itertools
import uuid
from typing import Any

from recovery_ha.simulator import compute_views as views
from recovery_ha.simulator.compute_service import (
    ROUTES,
    page,
    read_time,
    stamp,
    truth,
)
from recovery_ha.simulator.errors import BadRequest, NotFound
from recovery_ha.simulator.records import Compute, Migration, now, stable_uuid
from recovery_ha.simulator.routing import Answer, Context

CONTROLLER_BINARIES = ("nova-scheduler", "nova-conductor")
SERVICE_FIELDS = frozenset({"status", "disabled_reason", "forced_down"})
EQUAL = ("status", "migration_type", "source_compute")
MIGRATION_FILTERS = frozenset(
    {
        *EQUAL,
        "host",
        "instance_uuid",
        "limit",
        "marker",
        "changes-since",
        "changes-before",
        "hidden",
        "user_id",
        "project_id",
    }
)


@ROUTES.add("GET", "/os-services", admin=True)
def list_services(context: Context) -> Answer:
    """List the services, perhaps of one host or binary."""
    host = context.args.get("host") or None
    binary = context.args.get("binary") or None
    shown = [
        one
        for one in _controllers(context)
        if host in {None, one["host"]} and binary in {None, one["binary"]}
    ]
    if binary in {None, "nova-compute"}:
        shown += [
            views.service(context, compute)
            for compute in context.world.computes
            if host in {None, compute.host}
        ]
    return 200, {"services": shown}


def _controllers(context: Context) -> list[dict[str, Any]]:
    """Return the services of the controllers, which never fail here."""
    shown: list[dict[str, Any]] = []
    hosts = ["controller"] + [
        f"controller-{number}"
        for number in range(2, context.world.settings.controllers + 1)
    ]
    services = itertools.product(hosts, CONTROLLER_BINARIES)
    for number, (host, binary) in enumerate(services, start=10001):
        names = (binary,) if host == hosts[0] else (binary, host)
        service = {
            "binary": binary,
            "host": host,
            "id": stable_uuid("service", *names)
            if context.has(53)
            else number,
            "zone": "internal",
            "status": "enabled",
            "state": "up",
            "updated_at": stamp(now()),
            "disabled_reason": None,
        }
        if context.has(11):
            service["forced_down"] = False
        shown.append(service)
    return shown


@ROUTES.add("PUT", "/os-services/<service_id>", admin=True)
def update_service(context: Context) -> Answer:
    """Enable, disable or force down a compute service."""
    compute = _service(context, context.params["service_id"])
    body = context.body
    if not isinstance(body, dict):
        raise BadRequest("Malformed request body")
    for key in body:
        if key not in SERVICE_FIELDS:
            raise BadRequest(
                "Additional properties are not allowed "
                f"({key!r} was unexpected)"
            )
    if "status" not in body and "forced_down" not in body:
        raise BadRequest(
            "No updates were requested. Fields 'status' or 'forced_down' "
            "should be specified."
        )
    _check_status(body)
    if "forced_down" in body:
        _force_down(context, compute, down=truth(str(body["forced_down"])))
    if "status" in body:
        compute.disabled = body["status"] == "disabled"
        compute.disabled_reason = body.get("disabled_reason")
    compute.changed = now()
    return 200, {"service": views.service(context, compute)}


def _service(context: Context, service_id: str) -> Compute:
    if not context.has(53):
        raise NotFound("The resource could not be found.")
    try:
        uuid.UUID(service_id)
    except ValueError as error:
        raise BadRequest(f"Invalid uuid {service_id}") from error
    for compute in context.world.computes:
        if compute.service_uuid == service_id:
            return compute
    raise NotFound(f"Service {service_id} could not be found.")


def _check_status(body: dict[str, Any]) -> None:
    status = body.get("status")
    if status not in {None, "enabled", "disabled"}:
        raise BadRequest(
            f"Invalid input for field/attribute status. Value: {status}. "
            f"{status!r} is not one of ['enabled', 'disabled']"
        )
    if status != "disabled" and "disabled_reason" in body:
        raise BadRequest(
            f"Specifying 'disabled_reason' with status '{status}' is invalid."
        )


def _force_down(context: Context, compute: Compute, *, down: bool) -> None:
    if not down:
        migrations = context.world.migrations.of_source(compute.host)
        if any(migration.status == "done" for migration in migrations):
            raise BadRequest(
                f"Unable to force up host {compute.host} as `done` "
                "evacuation migration records remain associated with the "
                "host. Ensure the compute service has been restarted, "
                "allowing these records to move to `completed` before "
                "retrying this request."
            )
    compute.forced_down = down


@ROUTES.add("GET", "/os-hypervisors", admin=True)
def list_hypervisors(context: Context) -> Answer:
    """List the hypervisors in short."""
    return _hypervisors(context, detail=False)


@ROUTES.add("GET", "/os-hypervisors/detail", admin=True)
def list_hypervisors_detail(context: Context) -> Answer:
    """List the hypervisors with everything."""
    return _hypervisors(context, detail=True)


def _hypervisors(context: Context, *, detail: bool) -> Answer:
    pattern = context.args.get("hypervisor_hostname_pattern", "")
    computes = [
        compute
        for compute in context.world.computes
        if pattern in compute.hypervisor_hostname
    ]
    if pattern and not computes:
        raise NotFound(f"No hypervisor matching '{pattern}' could be found.")
    links: list[dict[str, str]] = []
    if context.has(33):
        computes, links = page(
            context,
            computes,
            lambda one: one.uuid,
            "marker [{marker}] not found",
        )
    body: dict[str, Any] = {
        "hypervisors": [
            _hypervisor(context, compute, detail=detail)
            for compute in computes
        ]
    }
    if links:
        body["hypervisors_links"] = links
    return 200, body


def _hypervisor(
    context: Context, compute: Compute, *, detail: bool
) -> dict[str, Any]:
    shown = views.hypervisor(context, compute, detail=detail)
    if truth(context.args.get("with_servers")) and context.has(53):
        servers = [
            {"name": f"instance-{one.number:08x}", "uuid": one.uuid}
            for one in context.world.servers.values()
            if one.host == compute.host
        ]
        # Until 2.75 Nova left the key out of an empty hypervisor.
        if servers or context.has(75):
            shown["servers"] = servers
    return shown


@ROUTES.add("GET", "/os-hypervisors/<hypervisor_id>", admin=True)
def show_hypervisor(context: Context) -> Answer:
    """Show a hypervisor."""
    wanted = context.params["hypervisor_id"]
    for compute in context.world.computes:
        if wanted == (
            compute.uuid if context.has(53) else str(compute.number)
        ):
            shown = _hypervisor(context, compute, detail=True)
            return 200, {"hypervisor": shown}
    raise NotFound(f"Hypervisor with ID '{wanted}' could not be found.")


@ROUTES.add("GET", "/os-migrations", admin=True)
def list_migrations(context: Context) -> Answer:
    """List the migration records, in pages from 2.59 on."""
    if context.has(59):
        for name in context.args:
            if name not in MIGRATION_FILTERS:
                raise BadRequest(
                    "Additional properties are not allowed "
                    f"({name!r} was unexpected)"
                )
    found = [one for one in context.world.migrations if _wanted(context, one)]
    links: list[dict[str, str]] = []
    if context.has(59):
        found, links = page(
            context,
            found[::-1],
            lambda one: one.uuid,
            "Marker {marker} could not be found.",
        )
    body: dict[str, Any] = {
        "migrations": [views.migration(context, one) for one in found]
    }
    if links:
        body["migrations_links"] = links
    return 200, body


def _wanted(context: Context, migration: Migration) -> bool:
    args = context.args
    since = read_time(context, "changes-since")
    before = read_time(context, "changes-before")
    last = migration.updated_at or migration.created_at
    server = migration.server
    return (
        all(
            args.get(name) in {None, getattr(migration, name)}
            for name in EQUAL
        )
        and args.get("instance_uuid") in {None, server.uuid}
        and args.get("project_id") in {None, server.project_id}
        and args.get("user_id") in {None, server.user_id}
        and args.get("host")
        in {None, migration.source_compute, migration.dest_compute}
        and (since is None or last >= since)
        and (before is None or last <= before)
    )


@ROUTES.add("GET", "/os-availability-zone")
def list_zones(context: Context) -> Answer:
    """List the availability zones."""
    return _zones(context, detail=False)


@ROUTES.add("GET", "/os-availability-zone/detail", admin=True)
def list_zones_detail(context: Context) -> Answer:
    """List the availability zones with their hosts."""
    return _zones(context, detail=True)


def _zones(context: Context, *, detail: bool) -> Answer:
    hosts: dict[str, dict[str, Any]] = {}
    for compute in context.world.computes:
        service = views.service(context, compute)
        state = {
            "available": service["state"] == "up",
            "active": service["status"] == "enabled",
            "updated_at": service["updated_at"],
        }
        zone = hosts.setdefault(compute.zone, {})
        zone[compute.host] = {"nova-compute": state}
    shown = [
        {
            "zoneName": zone,
            "zoneState": {"available": True},
            "hosts": members if detail else None,
        }
        for zone, members in hosts.items()
    ]
    return 200, {"availabilityZoneInfo": shown}
