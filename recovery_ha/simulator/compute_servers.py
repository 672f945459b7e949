"""Nova's servers: lists, one server, creation, deletion, metadata."""

import re
from collections.abc import Iterable
from typing import Any

from recovery_ha.simulator import compute_views as views
from recovery_ha.simulator.compute_service import (
    ROUTES,
    page,
    read_time,
    truth,
)
from recovery_ha.simulator.errors import BadRequest, NotFound
from recovery_ha.simulator.records import STATUSES, Server
from recovery_ha.simulator.routing import Answer, Context

# Filters that compare one field of a server, by the parameter's name.
EQUAL = {
    "host": "host",
    "vm_state": "vm_state",
    "task_state": "task_state",
    "project_id": "project_id",
    "tenant_id": "project_id",
    "user_id": "user_id",
    "uuid": "uuid",
    "image": "image_id",
}
FOR_ADMIN = frozenset({"host", "task_state"})


def server_of(context: Context, *, deleted: bool = False) -> Server:
    """Return the server that the path names.

    :param deleted: it may be one that is deleted
    :raises NotFound: there is none, or not for this caller
    """
    wanted = context.params["server_id"]
    gone = context.world.deleted.get(wanted) if deleted else None
    server = gone or context.world.server(wanted)
    if not _visible(context, server):
        raise NotFound(f"Instance {server.uuid} could not be found.")
    return server


def record(context: Context, server: Server, action: str) -> None:
    """Remember what the caller does to a server."""
    caller = context.caller
    project = caller.project.id if caller.project else None
    server.record(action, context.request_id, caller.user.id, project)


def _visible(context: Context, server: Server) -> bool:
    caller = context.caller
    project = caller.project
    return caller.admin or (
        project is not None and server.project_id == project.id
    )


@ROUTES.add("GET", "/servers")
def list_servers(context: Context) -> Answer:
    """List servers in short."""
    return _list(context, detail=False)


@ROUTES.add("GET", "/servers/detail")
def list_servers_detail(context: Context) -> Answer:
    """List servers with everything."""
    return _list(context, detail=True)


def _list(context: Context, *, detail: bool) -> Answer:
    servers = sorted(
        _filtered(context), key=lambda one: one.number, reverse=True
    )
    found, links = page(
        context, servers, lambda one: one.uuid, "marker [{marker}] not found"
    )
    view = views.server if detail else views.server_brief
    body: dict[str, Any] = {"servers": [view(context, one) for one in found]}
    if links:
        body["servers_links"] = links
    return 200, body


def _filtered(context: Context) -> list[Server]:
    args, caller = context.args, context.caller
    statuses = _statuses(context)
    since = read_time(context, "changes-since")
    named = _pattern(args.get("name"))
    equal = {
        field: args[name]
        for name, field in EQUAL.items()
        if name in args and (caller.admin or name not in FOR_ADMIN)
    }
    everyones = caller.admin and truth(args.get("all_tenants"))
    project = caller.project.id if caller.project else None
    return [
        server
        for server in _candidates(context)
        if (everyones or server.project_id == project)
        and all(getattr(server, key) == equal[key] for key in equal)
        and (not statuses or server.status in statuses)
        and (since is None or server.updated >= since)
        and (named is None or named.search(server.name))
        and _locked_as(context, server)
    ]


