"""From the parameters of a list's URL to a page and its filters.

The parameters have been checked by the query's schema; the rules between
them are Masakari's (reference 1.5).
"""

from collections.abc import Mapping
from typing import Any

from recovery_ha.db.paging import Page
from recovery_ha.domain.errors import BadRequest

#: A checked query: every parameter with its values in order.
Query = Mapping[str, list[str]]

_TRUE = frozenset({"1", "t", "true", "on", "y", "yes"})
#: More digits than any limit or id has.
_DIGITS = 18


def page(query: Query, max_limit: int) -> Page:
    """Return the page that is asked for.

    :param max_limit: the largest limit, and the one when none is given.
    :raises BadRequest: there are more directions than keys.
    """
    limit = max_limit
    if "limit" in query:
        asked = query["limit"][-1]
        if len(asked) <= _DIGITS:
            limit = min(int(asked), max_limit)
    marker = query["marker"][-1] if "marker" in query else None
    return Page(limit=limit, marker=marker, sort=_sort(query))


def _sort(query: Query) -> tuple[tuple[str, str], ...]:
    keys = query.get("sort_key", ["created_at"])
    directions = query.get("sort_dir", ["desc"])
    if len(directions) > len(keys):
        raise BadRequest(
            "Invalid input for field/attribute sort_dir. Value:"
            f" {', '.join(directions)[:80]}. Allowed: not more directions"
            f" than sort keys, of which there are {len(keys)}."
        )
    missing = len(keys) - len(directions)
    directions = [*directions, *[directions[0]] * missing]
    # A key that is named twice sorts by its first direction.
    chosen: dict[str, str] = {}
    for key, direction in zip(keys, directions, strict=True):
        chosen.setdefault(key, direction)
    return tuple(chosen.items())


def texts(query: Query, *names: str) -> dict[str, Any]:
    """Return the filters that compare texts, by name."""
    return {name: query[name][-1] for name in names if name in query}


def booleans(query: Query, *names: str) -> dict[str, Any]:
    """Return the filters that compare truth values, by name."""
    return {
        name: query[name][-1].strip().lower() in _TRUE
        for name in names
        if name in query
    }
