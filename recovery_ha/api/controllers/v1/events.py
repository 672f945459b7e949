"""What is said about a recovery: ``/notifications/{notification}/events``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from recovery_ha.api import reading, waiting
from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import following as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.views import following as views
from recovery_ha.db.ledger import events
from recovery_ha.domain.history import Event
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
        found = follow(
            self.service,
            call,
            uuid,
            lambda: events.latest(call.context, uuid),
        )
        return {
            "events": [views.event(item) for item in found.events],
            "cursor": found.cursor,
            "ended": found.ended,
        }


@dataclass(frozen=True, slots=True)
class Followed:
    """What is new about a run.

    :ivar cursor: the id of the last event that is known by now.
    :ivar ended: there will be no further one.
    """

    events: list[Event]
    cursor: int
    ended: bool


def follow(
    service: Service,
    call: Call,
    uuid: str,
    latest: Callable[[], events.Latest],
) -> Followed:
    """Return the events after a cursor; wait for one if that is asked for.

    :param uuid: the transaction's.
    :param latest: tells how far it has come.
    """
    since = _number(call, "since", 0)
    _wait(service, call, since, latest)
    # Read before the events: none of those before its end is missing.
    now = latest()
    limit = min(_number(call, "limit", service.max_limit), service.max_limit)
    found = events.list_events(call.context, uuid, since, limit)
    cursor = found[-1].id if found else since
    return Followed(found, cursor, now.ended and cursor >= now.event)


def _wait(
    service: Service,
    call: Call,
    since: int,
    latest: Callable[[], events.Latest],
) -> None:
    """Wait for news, if that is asked for and there is a place."""
    seconds = _number(call, "wait", 0)

    def is_news() -> bool:
        now = latest()
        return now.event > since or now.ended

    if not seconds or is_news():
        return
    if not service.waiting.wait_for(is_news, seconds):
        call.headers["Retry-After"] = waiting.RETRY_AFTER


def _number(call: Call, name: str, default: int) -> int:
    if name not in call.query:
        return default
    return int(call.query[name][-1])
