"""What the routes of Fuel's history have in common: lists and forms.

Below ``/api`` clients of Fuel ask, who know no pages: they get whole lists.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from recovery_ha.api import links
from recovery_ha.api.expose import Call
from recovery_ha.api.listing import Query
from recovery_ha.api.service import Service
from recovery_ha.api.streaming import CSV, Stream, all_pages
from recovery_ha.domain.errors import BadRequest
from recovery_ha.domain.ledger import TaskStatus, TransactionStatus

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_JSON = "application/json"
#: Clients of Fuel's specification, and of what Fuel became.
_SPECIFIED, _RELEASED = "api", "api/v1"


def is_epoch(call: Call) -> bool:
    """Tell whether times are wanted in seconds."""
    default = "epoch" if call.request.prefix == _SPECIFIED else "iso"
    return call.query.get("time_format", [default])[-1] == "epoch"


def is_plain(call: Call) -> bool:
    """Tell whether python-fuelclient asks, which shows each further key."""
    return call.request.prefix == _RELEASED


def wants_table(call: Call) -> bool:
    """Tell whether CSV is asked for rather than JSON."""
    accept = call.request.accept
    if not accept:
        return False
    offers = accept.acceptable_offers([_JSON, CSV])
    return bool(offers) and offers[0][0] == CSV


def words(query: Query, name: str) -> list[str]:
    """Return the values of a list with commas; blanks do not count."""
    found = (
        word.strip()
        for value in query.get(name, ())
        for word in value.split(",")
    )
    return list(dict.fromkeys(word for word in found if word))


def transaction_statuses(query: Query) -> list[TransactionStatus]:
    """Return the statuses of runs that are asked for.

    :raises BadRequest: there is none such.
    """
    return _members(
        query, TransactionStatus, "Statuses parameter could only be one of: {}"
    )


def task_statuses(query: Query) -> list[TaskStatus]:
    """Return the statuses of tasks that are asked for.

    :raises BadRequest: there is none such.
    """
    known = "pending, ready, running, error, skipped"
    return _members(
        query, TaskStatus, f"Statuses parameter could be only: {known}"
    )


def _members(query: Query, kind: type[E], text: str) -> list[E]:
    try:
        return [kind(word) for word in words(query, "statuses")]
    except ValueError:
        raise BadRequest(text.format(", ".join(kind))) from None


def answer(
    service: Service,
    call: Call,
    first: Sequence[T],
    size: int,
    *,
    read: Callable[[T], Sequence[T]],
    view: Callable[[T], dict[str, Any]],
    marker: Callable[[T], str],
    columns: Sequence[str] | None = None,
) -> Stream | list[dict[str, Any]]:
    """Return a page with a link to the next, or all pages if that is meant.

    :param first: the page.
    :param size: how much fits on it.
    :param read: returns the page after an entry.
    :param marker: names an entry.
    :param columns: of a table; None: it is JSON.
    """
    endless = "limit" not in call.query and (
        columns is not None or call.request.prefix != "v1"
    )
    if endless:
        return Stream(map(view, all_pages(first, size, read)), columns)
    last = marker(first[-1]) if first else ""
    for link in links.next_page(service, call.request, first, size, last):
        add_link(call, link["href"], link["rel"])
    shown: Iterable[dict[str, Any]] = map(view, first)
    return list(shown) if columns is None else Stream(shown, columns)


def add_link(call: Call, target: str, relation: str) -> None:
    """Have a link in the headers of the answer."""
    before = call.headers.get("Link")
    link = f'<{target}>; rel="{relation}"'
    call.headers["Link"] = link if before is None else f"{before}, {link}"