def _pattern(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        raise BadRequest(f"Invalid name {text}: {error}") from error


def _candidates(context: Context) -> Iterable[Server]:
    world = context.world
    if truth(context.args.get("deleted")):
        return world.deleted.values()
    if "changes-since" in context.args:
        return [*world.servers.values(), *world.deleted.values()]
    return world.servers.values()


def _statuses(context: Context) -> set[str]:
    wanted = {text.upper() for text in context.request.args.getlist("status")}
    if wanted and not wanted & STATUSES:
        raise BadRequest("Invalid status value")
    return wanted


def _locked_as(context: Context, server: Server) -> bool:
    text = context.args.get("locked")
    if text is None or not context.has(73):
        return True
    return server.locked == truth(text)


@ROUTES.add("GET", "/servers/<server_id>")
def show_server(context: Context) -> Answer:
    """Show a server."""
    return 200, {"server": views.server(context, server_of(context))}


@ROUTES.add("POST", "/servers")
def create_server(context: Context) -> Answer:
    """Accept a new server and build it."""
    world, body = context.world, context.object("server")
    for name in ("name", "flavorRef"):
        if not body.get(name):
            raise BadRequest(
                "Invalid input for field/attribute server. Value: "
                f"{body}. '{name}' is a required property"
            )
    flavor = world.flavor(str(body["flavorRef"]))
    zone, host = _place_wanted(context, body)
    group = _group_wanted(context)
    caller = context.caller
    server = world.new_server(
        str(body["name"]),
        flavor,
        caller.project.id if caller.project else None,
        caller.user.id,
    )
    server.metadata = dict(body.get("metadata") or {})
    server.image_id = body.get("imageRef") or None
    server.description = body.get("description")
    server.group = group
    record(context, server, "create")
    world.boot(server, host, zone)
    return 202, {
        "server": {
            **views.server_brief(context, server),
            "OS-DCF:diskConfig": "MANUAL",
            "security_groups": [{"name": "default"}],
            "adminPass": "".join(reversed(server.uuid[:12])),
        }
    }


def _place_wanted(
    context: Context, body: dict[str, Any]
) -> tuple[str | None, str | None]:
    zone, _, host = str(body.get("availability_zone") or "").partition(":")
    if context.has(74):
        host = body.get("host") or host
    if host and context.world.computes.find(host) is None:
        raise BadRequest(f"Compute host {host} could not be found.")
    zones = {compute.zone for compute in context.world.computes}
    if zone and zone not in zones:
        raise BadRequest("The requested availability zone is not available")
    return zone or None, host or None


def _group_wanted(context: Context) -> str | None:
    for key in ("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"):
        hints = context.body.get(key)
        if isinstance(hints, dict) and hints.get("group"):
            group = str(hints["group"])
            if group not in context.world.groups:
                raise BadRequest(f"Instance group {group} could not be found.")
            return group
    return None


@ROUTES.add("PUT", "/servers/<server_id>")
def update_server(context: Context) -> Answer:
    """Change the name or the description of a server."""
    server, body = server_of(context), context.object("server")
    if "name" in body:
        server.name = str(body["name"])
    if "description" in body:
        server.description = body["description"]
    return 200, {"server": views.server(context, server)}


@ROUTES.add("DELETE", "/servers/<server_id>")
def delete_server(context: Context) -> Answer:
    """Delete a server at once."""
    server = server_of(context)
    record(context, server, "delete")
    context.world.delete_server(server)
    return 204, None


@ROUTES.add("GET", "/servers/<server_id>/metadata")
def show_metadata(context: Context) -> Answer:
    """Show the metadata."""
    return 200, {"metadata": server_of(context).metadata}


@ROUTES.add("POST", "/servers/<server_id>/metadata")
def add_metadata(context: Context) -> Answer:
    """Add to the metadata."""
    server = server_of(context)
    server.metadata |= context.object("metadata")
    return 200, {"metadata": server.metadata}


@ROUTES.add("PUT", "/servers/<server_id>/metadata")
def replace_metadata(context: Context) -> Answer:
    """Replace the metadata."""
    server = server_of(context)
    server.metadata = context.object("metadata")
    return 200, {"metadata": server.metadata}


@ROUTES.add("PUT", "/servers/<server_id>/metadata/<key>")
def set_metadata_item(context: Context) -> Answer:
    """Set one item of the metadata."""
    server, key = server_of(context), context.params["key"]
    item = context.object("meta")
    if list(item) != [key]:
        raise BadRequest("Request body and URI mismatch")
    server.metadata |= item
    return 200, {"meta": item}


@ROUTES.add("DELETE", "/servers/<server_id>/metadata/<key>")
def delete_metadata_item(context: Context) -> Answer:
    """Delete one item of the metadata."""
    server, key = server_of(context), context.params["key"]
    if key not in server.metadata:
        raise NotFound("Metadata item was not found")
    del server.metadata[key]
    return 204, None
