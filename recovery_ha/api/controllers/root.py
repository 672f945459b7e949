"""The tree of URLs, and how a request finds its method.

pecan asks ``_route`` of the root once and is given the method: its own
RestController takes ``?_method=`` for the method, answers in HTML and works
out signatures several times per request.
"""

import re
from collections.abc import Callable
from typing import Any

import pecan

from recovery_ha.api import errors
from recovery_ha.api import request as requests
from recovery_ha.api.controllers.documents import Documents
from recovery_ha.api.controllers.v1.actions import Actions
from recovery_ha.api.controllers.v1.clusters import (
    ClusterEvents,
    ClusterProgress,
    Clusters,
    ClusterSteps,
)
from recovery_ha.api.controllers.v1.constraints import Groups, Instances
from recovery_ha.api.controllers.v1.decisions import Decisions
from recovery_ha.api.controllers.v1.deployment_history import (
    AllHistory,
    History,
)
from recovery_ha.api.controllers.v1.events import Events
from recovery_ha.api.controllers.v1.extensions import Extensions
from recovery_ha.api.controllers.v1.hosts import Hosts
from recovery_ha.api.controllers.v1.maintenance import (
    SessionActions,
    SessionDetail,
    SessionInstances,
    SessionProjects,
    Sessions,
)
from recovery_ha.api.controllers.v1.notifications import Notifications
from recovery_ha.api.controllers.v1.reports import Reports
from recovery_ha.api.controllers.v1.segments import Segments
from recovery_ha.api.controllers.v1.services import Services
from recovery_ha.api.controllers.v1.transaction_parts import (
    TransactionEvents,
    TransactionSteps,
    TransactionSummary,
)
from recovery_ha.api.controllers.v1.transactions import (
    Infos,
    Tasks,
    Transactions,
)
from recovery_ha.api.controllers.v1.vmoves import VMoves
from recovery_ha.api.controllers.v1.webhooks import Webhooks
from recovery_ha.api.request import Request
from recovery_ha.api.service import Service
from recovery_ha.domain.errors import BadRequest

Handler = Callable[..., Any]

_VERSION = "v1"
#: What URLs of Fuel and of Sahara begin with, and the resources of them that
#: are here, too.
_FUEL, _FUELS = "api", {"transactions", "tasks"}
_SAHARA, _SAHARAS = "v1.1", {"clusters", "clusters.json"}
_PROJECT = re.compile(r"[0-9a-f\-]+", re.ASCII)
_METHODS = {
    "index": "GET",
    "create": "POST",
    "show": "GET",
    "update": "PUT",
    "delete": "DELETE",
}


def routes(service: Service) -> dict[str, dict[str, Handler]]:
    """Return the methods of each URL below the version.

    A name in braces stands for any text, which the method gets.
    """
    segments, hosts = Segments(service), Hosts(service)
    notifications, vmoves = Notifications(service), VMoves(service)
    extensions = Extensions(service)
    return {
        "segments": _collection(segments),
        "segments/{}": _member(segments),
        "segments/{}/hosts": _collection(hosts),
        "segments/{}/hosts/{}": _member(hosts),
        "notifications": _collection(notifications),
        "notifications/{}": _member(notifications),
        "notifications/{}/events": _collection(Events(service)),
        "notifications/{}/decisions": _collection(Decisions(service)),
        "transactions/{}/action": _collection(Actions(service)),
        **_history(service),
        **_maintenance(service),
        "services": _collection(Services(service)),
        "clusters": _collection(Clusters(service)),
        "clusters/{}": _member(Clusters(service)),
        "clusters/{}/progress": _collection(ClusterProgress(service)),
        "clusters/{}/steps": _collection(ClusterSteps(service)),
        "clusters/{}/steps/{}/events": _collection(ClusterEvents(service)),
        "notifications/{}/vmoves": _collection(vmoves),
        "notifications/{}/vmoves/{}": _member(vmoves),
        "extensions": _collection(extensions),
        "extensions/{}": _member(extensions),
    }


def _history(service: Service) -> dict[str, dict[str, Handler]]:
    """Return the routes of runs."""
    one = "transactions/{}"
    return {
        "transactions": _collection(Transactions(service)),
        one: _member(Transactions(service)),
        f"{one}/deployment_history": _collection(History(service)),
        f"{one}/deployment_info": _collection(Infos(service)),
        f"{one}/network_configuration": _collection(Infos(service)),
        f"{one}/settings": _collection(Infos(service)),
        f"{one}/steps": _collection(TransactionSteps(service)),
        f"{one}/events": _collection(TransactionEvents(service)),
        f"{one}/summary": _collection(TransactionSummary(service)),
        f"{one}/reports": _collection(Reports(service)),
        "tasks": _collection(Tasks(service)),
        "tasks/{}": _member(Tasks(service)),
        "deployment_history": _collection(AllHistory(service)),
    }


