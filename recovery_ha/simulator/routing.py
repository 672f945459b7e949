"""How a request finds its handler, and what the handler is given."""

import dataclasses
import functools
import json
import uuid
from collections.abc import Callable
from typing import Any

from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request

from recovery_ha.simulator.errors import BadRequest, Forbidden
from recovery_ha.simulator.identity import Token
from recovery_ha.simulator.world import World

Version = tuple[int, int]
# HTTP status, JSON body or None for no body, and perhaps headers.
Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]


@dataclasses.dataclass
class Context:
    """A request, as handlers see it. They run with the world's lock held.

    :param params: the variable parts of the path
    :param version: the microversion that was agreed on
    :param request_id: what the service calls the request
    """

    world: World
    request: Request
    service: str
    path: str
    body: Any = None
    token: Token | None = None
    version: Version = (0, 0)
    params: dict[str, Any] = dataclasses.field(default_factory=dict)
    request_id: str = dataclasses.field(
        default_factory=lambda: f"req-{uuid.uuid4()}"
    )

    @functools.cached_property
    def root_url(self) -> str:
        """Return where the client found the simulator, for links."""
        return f"{self.request.scheme}://{self.request.host}"

    @functools.cached_property
    def args(self) -> dict[str, str]:
        """Return the query parameters; of a repeated one the first."""
        return self.request.args.to_dict()

    @property
    def caller(self) -> Token:
        """Return the token of a request that needs one."""
        if self.token is None:
            raise Forbidden("No token")
        return self.token

    def has(self, minor: int) -> bool:
        """Return whether the agreed microversion has at least this minor."""
        return self.version[1] >= minor

    def object(self, key: str) -> dict[str, Any]:
        """Return the object that the body holds under a key.

        :raises BadRequest: there is none
        """
        value = self.body.get(key) if isinstance(self.body, dict) else None
        if not isinstance(value, dict):
            raise BadRequest(
                f"Invalid input for field/attribute {key}. Value: {value}."
            )
        return value


Handler = Callable[[Context], Answer]


@dataclasses.dataclass(frozen=True)
class Route:
    """A handler and who may call it."""

    handler: Handler
    rule: str
    admin: bool = False
    public: bool = False


class Routes:
    """The routes of one service."""

    def __init__(self) -> None:
        self._map = Map(strict_slashes=False, merge_slashes=False)
        self._adapter = self._map.bind("simulator")

    def add(
        self,
        method: str,
        rule: str,
        *,
        admin: bool = False,
        public: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Have the decorated function answer a method of a path.

        :param admin: refuse callers without the role admin
        :param public: answer without a token
        """

        def decorate(handler: Handler) -> Handler:
            route = Route(handler, rule, admin, public)
            self._map.add(Rule(rule, methods=[method], endpoint=route))
            return handler

        return decorate

    def match(self, path: str, method: str) -> tuple[Route, dict[str, Any]]:
        """Return the route and the variable parts of the path.

        :raises werkzeug.exceptions.HTTPException: there is no such route
        """
        endpoint, params = self._adapter.match(path, method)
        return endpoint, dict(params)


@dataclasses.dataclass(frozen=True)
class Service:
    """A simulated service.

    :param root: where its paths begin
    :param base: what follows in every path but those of version documents
    :param negotiate: finds the microversion of a request
    :param headers: what every answer carries, by the microversion
    :param error: the body of an error, from status and message
    """

    name: str
    root: str
    base: str
    routes: Routes
    negotiate: Callable[[Request], Version]
    headers: Callable[[Version], dict[str, str]]
    error: Callable[[int, str], Any]


def read_body(request: Request) -> Any:
    """Return the JSON body of a request, None when there is none.

    :raises BadRequest: it is no JSON
    """
    data = request.get_data()
    if not data:
        return None
    try:
        return json.loads(data)
    except ValueError as error:
        raise BadRequest("Malformed request body") from error


def requested_version(request: Request, service: str) -> str | None:
    """Return what OpenStack-API-Version asks of a service, if anything."""
    for part in request.headers.get("OpenStack-API-Version", "").split(","):
        words = part.split()
        if len(words) == len(("name", "version")) and words[0] == service:
            return words[1]
    return None


def parse_version(
    text: str | None, lowest: Version, highest: Version
) -> Version:
    """Return the microversion that a text names.

    :raises BadRequest: it names none
    """
    if text is None:
        return lowest
    if text == "latest":
        return highest
    major, _, minor = text.partition(".")
    if not (major.isdigit() and minor.isdigit()):
        raise BadRequest(
            f"API Version String {text} is of invalid format. Must be of "
            "format MajorNum.MinorNum."
        )
    return int(major), int(minor)
