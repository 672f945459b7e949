"""What Ceilometer makes of a notification: an event with traits."""

import datetime as dt
from typing import Any

Event = dict[str, Any]

TEXT, INTEGER, FLOAT, DATETIME = 1, 2, 3, 4
# Ceilometer cuts what is longer.
LONGEST = 255
# What the definitions of real clouds say is a time.
_TIMES = frozenset({"reply_at", "actions_at"})


def to_event(
    message_id: str,
    event_type: str,
    payload: dict[str, Any],
    generated: str | None = None,
) -> Event:
    """Return the event of a notification.

    Every field of the payload becomes a trait: a time, a number, or a text,
    which is Python's of lists and dicts. A field without a value becomes
    none.

    :param generated: when it was sent
    """
    return {
        "message_id": message_id,
        "event_type": event_type,
        "generated": generated or _isoformat(dt.datetime.now(dt.UTC)),
        "traits": [
            _trait(name, value)
            for name, value in payload.items()
            if value is not None
        ],
        "raw": {},
        "message_signature": None,
    }


def _trait(name: str, value: Any) -> list[Any]:
    if name in _TIMES:
        return [name, DATETIME, str(value).replace(" ", "T")]
    if isinstance(value, int) and not isinstance(value, bool):
        return [name, INTEGER, value]
    if isinstance(value, float):
        return [name, FLOAT, value]
    return [name, TEXT, str(value)[:LONGEST]]


def _isoformat(time: dt.datetime) -> str:
    return time.replace(tzinfo=None).isoformat()


def value_of(event: Event, field: str) -> Any:
    """Return what the query of an alarm calls by a name, None for nothing.

    :param field: `traits.NAME`, or the name of a field of the event
    """
    if not field.startswith("traits."):
        return event.get(field)
    wanted = field.removeprefix("traits.")
    for name, _kind, value in event["traits"]:
        if name == wanted:
            return value
    return None


def project_of(event: Event) -> str:
    """Return the id of the project whose alarms an event concerns."""
    found = value_of(event, "traits.project_id")
    return str(found or value_of(event, "traits.tenant_id") or "")
