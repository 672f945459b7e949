"""What projects ask for their instances and groups: Fenix's bodies."""

from recovery_ha.api.schemas import common
from recovery_ha.api.schemas.following import parameters
from recovery_ha.api.validation import Schema, Schemas
from recovery_ha.domain.maintenance import InstanceAction

#: A client's word for MIGRATE.
MIGRATION = "MIGRATION"

_LARGEST = 2**31 - 1
_ACTIONS = [str(one) for one in InstanceAction]


def _object(properties: dict[str, Schema], *required: str) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _number(what: str, least: int = 0, *, null: bool = False) -> Schema:
    also = ", or null" if null else ""
    return {
        "type": ["integer", "null"] if null else "integer",
        "minimum": least,
        "maximum": _LARGEST,
        "description": f"{what}, an integer from {least} to {_LARGEST}{also}",
    }


_ID: Schema = {
    **common.NAME,
    "maxLength": 64,
    "description": "1 to 64 printable characters, no white space at either"
    " end",
}
_ID_OR_NULL: Schema = {**_ID, "type": ["string", "null"]}
_NAME_OR_NULL: Schema = {**common.NAME, "type": ["string", "null"]}
_SECONDS = _number("seconds")
_FLAG: Schema = {"type": "boolean"}

_INSTANCE: dict[str, Schema] = {
    "instance_id": {
        **_ID,
        "maxLength": 36,
        "description": "that of the URL",
    },
    "project_id": _ID,
    "group_id": _ID_OR_NULL,
    "instance_name": _NAME_OR_NULL,
    "max_interruption_time": _number("seconds", null=True),
    "migration_type": {"enum": [*_ACTIONS, MIGRATION, None]},
    "resource_mitigation": _FLAG,
    "lead_time": _SECONDS,
}
PUT_INSTANCE = Schemas(("1.0", None, _object(_INSTANCE)))
_GROUP: dict[str, Schema] = {
    "group_id": {**_ID, "description": "that of the URL"},
    "project_id": _ID,
    "group_name": _NAME_OR_NULL,
    "anti_affinity_group": _FLAG,
    "max_instances_per_host": _number("instances; 0: no matter"),
    "max_impacted_members": _number("members", 1),
    "recovery_time": _SECONDS,
    "resource_mitigation": _FLAG,
}
PUT_GROUP = Schemas(("1.0", None, _object(_GROUP)))

QUERY = parameters(
    limit={
        "pattern": r"^[0-9]+\Z",
        "description": "an integer, 0 or more",
    },
    marker={},
    sort_key={},
    sort_dir={"enum": ["asc", "desc"]},
)

# Answers

_SHOWN_INSTANCE = _object(
    _INSTANCE | {"migration_type": {"enum": [*_ACTIONS, None]}}, *_INSTANCE
)
_SHOWN_GROUP = _object(_GROUP, *_GROUP)
_LINKS: Schema = {
    "type": "array",
    "items": _object(
        {"rel": {"const": "next"}, "href": common.STRING}, "rel", "href"
    ),
}


def _list(key: str, schema: Schema) -> Schemas:
    links = f"{key}_links"
    return Schemas(
        (
            "1.0",
            None,
            _object(
                {key: {"type": "array", "items": schema}, links: _LINKS},
                key,
                links,
            ),
        )
    )


INSTANCE = Schemas(("1.0", None, _SHOWN_INSTANCE))
INSTANCES = _list("instances", _SHOWN_INSTANCE)
GROUP = Schemas(("1.0", None, _SHOWN_GROUP))
GROUPS = _list("instance_groups", _SHOWN_GROUP)
DELETED = Schemas(("1.0", None, _object({})))
