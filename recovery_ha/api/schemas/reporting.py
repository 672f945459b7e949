"""What those who report a run from outside send."""

from recovery_ha.api.schemas import common
from recovery_ha.api.validation import Schema, Schemas
from recovery_ha.db.ledger.reports import MOST_ITEMS
from recovery_ha.domain.ledger import Kind, Outcome, ReportVerdict, TaskStatus

#: Rows of a graph.
MOST_ROWS = 10000

_LARGEST = 2**63 - 1
_STATUSES = [str(status) for status in TaskStatus]


def _name(longest: int) -> Schema:
    return {
        **common.NAME,
        "maxLength": longest,
        "description": f"1 to {longest} printable characters, no white space"
        " at either end",
    }


def _object(properties: dict[str, Schema], *required: str) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_NAME = _name(255)
_FLAG: Schema = {"type": "boolean"}
_MAP: Schema = {"type": "object"}
#: Cut when it is kept.
_MESSAGE: Schema = {"type": ["string", "null"]}


def _id(longest: int) -> Schema:
    return {
        "type": ["string", "integer", "null"],
        "minLength": 1,
        "maxLength": longest,
        "minimum": 0,
        "maximum": _LARGEST,
        "description": f"an integer, or up to {longest} characters",
    }


_TASK: Schema = {
    "type": "object",
    "properties": {
        "task_name": _NAME,
        "nodes": {
            "type": "array",
            "items": _NAME,
            "description": "a list of names of nodes",
        },
    },
    "required": ["task_name"],
}
CREATE = Schemas(
    (
        "1.0",
        None,
        _object(
            {
                "name": _NAME,
                # The service has runs of the other kinds itself.
                "kind": {"enum": [str(Kind.DEPLOYMENT)]},
                "reporter": _NAME,
                "external_id": _NAME,
                "cluster_id": _id(64),
                "parent_id": _id(36),
                "graph_type": {**_NAME, "type": ["string", "null"]},
                "dry_run": _FLAG,
                "lossy": _FLAG,
                "lease_seconds": {
                    "type": "number",
                    "minimum": 1,
                    "description": "a number of seconds, 1 or more",
                },
                "tasks": {
                    "type": "array",
                    "items": _TASK,
                    "maxItems": MOST_ROWS,
                    "description": f"a list of up to {MOST_ROWS} tasks",
                },
            },
            "name",
            "reporter",
            "external_id",
        ),
    )
)

_ITEM = _object(
    {
        "seq": {
            "type": ["integer", "null"],
            "minimum": 0,
            "maximum": _LARGEST,
            "description": "an integer, 0 or more",
        },
        "node_id": _NAME,
        "deployment_graph_task_name": _NAME,
        "task_status": {"enum": _STATUSES},
        "time": {
            "anyOf": [
                {"type": "string", "format": "time"},
                {"type": "number", "minimum": 0, "maximum": 253402300799},
                {"type": "null"},
            ],
            "description": "a time in ISO 8601, or seconds since 1970",
        },
        "attempt": {
            "type": ["integer", "null"],
            "minimum": 1,
            "maximum": 1000000,
            "description": "an integer from 1 to 1000000",
        },
        "message": _MESSAGE,
        "summary": {"type": ["object", "null"]},
        "custom": {"type": ["object", "null"]},
        "step_name": {**_NAME, "type": ["string", "null"]},
        "step_type": {**_name(64), "type": ["string", "null"]},
        "node_group_id": {**_name(64), "type": ["string", "null"]},
        "instance_id": {**_NAME, "type": ["string", "null"]},
        "instance_name": {**_NAME, "type": ["string", "null"]},
        "event_info": _MESSAGE,
    },
    "node_id",
    "deployment_graph_task_name",
    "task_status",
)
REPORT = Schemas(
    (
        "1.0",
        None,
        common.wrapped(
            "reports",
            {
                "type": "array",
                "items": _ITEM,
                "maxItems": MOST_ITEMS,
                "description": f"a list of up to {MOST_ITEMS} items",
            },
        ),
    )
)
_ANSWER: Schema = {
    "type": "object",
    "properties": {
        "seq": {"type": ["integer", "null"]},
        "result": {"enum": [str(verdict) for verdict in ReportVerdict]},
        "message": common.STRING,
    },
    "required": ["seq", "result"],
    "additionalProperties": False,
}
REPORTED = Schemas(("1.0", None, common.listed("reports", _ANSWER)))

END = Schemas(
    (
        "1.0",
        None,
        _object(
            {
                "status": {"enum": ["ready", "error"]},
                "message": _MESSAGE,
                "outcome": {
                    "enum": [str(Outcome.IGNORED), str(Outcome.ABORTED)]
                },
                "result": _MAP,
            },
            "status",
        ),
    )
)
