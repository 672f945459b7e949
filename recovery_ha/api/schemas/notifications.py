"""Notifications; what a payload may hold depends on the type."""

from recovery_ha.api.schemas import common
from recovery_ha.api.validation import Schema, Schemas, Validator
from recovery_ha.domain.recovery import NotificationStatus, NotificationType

_TYPE: Schema = {"enum": [str(kind) for kind in NotificationType]}
_CREATE = common.wrapped(
    "notification",
    {
        "type": "object",
        "properties": {
            "type": _TYPE,
            "hostname": {
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
                "pattern": r"^[a-zA-Z0-9-._]*\Z",
                "description": "1 to 255 letters, digits, '-', '.' and '_'",
            },
            "generated_time": {
                "type": "string",
                "format": "time",
                "description": "a time in ISO 8601",
            },
            # Which fields it has is checked with PAYLOADS.
            "payload": {"type": "object"},
        },
        "required": ["type", "hostname", "generated_time", "payload"],
        "additionalProperties": False,
    },
)
CREATE = Schemas(("1.0", None, _CREATE))


def _payload(required: list[str], **properties: Schema) -> Validator:
    return Validator(
        {
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": False,
        }
    )


# Masakari allows a process name of 4096 characters, and 255 for any value of
# a payload: together that makes 255.
_TEXT: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "description": "1 to 255 characters",
}
_EVENT: Schema = {"enum": ["STARTED", "STOPPED"]}

PAYLOADS: dict[NotificationType, Validator] = {
    NotificationType.COMPUTE_HOST: _payload(
        ["event"],
        event=_EVENT,
        host_status={"enum": ["NORMAL", "UNKNOWN"]},
        cluster_status={"enum": ["ONLINE", "OFFLINE"]},
    ),
    NotificationType.PROCESS: _payload(
        ["event", "process_name"], event=_EVENT, process_name=_TEXT
    ),
    NotificationType.VM: _payload(
        ["instance_uuid", "event", "vir_domain_event"],
        instance_uuid={
            "type": "string",
            "format": "uuid-like",
            "description": "a UUID",
        },
        event=_TEXT,
        vir_domain_event=_TEXT,
    ),
}

_NOTIFICATION = {
    "notification_uuid": common.UUID,
    "generated_time": common.ANSWER_TIME,
    "source_host_uuid": common.UUID,
    "type": _TYPE,
    "payload": {"type": "object"},
    "status": {"enum": [str(status) for status in NotificationStatus]},
    "failover_segment_uuid": common.UUID,
    "message": common.STRING_OR_NULL,
}
_DETAIL: Schema = {
    "type": "object",
    "properties": {
        "timestamp": common.STRING,
        "progress": common.STRING,
        "message": common.STRING,
    },
    "required": ["timestamp", "progress", "message"],
    "additionalProperties": False,
}
_TASK: Schema = {
    "type": "object",
    "properties": {
        "name": common.STRING,
        "progress": {"type": "number", "minimum": 0, "maximum": 1},
        "state": common.STRING,
        "progress_details": {"type": "array", "items": _DETAIL},
    },
    "required": ["name", "progress", "state", "progress_details"],
    "additionalProperties": False,
}
_PLAIN = common.resource(**_NOTIFICATION)
_WORKFLOW = {"recovery_workflow_details": {"type": "array", "items": _TASK}}
_DETAILED = common.resource(**_NOTIFICATION, **_WORKFLOW)

QUERY = common.query(
    **{
        "status": "string",
        "type": "string",
        "source_host_uuid": "string",
        "generated-since": "time",
        "generated_since": "time",
    }
)
_RUN = {"transaction_id": common.UUID}
_PLAIN_WITH_RUN = common.resource(**_NOTIFICATION, **_RUN)
CREATED = Schemas(
    ("1.0", "1.3", common.wrapped("notification", _PLAIN)),
    ("1.4", None, common.wrapped("notification", _PLAIN_WITH_RUN)),
)
ONE = Schemas(
    ("1.0", "1.0", common.wrapped("notification", _PLAIN)),
    ("1.1", "1.3", common.wrapped("notification", _DETAILED)),
    (
        "1.4",
        None,
        common.wrapped(
            "notification",
            common.resource(**_NOTIFICATION, **_WORKFLOW, **_RUN),
        ),
    ),
)
LIST = Schemas(
    ("1.0", "1.3", common.listed("notifications", _PLAIN)),
    ("1.4", None, common.listed("notifications", _PLAIN_WITH_RUN)),
)
