"""Runs, their history, steps and events: queries and answers."""

from recovery_ha.api.schemas import common
from recovery_ha.api.schemas.following import parameters
from recovery_ha.api.validation import Schema, Schemas
from recovery_ha.domain.ledger import (
    Kind,
    Outcome,
    TaskStatus,
    TransactionStatus,
)

# Queries

_FORMAT: Schema = {"enum": ["epoch", "iso"]}
_ID: Schema = {
    "type": "string",
    "pattern": r"^[0-9]{1,18}\Z",
    "description": "an integer, 0 or more",
}
_ATTEMPTS: Schema = {"enum": ["all", "latest"]}

_LISTED = {
    "cluster_id": "string",
    "statuses": "string",
    "transaction_types": "string",
    "kind": "string",
    "node": "string",
    "since": "time",
    "until": "time",
    "parent_id": _ID,
    "time_format": _FORMAT,
}
QUERY = common.query(**_LISTED, deleted="boolean")
TASKS_QUERY = common.query(**_LISTED)
SHOW_QUERY = parameters(time_format=_FORMAT)
DELETE_QUERY = parameters(
    force={"enum": ["0", "1", "true", "false", "True", "False"]}
)
_HISTORY = {
    "nodes": "string",
    "statuses": "string",
    "tasks_names": "string",
    "attempts": _ATTEMPTS,
    "marker": _ID,
    "time_format": _FORMAT,
}
HISTORY_QUERY = common.query(**_HISTORY, include_summary="boolean")
ALL_HISTORY_QUERY = common.query(
    **_HISTORY, include_summary="boolean", cluster_id="string", since="time"
)
SUMMARY_QUERY = common.query()

# Answers

_TIME: Schema = {"anyOf": [common.ANSWER_TIME, {"type": "integer"}]}
_TIME_OR_NULL: Schema = {
    "anyOf": [common.ANSWER_TIME, {"type": ["integer", "null"]}]
}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
_NUMBER_OR_NULL: Schema = {"type": ["integer", "null"]}
_FLAG: Schema = {"type": "boolean"}
_PERCENT: Schema = {"type": "integer", "minimum": 0, "maximum": 100}
_STATUS: Schema = {"enum": [str(status) for status in TransactionStatus]}
_COUNTS: Schema = {
    "type": "object",
    "properties": {str(status): _NUMBER for status in TaskStatus},
    "required": [str(status) for status in TaskStatus],
    "additionalProperties": False,
}


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_TRANSACTION = _object(
    id=_NUMBER,
    uuid=common.UUID,
    kind={"enum": [str(kind) for kind in Kind]},
    name=common.STRING,
    cluster={"type": ["integer", "string", "null"]},
    cluster_id=common.STRING_OR_NULL,
    parent_id=_NUMBER_OR_NULL,
    project_id=common.STRING_OR_NULL,
    graph_type=common.STRING_OR_NULL,
    dry_run=_FLAG,
    status=_STATUS,
    outcome={"enum": [*(str(outcome) for outcome in Outcome), None]},
    progress=_PERCENT,
    message=common.STRING_OR_NULL,
    result={},
    statuses=_COUNTS,
    origin_type=common.STRING_OR_NULL,
    origin_id=common.STRING_OR_NULL,
    reporter=common.STRING_OR_NULL,
    external_id=common.STRING_OR_NULL,
    request_id=common.STRING_OR_NULL,
    time_start=_TIME_OR_NULL,
    time_end=_TIME_OR_NULL,
    created_at=_TIME,
    updated_at=_TIME_OR_NULL,
    deleted_at=_TIME_OR_NULL,
)
ONE = Schemas(("1.0", None, _TRANSACTION))
LIST = Schemas(("1.0", None, {"type": "array", "items": _TRANSACTION}))
INFO = Schemas(("1.0", None, {"type": "object"}))

_PROTOCOL: dict[str, Schema] = {
    "id": _NUMBER,
    "task_id": _NUMBER,
    "node_id": common.STRING,
    "deployment_graph_task_name": common.STRING,
    "task_name": common.STRING,
    "status": {"enum": [str(status) for status in TaskStatus]},
    "time_start": _TIME_OR_NULL,
    "time_end": _TIME_OR_NULL,
}
_MORE: dict[str, Schema] = {
    "attempt": {"type": "integer", "minimum": 1},
    "cluster_id": common.STRING_OR_NULL,
    "message": common.STRING_OR_NULL,
    "node_type": common.STRING_OR_NULL,
    "reported_at": _TIME_OR_NULL,
    "step_id": _NUMBER_OR_NULL,
    "summary": {},
}
_RECORD: Schema = {
    "type": "object",
    "properties": _PROTOCOL | _MORE,
    "required": list(_PROTOCOL),
    # Keys of the task's definition and of the reporter.
    "additionalProperties": True,
}
HISTORY = Schemas(("1.0", None, {"type": "array", "items": _RECORD}))

_STEP = _object(
    id=_NUMBER,
    transaction_id=_NUMBER,
    seq=_NUMBER,
    round=_NUMBER,
    step_name=common.STRING,
    step_type=common.STRING,
    total=_NUMBER,
    completed=_NUMBER,
    failed=_NUMBER,
    successful={"type": ["boolean", "null"]},
    progress=_PERCENT,
    started_at=_TIME_OR_NULL,
    completed_at=_TIME_OR_NULL,
    duration={"type": ["number", "null"], "minimum": 0},
    info=common.STRING,
    created_at=_TIME,
    updated_at=_TIME_OR_NULL,
)
STEPS = Schemas(("1.0", None, common.listed("steps", _STEP)))

_EVENT = _object(
    id=_NUMBER,
    task=common.STRING_OR_NULL,
    progress={"type": ["number", "null"], "minimum": 0, "maximum": 1},
    successful={"type": ["boolean", "null"]},
    event_info=common.STRING_OR_NULL,
    message=common.STRING_OR_NULL,
    error_id=common.STRING_OR_NULL,
    traceback=common.STRING_OR_NULL,
    step_id=_NUMBER_OR_NULL,
    history_id=_NUMBER_OR_NULL,
    seq=_NUMBER_OR_NULL,
    node_group_id=common.STRING_OR_NULL,
    instance_id=common.STRING_OR_NULL,
    instance_name=common.STRING_OR_NULL,
    request_id=common.STRING_OR_NULL,
    created_at=_TIME,
)
EVENTS = Schemas(
    (
        "1.0",
        None,
        _object(
            events={"type": "array", "items": _EVENT},
            cursor=_NUMBER,
            ended=_FLAG,
        ),
    )
)

_LINKS: Schema = {
    "type": "array",
    "items": _object(rel={"const": "next"}, href=common.STRING),
}
SUMMARY = Schemas(
    (
        "1.0",
        None,
        _object(
            id=_NUMBER,
            uuid=common.UUID,
            status=_STATUS,
            progress=_PERCENT,
            statuses=_COUNTS,
            nodes={
                "type": "array",
                "items": _object(node_id=common.STRING, statuses=_COUNTS),
            },
            nodes_links=_LINKS,
        ),
    )
)

VERSION = Schemas(
    (
        "1.0",
        None,
        _object(
            api=common.STRING,
            auth_required=_FLAG,
            feature_groups={"type": "array", "items": common.STRING},
            release=common.STRING,
        ),
    )
)
