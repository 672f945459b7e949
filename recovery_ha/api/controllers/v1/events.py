"""What is said about a recovery: ``/notifications/{notification}/events``."""

from typing import Any

from recovery_ha.api import reading, waiting
from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import following as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.views import following as views
from recovery_ha.db.ledger import events
from recovery_ha.policies import notifications as rules


class Events:
    """Remarks about a recovery, in their order."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @expose(
        versions=("1.0", None),
        policy=rules.EVENTS,
        query=schemas.EVENTS_QUERY,
        body=None,
        response=schemas.EVENTS,
        status=200,
    )
    def index(self, call: Call, notification: str) -> dict[str, Any]:
        """List the events after a cursor; wait for one if there is none."""
        uuid = reading.find_notification(
            self.service, call.context, notification
        ).uuid
        since = _number(call, "since", 0)
        self._wait(call, uuid, since)
        # Read before the events: none of those before its end is missing.
        latest = events.latest(call.context, uuid)
        limit = self.service.max_limit
        limit = min(_number(call, "limit", limit), limit)
        found = events.list_events(call.context, uuid, since, limit)
        cursor = found[-1].id if found else since
        return {
            "events": [views.event(item) for item in found],
            "cursor": cursor,
            "ended": latest.ended and cursor >= latest.event,
        }

    def _wait(self, call: Call, uuid: str, since: int) -> None:
        """Wait for news, if that is asked for and there is a place."""
        seconds = _number(call, "wait", 0)

        def is_news() -> bool:
            latest = events.latest(call.context, uuid)
            return latest.event > since or latest.ended

        if not seconds or is_news():
            return
        if not self.service.waiting.wait_for(is_news, seconds):
            call.headers["Retry-After"] = waiting.RETRY_AFTER


def _number(call: Call, name: str, default: int) -> int:
    if name not in call.query:
        return default
    return int(call.query[name][-1])
