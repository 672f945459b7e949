"""Clusters, their steps and events: Sahara's bodies, bare or wrapped."""

from typing import Any

from recovery_ha.api.schemas import common
from recovery_ha.api.validation import Schema, Schemas
from recovery_ha.domain.provisioning import StepType

#: Events of one request: each may take two items of a report.
MOST_EVENTS = 500
_MOST_GROUPS = 1000
_MOST_STEPS = 1000

_TYPE: Schema = {"enum": [str(kind) for kind in StepType]}
_COUNT: Schema = {
    "type": "integer",
    "minimum": 0,
    "maximum": 1000000,
    "description": "an integer from 0 to 1000000",
}
_FLAG: Schema = {"type": "boolean"}
_OBJECT: Schema = {"type": "object"}


def _text(longest: int) -> Schema:
    return {
        "type": ["string", "null"],
        "maxLength": longest,
        "format": "text",
        "description": f"up to {longest} printable characters, or null",
    }


def _name(longest: int) -> Schema:
    return {
        **common.NAME,
        "maxLength": longest,
        "description": f"1 to {longest} printable characters, no white space"
        " at either end",
    }


def _object(
    properties: dict[str, Schema], *required: str, least: int = 0
) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        "minProperties": least,
    }


def _bare_or_wrapped(key: str, schema: Schema) -> Schema:
    """Return the schema of what may, or may not, be the only field."""
    return {
        "type": "object",
        "if": {"type": "object", "required": [key]},
        "then": common.wrapped(key, schema),
        "else": schema,
    }


_ADDRESS = _text(64)
_INSTANCE = _object(
    {
        "instance_id": _name(64),
        "instance_name": _name(255),
        "internal_ip": _ADDRESS,
        "management_ip": _ADDRESS,
    },
    "instance_id",
    "instance_name",
)
_GROUP = _object(
    {
        "name": _name(255),
        "count": _COUNT,
        "flavor_id": _text(255),
        "node_processes": {
            "type": "array",
            "items": _name(255),
            "maxItems": _MOST_STEPS,
        },
        "node_group_template_id": _text(255),
        "instances": {"type": "array", "items": _INSTANCE},
    },
    "name",
    "count",
)
_GROUPS: Schema = {
    "type": "array",
    "items": _GROUP,
    "maxItems": _MOST_GROUPS,
}
_CREATE = _object(
    {
        "name": _name(255),
        "plugin_name": _text(255),
        "plugin_version": _text(64),
        "hadoop_version": _text(64),
        "description": _text(65535),
        "node_groups": _GROUPS,
        # Kept and shown; nothing here depends on them.
        "anti_affinity": {"type": "array", "items": common.STRING},
        "cluster_configs": _OBJECT,
        "cluster_template_id": _text(255),
        "default_image_id": _text(255),
        "domain_name": _text(255),
        "is_protected": _FLAG,
        "is_public": _FLAG,
        "is_transient": _FLAG,
        "neutron_management_network": _text(255),
        "shares": {"type": ["array", "null"]},
        "use_autoconfig": _FLAG,
        "user_keypair_id": _text(255),
        "provisioning_steps": {
            "type": "object",
            "properties": {
                str(kind): {
                    "type": "array",
                    "items": _name(255),
                    "maxItems": _MOST_STEPS,
                }
                for kind in StepType
            },
            "additionalProperties": False,
        },
    },
    "name",
)
CREATE = Schemas(("1.0", None, _bare_or_wrapped("cluster", _CREATE)))

_UPDATE = _object(
    {
        "status": _name(64),
        "status_description": _text(65535),
        "resize_node_groups": {
            "type": "array",
            "items": _object(
                {"name": _name(255), "count": _COUNT}, "name", "count"
            ),
            "maxItems": _MOST_GROUPS,
        },
        "add_node_groups": _GROUPS,
    },
    least=1,
)
UPDATE = Schemas(("1.0", None, _bare_or_wrapped("cluster", _UPDATE)))

_NEW_STEP = _object(
    {
        "step_name": _name(255),
        "step_type": _TYPE,
        "total": {**_COUNT, "type": ["integer", "null"]},
    },
    "step_name",
)
NEW_STEP = Schemas(("1.0", None, _bare_or_wrapped("step", _NEW_STEP)))

_NEW_EVENT = _object(
    {
        "instance_id": _name(64),
        "instance_name": _name(255),
        "node_group_id": _text(64),
        "successful": {"type": ["boolean", "null"]},
        "event_info": {
            "type": ["string", "null"],
            "maxLength": 65535,
            "description": "up to 65535 characters, or null",
        },
        "error_id": _text(36),
    },
    "successful",
)
NEW_EVENTS = Schemas(
    (
        "1.0",
        None,
        {
            "type": "object",
            "if": {"type": "object", "required": ["event"]},
            "then": common.wrapped("event", _NEW_EVENT),
            "else": common.wrapped(
                "events",
                {
                    "type": "array",
                    "items": _NEW_EVENT,
                    "minItems": 1,
                    "maxItems": MOST_EVENTS,
                    "description": f"1 to {MOST_EVENTS} events",
                },
            ),
        },
    )
)

# Queries

_EPOCH: Schema = {"enum": ["epoch"]}


def _query(**parameters: Any) -> Schemas:
    properties = {
        name: {"type": "array", "items": {"type": "string", **schema}}
        for name, schema in parameters.items()
    }
    return Schemas(("1.0", None, {"type": "object", "properties": properties}))


