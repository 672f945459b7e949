"""Maintenance sessions and replies to them: Fenix's bodies."""

from typing import Any

from recovery_ha.api.schemas import common
from recovery_ha.api.schemas.following import parameters
from recovery_ha.api.validation import Schema, Schemas
from recovery_ha.domain.maintenance import (
    WORKING,
    ActionStatus,
    Answer,
    HostStatus,
    HostType,
    InstanceAction,
    PluginType,
    ReplyStatus,
    RunStatus,
    SessionAction,
    SessionState,
)

#: Hosts, action plug-ins, and instances of one request.
_MOST_HOSTS, _MOST_ACTIONS, _MOST_INSTANCES = 10000, 1000, 10000
_MOST_DOWNLOADS = 10
_LONGEST_REASON = 4096
_LONGEST_URL = 2048


def _object(
    properties: dict[str, Schema], *required: str, **more: Any
) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


# Sessions

_TIME: Schema = {
    "type": "string",
    "format": "time",
    "pattern": r"^[0-9-]{8,10}[T ][0-9]",
    "description": "a time as YYYY-MM-DD HH:MM:SS or in ISO 8601, UTC unless"
    " it has an offset",
}
_ACTION = _object(
    {
        "plugin": common.NAME,
        "type": {"enum": [str(one) for one in PluginType]},
        "metadata": {"type": "object"},
    },
    "plugin",
    "type",
)
CREATE = Schemas(
    (
        "1.0",
        None,
        _object(
            {
                "hosts": {
                    "type": "array",
                    "items": common.NAME,
                    "uniqueItems": True,
                    "maxItems": _MOST_HOSTS,
                    "description": f"up to {_MOST_HOSTS} names of hosts, each"
                    " once; none of them: all compute hosts",
                },
                "state": {"enum": [str(SessionState.MAINTENANCE)]},
                "maintenance_at": _TIME,
                "metadata": {"type": "object"},
                "workflow": common.NAME,
                "actions": {
                    "type": "array",
                    "items": _ACTION,
                    "maxItems": _MOST_ACTIONS,
                    "description": f"up to {_MOST_ACTIONS} action plug-ins",
                },
                "download": {
                    "type": "array",
                    "items": {"type": "string", "maxLength": _LONGEST_URL},
                    "uniqueItems": True,
                    "maxItems": _MOST_DOWNLOADS,
                    "description": f"up to {_MOST_DOWNLOADS} URLs of archives"
                    " that [maintenance_download] archives has, each once",
                },
            },
            "maintenance_at",
        ),
    )
)
_UPDATE: dict[str, Schema] = {
    "state": {"enum": [str(one) for one in SessionState if one in WORKING]},
    # Fenix's clients say it again.
    "session_id": {},
}
UPDATE = Schemas(
    ("1.0", None, {**_object(_UPDATE), "type": ["object", "null"]})
)
_WISHES = [str(one) for one in SessionAction if one != SessionAction.DELETE]
ACTION = Schemas(
    ("1.0", None, _object({"action": {"enum": _WISHES}}, "action"))
)

# Replies

_CHOICE: Schema = {"enum": [str(one) for one in InstanceAction]}
_REPLIES = [
    f"{prefix}_{state}"
    for state in SessionState
    if state in WORKING
    for prefix in ("ACK", "NACK")
]
REPLY = Schemas(
    (
        "1.0",
        None,
        _object(
            {
                "state": {"enum": _REPLIES},
                "instance_actions": {
                    "type": "object",
                    "additionalProperties": _CHOICE,
                    "propertyNames": {
                        "maxLength": 36,
                        "description": "the id of an instance",
                    },
                    "maxProperties": _MOST_INSTANCES,
                },
                "instance_action": _CHOICE,
                "reason": {
                    "type": ["string", "null"],
                    "maxLength": _LONGEST_REASON,
                    "format": "text",
                    "description": f"up to {_LONGEST_REASON} printable"
                    " characters and line breaks, or null",
                },
                # What clients repeat of the question; the URL says it.
                "session_id": {},
                "project_id": {},
                "instance_id": {},
                "instance_ids": {},
            },
            "state",
        ),
    )
)

# Queries

_LIMIT: Schema = {
    "pattern": r"^[0-9]+\Z",
    "description": "an integer, 0 or more",
}
QUERY = parameters(
    state={"enum": [str(one) for one in SessionState]},
    host={},
    limit=_LIMIT,
    marker={},
    sort_key={},
    sort_dir={"enum": ["asc", "desc"]},
)

# Answers

_NUMBER: Schema = {"type": "integer", "minimum": 0}
_PERCENT: Schema = {"type": "integer", "minimum": 0, "maximum": 100}
_FLAG: Schema = {"type": "boolean"}
_WHEN: Schema = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\Z",
}
_WHEN_OR_NULL: Schema = {"anyOf": [_WHEN, {"type": "null"}]}
_STATE: Schema = {"enum": [str(one) for one in SessionState]}
_CHOICE_OR_NULL: Schema = {"enum": [*_CHOICE["enum"], None]}
_REPLY: Schema = {"enum": [str(one) for one in ReplyStatus]}


def _answer(properties: dict[str, Schema]) -> Schema:
    return _object(properties, *properties)


