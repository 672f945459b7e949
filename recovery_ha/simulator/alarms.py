"""The alarms of Aodh."""

import dataclasses
import uuid
from typing import Any

from recovery_ha.simulator.errors import BadRequest, NotFound
from recovery_ha.simulator.records import now

STATES = ("ok", "alarm", "insufficient data")
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
