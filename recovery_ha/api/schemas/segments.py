"""Segments."""

from recovery_ha.api.schemas import common
from recovery_ha.api.validation import Schema, Schemas
from recovery_ha.domain.recovery import RecoveryMethod

_METHOD: Schema = {"enum": [str(method) for method in RecoveryMethod]}
_BASE: dict[str, Schema] = {
    "name": common.NAME,
    "description": common.TEXT_OR_NULL,
    "recovery_method": _METHOD,
    "service_type": common.NAME,
}
_FROM_1_2 = {**_BASE, "enabled": common.BOOLEAN}


def _create(properties: dict[str, Schema]) -> Schema:
    return common.wrapped(
        "segment",
        {
            "type": "object",
            "properties": properties,
            "required": ["name", "recovery_method", "service_type"],
            "additionalProperties": False,
        },
    )


def _update(properties: dict[str, Schema]) -> Schema:
    return common.wrapped(
        "segment",
        {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            "minProperties": 1,
        },
    )


CREATE = Schemas(
    ("1.0", "1.1", _create(_BASE)), ("1.2", None, _create(_FROM_1_2))
)
UPDATE = Schemas(
    ("1.0", "1.1", _update(_BASE)), ("1.2", None, _update(_FROM_1_2))
)

SEGMENT = common.resource(
    uuid=common.UUID,
    name=common.STRING,
    service_type=common.STRING,
    enabled={"type": "boolean"},
    description=common.STRING_OR_NULL,
    recovery_method=_METHOD,
)
QUERY = common.query(
    name="string",
    recovery_method="string",
    service_type="string",
    enabled="boolean",
)
ONE = Schemas(("1.0", None, common.wrapped("segment", SEGMENT)))
LIST = Schemas(("1.0", None, common.listed("segments", SEGMENT)))
