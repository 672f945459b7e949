"""What all of Nova's API shares: microversions, errors, pages, times."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from werkzeug.wrappers import Request

from recovery_ha.simulator.errors import BadRequest, NotAcceptable
from recovery_ha.simulator.routing import (
    Context,
    Routes,
    Service,
    Version,
    parse_version,
    requested_version,
)

T = TypeVar("T")

ROUTES = Routes()
LOWEST = (2, 1)
HIGHEST = (2, 96)
ERROR_KEYS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    429: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}


def _text(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def _negotiate(request: Request) -> Version:
    text = requested_version(request, "compute") or request.headers.get(
        "X-OpenStack-Nova-API-Version"
    )
    version = parse_version(text, LOWEST, HIGHEST)
    if not LOWEST <= version <= HIGHEST:
        raise NotAcceptable(
            f"Version {_text(version)} is not supported by the API. Minimum "
            f"is {_text(LOWEST)} and maximum is {_text(HIGHEST)}."
        )
    return version


def _headers(version: Version) -> dict[str, str]:
    return {
        "OpenStack-API-Version": f"compute {_text(version)}",
        "X-OpenStack-Nova-API-Version": _text(version),
        "Vary": "OpenStack-API-Version, X-OpenStack-Nova-API-Version",
    }


def _error(status: int, message: str) -> dict[str, Any]:
    key = ERROR_KEYS.get(status, "computeFault")
    return {key: {"code": status, "message": message}}


SERVICE = Service(
    "compute", "/compute", "/v2.1", ROUTES, _negotiate, _headers, _error
)


def stamp(time: dt.datetime | None) -> str | None:
    """Return a time as most of Nova writes it, without a zone."""
    if time is None:
        return None
    whole = time.replace(microsecond=0, tzinfo=None)
    return f"{whole.isoformat()}.000000"


def stamp_z(time: dt.datetime) -> str:
    """Return a time as servers have it, with a Z."""
    return f"{time.replace(microsecond=0, tzinfo=None).isoformat()}Z"


def read_time(context: Context, name: str) -> dt.datetime | None:
    """Return the time that a query parameter holds, None without it.

    :raises BadRequest: it is no time
    """
    text = context.args.get(name)
    if text is None:
        return None
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(
            f"Invalid input for query parameters {name}. Value: {text}. "
            f"'{text}' is not a 'date-time'"
        ) from error
    if time.tzinfo is None:
        return time.replace(tzinfo=dt.UTC)
    return time


def page(
    context: Context,
    items: Sequence[T],
    uuid_of: Callable[[T], str],
    unknown_marker: str,
) -> tuple[list[T], list[dict[str, str]]]:
    """Cut one page out of a list, as Nova does.

    A full page has a link to the next one even when that will be empty.

    :param uuid_of: returns what a marker names
    :param unknown_marker: the message for a marker that is not in the list
    :returns: the page and its links
    :raises BadRequest: limit or marker are impossible
    """
    most = context.world.settings.page_limit
    text = context.args.get("limit", "")
    if text and not text.isdigit():
        raise BadRequest(
            f"Invalid input for query parameters limit. Value: {text}. "
            f"'{text}' does not match '^[0-9]*$'"
        )
    limit = min(int(text), most) if text else most
    marker = context.args.get("marker")
    start = 0
    if marker:
        uuids = [uuid_of(item) for item in items]
        if marker not in uuids:
            raise BadRequest(unknown_marker.format(marker=marker))
        start = uuids.index(marker) + 1
    found = list(items[start : start + limit])
    if not found or len(found) < limit:
        return found, []
    query = context.request.args.to_dict(flat=False)
    query["marker"] = [uuid_of(found[-1])]
    if text:
        query["limit"] = [str(limit)]
    href = f"{href_of(context, context.path)}?{urlencode(query, doseq=True)}"
    return found, [{"rel": "next", "href": href}]


def href_of(context: Context, path: str) -> str:
    """Return the URL of a path of this API."""
    return f"{context.root_url}/compute/v2.1{path}"


def truth(text: str | None) -> bool:
    """Return whether a query parameter says yes."""
    return (text or "").lower() in {"1", "true", "t", "yes", "on"}
