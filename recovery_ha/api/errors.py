"""The one border between what went wrong and what HTTP says of it.

A domain error carries its text and its stable code; status and fault key are
chosen here. What is not known here is our own failure: it is logged once,
with its traceback, and answered without a word about our insides.
"""

import json
import logging
import re
from http import HTTPStatus
from typing import Any

import webob
from oslo_db import exception as db_exc
from webob import exc as webob_exc

from recovery_ha import microversion
from recovery_ha.domain import errors

LOG = logging.getLogger(__name__)

#: Seconds after which it makes sense to try again.
RETRY_AFTER = "5"

VERSION_HEADER = "OpenStack-API-Version"

#: The environment key of an answer's microversion, once it is known.
VERSION_KEY = "recovery_ha.version"
#: The environment key that says that the answer is in our form already.
ANSWERED_KEY = "recovery_ha.answered"


class RequestError(errors.RecoveryHAError):
    """What only an HTTP request can do wrong."""

    status = 400


class Unauthorized(RequestError):
    """No valid token came with the request."""

    code = "recovery_ha.request.unauthorized"
    status = 401


class RouteNotFound(RequestError):
    """The URL names nothing."""

    code = "recovery_ha.route.not_found"
    status = 404


class MethodNotAllowed(RequestError):
    """The URL exists, but not with this method.

    :ivar allowed: the methods it has.
    """

    code = "recovery_ha.method.not_allowed"
    status = 405

    def __init__(self, message: str, allowed: tuple[str, ...]) -> None:
        super().__init__(message)
        self.allowed = allowed


class VersionNotAcceptable(RequestError):
    """The asked microversion is outside the range."""

    code = "recovery_ha.version.not_acceptable"
    status = 406


class BodyTooLarge(RequestError):
    """The body is larger than the operator allows."""

    code = "recovery_ha.request.too_large"
    status = 413


class MediaTypeNotSupported(RequestError):
    """The body is something else than JSON."""

    code = "recovery_ha.media_type.not_supported"
    status = 415


class Unavailable(RequestError):
    """A service that this one needs does not answer."""

    code = "recovery_ha.unavailable"
    status = 503


_KEYS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    415: "badMediaType",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}
_OTHER_KEY = "masakariFault"

#: The URLs that clients of Sahara use.
_OF_SAHARA = re.compile(r"/v1\.1(/|\Z)")

#: Those of Fuel's history.
_OF_FUEL = re.compile(
    r"/(api|v1/([0-9a-f\-]+/)?(transactions|tasks|deployment_history))(/|\Z)",
    re.ASCII,
)

#: Those of Fenix's maintenance.
_OF_FENIX = re.compile(
    r"/v1/([0-9a-f\-]+/)?(maintenance|instance|instance_group)(/|\Z)",
    re.ASCII,
)

#: What middleware refuses without saying it well.
_TEXTS = {
    401: "The request you have made requires authentication.",
    413: "The request body is larger than this service takes.",
    503: "A service that this one needs does not answer. Try again later.",
}

_STATUS = (
    (errors.BadRequest, 400),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
)

#: What the database raises when it is gone, full, or lost a race for good.
_DATABASE_GONE = (
    db_exc.DBConnectionError,
    db_exc.DBDeadlock,
    db_exc.RetryRequest,
    errors.DatabaseUnavailable,
)


def answer(environ: dict[str, Any], error: Exception) -> webob.Response:
    """Return what a request is answered that ended with ``error``."""
    error = _known(environ, error)
    status = _status(error)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        LOG.error(
            "Request %s failed: %s %s",
            request_id(environ),
            environ.get("REQUEST_METHOD"),
            environ.get("PATH_INFO"),
            exc_info=error,
        )
        code = "recovery_ha.internal"
        text = "An unexpected error prevented the request from completing."
    else:
        code, text = getattr(error, "code", "recovery_ha.error"), str(error)
        LOG.info("Request %s: %d %s", request_id(environ), status, code)
    environ[ANSWERED_KEY] = True
    response = _response(environ, status, code, text)
    response.headers.update(_headers(environ, error, status))
    return response


def _known(environ: dict[str, Any], error: Exception) -> Exception:
    """Return what an error of a library means here."""
    if isinstance(error, webob_exc.HTTPException):
        return of_status(error.status_int, str(error.detail or ""))
    if isinstance(error, UnicodeError):
        return errors.BadRequest("The URL is not valid UTF-8.")
    if isinstance(error, _DATABASE_GONE):
        LOG.error("Request %s: the database: %s", request_id(environ), error)
        return Unavailable("The database does not answer. Try again later.")
    return error


def _status(error: Exception) -> int:
    if isinstance(error, RequestError):
        return error.status
    return next(
        (status for kind, status in _STATUS if isinstance(error, kind)),
        HTTPStatus.INTERNAL_SERVER_ERROR,
    )


def _headers(
    environ: dict[str, Any], error: Exception, status: int
) -> dict[str, str]:
    headers = {"Vary": VERSION_HEADER}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY_AFTER
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.allowed)
    version = environ.get(VERSION_KEY)
    if version is not None and status != HTTPStatus.NOT_ACCEPTABLE:
        headers[VERSION_HEADER] = f"{microversion.SERVICE_TYPE} {version}"
    return headers


def _response(
    environ: dict[str, Any],
    status: int,
    code: str,
    text: str,
) -> webob.Response:
    fault = {
        "code": status,
        "message": text,
        "request_id": request_id(environ),
        "error": code,
    }
    found: dict[str, Any] = {_KEYS.get(status, _OTHER_KEY): fault}
    if _OF_SAHARA.match(environ.get("PATH_INFO", "")):
        found |= _sahara_fault(status, text)
    if _OF_FUEL.match(environ.get("PATH_INFO", "")):
        found |= {"message": text, "errors": None}
    if _OF_FENIX.match(environ.get("PATH_INFO", "")):
        found |= {"error": text, "message": text}
    body = json.dumps(found).encode()
    return webob.Response(
        body=body, status=status, content_type="application/json"
    )


def _sahara_fault(status: int, text: str) -> dict[str, Any]:
    """Return what Sahara's clients read (reference, section 1)."""
    return {
        "error_code": status,
        "error_name": HTTPStatus(status).name,
        "error_message": text,
    }


def of_status(status: int, text: str) -> Exception:
    """Return the error that a library's answer of some status stands for."""
    kinds: dict[int, type[errors.RecoveryHAError]] = {
        400: errors.BadRequest,
        401: Unauthorized,
        403: errors.Forbidden,
        404: RouteNotFound,
        413: BodyTooLarge,
        415: MediaTypeNotSupported,
        503: Unavailable,
    }
    text = text or _TEXTS.get(status) or webob_exc.status_map[status].title
    kind = kinds.get(status)
    if kind is not None:
        return kind(text)
    error = RequestError(text)
    error.status = status
    return error


def request_id(environ: dict[str, Any]) -> str | None:
    """Return the id that this request has in the logs."""
    found: str | None = environ.get("openstack.request_id")
    return found
