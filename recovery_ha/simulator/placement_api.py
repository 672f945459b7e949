"""Placement: the hosts as resource providers, and who uses what of them."""

import uuid
from typing import Any

from werkzeug.wrappers import Request

from recovery_ha.simulator.errors import (
    BadRequest,
    NotAcceptable,
    NotFound,
)
from recovery_ha.simulator.placement import (
    CPU_RATIO,
    RESERVED_MEMORY_MB,
    capacity,
)
from recovery_ha.simulator.records import Compute
from recovery_ha.simulator.routing import (
    Answer,
    Context,
    Routes,
    Service,
    Version,
    parse_version,
    requested_version,
)

ROUTES = Routes()
LOWEST = (1, 0)
HIGHEST = (1, 39)
TITLES = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    406: "Not Acceptable",
    409: "Conflict",
}
FILTERS = frozenset(
    {"name", "uuid", "in_tree", "resources", "member_of", "required"}
)
TRAITS = ("COMPUTE_NODE", "OWNER_NOVA")


def _negotiate(request: Request) -> Version:
    text = requested_version(request, "placement")
    version = parse_version(text, LOWEST, HIGHEST)
    if not LOWEST <= version <= HIGHEST:
        raise NotAcceptable(
            f"Invalid microversion: Unacceptable version header: {text}"
        )
    return version


def _headers(version: Version) -> dict[str, str]:
    return {
        "openstack-api-version": f"placement {version[0]}.{version[1]}",
        "vary": "openstack-api-version",
    }


def _error(status: int, message: str) -> dict[str, Any]:
    return {
        "errors": [
            {
                "status": status,
                "title": TITLES.get(status, "Error"),
                "detail": message,
                "code": "placement.undefined_code",
                "request_id": f"req-{uuid.uuid4()}",
            }
        ]
    }


SERVICE = Service(
    "placement", "/placement", "", ROUTES, _negotiate, _headers, _error
)


@ROUTES.add("GET", "/", public=True)
def version(context: Context) -> Answer:
    """Describe the only version."""
    del context
    found = {
        "id": "v1.0",
        "min_version": f"{LOWEST[0]}.{LOWEST[1]}",
        "max_version": f"{HIGHEST[0]}.{HIGHEST[1]}",
        "status": "CURRENT",
        "links": [{"rel": "self", "href": ""}],
    }
    return 200, {"versions": [found]}


@ROUTES.add("GET", "/resource_providers", admin=True)
def list_providers(context: Context) -> Answer:
    """List the hosts, perhaps only those with room."""
    args = context.args
    for name in args:
        if name not in FILTERS:
            raise BadRequest(f"Invalid query string parameters: {name}")
    needed = _resources(args.get("resources", ""))
    shown = [
        _provider(context, compute)
        for compute in context.world.computes
        if args.get("name") in {None, compute.hypervisor_hostname}
        and args.get("uuid") in {None, compute.uuid}
        and args.get("in_tree") in {None, compute.uuid}
        and context.world.allocations.fits(compute, needed)
    ]
    return 200, {"resource_providers": shown}


def _resources(text: str) -> dict[str, int]:
    """Return the amounts in a text like VCPU:1,MEMORY_MB:64."""
    found = {}
    for part in filter(None, text.split(",")):
        name, _, amount = part.partition(":")
        if not amount.isdigit():
            raise BadRequest(f"Invalid resources: {text}")
        found[name] = int(amount)
    return found


def _provider(context: Context, compute: Compute) -> dict[str, Any]:
    path = f"/resource_providers/{compute.uuid}"
    kinds = ["inventories", "usages", "aggregates", "traits", "allocations"]
    links = [{"rel": "self", "href": path}]
    links += [{"rel": kind, "href": f"{path}/{kind}"} for kind in kinds]
    shown: dict[str, Any] = {
        "uuid": compute.uuid,
        "name": compute.hypervisor_hostname,
        "generation": compute.generation,
        "links": links,
    }
    if context.has(14):
        shown["parent_provider_uuid"] = None
        shown["root_provider_uuid"] = compute.uuid
    return shown


def _compute(context: Context) -> Compute:
    wanted = context.params["provider_id"]
    for compute in context.world.computes:
        if compute.uuid == wanted:
            return compute
    raise NotFound(f"No resource provider with uuid {wanted} found")


@ROUTES.add("GET", "/resource_providers/<provider_id>", admin=True)
def show_provider(context: Context) -> Answer:
    """Show a host."""
    return 200, _provider(context, _compute(context))


