"""The WSGI application: what happens to every request, faults included."""

import json
import logging
import socket
import time
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

from recovery_ha.simulator import (
    alarm_api,
    compute_api,
    control_api,
    identity_api,
    image_api,
    manager_api,
    placement_api,
)
from recovery_ha.simulator.errors import Forbidden, SimulatorError
from recovery_ha.simulator.faults import Fault
from recovery_ha.simulator.journal import Call
from recovery_ha.simulator.routing import (
    Context,
    Route,
    Service,
    Version,
    read_body,
)
from recovery_ha.simulator.world import World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LOG = logging.getLogger(__name__)

# The environ key under which the server leaves the connection's socket.
CONNECTION = "recovery_ha.simulator.connection"
SERVICES: tuple[Service, ...] = (
    identity_api.SERVICE,
    compute_api.SERVICE,
    placement_api.SERVICE,
    image_api.SERVICE,
    alarm_api.SERVICE,
    manager_api.SERVICE,
    control_api.SERVICE,
)
READS = frozenset({"GET", "HEAD", "OPTIONS"})
# Calls to these are written down; tokens do not change the cloud.
JOURNALED = frozenset({"compute", "placement", "alarm"})


class _Dropped(Exception):
    """The connection has been closed instead of answering."""


class Application:
    """Answers the requests to all services."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one request; the protocol is WSGI's."""
        request = Request(environ)
        for service in SERVICES:
            if (request.path + "/").startswith(service.root + "/"):
                response = self._serve(service, request)
                return response(environ, start_response)
        response = _json(300, {"services": [s.root for s in SERVICES]}, {})
        return response(environ, start_response)

    def _serve(self, service: Service, request: Request) -> Response:
        world = self._world
        try:
            if service.name != "control":
                if world.settings.latency_seconds:
                    time.sleep(world.settings.latency_seconds)
                status = world.outages.status(service.name)
                if status is not None:
                    return _error(service, status, "Service Unavailable")
            return self._answer(service, request)
        except _Dropped:
            return Response()
        except Exception:
            # The border of the simulator: its own mistakes become a 500.
            LOG.exception("Failed to answer %s", request.path)
            return _error(service, 500, "The simulator failed; see its log.")

    def _answer(self, service: Service, request: Request) -> Response:
        context = Context(
            world=self._world,
            request=request,
            service=service.name,
            path=_service_path(service, request.path),
        )
        identity = self._world.identity
        token_id = request.headers.get("X-Auth-Token")
        context.token = identity.token(token_id)
        if context.token is None and service is alarm_api.SERVICE:
            # It may stand in for the Aodh that a real cloud lacks.
            context.token = identity.foreign_token(token_id)
        try:
            context.body = read_body(request)
            route, context.params = service.routes.match(
                context.path, request.method
            )
        except SimulatorError as error:
            return _error(service, error.status, error.message)
        except HTTPException as error:
            self._world.journal.count(
                service.name, f"{request.method} (no such route)"
            )
            return _error(
                service, error.code or 404, error.description or error.name
            )
        self._world.journal.count(
            service.name, f"{request.method} {route.rule}"
        )
        if service.name == "control":
            return self._perform(service, route, context)
        return self._perform_with_faults(service, route, context)

    def _perform_with_faults(
        self, service: Service, route: Route, context: Context
    ) -> Response:
        method = context.request.method
        action = _action(context)
        fault = self._world.faults.strike(
            service.name,
            method,
            context.path,
            action,
            context.params.get("server_id"),
        )
        call = None
        if method not in READS and service.name in JOURNALED:
            call = self._write_down(context, action, fault)
        if fault is None:
            response = self._perform(service, route, context)
        else:
            response = self._perform_with(fault, service, route, context, call)
        if call is not None:
            call.status = response.status_code
        return response

    def _perform_with(
        self,
        fault: Fault,
        service: Service,
        route: Route,
        context: Context,
        call: Call | None,
    ) -> Response:
        response = None
        if fault.when == "after":
            response = self._perform(service, route, context)
        if fault.delay_seconds:
            time.sleep(fault.delay_seconds)
        if fault.hold:
            if call is not None:
                call.held = True
            self._world.faults.hold(fault)
        if fault.disconnect or (fault.hold and fault.drop):
            if call is not None:
                call.dropped = True
            _close(context.request)
        if fault.status is not None:
            if fault.body is None:
                return _error(service, fault.status, fault.message)
            return _json(fault.status, fault.body, {})
        return response or self._perform(service, route, context)

    def _write_down(
        self, context: Context, action: str | None, fault: Fault | None
    ) -> Call:
        headers = context.request.headers
        token = context.token
        return self._world.journal.append(
            time=time.time(),
            service=context.service,
            method=context.request.method,
            path=context.path,
            action=action,
            server=context.params.get("server_id"),
            body=context.body,
            user=token.user.name if token else None,
            request_id=headers.get("X-OpenStack-Request-ID"),
            user_agent=headers.get("User-Agent"),
            microversion=headers.get("OpenStack-API-Version")
            or headers.get("X-OpenStack-Nova-API-Version"),
            fault=fault.id if fault else None,
        )

    def _perform(
        self, service: Service, route: Route, context: Context
    ) -> Response:
        version: Version | None = None
        try:
            version = context.version = service.negotiate(context.request)
            if context.token is None and not route.public:
                return _unauthorized(service, context)
            if route.admin and not context.caller.admin:
                raise Forbidden(
                    f"Policy doesn't allow {context.request.method} "
                    f"{route.rule} to be performed."
                )
            with self._world.lock:
                status, body, *more = route.handler(context)
                if context.request.method not in READS:
                    self._world.changed()
        except SimulatorError as error:
            return _error(service, error.status, error.message, version)
        headers = service.headers(version)
        headers["x-openstack-request-id"] = context.request_id
        if more:
            headers |= more[0]
        return _json(status, body, headers)


def _service_path(service: Service, path: str) -> str:
    rest = path[len(service.root) :]
    if service.base and rest in {"", "/"}:
        return "/versions"
    if (rest + "/").startswith(service.base + "/"):
        return rest[len(service.base) :] or "/"
    return rest


def _action(context: Context) -> str | None:
    """Return the name of the action that a body asks for, if any."""
    body = context.body
    if not context.path.endswith("/action") or not isinstance(body, dict):
        return None
    return next(iter(body), None)


def _close(request: Request) -> None:
    """Close the connection of a request without an answer.

    :raises _Dropped: always
    """
    connection: socket.socket | None = request.environ.get(CONNECTION)
    if connection is not None:
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            LOG.debug("The client had gone before it was dropped")
    raise _Dropped


def _json(status: int, body: Any, headers: dict[str, str]) -> Response:
    text = b"" if body is None else json.dumps(body).encode()
    request_id = f"req-{uuid.uuid4()}"
    return Response(
        text,
        status=status,
        headers={"x-openstack-request-id": request_id, **headers},
        content_type="application/json",
    )


def _error(
    service: Service,
    status: int,
    message: str,
    version: Version | None = None,
) -> Response:
    headers = service.headers(version) if version is not None else {}
    return _json(status, service.error(status, message), headers)


def _unauthorized(service: Service, context: Context) -> Response:
    message = "The request you have made requires authentication."
    body = {
        "error": {"code": 401, "title": "Unauthorized", "message": message}
    }
    headers = {
        "WWW-Authenticate": f'Keystone uri="{context.root_url}/identity/v3"',
        **service.headers(context.version),
    }
    return _json(401, body, headers)
