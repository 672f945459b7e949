"""Nova's host aggregates, server groups and flavors."""

import itertools
import uuid
from typing import Any

from recovery_ha.simulator import compute_views as views
from recovery_ha.simulator.compute_service import ROUTES
from recovery_ha.simulator.errors import BadRequest, Conflict, NotFound
from recovery_ha.simulator.records import Aggregate, ServerGroup, now
from recovery_ha.simulator.routing import Answer, Context

POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")


@ROUTES.add("GET", "/os-aggregates", admin=True)
def list_aggregates(context: Context) -> Answer:
    """List the host aggregates."""
    return 200, {
        "aggregates": [
            views.aggregate(context, one)
            for one in context.world.aggregates.values()
        ]
    }


@ROUTES.add("POST", "/os-aggregates", admin=True)
def create_aggregate(context: Context) -> Answer:
    """Create an empty aggregate."""
    body, aggregates = context.object("aggregate"), context.world.aggregates
    name = str(body.get("name") or "")
    if not name:
        raise BadRequest(
            "Invalid input for field/attribute aggregate. Value: "
            f"{body}. 'name' is a required property"
        )
    if any(one.name == name for one in aggregates.values()):
        raise Conflict(f"Aggregate {name} already exists.")
    number = next(n for n in itertools.count(1) if n not in aggregates)
    aggregate = Aggregate(number, name)
    aggregates[number] = aggregate
    _set_zone(aggregate, body.get("availability_zone"))
    shown = views.aggregate(context, aggregate)
    # Nova leaves these two out of this one answer.
    del shown["hosts"], shown["metadata"]
    return 200, {"aggregate": shown}


def _set_zone(aggregate: Aggregate, zone: str | None) -> None:
    aggregate.availability_zone = zone
    if zone:
        aggregate.metadata["availability_zone"] = zone


def _aggregate(context: Context) -> Aggregate:
    number = context.params["number"]
    found = context.world.aggregates.get(number)
    if found is None:
        raise NotFound(f"Aggregate {number} could not be found.")
    return found


@ROUTES.add("GET", "/os-aggregates/<int:number>", admin=True)
def show_aggregate(context: Context) -> Answer:
    """Show an aggregate."""
    shown = views.aggregate(context, _aggregate(context))
    return 200, {"aggregate": shown}


@ROUTES.add("PUT", "/os-aggregates/<int:number>", admin=True)
def update_aggregate(context: Context) -> Answer:
    """Rename an aggregate or move it to another zone."""
    aggregate, body = _aggregate(context), context.object("aggregate")
    if "name" in body:
        aggregate.name = str(body["name"])
    if "availability_zone" in body:
        _set_zone(aggregate, body["availability_zone"])
    aggregate.updated_at = now()
    return 200, {"aggregate": views.aggregate(context, aggregate)}


@ROUTES.add("DELETE", "/os-aggregates/<int:number>", admin=True)
def delete_aggregate(context: Context) -> Answer:
    """Delete an aggregate without hosts."""
    aggregate = _aggregate(context)
    if aggregate.hosts:
        raise BadRequest(
            f"Cannot remove host from aggregate {aggregate.id}. Reason: "
            "Host aggregate is not empty."
        )
    del context.world.aggregates[aggregate.id]
    return 200, None


@ROUTES.add("POST", "/os-aggregates/<int:number>/action", admin=True)
def act_on_aggregate(context: Context) -> Answer:
    """Add or remove a host, or set metadata."""
    if not isinstance(context.body, dict) or len(context.body) != 1:
        raise BadRequest("Malformed request body")
    name = next(iter(context.body))
    given = context.object(name)
    if name == "remove_host":
        aggregate = _remove_host(context, str(given.get("host")))
        return 200, {"aggregate": views.aggregate(context, aggregate)}
    aggregate = _aggregate(context)
    if name == "add_host":
        _add_host(context, aggregate, str(given.get("host")))
    elif name == "set_metadata":
        for key, value in (given.get("metadata") or {}).items():
            if value is None:
                aggregate.metadata.pop(key, None)
            else:
                aggregate.metadata[key] = value
        aggregate.updated_at = now()
    else:
        raise BadRequest(f"There is no such action: {name}")
    return 200, {"aggregate": views.aggregate(context, aggregate)}


def _add_host(context: Context, aggregate: Aggregate, host: str) -> None:
    if context.world.computes.find(host) is None:
        raise NotFound(f"Compute host {host} could not be found.")
    if host in aggregate.hosts:
        raise Conflict(f"Aggregate {aggregate.id} already has host {host}.")
    zone = aggregate.availability_zone
    others = _other_zones(context, aggregate, host)
    if zone:
        refused = f"Cannot add host to aggregate {aggregate.id}. Reason: "
        if others - {zone}:
            raise Conflict(
                f"{refused}One or more hosts already in availability zone(s) "
                f"{sorted(others - {zone})}."
            )
        if not others:
            _require_empty(context, host, refused)
    aggregate.hosts.append(host)
    aggregate.updated_at = now()


