"""Engines."""

from recovery_ha.api.schemas import common
from recovery_ha.api.validation import Schema, Schemas
from recovery_ha.domain.lease import WorkKind

_UUIDS: Schema = {"type": "array", "items": common.UUID}
_NAMES: Schema = {"type": "array", "items": common.STRING}


def _answer(properties: dict[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_SERVICE = _answer(
    {
        "id": common.UUID,
        "host": common.STRING,
        "binary": common.STRING,
        "state": {"enum": ["up", "down"]},
        "version": common.STRING,
        "seen_at": common.ANSWER_TIME,
        "started_at": common.ANSWER_TIME,
        "capabilities": {
            "type": "object",
            "additionalProperties": _NAMES,
        },
        "holds": _answer({str(kind): _UUIDS for kind in WorkKind}),
    }
)
LIST = Schemas(("1.0", None, common.listed("services", _SERVICE)))