def _versions(properties: dict[str, Schema], around: str = "") -> Schemas:
    """Return the schemas of an answer, which has more from 1.4 on.

    :param around: the key of the session in an answer that has more parts.
    """
    new = {**properties, "transaction_id": common.UUID}
    if around:
        inner = properties[around]["properties"]
        new = {
            **properties,
            around: _answer({**inner, "transaction_id": common.UUID}),
        }
    return Schemas(
        ("1.0", "1.3", _answer(properties)), ("1.4", None, _answer(new))
    )


CREATED = Schemas(("1.0", None, _answer({"session_id": common.UUID})))
_LISTED: dict[str, Schema] = {
    "session_id": common.UUID,
    "state": _STATE,
    "workflow": common.STRING,
    "maintenance_at": _WHEN,
    "percent_done": _PERCENT,
    "paused": _FLAG,
    "aborted": _FLAG,
    "message": common.STRING_OR_NULL,
    "created_at": _WHEN,
    "updated_at": _WHEN_OR_NULL,
}
_IDS: Schema = {"type": "array", "items": common.UUID}
_LIST = {
    "sessions": _IDS,
    "session_id": _IDS,
    "maintenance_sessions": {"type": "array", "items": _answer(_LISTED)},
    "sessions_links": {
        "type": "array",
        "items": _answer({"rel": {"const": "next"}, "href": common.STRING}),
    },
}
LIST = Schemas(("1.0", None, _answer(_LIST)))
_SESSION: dict[str, Schema] = {
    **_LISTED,
    "round": _NUMBER,
    "failed_state": {"enum": [*_STATE["enum"], None]},
    "requested_action": {"enum": [*(str(one) for one in SessionAction), None]},
    "metadata": {"type": "object"},
    "estimated_end": _WHEN_OR_NULL,
}
ONE = _versions(_SESSION)
UPDATED = Schemas(
    (
        "1.0",
        None,
        _answer({"maintenance": common.STRING, "session_id": common.UUID}),
    )
)
DELETED = Schemas(("1.0", None, _answer({})))
INSTANCES = Schemas(
    (
        "1.0",
        None,
        _answer({"instance_ids": {"type": "array", "items": common.STRING}}),
    )
)
#: A reply is answered with itself.
REPLIED = Schemas(("1.0", None, {"type": "object"}))

_HOST = _answer(
    {
        "hostname": common.STRING,
        "type": {"enum": [str(one) for one in HostType]},
        "status": {"enum": [str(one) for one in HostStatus]},
        "maintained": _FLAG,
        "disabled": _FLAG,
        "details": common.STRING_OR_NULL,
        "message": common.STRING_OR_NULL,
        "started_at": _WHEN_OR_NULL,
        "ended_at": _WHEN_OR_NULL,
    }
)
_PROJECT = _answer(
    {
        "project_id": common.STRING,
        "state": common.STRING_OR_NULL,
        "answer": {"enum": [str(one) for one in Answer]},
        "round": _NUMBER,
        "reply": _REPLY,
        "reply_at": _WHEN_OR_NULL,
        "replied_at": _WHEN_OR_NULL,
        "instance_action": _CHOICE_OR_NULL,
        "message": common.STRING_OR_NULL,
    }
)
_INSTANCE = _answer(
    {
        "instance_id": common.STRING,
        "instance_name": common.STRING,
        "project_id": common.STRING,
        "host": common.STRING,
        "group_id": common.STRING_OR_NULL,
        "state": {"enum": [str(one) for one in ActionStatus]},
        "project_state": common.STRING_OR_NULL,
        "listed": _FLAG,
        "reply": _REPLY,
        "reply_at": _WHEN_OR_NULL,
        "action": _CHOICE_OR_NULL,
        "action_tried": _CHOICE_OR_NULL,
        "action_done": _FLAG,
        "attempts": _NUMBER,
        "source_host": common.STRING_OR_NULL,
        "requested_at": _WHEN_OR_NULL,
        "moved_at": _WHEN_OR_NULL,
        "message": common.STRING_OR_NULL,
    }
)
_PLUGIN: dict[str, Schema] = {
    "order": _NUMBER,
    "plugin": common.STRING,
    "type": {"enum": [str(one) for one in PluginType]},
}
_RUN = _answer(
    {
        **_PLUGIN,
        "hostname": common.STRING,
        "state": {"enum": [str(one) for one in RunStatus]},
        "attempt": _NUMBER,
        "output": common.STRING_OR_NULL,
        "started_at": _WHEN_OR_NULL,
        "ended_at": _WHEN_OR_NULL,
    }
)
_DOWNLOAD = _answer({"url": common.STRING, "sha256": common.STRING})
DETAIL = _versions(
    {
        "session": _answer({**_SESSION, "all_hosts": _FLAG}),
        "hosts": {"type": "array", "items": _HOST},
        "projects": {"type": "array", "items": _PROJECT},
        "instances": {"type": "array", "items": _INSTANCE},
        "action_plugins": {
            "type": "array",
            "items": _answer({**_PLUGIN, "metadata": {"type": "object"}}),
        },
        "action_plugin_instances": {"type": "array", "items": _RUN},
        "download": {"type": "array", "items": _DOWNLOAD},
    },
    "session",
)
