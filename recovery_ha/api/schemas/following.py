"""Events and decisions of a notification, and actions on its recovery."""

from recovery_ha.api.schemas import common
from recovery_ha.api.validation import Schema, Schemas
from recovery_ha.domain.actions import Action
from recovery_ha.domain.gates import Verdict


def parameters(**found: Schema) -> Schemas:
    """Return the schema of a query.

    :param found: that of a value, by the name of the parameter.
    """
    properties = {
        name: {"type": "array", "items": {"type": "string", **schema}}
        for name, schema in found.items()
    }
    return Schemas(("1.0", None, {"type": "object", "properties": properties}))


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


EVENTS_QUERY = parameters(
    since={
        "pattern": r"^[0-9]{1,18}\Z",
        "description": "the id of an event, or 0",
    },
    wait={
        "pattern": r"^(30|[12]?[0-9])\Z",
        "description": "seconds, an integer from 0 to 30",
    },
    limit={
        "pattern": r"^[1-9][0-9]{0,17}\Z",
        "description": "an integer, 1 or more",
    },
)
_EVENT = _object(
    id={"type": "integer"},
    task=common.STRING_OR_NULL,
    progress={"type": ["number", "null"], "minimum": 0, "maximum": 1},
    message=common.STRING,
    request_id=common.STRING_OR_NULL,
    created_at=common.ANSWER_TIME,
)
EVENTS = Schemas(
    (
        "1.0",
        None,
        _object(
            events={"type": "array", "items": _EVENT},
            cursor={"type": "integer"},
            ended={"type": "boolean"},
        ),
    )
)

_DECISION = _object(
    gate=common.STRING,
    verdict={"enum": [str(verdict) for verdict in Verdict]},
    sentence=common.STRING,
    inputs={"type": "object"},
    limit={},
    subject=common.STRING_OR_NULL,
    created_at=common.ANSWER_TIME,
    updated_at={"anyOf": [common.ANSWER_TIME, {"type": "null"}]},
)
DECISIONS = Schemas(("1.0", None, common.listed("decisions", _DECISION)))

ACTION = Schemas(
    (
        "1.0",
        None,
        common.wrapped("action", {"enum": [str(action) for action in Action]}),
    )
)
_TRANSACTION = _object(
    id={"type": "integer"},
    uuid=common.UUID,
    kind=common.STRING,
    origin_id=common.UUID,
    status={"enum": ["pending", "running", "ready", "error"]},
)
TRANSACTION = Schemas(
    ("1.0", None, common.wrapped("transaction", _TRANSACTION))
)
