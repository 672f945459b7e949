"""Webhooks of projects."""

from recovery_ha.api.schemas import common, constraints
from recovery_ha.api.validation import Schema, Schemas

_LONGEST_URL = 2048
_SHORTEST_SECRET, _LONGEST_SECRET = 16, 512


def _object(properties: dict[str, Schema], *required: str) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


_CREATE = _object(
    {
        "url": {
            "type": "string",
            "minLength": 1,
            "maxLength": _LONGEST_URL,
            # What a URL consists of; all else is to be quoted in it.
            "pattern": r"^[!-~]+\Z",
            "description": f"a URL of up to {_LONGEST_URL} characters",
        },
        "secret": {
            "type": "string",
            "minLength": _SHORTEST_SECRET,
            "maxLength": _LONGEST_SECRET,
            "format": "name",
            "description": f"{_SHORTEST_SECRET} to {_LONGEST_SECRET}"
            " printable characters, no white space at either end",
        },
        "project_id": {**common.NAME, "maxLength": 64},
    },
    "url",
    "secret",
)
CREATE = Schemas(("1.0", None, common.wrapped("webhook", _CREATE)))
QUERY = constraints.QUERY

# Answers: never with the secret

_FIELDS: dict[str, Schema] = {
    "id": common.UUID,
    "project_id": common.STRING,
    "url": common.STRING,
    "created_at": common.ANSWER_TIME,
}
_WEBHOOK = _object(_FIELDS, *_FIELDS)
_LINKS: Schema = {
    "type": "array",
    "items": _object(
        {"rel": {"const": "next"}, "href": common.STRING}, "rel", "href"
    ),
}
ONE = Schemas(("1.0", None, common.wrapped("webhook", _WEBHOOK)))
LIST = Schemas(
    (
        "1.0",
        None,
        _object(
            {
                "webhooks": {"type": "array", "items": _WEBHOOK},
                "webhooks_links": _LINKS,
            },
            "webhooks",
            "webhooks_links",
        ),
    )
)
