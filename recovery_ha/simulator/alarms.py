"""The alarms of Aodh."""

import dataclasses
import fnmatch
import json
import operator
import uuid
from collections.abc import Callable
from typing import Any

from recovery_ha.simulator.errors import BadRequest, NotFound
from recovery_ha.simulator.events import Event, project_of, value_of
from recovery_ha.simulator.records import now

STATES = ("ok", "alarm", "insufficient data")
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "gt": operator.gt,
    "lt": operator.lt,
    "ge": operator.ge,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
}
_READ: dict[str, Callable[[Any], Any]] = {"integer": int, "float": float}
_FIELDS: dict[str, Any] = {
    "name": "",
    "type": "event",
    "description": "",
    "enabled": True,
    "severity": "low",
    "alarm_actions": [],
    "ok_actions": [],
    "insufficient_data_actions": [],
    "repeat_actions": False,
    "time_constraints": [],
    "event_rule": {"event_type": "*", "query": []},
}


@dataclasses.dataclass(eq=False)
class Alarm:
    """An alarm; `fields` is what its owner chose."""

    alarm_id: str
    project_id: str
    user_id: str
    fields: dict[str, Any]
    state: str = "insufficient data"
    state_reason: str = "Not evaluated yet"
    timestamp: str = ""
    state_timestamp: str = ""

    def shown(self) -> dict[str, Any]:
        """Return the alarm as Aodh shows it."""
        return {
            **self.fields,
            "alarm_id": self.alarm_id,
            "project_id": self.project_id,
            "user_id": self.user_id,
            "state": self.state,
            "state_reason": self.state_reason,
            "timestamp": self.timestamp,
            "state_timestamp": self.state_timestamp,
            "evaluate_timestamp": self.state_timestamp,
        }


@dataclasses.dataclass(frozen=True)
class Call:
    """What Aodh POSTs because an alarm was raised, and where."""

    url: str
    body: dict[str, Any]


class Alarms:
    """All alarms. Callers hold the lock of the world."""

    def __init__(self) -> None:
        self._alarms: dict[str, Alarm] = {}

    def clear(self) -> None:
        """Forget all alarms."""
        self._alarms.clear()

    def all(self) -> list[Alarm]:
        """Return all alarms, the oldest first."""
        return list(self._alarms.values())

    def get(self, alarm_id: str) -> Alarm:
        """Return an alarm.

        :raises NotFound: there is none
        """
        if alarm_id not in self._alarms:
            raise NotFound(f"Alarm {alarm_id} not found")
        return self._alarms[alarm_id]

    def add(
        self, body: dict[str, Any], project_id: str, user_id: str
    ) -> Alarm:
        """Add an alarm.

        :raises BadRequest: the name is missing or a value impossible
        """
        fields = _checked(body)
        stamp = now().replace(tzinfo=None).isoformat()
        alarm = Alarm(
            str(uuid.uuid4()),
            body.get("project_id") or project_id,
            body.get("user_id") or user_id,
            fields,
            state=body.get("state") or "insufficient data",
            timestamp=stamp,
            state_timestamp=stamp,
        )
        self._alarms[alarm.alarm_id] = alarm
        return alarm

    def replace(self, alarm_id: str, body: dict[str, Any]) -> Alarm:
        """Replace what the owner of an alarm chose.

        :raises NotFound: there is none
        :raises BadRequest: the name is missing or a value impossible
        """
        alarm = self.get(alarm_id)
        alarm.fields = _checked(body)
        alarm.timestamp = now().replace(tzinfo=None).isoformat()
        return alarm

    def set_state(self, alarm_id: str, state: Any) -> str:
        """Set the state of an alarm and return it.

        :raises NotFound: there is none
        :raises BadRequest: Aodh knows no such state
        """
        alarm = self.get(alarm_id)
        if state not in STATES:
            raise BadRequest(f"state is one of {', '.join(STATES)}")
        alarm.state = state
        alarm.state_reason = "Manually set via API"
        alarm.state_timestamp = now().replace(tzinfo=None).isoformat()
        return alarm.state

    def evaluate(self, event: Event) -> list[Call]:
        """Raise the alarms that an event is for.

        As Aodh does: enabled ones of the event's project, whose type and
        query match, and which are not raised already unless they repeat.

        :returns: what is to be POSTed for it
        """
        calls = []
        for alarm in self._alarms.values():
            if not _is_for(alarm, event):
                continue
            reason = (
                f"Event <id={event['message_id']},"
                f"event_type={event['event_type']}> hits the query <query="
                f"{json.dumps(alarm.fields['event_rule'].get('query') or [])}>"
            )
            body = {
                "severity": alarm.fields["severity"],
                "alarm_name": alarm.fields["name"],
                "alarm_id": alarm.alarm_id,
                "previous": alarm.state,
                "current": "alarm",
                "reason": reason,
                "reason_data": {"type": "event", "event": event},
            }
            alarm.state, alarm.state_reason = "alarm", reason
            alarm.state_timestamp = now().replace(tzinfo=None).isoformat()
            calls += [
                Call(url, body)
                for url in alarm.fields["alarm_actions"]
                if str(url).startswith(("http://", "https://"))
            ]
        return calls

    def remove(self, alarm_id: str) -> None:
        """Remove an alarm.

        :raises NotFound: there is none
        """
        del self._alarms[self.get(alarm_id).alarm_id]


def _checked(body: dict[str, Any]) -> dict[str, Any]:
    if not body.get("name"):
        raise BadRequest("Invalid input for field/attribute name")
    fields = {
        name: body.get(name, default) for name, default in _FIELDS.items()
    }
    if fields["type"] != "event":
        raise BadRequest("The simulator has event alarms only")
    return fields


def _is_for(alarm: Alarm, event: Event) -> bool:
    rule = alarm.fields["event_rule"]
    raised = alarm.state == "alarm" and not alarm.fields["repeat_actions"]
    return (
        bool(alarm.fields["enabled"])
        and alarm.project_id == project_of(event)
        and not raised
        and fnmatch.fnmatchcase(
            event["event_type"], rule.get("event_type") or "*"
        )
        and all(_holds(one, event) for one in rule.get("query") or [])
    )


def _holds(condition: dict[str, Any], event: Event) -> bool:
    """Return whether a condition holds; one that makes no sense does not."""
    read = _READ.get(condition.get("type") or "string", str)
    compare = _OPERATORS.get(condition.get("op") or "eq")
    try:
        value = read(value_of(event, condition["field"]))
        wanted = read(condition.get("value"))
        return compare is not None and bool(compare(value, wanted))
    except (KeyError, TypeError, ValueError):
        return False
