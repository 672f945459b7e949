"""The one decorator of every method that answers requests.

It says the range of versions, the policy rule, the schemas of query, body and
answer, and the status of success, and sees to them in this order: version,
caller, rule, query, body. A caller without rights learns nothing about what
a body should look like.
"""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pecan
import webob

from recovery_ha import microversion
from recovery_ha.api import errors
from recovery_ha.api import request as requests
from recovery_ha.api.request import Request
from recovery_ha.api.service import Service
from recovery_ha.api.streaming import Stream
from recovery_ha.api.validation import Schemas
from recovery_ha.context import RequestContext
from recovery_ha.domain.errors import BadRequest
from recovery_ha.microversion import Version

#: Instead of a rule, of documents that need no token.
NO_TOKEN = None


@dataclass(frozen=True, slots=True)
class Spec:
    """What :func:`expose` was told of a method."""

    first: Version
    last: Version
    policy: str | None
    query: Schemas
    body: Schemas | None
    response: Schemas | None
    status: int


@dataclass(frozen=True, slots=True)
class Call:
    """A request that may be answered, as its method gets it.

    :ivar context: who asks, for the database functions.
    :ivar query: the checked parameters, each with its values in order.
    :ivar body: the checked body, None if the method has none.
    :ivar headers: further ones of the answer, for the method to set.
    """

    request: Request
    version: Version
    context: RequestContext
    query: Mapping[str, list[str]]
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Other:
    """An answer whose status is not the one that :func:`expose` was told."""

    status: int
    body: Any


class Controller(Protocol):
    """What :func:`expose` needs of the class of a method."""

    service: Service


def expose(
    *,
    versions: tuple[str, str | None],
    policy: str | None,
    query: Schemas,
    body: Schemas | None,
    response: Schemas | None,
    status: int,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Have a method of a controller answer requests.

    The method gets a :class:`Call` and the references in the URL and returns
    what is answered, None without a body; :class:`Other` and
    :class:`~recovery_ha.api.streaming.Stream` say more of it. Before a token
    is known (policy :data:`NO_TOKEN`) it gets the :class:`Request` instead.

    :param versions: the first and the last (None: newest) version it has.
    :param policy: the rule which the caller must satisfy.
    :raises ValueError: a schema does not cover the versions.
    """
    spec = Spec(
        first=microversion.parse(versions[0]),
        last=microversion.parse(versions[1] or "latest"),
        policy=policy,
        query=query,
        body=body,
        response=response,
        status=status,
    )
    for schemas in (query, body, response):
        if schemas is not None and (
            schemas.first > spec.first or schemas.last < spec.last
        ):
            raise ValueError(f"a schema does not cover {versions}")

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def handle(
            self: Controller,
            request: Request,
            response: webob.Response,
            *references: str,
        ) -> webob.Response:
            headers: Mapping[str, str] = {}
            if spec.policy is NO_TOKEN:
                result = method(self, request, *references)
                version = microversion.MIN
            else:
                call = _admit(self.service, spec, request)
                result = method(self, call, *references)
                version, headers = call.version, call.headers
            status = spec.status
            if isinstance(result, Other):
                status, result = result.status, result.body
            if spec.response is not None and self.service.check_responses:
                result = _checked(spec.response, version, result)
            return _fill(response, request.environ, status, result, headers)

        handle.spec = spec  # type: ignore[attr-defined]
        pecan.expose("json")(handle)
        return handle

    return decorate


def _admit(service: Service, spec: Spec, request: Request) -> Call:
    """Check everything about a request that comes before its method."""
    environ = request.environ
    version: Version = environ[errors.VERSION_KEY]
    if not spec.first <= version <= spec.last:
        raise errors.RouteNotFound(
            f"The resource does not exist at version {version}."
        )
    context = requests.identify(service, request)
    service.policy.authorize(context, str(spec.policy))
    query: dict[str, list[str]] = {}
    if environ.get("QUERY_STRING"):
        query = request.GET.dict_of_lists()
        if any("\0" in value for found in query.values() for value in found):
            raise BadRequest("The query holds a character U+0000.")
        spec.query.at(version).check(query)
    body = None
    if spec.body is not None:
        body = requests.read_body(request)
        spec.body.at(version).check(body)
    return Call(request, version, context, query, body)


def _checked(schemas: Schemas, version: Version, result: Any) -> Any:
    """Return an answer that matches its schema.

    :raises RuntimeError: it does not match, which is nobody's fault but ours.
    """
    shown = result
    if isinstance(result, Stream):
        shown = list(result.rows)
        result = replace(result, rows=iter(shown))
    try:
        schemas.at(version).check(shown)
    except BadRequest as exc:
        raise RuntimeError(f"the answer does not match: {exc}") from exc
    return result


def _fill(
    response: webob.Response,
    environ: dict[str, Any],
    status: int,
    result: Any,
    further: Mapping[str, str],
) -> webob.Response:
    """Make the answer; its headers are set as a whole, which costs least."""
    headers = [("Vary", errors.VERSION_HEADER), *further.items()]
    version = environ.get(errors.VERSION_KEY)
    if version is not None:
        headers.append(
            (errors.VERSION_HEADER, f"{microversion.SERVICE_TYPE} {version}")
        )
    content = b""
    response.status_int = status
    environ[errors.ANSWERED_KEY] = True
    if isinstance(result, Stream):
        response.app_iter = result.chunks()
        response.headerlist = [*headers, ("Content-Type", result.media_type)]
        return response
    if result is not None:
        content = json.dumps(result).encode()
        headers += [
            ("Content-Type", requests.answer_type(environ)),
            ("Content-Length", str(len(content))),
        ]
    response.app_iter = [content]  # would drop the length if it came later
    response.headerlist = headers
    return response
