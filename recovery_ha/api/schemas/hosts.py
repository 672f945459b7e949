"""Hosts of a segment."""

from recovery_ha.api.schemas import common, segments
from recovery_ha.api.validation import Schema, Schemas

_PROPERTIES: dict[str, Schema] = {
    "name": common.NAME,
    "type": {
        "type": "string",
        "maxLength": 255,
        "pattern": r"^[a-zA-Z0-9]*\Z",
        "description": "up to 255 letters and digits",
    },
    "control_attributes": {
        "type": "string",
        "format": "text",
        "description": "printable characters and line breaks",
    },
    "reserved": common.BOOLEAN,
    "on_maintenance": common.BOOLEAN,
}
_CREATE = common.wrapped(
    "host",
    {
        "type": "object",
        "properties": _PROPERTIES,
        "required": ["name", "type", "control_attributes"],
        "additionalProperties": False,
    },
)
_UPDATE = common.wrapped(
    "host",
    {
        "type": "object",
        "properties": _PROPERTIES,
        "additionalProperties": False,
        "minProperties": 1,
    },
)

CREATE = Schemas(("1.0", None, _CREATE))
UPDATE = Schemas(("1.0", None, _UPDATE))

_HOST = common.resource(
    uuid=common.UUID,
    name=common.STRING,
    failover_segment_id=common.UUID,
    failover_segment=segments.SEGMENT,
    type=common.STRING,
    reserved={"type": "boolean"},
    control_attributes=common.STRING,
    on_maintenance={"type": "boolean"},
)
QUERY = common.query(
    name="string", type="string", on_maintenance="boolean", reserved="boolean"
)
ONE = Schemas(("1.0", None, common.wrapped("host", _HOST)))
LIST = Schemas(("1.0", None, common.listed("hosts", _HOST)))