def _maintenance(service: Service) -> dict[str, dict[str, Handler]]:
    """Return the routes of maintenance sessions and what belongs to them."""
    one = "maintenance/{}"
    return {
        "maintenance": _collection(Sessions(service)),
        one: _member(Sessions(service)),
        f"{one}/detail": _collection(SessionDetail(service)),
        f"{one}/action": _collection(SessionActions(service)),
        f"{one}/{{}}": _member(SessionProjects(service)),
        f"{one}/{{}}/{{}}": _member(SessionInstances(service)),
        "instance": _collection(Instances(service)),
        "instance/{}": _member(Instances(service)),
        "instance_group": _collection(Groups(service)),
        "instance_group/{}": _member(Groups(service)),
        "webhooks": _collection(Webhooks(service)),
        "webhooks/{}": _member(Webhooks(service)),
    }


def _collection(controller: Any) -> dict[str, Handler]:
    return _methods(controller, "index", "create")


def _member(controller: Any) -> dict[str, Handler]:
    return _methods(controller, "show", "update", "delete")


def _methods(controller: Any, *names: str) -> dict[str, Handler]:
    return {
        _METHODS[name]: getattr(controller, name)
        for name in names
        if hasattr(controller, name)
    }


class _Node:
    """One place in the tree of URLs."""

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.methods: dict[str, Handler] = {}
        self.route = ""

    def at(self, names: list[str]) -> "_Node":
        """Return the node of a URL, made if there is none."""
        node = self
        for name in names:
            node = node.children.setdefault(name, _Node())
        return node


class Root:
    """Where pecan begins."""

    def __init__(self, service: Service) -> None:
        self._documents = Documents(service)
        self._tree = _Node()
        for url, methods in routes(service).items():
            node = self._tree.at(url.split("/"))
            node.methods, node.route = methods, f"/{_VERSION}/{url}"

    def __dir__(self) -> list[str]:
        """Return what pecan looks for among our names at every request."""
        return ["_route"]

    @pecan.expose()  # type: ignore[untyped-decorator]
    def _route(
        self, parts: list[str], request: Request
    ) -> tuple[Handler, list[str]]:
        """Return the method that answers a URL, and what it is given.

        :param parts: what is between the slashes of the path.
        """
        if any("\0" in part for part in parts):
            raise BadRequest("The URL holds a character U+0000.")
        if parts and not parts[-1]:
            parts.pop()  # a slash at the end says nothing
        if not parts:
            request.environ[requests.ROUTE_KEY] = "/"
            return self._documents.versions, []
        if parts[0] == _SAHARA and _SAHARAS.intersection(parts[1:3]):
            return self._resource(parts[1:], request)
        if parts[0] == _FUEL:
            return self._resource_of_fuel(parts[1:], request)
        if parts[0] != _VERSION:
            return self._documents.choices, []
        return self._resource(parts[1:], request)

    def _resource_of_fuel(
        self, parts: list[str], request: Request
    ) -> tuple[Handler, list[str]]:
        request.prefix = _FUEL
        if parts[:1] == [_VERSION]:
            request.prefix = f"{_FUEL}/{parts.pop(0)}"
        if parts == ["version"]:
            request.environ[requests.ROUTE_KEY] = f"/{_FUEL}/version"
            return self._documents.fuel_version, []
        if not parts or parts[0] not in _FUELS:
            raise _not_found()
        return self._resource(parts, request)

    def _resource(
        self, parts: list[str], request: Request
    ) -> tuple[Handler, list[str]]:
        top = self._tree.children
        if parts and parts[0] not in top and not _is_json(parts[0], top):
            if _PROJECT.fullmatch(parts[0]) is None:
                raise _not_found()
            request.project = parts.pop(0)
        if not parts:
            request.environ[requests.ROUTE_KEY] = f"/{_VERSION}"
            return self._documents.version, []
        requests.negotiate(request.environ)
        node, references = self._walk(parts)
        request.environ[requests.ROUTE_KEY] = node.route
        method = "GET" if request.method == "HEAD" else request.method
        if method not in node.methods:
            allowed = [*node.methods]
            if "GET" in allowed:
                allowed.append("HEAD")
            raise errors.MethodNotAllowed(
                f"{request.method} is not allowed here; allowed are"
                f" {', '.join(allowed)}.",
                tuple(allowed),
            )
        return node.methods[method], references

    def _walk(self, parts: list[str]) -> tuple[_Node, list[str]]:
        node, references = self._tree, []
        last = len(parts) - 1
        for place, part in enumerate(parts):
            if part in node.children:
                node = node.children[part]
            elif place == last and _is_json(part, node.children):
                node = node.children[part.removesuffix(".json")]
            elif "{}" in node.children and part:
                node = node.children["{}"]
                references.append(part)
            else:
                raise _not_found()
        if not node.methods:
            raise _not_found()
        return node, references


def _is_json(part: str, children: dict[str, _Node]) -> bool:
    return part.endswith(".json") and part.removesuffix(".json") in children


def _not_found() -> errors.RouteNotFound:
    return errors.RouteNotFound("The resource could not be found.")
