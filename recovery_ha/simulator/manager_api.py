"""Where managers of projects are told of maintenance, and controlled."""

from typing import Any

from werkzeug.wrappers import Request

from recovery_ha.simulator import control_api
from recovery_ha.simulator.errors import BadRequest
from recovery_ha.simulator.project_manager import Manager
from recovery_ha.simulator.routing import (
    Answer,
    Context,
    Routes,
    Service,
    Version,
)

ROUTES = Routes()
CONTROL = control_api.ROUTES


def _negotiate(request: Request) -> Version:
    """Return a version for form; a receiver has none."""
    del request
    return (1, 0)


def _headers(version: Version) -> dict[str, str]:
    """Return no headers: a receiver has none of its own."""
    del version
    return {}


def _error(status: int, message: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message}}


SERVICE = Service(
    "projects", "/projects", "", ROUTES, _negotiate, _headers, _error
)


@ROUTES.add("POST", "/<project_id>/maintenance", public=True)
def receive(context: Context) -> Answer:
    """Take what Aodh or a webhook tells a project."""
    manager = _manager(context)
    request = context.request
    manager.receive(request.get_data(), context.body, request.headers)
    return 202, {}


def _manager(context: Context) -> Manager:
    return context.world.managers.get(context.params["project_id"])


def _body(context: Context) -> dict[str, Any]:
    body = {} if context.body is None else context.body
    if not isinstance(body, dict):
        raise BadRequest("The body is a JSON object")
    return dict(body)


def _url(context: Context, manager: Manager) -> str:
    return f"{context.root_url}/projects/{manager.project.id}/maintenance"


def _shown(context: Context, manager: Manager) -> dict[str, Any]:
    return {**manager.shown(), "url": _url(context, manager)}


@CONTROL.add("POST", "/projects", public=True)
def add_project(context: Context) -> Answer:
    """Add a project with a member of the same name and password."""
    name = _body(context).get("name")
    if not isinstance(name, str) or not name:
        raise BadRequest("name is missing")
    project = context.world.identity.add_project(name)
    return 201, {"id": project.id, "name": project.name}


@CONTROL.add("GET", "/managers", public=True)
def list_managers(context: Context) -> Answer:
    """List the managers of projects."""
    found = [_shown(context, one) for one in context.world.managers.all()]
    return 200, {"managers": found}


@CONTROL.add("POST", "/managers", public=True)
def add_manager(context: Context) -> Answer:
    """Have a manager for a project, and an alarm that tells it.

    The alarm is for `event_type`; without one there is no alarm.
    """
    body, world = _body(context), context.world
    project = body.get("project")
    if not isinstance(project, str) or not project:
        raise BadRequest("project is missing")
    event_type = body.get("event_type", "maintenance.scheduled")
    manager = world.managers.add(project, context.root_url)
    manager.secret = body.get("secret")
    for state, values in (body.get("behaviours") or {}).items():
        manager.behave(state, values)
    if event_type is not None:
        world.alarms.add(
            {
                "name": f"maintenance of {manager.project.name}",
                "type": "event",
                "event_rule": {"event_type": event_type, "query": []},
                "alarm_actions": [_url(context, manager)],
                "repeat_actions": True,
            },
            manager.project.id,
            manager.project.id,
        )
    return 201, _shown(context, manager)


@CONTROL.add("GET", "/managers/<project_id>", public=True)
def show_manager(context: Context) -> Answer:
    """Show how a manager behaves, what it received and answered."""
    return 200, _shown(context, _manager(context))


@CONTROL.add("PUT", "/managers/<project_id>", public=True)
def set_manager(context: Context) -> Answer:
    """Change how a manager behaves, by state or in all (`default`)."""
    manager = _manager(context)
    for state, values in _body(context).items():
        if not isinstance(values, dict):
            raise BadRequest(f"{state} is an object")
        manager.behave(state, values)
    return show_manager(context)


@CONTROL.add("DELETE", "/managers/<project_id>/received", public=True)
def clear_manager(context: Context) -> Answer:
    """Have a manager forget what it received and answered."""
    _manager(context).forget()
    return 204, None


@CONTROL.add("DELETE", "/managers/<project_id>", public=True)
def remove_manager(context: Context) -> Answer:
    """Have a project without a manager; its alarms stay."""
    context.world.managers.remove(context.params["project_id"])
    return 204, None
