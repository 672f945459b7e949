"""What Nova tells of the past of one server: actions, live migrations."""

from typing import Any

from recovery_ha.simulator.compute_servers import server_of
from recovery_ha.simulator.compute_service import (
    ROUTES,
    page,
    read_time,
    stamp,
)
from recovery_ha.simulator.errors import NotFound
from recovery_ha.simulator.records import InstanceAction, Server
from recovery_ha.simulator.routing import Answer, Context


@ROUTES.add("GET", "/servers/<server_id>/os-instance-actions")
def list_actions(context: Context) -> Answer:
    """List what was done to a server, the newest first, in pages."""
    server = server_of(context, deleted=context.has(21))
    found = server.actions[::-1]
    links: list[dict[str, str]] = []
    if context.has(58):
        since = read_time(context, "changes-since")
        before = read_time(context, "changes-before")
        found, links = page(
            context,
            [
                one
                for one in found
                if (since is None or one.start_time >= since)
                and (before is None or one.start_time <= before)
            ],
            lambda one: one.request_id,
            "Marker {marker} could not be found.",
        )
    body: dict[str, Any] = {
        "instanceActions": [_action(context, server, one) for one in found]
    }
    if links:
        body["links"] = links
    return 200, body


@ROUTES.add("GET", "/servers/<server_id>/os-instance-actions/<request_id>")
def show_action(context: Context) -> Answer:
    """Show one action; the simulator knows only events of failures."""
    server = server_of(context, deleted=context.has(21))
    wanted = context.params["request_id"]
    for one in server.actions:
        if one.request_id == wanted:
            shown = _action(context, server, one)
            events = _events(context, server, one)
            return 200, {"instanceAction": {**shown, "events": events}}
    raise NotFound(f"Action {wanted} not found")


def _events(
    context: Context, server: Server, action: InstanceAction
) -> list[dict[str, Any]]:
    """Return how an action failed, if it is the latest of its name."""
    same = [one for one in server.actions if one.action == action.action]
    message = server.failures.get(action.action)
    if message is None or same[-1] is not action:
        return []
    event = {
        "event": f"compute_{action.action.replace('-', '_')}",
        "start_time": stamp(action.start_time),
        "finish_time": stamp(action.start_time),
        "result": "Error",
        "traceback": None,
    }
    if context.has(84):
        event["details"] = message
    return [event]


def _action(
    context: Context, server: Server, action: InstanceAction
) -> dict[str, Any]:
    shown = {
        "action": action.action,
        "instance_uuid": server.uuid,
        "request_id": action.request_id,
        "user_id": action.user_id,
        "project_id": action.project_id,
        "start_time": stamp(action.start_time),
        "message": None,
    }
    if context.has(58):
        shown["updated_at"] = stamp(action.start_time)
    return shown


@ROUTES.add("GET", "/servers/<server_id>/migrations", admin=True)
def list_live_migrations(context: Context) -> Answer:
    """List the live migrations of a server that are under way."""
    server = server_of(context)
    return 200, {
        "migrations": [
            {
                "id": migration.id,
                "uuid": migration.uuid,
                "server_uuid": server.uuid,
                "source_compute": migration.source_compute,
                "source_node": migration.source_node,
                "dest_compute": migration.dest_compute,
                "dest_node": migration.dest_node,
                "dest_host": None,
                "status": migration.status,
                "created_at": stamp(migration.created_at),
                "updated_at": stamp(migration.updated_at),
            }
            for migration in context.world.moves.in_progress(server)
        ]
    }


@ROUTES.add(
    "DELETE", "/servers/<server_id>/migrations/<int:number>", admin=True
)
def abort_live_migration(context: Context) -> Answer:
    """Abort a live migration."""
    context.world.moves.abort(server_of(context), context.params["number"])
    return 202, None
