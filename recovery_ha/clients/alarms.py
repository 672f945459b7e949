"""Aodh: which projects want to be told of an event."""

import fnmatch
import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from recovery_ha.clients.requests import Api, Nova, Requests, Service

#: Aodh has no microversions; its one version is in its paths.
_ALARMS = Api(Service.AODH)
_PATH = "/v2/alarms"
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
#: What the project of an event is called in the query of an alarm.
_PROJECT = frozenset({"traits.project_id", "traits.tenant_id"})


class Alarms(Requests):
    """Aodh for one piece of work."""

    def __init__(
        self,
        api: Nova,
        *,
        check: Callable[[], None],
        wait: Callable[[float], None],
        request_id: str | None,
        page_size: int = 500,
    ) -> None:
        """Bind Aodh to a piece of work.

        :param check: (and wait, request_id) see :class:`Requests`.
        :param page_size: how many alarms are asked for at once.
        """
        super().__init__(api, check=check, wait=wait, request_id=request_id)
        self._page_size = page_size

    def subscribed_projects(self, event_types: Collection[str]) -> set[str]:
        """Return the ids of projects that have an alarm for an event.

        An alarm counts if it is enabled, its event type is that of the
        event or a pattern for it, and its query does not exclude its own
        project; what else it asks of an event is not known before there is
        one.

        :param event_types: the names that the event has; one is enough.
        :raises errors.ComputeError: in Aodh's words.
        """
        return {
            alarm["project_id"]
            for alarm in self._all()
            if _listens(alarm, event_types)
        }

    def _all(self) -> Iterator[Mapping[str, Any]]:
        """Yield the alarms of all projects.

        There are no links, so that a page is the last one when nothing
        follows it, or nothing new: an Aodh that cannot page answers with
        all of them each time.
        """
        params = {
            "q.field": "all_projects",
            "q.op": "eq",
            "q.value": "true",
            "limit": str(self._page_size),
            "sort": "alarm_id:asc",
        }
        seen: set[str] = set()
        while True:
            answer: Any = self._get(_ALARMS, _PATH, params)
            page = [x for x in answer if x["alarm_id"] not in seen]
            if not page:
                return
            yield from page
            seen.update(x["alarm_id"] for x in page)
            params = {**params, "marker": page[-1]["alarm_id"]}


def _listens(alarm: Mapping[str, Any], event_types: Collection[str]) -> bool:
    rule = alarm.get("event_rule")
    if not isinstance(rule, Mapping) or not alarm.get("enabled", True):
        return False
    pattern = rule.get("event_type") or "*"
    project = alarm.get("project_id")
    return (
        bool(project)
        and any(fnmatch.fnmatchcase(name, pattern) for name in event_types)
        and all(_admits(q, project) for q in rule.get("query") or ())
    )


def _admits(condition: Mapping[str, Any], project: Any) -> bool:
    """Tell whether a condition may hold for an event of a project."""
    if condition.get("field") not in _PROJECT:
        return True
    compare = _OPERATORS.get(condition.get("op") or "eq")
    if compare is None:
        return True
    return bool(compare(str(project), str(condition.get("value"))))
