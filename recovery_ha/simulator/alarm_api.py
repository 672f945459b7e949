"""Aodh, version 2: event alarms."""

from http import HTTPStatus
from typing import Any

from werkzeug.wrappers import Request

from recovery_ha.simulator.alarms import Alarm
from recovery_ha.simulator.compute_service import truth
from recovery_ha.simulator.errors import BadRequest, NotFound
from recovery_ha.simulator.routing import (
    Answer,
    Context,
    Routes,
    Service,
    Version,
)

ROUTES = Routes()
FILTERS = frozenset(
    {"name", "type", "enabled", "state", "project_id", "user_id", "alarm_id"}
)


def _negotiate(request: Request) -> Version:
    """Aodh has no microversions."""
    del request
    return (2, 0)


def _headers(version: Version) -> dict[str, str]:
    """Aodh adds no headers of its own."""
    del version
    return {}


def _error(status: int, message: str) -> dict[str, Any]:
    fault = (
        "Server" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "Client"
    )
    return {
        "error_message": {
            "faultcode": fault,
            "faultstring": message,
            "debuginfo": None,
        }
    }


SERVICE = Service(
    "alarm", "/alarm", "/v2", ROUTES, _negotiate, _headers, _error
)


@ROUTES.add("GET", "/versions", public=True)
def versions(context: Context) -> Answer:
    """List the versions of the API."""
    href = f"{context.root_url}/alarm/v2"
    found = {
        "id": "v2",
        "status": "stable",
        "updated": "2013-02-13T00:00:00Z",
        "links": [{"rel": "self", "href": href}],
    }
    return 200, {"versions": {"values": [found]}}


@ROUTES.add("GET", "/alarms")
def list_alarms(context: Context) -> Answer:
    """List the alarms of the caller's project, or of all as an admin."""
    wanted = _query(context)
    found = [
        alarm.shown()
        for alarm in context.world.alarms.all()
        if (_sees_all(context) or _owns(context, alarm))
        and all(
            str(alarm.shown()[field]).lower() == value.lower()
            for field, value in wanted.items()
        )
    ]
    return 200, _page(context, found)


def _page(
    context: Context, found: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return the alarms between `marker` and `limit`, as `sort` says."""
    args = context.request.args
    for key in reversed(args.getlist("sort")):
        name, _, direction = key.partition(":")
        if found and name not in found[0]:
            raise BadRequest(f"Invalid input for field/attribute sort: {key}")
        found = sorted(
            found, key=lambda one: str(one[name]), reverse=direction == "desc"
        )
    marker, limit = args.get("marker"), args.get("limit")
    if marker is not None:
        ids = [one["alarm_id"] for one in found]
        if marker not in ids:
            raise BadRequest(f"Alarm {marker} not found")
        found = found[ids.index(marker) + 1 :]
    if limit is None:
        return found
    if not limit.isdigit() or int(limit) < 1:
        raise BadRequest("limit: it should be a positive integer.")
    return found[: int(limit)]


def _query(context: Context) -> dict[str, str]:
    """Return the values asked for, of q.field/q.value and of plain names."""
    args = context.request.args
    fields, values = args.getlist("q.field"), args.getlist("q.value")
    if any(operator != "eq" for operator in args.getlist("q.op")):
        raise BadRequest("The simulator knows the operator eq only")
    if len(fields) != len(values):
        raise BadRequest("Each q.field needs a q.value")
    wanted = dict(zip(fields, values, strict=True))
    wanted |= {name: args[name] for name in FILTERS if name in args}
    wanted.pop("all_projects", None)
    for name in wanted:
        if name not in FILTERS:
            raise BadRequest(f"Unknown argument: {name}")
    return wanted


def _sees_all(context: Context) -> bool:
    args = context.request.args
    asked = truth(args.get("all_projects")) or bool(
        {"project_id", "all_projects"} & {*args, *args.getlist("q.field")}
    )
    return context.caller.admin and asked


def _owns(context: Context, alarm: Alarm) -> bool:
    project = context.caller.project
    return project is not None and alarm.project_id == project.id


def _alarm(context: Context) -> Alarm:
    alarm = context.world.alarms.get(context.params["alarm_id"])
    if not context.caller.admin and not _owns(context, alarm):
        raise NotFound(f"Alarm {alarm.alarm_id} not found")
    return alarm


def _body(context: Context) -> dict[str, Any]:
    if not isinstance(context.body, dict):
        raise BadRequest("Invalid input for field/attribute alarm")
    return context.body


@ROUTES.add("POST", "/alarms")
def create_alarm(context: Context) -> Answer:
    """Create an alarm."""
    caller = context.caller
    project = caller.project.id if caller.project else ""
    alarm = context.world.alarms.add(_body(context), project, caller.user.id)
    return 201, alarm.shown()


@ROUTES.add("GET", "/alarms/<alarm_id>")
def show_alarm(context: Context) -> Answer:
    """Show an alarm."""
    return 200, _alarm(context).shown()


@ROUTES.add("PUT", "/alarms/<alarm_id>")
def replace_alarm(context: Context) -> Answer:
    """Replace an alarm."""
    alarm = _alarm(context)
    context.world.alarms.replace(alarm.alarm_id, _body(context))
    return 200, alarm.shown()


@ROUTES.add("DELETE", "/alarms/<alarm_id>")
def delete_alarm(context: Context) -> Answer:
    """Delete an alarm."""
    context.world.alarms.remove(_alarm(context).alarm_id)
    return 204, None


@ROUTES.add("GET", "/alarms/<alarm_id>/state")
def show_state(context: Context) -> Answer:
    """Show the state of an alarm."""
    return 200, _alarm(context).state


@ROUTES.add("PUT", "/alarms/<alarm_id>/state")
def set_state(context: Context) -> Answer:
    """Set the state of an alarm."""
    alarm = _alarm(context)
    alarms = context.world.alarms
    return 200, alarms.set_state(alarm.alarm_id, context.body)