@ROUTES.add("GET", "/resource_providers/<provider_id>/inventories", admin=True)
def show_inventories(context: Context) -> Answer:
    """Show what a host offers."""
    compute = _compute(context)
    inventories = {
        name: {
            "total": total,
            "reserved": RESERVED_MEMORY_MB if name == "MEMORY_MB" else 0,
            "min_unit": 1,
            "max_unit": total,
            "step_size": 1,
            "allocation_ratio": CPU_RATIO if name == "VCPU" else 1.0,
        }
        for name, total in compute.inventory.items()
    }
    return _of(compute, "inventories", inventories)


@ROUTES.add("GET", "/resource_providers/<provider_id>/usages", admin=True)
def show_usages(context: Context) -> Answer:
    """Show what is used of a host."""
    compute = _compute(context)
    used = context.world.allocations.used(compute.host)
    return _of(compute, "usages", used)


@ROUTES.add("GET", "/resource_providers/<provider_id>/allocations", admin=True)
def show_provider_allocations(context: Context) -> Answer:
    """Show who uses a host."""
    compute = _compute(context)
    taken = context.world.allocations.on(compute.host)
    allocations = {
        consumer: {"resources": resources}
        for consumer, resources in taken.items()
    }
    return _of(compute, "allocations", allocations)


@ROUTES.add("GET", "/resource_providers/<provider_id>/aggregates", admin=True)
def show_aggregates(context: Context) -> Answer:
    """Show the aggregates that a host is in."""
    compute = _compute(context)
    found = [
        aggregate.uuid
        for aggregate in context.world.aggregates.values()
        if compute.host in aggregate.hosts
    ]
    return _of(compute, "aggregates", found)


@ROUTES.add("GET", "/resource_providers/<provider_id>/traits", admin=True)
def show_traits(context: Context) -> Answer:
    """Show the traits of a host, which are those of all."""
    compute = _compute(context)
    traits = list(TRAITS)
    if compute.disabled:
        traits.append("COMPUTE_STATUS_DISABLED")
    return _of(compute, "traits", traits)


def _of(compute: Compute, key: str, value: Any) -> Answer:
    return 200, {
        key: value,
        "resource_provider_generation": compute.generation,
    }


@ROUTES.add("GET", "/allocations/<consumer>", admin=True)
def show_allocations(context: Context) -> Answer:
    """Show what a server uses, and where."""
    world, consumer = context.world, context.params["consumer"]
    taken = world.allocations.of(consumer)
    allocations = {}
    for host, resources in taken.items():
        compute = world.computes.find(host)
        if compute is not None:
            allocations[compute.uuid] = {
                "resources": resources,
                "generation": compute.generation,
            }
    body: dict[str, Any] = {"allocations": allocations}
    server = world.servers.get(consumer)
    if allocations and server is not None and context.has(12):
        body["project_id"] = server.project_id
        body["user_id"] = server.user_id
        if context.has(28):
            body["consumer_generation"] = 1
        if context.has(38):
            body["consumer_type"] = "unknown"
    return 200, body


@ROUTES.add("DELETE", "/allocations/<consumer>", admin=True)
def delete_allocations(context: Context) -> Answer:
    """Take everything back from a server."""
    allocations = context.world.allocations
    consumer = context.params["consumer"]
    if not allocations.of(consumer):
        raise NotFound(f"No allocations for consumer '{consumer}'")
    allocations.release_all(consumer)
    return 204, None


@ROUTES.add("GET", "/allocation_candidates", admin=True)
def list_candidates(context: Context) -> Answer:
    """List the hosts that have room for the resources asked for."""
    if not context.has(10):
        raise NotFound("The resource could not be found.")
    needed = _resources(context.args.get("resources", ""))
    if not needed:
        raise BadRequest("'resources' is a required property")
    limit = context.args.get("limit", "")
    able = [
        compute
        for compute in context.world.computes
        if context.world.allocations.fits(compute, needed)
    ][: int(limit) if limit.isdigit() else None]
    requests = [
        {
            "allocations": {compute.uuid: {"resources": needed}},
            "mappings": {"": [compute.uuid]},
        }
        for compute in able
    ]
    summaries = {
        compute.uuid: {
            "resources": {
                name: {"capacity": capacity(compute, name), "used": used}
                for name, used in context.world.allocations.used(
                    compute.host
                ).items()
            },
            "traits": list(TRAITS),
            "parent_provider_uuid": None,
            "root_provider_uuid": compute.uuid,
        }
        for compute in able
    }
    return 200, {
        "allocation_requests": requests,
        "provider_summaries": summaries,
    }