def _remove_host(context: Context, host: str) -> Aggregate:
    number = context.params["number"]
    aggregate = context.world.aggregates.get(number)
    # Nova says the same of an aggregate that is not there.
    if aggregate is None or host not in aggregate.hosts:
        raise NotFound(f"Cannot remove host {host} in aggregate {number}")
    zone = aggregate.availability_zone
    if zone and not _other_zones(context, aggregate, host):
        refused = f"Cannot remove host from aggregate {number}. Reason: "
        _require_empty(context, host, refused)
    aggregate.hosts.remove(host)
    aggregate.updated_at = now()
    return aggregate


def _other_zones(
    context: Context, aggregate: Aggregate, host: str
) -> set[str]:
    """Return the zones that a host has from its other aggregates."""
    return {
        one.availability_zone
        for one in context.world.aggregates.values()
        if one is not aggregate and one.availability_zone and host in one.hosts
    }


def _require_empty(context: Context, host: str, refused: str) -> None:
    servers = sum(one.host == host for one in context.world.servers.values())
    if servers:
        raise Conflict(
            f"{refused}The availability zone of the host would change but the "
            f"host already has {servers} instance(s)."
        )


@ROUTES.add("GET", "/os-server-groups")
def list_groups(context: Context) -> Answer:
    """List the server groups of the caller's project, or all of them."""
    caller = context.caller
    own = caller.project.id if caller.project else None
    everyones = caller.admin and "all_projects" in context.args
    found = [
        views.server_group(context, group)
        for group in context.world.groups.values()
        if everyones or group.project_id == own
    ]
    first, most = (context.args.get(name, "") for name in ("offset", "limit"))
    if not (first or "0").isdigit() or not (most or "0").isdigit():
        raise BadRequest("offset and limit are numbers")
    limit = context.world.settings.page_limit
    if most:
        limit = min(limit, int(most))
    start = int(first or 0)
    return 200, {"server_groups": found[start : start + limit]}


@ROUTES.add("POST", "/os-server-groups")
def create_group(context: Context) -> Answer:
    """Create a server group."""
    body, caller = context.object("server_group"), context.caller
    policy = body.get("policy")
    if not context.has(64):
        policy = next(iter(body.get("policies") or []), None)
    if policy not in POLICIES or not body.get("name"):
        raise BadRequest(
            f"Invalid input for field/attribute server_group. Value: {body}."
        )
    group = ServerGroup(
        str(uuid.uuid4()),
        str(body["name"]),
        policy,
        caller.project.id if caller.project else "",
        caller.user.id,
        dict(body.get("rules") or {}),
    )
    context.world.groups[group.uuid] = group
    return 200, {"server_group": views.server_group(context, group)}


def _group(context: Context) -> ServerGroup:
    found = context.world.groups.get(context.params["group_id"])
    if found is None:
        raise NotFound(
            f"Instance group {context.params['group_id']} could not be found."
        )
    return found


@ROUTES.add("GET", "/os-server-groups/<group_id>")
def show_group(context: Context) -> Answer:
    """Show a server group."""
    shown = views.server_group(context, _group(context))
    return 200, {"server_group": shown}


@ROUTES.add("DELETE", "/os-server-groups/<group_id>")
def delete_group(context: Context) -> Answer:
    """Delete a server group; its members stay."""
    group = _group(context)
    del context.world.groups[group.uuid]
    for server in context.world.servers.values():
        if server.group == group.uuid:
            server.group = None
    return 204, None


@ROUTES.add("GET", "/flavors")
def list_flavors(context: Context) -> Answer:
    """List the flavors in short."""
    keys = ("id", "name", "links", "description")
    return 200, {
        "flavors": [
            {key: one[key] for key in keys if key in one}
            for one in _flavors(context)
        ]
    }


@ROUTES.add("GET", "/flavors/detail")
def list_flavors_detail(context: Context) -> Answer:
    """List the flavors with everything."""
    return 200, {"flavors": _flavors(context)}


def _flavors(context: Context) -> list[dict[str, Any]]:
    return [
        views.flavor(context, one) for one in context.world.flavors.values()
    ]


@ROUTES.add("GET", "/flavors/<flavor_id>")
def show_flavor(context: Context) -> Answer:
    """Show a flavor."""
    found = context.world.flavors.get(context.params["flavor_id"])
    if found is None:
        raise NotFound(
            f"Flavor {context.params['flavor_id']} could not be found."
        )
    return 200, {"flavor": views.flavor(context, found)}
