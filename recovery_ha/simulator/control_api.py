"""The control interface: what tests, demos and benchmarks do to the cloud.

It asks for no password, so the simulator belongs on a loopback address.
"""

import dataclasses
from typing import Any

from werkzeug.wrappers import Request

from recovery_ha.simulator.errors import BadRequest, NotFound
from recovery_ha.simulator.images import Image
from recovery_ha.simulator.records import Compute, Server
from recovery_ha.simulator.routing import (
    Answer,
    Context,
    Routes,
    Service,
    Version,
)

ROUTES = Routes()
CONTROLS = ("kill", "start", "freeze", "thaw")
FAILING = ("identity", "compute", "placement", "image", "alarm")
CAPACITIES = {"vcpus": "VCPU", "memory_mb": "MEMORY_MB", "disk_gb": "DISK_GB"}


def _negotiate(request: Request) -> Version:
    """Return a version for form; the control interface has none."""
    del request
    return (1, 0)


def _headers(version: Version) -> dict[str, str]:
    """Return no headers: the control interface has none of its own."""
    del version
    return {}


def _error(status: int, message: str) -> dict[str, Any]:
    return {"error": {"code": status, "message": message}}


SERVICE = Service(
    "control", "/control", "", ROUTES, _negotiate, _headers, _error
)


def _body(context: Context) -> dict[str, Any]:
    body = {} if context.body is None else context.body
    if not isinstance(body, dict):
        raise BadRequest("The body is a JSON object")
    return dict(body)


@ROUTES.add("GET", "/settings", public=True)
def show_settings(context: Context) -> Answer:
    """Show the settings."""
    return 200, dataclasses.asdict(context.world.settings)


@ROUTES.add("PUT", "/settings", public=True)
def change_settings(context: Context) -> Answer:
    """Change some settings."""
    try:
        context.world.settings.change(_body(context))
    except (ValueError, TypeError) as error:
        raise BadRequest(str(error)) from error
    return show_settings(context)


@ROUTES.add("GET", "/computes", public=True)
def list_computes(context: Context) -> Answer:
    """List the hosts as they really are."""
    shown = [_compute(context, one) for one in context.world.computes]
    return 200, {"computes": shown}


@ROUTES.add("POST", "/computes", public=True)
def add_compute(context: Context) -> Answer:
    """Add a host; `host` is its name."""
    compute = context.world.add_compute(_body(context).get("host"))
    return 201, _compute(context, compute)


@ROUTES.add("PUT", "/computes/<host>", public=True)
def set_compute(context: Context) -> Answer:
    """Set what a host offers in Placement."""
    amounts = {}
    for name, amount in _body(context).items():
        if name not in CAPACITIES or not isinstance(amount, int | None):
            raise BadRequest(f"{name} cannot be set to {amount!r}")
        amounts[CAPACITIES[name]] = amount
    if amounts.get("VCPU", 1) is None or amounts.get("MEMORY_MB", 1) is None:
        raise BadRequest("Only disk_gb can be null")
    host = context.params["host"]
    compute = context.world.set_capacity(host, **amounts)
    return 200, _compute(context, compute)


@ROUTES.add("DELETE", "/computes/<host>", public=True)
def remove_compute(context: Context) -> Answer:
    """Remove a host without servers."""
    context.world.remove_compute(context.params["host"])
    return 204, None


@ROUTES.add("POST", "/computes/<host>/<control>", public=True)
def control_compute(context: Context) -> Answer:
    """Kill, start, freeze or thaw a host."""
    host, control = context.params["host"], context.params["control"]
    if control not in CONTROLS:
        raise NotFound(f"A host can be told to {', '.join(CONTROLS)}.")
    getattr(context.world, control)(host)
    return 200, _compute(context, context.world.computes.get(host))


def _compute(context: Context, compute: Compute) -> dict[str, Any]:
    world = context.world
    return {
        "host": compute.host,
        "process": compute.process,
        "up": world.computes.up(compute),
        "forced_down": compute.forced_down,
        "disabled": compute.disabled,
        "inventory": compute.inventory,
        "servers": sorted(
            one.uuid
            for one in world.servers.values()
            if one.host == compute.host
        ),
        # Two hosts with one guest: what fencing is there to prevent.
        "guests": sorted(compute.guests),
        "waiting": [work.server for work in compute.waiting],
        "working": [work.server for work in compute.working],
    }


@ROUTES.add("POST", "/servers", public=True)
def create_servers(context: Context) -> Answer:
    """Have servers on a host at once and return their UUIDs."""
    body = _body(context)
    if not isinstance(body.get("host"), str):
        raise BadRequest("host is missing")
    count = body.get("count", 1)
    if not isinstance(count, int) or count < 0:
        raise BadRequest("count is a number")
    try:
        uuids = context.world.create_servers(**body)
    except TypeError as error:
        raise BadRequest(str(error)) from error
    return 201, {"servers": uuids}


@ROUTES.add("GET", "/servers", public=True)
def list_servers(context: Context) -> Answer:
    """List all servers, in short and in one page."""
    shown = [_server(one) for one in context.world.servers.values()]
    return 200, {"servers": shown}


@ROUTES.add("PUT", "/servers/<server_id>", public=True)
def set_server(context: Context) -> Answer:
    """Set what Nova says of a server."""
    server_id = context.params["server_id"]
    return 200, _server(context.world.set_server(server_id, **_body(context)))


@ROUTES.add("POST", "/servers/<server_id>/crash", public=True)
def crash_server(context: Context) -> Answer:
    """Let the guest of a server end, noticed by Nova or not."""
    server_id = context.params["server_id"]
    noticed = bool(_body(context).get("noticed"))
    context.world.crash(server_id, noticed=noticed)
    return 200, _server(context.world.server(server_id))


