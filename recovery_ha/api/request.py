"""What a request asks for: which version, whose token, which body.

Nothing here decides on rights or on fields.
"""

import functools
import json
from typing import Any

import microversion_parse
import webob

from recovery_ha import microversion
from recovery_ha.api import errors
from recovery_ha.api.service import Service
from recovery_ha.context import RequestContext
from recovery_ha.domain.errors import BadRequest
from recovery_ha.microversion import Version

#: Set by the authentication middleware, which no header can do.
AUTHENTICATED_KEY = "recovery_ha.authenticated"
#: The environment key of the template of a request's URL, once it is known.
ROUTE_KEY = "recovery_ha.route"

JSON = "application/json"
VENDOR_JSON = "application/vnd.openstack.masakari+json"
#: How much of a refused header is repeated.
_SHOWN = 64
#: Bytes that are read at once of a body of unknown length.
_PIECE = 65536
_BODY_TYPES = frozenset({"", "text/plain", JSON, VENDOR_JSON})


class Request(webob.Request):
    """A request as pecan handles it.

    pecan offers fields of the query and of the body as arguments of the
    method; ours take none of them, so the body is not parsed for that.

    :ivar prefix: what the path begins with: ``v1``, or what clients of
        another service begin with: ``v1.1``, ``api``, ``api/v1``.
    :ivar project: the project in the URL, if there is one.
    """

    pecan: dict[str, Any]
    context: Any = None
    prefix: str = "v1"
    project: str | None = None

    @property
    def json(self) -> dict[str, Any]:
        """Return nothing; :func:`read_body` reads the body."""
        return {}

    @property
    def params(self) -> Any:
        """Return the query's parameters only."""
        return self.GET


def negotiate(environ: dict[str, Any]) -> Version:
    """Return the microversion of a request, and note it for its answer.

    :raises BadRequest: it is not of the form N.M.
    :raises errors.VersionNotAcceptable: it is outside the range.
    """
    header = environ.get("HTTP_OPENSTACK_API_VERSION")
    version = _version(header) if header else microversion.MIN
    environ[errors.VERSION_KEY] = version
    return version


@functools.lru_cache(maxsize=256)
def _version(header: str) -> Version:
    text = microversion_parse.get_version(
        {errors.VERSION_HEADER: header},
        service_type=microversion.SERVICE_TYPE,
    )
    if text is None:
        return microversion.MIN
    try:
        version = microversion.parse(text)
    except ValueError:
        raise BadRequest(
            f"API Version String {_short(text)} is of invalid format. Must be"
            " of format MajorNum.MinorNum."
        ) from None
    if not microversion.MIN <= version <= microversion.MAX:
        raise errors.VersionNotAcceptable(
            f"Version {version} is not supported by the API. Minimum is"
            f" {microversion.MIN} and maximum is {microversion.MAX}."
        )
    return version


def identify(service: Service, request: Request) -> RequestContext:
    """Return who asks.

    :raises errors.Unauthorized: nobody who is known.
    :raises BadRequest: the URL names another project than the token.
    """
    environ = request.environ
    if not environ.get(AUTHENTICATED_KEY):
        raise errors.Unauthorized(
            "The request you have made requires authentication."
        )
    if service.open:
        return RequestContext(
            service.database,
            user_id="noauth",
            project_id=request.project,
            roles=["admin"],
            is_admin=True,
            request_id=environ.get("openstack.request_id"),
            global_request_id=environ.get("openstack.global_request_id"),
        )
    context: RequestContext = RequestContext.from_environ(
        environ, database=service.database, is_admin=False
    )
    context.is_admin = service.policy.check(context, "context_is_admin")
    if request.project not in {None, context.project_id}:
        raise BadRequest(
            f"Malformed request URL: URL's project_id '{request.project}'"
            f" doesn't match Context's project_id '{context.project_id}'"
        )
    return context


def read_body(request: Request) -> Any:
    """Return the parsed body, None if it is empty.

    :raises errors.MediaTypeNotSupported: it is not announced as JSON.
    :raises BadRequest: it is not JSON, or no database could store it.
    """
    kind = request.content_type
    if kind not in _BODY_TYPES:
        raise errors.MediaTypeNotSupported(
            f"Unsupported Content-Type {_short(kind)}; use {JSON}."
        )
    raw = _raw_body(request)
    if not raw:
        return None
    try:
        text = raw.decode()
        body = json.loads(text, parse_constant=_refuse_constant)
        if "\\u" in text:
            _refuse_unstorable(body)
    except (ValueError, RecursionError) as exc:
        reason = f"{type(exc).__name__}: {exc}" if str(exc) else "too deep"
        raise BadRequest(
            f"Malformed request body: it must be JSON in UTF-8 ({reason})."
        ) from exc
    return body


def _raw_body(request: Request) -> bytes:
    """Return the body; webob would copy it, into a file if it is long."""
    length: int | None = request.content_length
    raw: bytes
    if length is None:
        if not request.environ.get("wsgi.input_terminated"):
            return b""  # reading on would wait for the next request
        # In pieces, so that the limit of the size ends it early.
        return b"".join(iter(lambda: request.body_file_raw.read(_PIECE), b""))
    raw = request.body_file_raw.read(length)
    if len(raw) < length:
        raise BadRequest("The request body is shorter than announced.")
    return raw


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _refuse_unstorable(value: Any) -> None:
    match value:
        case str():
            value.encode()  # a lone surrogate raises UnicodeEncodeError
            if "\0" in value:
                raise ValueError("the character U+0000 cannot be stored")
        case dict():
            for key, item in value.items():
                _refuse_unstorable(key)
                _refuse_unstorable(item)
        case list():
            for item in value:
                _refuse_unstorable(item)


def answer_type(environ: dict[str, Any]) -> str:
    """Return the media type of the answer."""
    accepted = environ.get("HTTP_ACCEPT", "")
    return VENDOR_JSON if VENDOR_JSON in accepted else JSON


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
