"""Links from one page of a list to the next."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from recovery_ha.api.request import Request
from recovery_ha.api.service import Service


def next_page(
    service: Service,
    request: Request,
    found: Sequence[Any],
    limit: int | None,
    marker: str,
) -> list[dict[str, str]]:
    """Return the link to the page after this one; empty at the end.

    :param found: what is on this page.
    :param limit: how much fits on it.
    :param marker: what names its last entry, "" if there is none.
    """
    if not found or limit is None or len(found) < limit:
        return []
    query = [
        (name, value)
        for name, value in request.GET.items()
        if name != "marker"
    ]
    base = str(service.link_prefix or request.application_url).rstrip("/")
    pairs = urlencode([*query, ("marker", marker)])
    return [{"rel": "next", "href": f"{base}{request.path_info}?{pairs}"}]