@ROUTES.add("POST", "/flavors", public=True)
def add_flavor(context: Context) -> Answer:
    """Add a size of servers."""
    try:
        flavor = context.world.add_flavor(**_body(context))
    except TypeError as error:
        raise BadRequest(str(error)) from error
    return 201, dataclasses.asdict(flavor)


@ROUTES.add("POST", "/images", public=True)
def set_image(context: Context) -> Answer:
    """Have an image, new or changed."""
    try:
        image = context.world.images.set(**_body(context))
    except TypeError as error:
        raise BadRequest(str(error)) from error
    return 200, _image(image)


@ROUTES.add("GET", "/images", public=True)
def list_images(context: Context) -> Answer:
    """List the images."""
    shown = [_image(image) for image in context.world.images.all()]
    return 200, {"images": shown}


@ROUTES.add("DELETE", "/images/<image_id>", public=True)
def remove_image(context: Context) -> Answer:
    """Delete an image."""
    context.world.images.remove(context.params["image_id"])
    return 204, None


def _image(image: Image) -> dict[str, Any]:
    return {
        "id": image.id,
        "name": image.name,
        "properties": image.properties,
        "tags": image.tags,
    }


def _server(server: Server) -> dict[str, Any]:
    fault = server.fault["message"] if server.fault else None
    names = ("uuid", "name", "host", "vm_state", "task_state", "power_state")
    shown = {name: getattr(server, name) for name in names}
    return {
        **shown,
        "status": server.status,
        "locked": server.locked,
        "metadata": server.metadata,
        "project_id": server.project_id,
        "user_id": server.user_id,
        "image_id": server.image_id,
        "flavor": dataclasses.asdict(server.flavor),
        "fault": fault,
    }


@ROUTES.add("GET", "/faults", public=True)
def list_faults(context: Context) -> Answer:
    """List the faults, their hits and how many requests they hold."""
    shown = [fault.shown() for fault in context.world.faults.all()]
    return 200, {"faults": shown}


@ROUTES.add("POST", "/faults", public=True)
def add_fault(context: Context) -> Answer:
    """Set a fault."""
    fault = context.world.faults.add(**_body(context))
    return 201, {"id": fault.id}


@ROUTES.add("POST", "/faults/<int:number>/release", public=True)
def release_fault(context: Context) -> Answer:
    """Let the requests go that a fault holds."""
    fault = context.world.faults.release(context.params["number"])
    return 200, fault.shown()


@ROUTES.add("DELETE", "/faults/<int:number>", public=True)
def remove_fault(context: Context) -> Answer:
    """Remove a fault."""
    context.world.faults.remove(context.params["number"])
    return 204, None


@ROUTES.add("DELETE", "/faults", public=True)
def remove_faults(context: Context) -> Answer:
    """Remove all faults."""
    context.world.faults.clear()
    return 204, None


@ROUTES.add("GET", "/log", public=True)
def show_log(context: Context) -> Answer:
    """Show the calls that change the cloud, after `since`."""
    since = context.args.get("since", "0")
    if not since.isdigit():
        raise BadRequest("since is a number")
    calls = context.world.journal.calls(int(since), context.args.get("action"))
    return 200, {"log": [dataclasses.asdict(call) for call in calls]}


@ROUTES.add("DELETE", "/log", public=True)
def clear_log(context: Context) -> Answer:
    """Forget the calls."""
    context.world.journal.clear_calls()
    return 204, None


@ROUTES.add("GET", "/counts", public=True)
def show_counts(context: Context) -> Answer:
    """Show the number of requests by service and route."""
    return 200, {"counts": context.world.journal.counts()}


@ROUTES.add("POST", "/counts/reset", public=True)
def reset_counts(context: Context) -> Answer:
    """Count from zero again."""
    context.world.journal.clear_counts()
    return 204, None


@ROUTES.add("POST", "/tokens/expire", public=True)
def expire_tokens(context: Context) -> Answer:
    """Let all tokens expire."""
    return 200, {"expired": context.world.identity.expire_all()}


@ROUTES.add("GET", "/outage", public=True)
def show_outages(context: Context) -> Answer:
    """Show the services that fail, and with what."""
    return 200, {"outages": context.world.outages.all()}


@ROUTES.add("POST", "/outage", public=True)
def begin_outage(context: Context) -> Answer:
    """Let a service fail, for some seconds or for good."""
    body = _body(context)
    service, seconds = body.get("service"), body.get("seconds")
    status = body.get("status", 503)
    if service not in FAILING:
        raise BadRequest(f"service is one of {', '.join(FAILING)}")
    if not isinstance(status, int):
        raise BadRequest("status is a number")
    if not isinstance(seconds, int | float | None):
        raise BadRequest("seconds is a number or null")
    context.world.outages.begin(service, status, seconds)
    return show_outages(context)


@ROUTES.add("DELETE", "/outage", public=True)
def end_outage(context: Context) -> Answer:
    """End the outage of one service, or of all."""
    context.world.outages.end(context.args.get("service"))
    return 204, None


@ROUTES.add("POST", "/reset", public=True)
def reset(context: Context) -> Answer:
    """Start anew with so many hosts and servers."""
    world, body = context.world, _body(context)
    numbers = [
        body.get(name, getattr(world.settings, name))
        for name in ("computes", "servers_per_compute")
    ]
    if not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise BadRequest("computes and servers_per_compute are numbers")
    world.reset(*numbers)
    return list_computes(context)