_LIMIT: Schema = {
    "pattern": r"^[0-9]+\Z",
    "description": "an integer, 0 or more",
}
QUERY = _query(
    name={},
    status={},
    plugin_name={},
    sort_by={},
    sort_key={},
    sort_dir={"enum": ["asc", "desc"]},
    limit=_LIMIT,
    marker={},
    time_format=_EPOCH,
)
SHOW_QUERY = _query(show_progress={}, time_format=_EPOCH)
_ID: Schema = {
    "pattern": r"^[0-9]{1,18}\Z",
    "description": "the id of one, an integer",
}
PROGRESS_QUERY = _query(
    provision_step=_ID,
    instance_id={},
    successful={
        "pattern": r"^(?i:true|false)\Z",
        "description": "true, false",
    },
    limit={
        "pattern": r"^[1-9][0-9]*\Z",
        "description": "an integer, 1 or more",
    },
    marker=_ID,
    time_format=_EPOCH,
)

# Answers

_TIME: Schema = {"anyOf": [common.ANSWER_TIME, {"type": "integer"}]}
_TIME_OR_NULL: Schema = {
    "anyOf": [common.ANSWER_TIME, {"type": ["integer", "null"]}]
}
_NUMBER: Schema = {"type": "integer", "minimum": 0}
_ID_TEXT: Schema = {"type": "string", "pattern": r"^[0-9]+\Z"}


def _answer(properties: dict[str, Schema], *optional: str) -> Schema:
    needed = [name for name in properties if name not in optional]
    return _object(properties, *needed)


_EVENT = _answer(
    {
        "id": _ID_TEXT,
        "cluster_id": common.UUID,
        "step_id": _ID_TEXT,
        "provision_step_id": _ID_TEXT,
        "provisioning_step_id": _ID_TEXT,
        "node_group_id": common.STRING_OR_NULL,
        "instance_id": common.STRING_OR_NULL,
        "instance_name": common.STRING_OR_NULL,
        "successful": {"type": ["boolean", "null"]},
        "event_info": common.STRING_OR_NULL,
        "error_id": common.STRING_OR_NULL,
        "created_at": _TIME,
        "updated_at": _TIME,
    }
)
_STEP = _answer(
    {
        "id": _ID_TEXT,
        "cluster_id": common.UUID,
        "tenant_id": common.STRING_OR_NULL,
        "project_id": common.STRING_OR_NULL,
        "step_name": common.STRING,
        "step_type": common.STRING,
        "completed": _NUMBER,
        "failed": _NUMBER,
        "total": _NUMBER,
        "successful": {"type": ["boolean", "null"]},
        "progress": {"type": "integer", "minimum": 0, "maximum": 100},
        "started_at": _TIME_OR_NULL,
        "completed_at": _TIME_OR_NULL,
        "duration": {"type": ["number", "null"], "minimum": 0},
        "info": common.STRING,
        "created_at": _TIME,
        "updated_at": _TIME_OR_NULL,
        "events": {"type": "array", "items": _EVENT},
    },
    "events",
)
_STEPS: Schema = {"type": "array", "items": _STEP}
_CLUSTER = _answer(
    {
        "id": common.UUID,
        "name": common.STRING,
        "description": common.STRING_OR_NULL,
        "tenant_id": common.STRING_OR_NULL,
        "project_id": common.STRING_OR_NULL,
        "plugin_name": common.STRING_OR_NULL,
        "plugin_version": common.STRING_OR_NULL,
        "hadoop_version": common.STRING_OR_NULL,
        "status": common.STRING,
        "status_description": common.STRING,
        "info": _OBJECT,
        "node_groups": {
            "type": "array",
            "items": _answer(
                {
                    "id": common.UUID,
                    "name": common.STRING,
                    "count": _NUMBER,
                    "flavor_id": common.STRING_OR_NULL,
                    "node_processes": {
                        "type": "array",
                        "items": common.STRING,
                    },
                    "instances": {
                        "type": "array",
                        "items": _answer(
                            {
                                "instance_id": common.STRING,
                                "instance_name": common.STRING,
                                "internal_ip": common.STRING_OR_NULL,
                                "management_ip": common.STRING_OR_NULL,
                            }
                        ),
                    },
                }
            ),
        },
        "created_at": _TIME,
        "updated_at": _TIME_OR_NULL,
        "provisioning_progress": _STEPS,
        "provision_progress": _STEPS,
        "anti_affinity": {"type": "array"},
        "cluster_configs": _OBJECT,
        "cluster_template_id": common.STRING_OR_NULL,
        "default_image_id": common.STRING_OR_NULL,
        "domain_name": common.STRING_OR_NULL,
        "is_protected": _FLAG,
        "is_public": _FLAG,
        "is_transient": _FLAG,
        "neutron_management_network": common.STRING_OR_NULL,
        "provisioning_steps": _OBJECT,
        "shares": {"type": ["array", "null"]},
        "use_autoconfig": _FLAG,
        "user_keypair_id": common.STRING_OR_NULL,
    }
)
_LINKS: Schema = {
    "type": "array",
    "items": _answer({"rel": {"const": "next"}, "href": common.STRING}),
}
ONE = Schemas(("1.0", None, common.wrapped("cluster", _CLUSTER)))
LIST = Schemas(
    (
        "1.0",
        None,
        _answer(
            {
                "clusters": {"type": "array", "items": _CLUSTER},
                "clusters_links": _LINKS,
            }
        ),
    )
)
STEP = Schemas(("1.0", None, common.wrapped("step", _STEP)))
EVENTS = Schemas(
    (
        "1.0",
        None,
        _answer(
            {
                "events": {"type": "array", "items": _EVENT},
                "events_links": _LINKS,
            }
        ),
    )
)
