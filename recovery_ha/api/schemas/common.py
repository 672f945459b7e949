"""What the schemas of several resources have in common."""

from typing import Any

from recovery_ha.api.validation import Schema, Schemas

NAME: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "format": "name",
    "description": "1 to 255 printable characters, no white space at either"
    " end",
}

TEXT_OR_NULL: Schema = {
    "type": ["string", "null"],
    "format": "text",
    "description": "printable characters and line breaks, or null",
}

TRUE_WORDS: tuple[str, ...] = (
    *("True", "TRUE", "true", "1"),
    *("ON", "On", "on", "YES", "Yes", "yes"),
)
FALSE_WORDS: tuple[str, ...] = (
    *("False", "FALSE", "false", "0"),
    *("OFF", "Off", "off", "NO", "No", "no"),
)

BOOLEAN: Schema = {"enum": [True, *TRUE_WORDS, False, *FALSE_WORDS]}


def is_true(value: bool | str) -> bool:
    """Return the truth of a value that :data:`BOOLEAN` allows."""
    return value is True or value in TRUE_WORDS


def wrapped(key: str, schema: Schema) -> Schema:
    """Return the schema of a body whose only field is ``key``."""
    return {
        "type": "object",
        "properties": {key: schema},
        "required": [key],
        "additionalProperties": False,
    }


def listed(key: str, schema: Schema) -> Schema:
    """Return the schema of a list's answer."""
    return wrapped(key, {"type": "array", "items": schema})


def resource(**properties: Schema) -> Schema:
    """Return the schema of a resource as it is answered.

    All fields are always there, with those that every resource has.
    """
    every = {
        "id": {"type": "integer"},
        "created_at": ANSWER_TIME,
        "updated_at": {"anyOf": [ANSWER_TIME, {"type": "null"}]},
        "deleted_at": {"type": "null"},
        "deleted": {"const": False},
    }
    return {
        "type": "object",
        "properties": {**every, **properties},
        "required": [*every, *properties],
        "additionalProperties": False,
    }


ANSWER_TIME: Schema = {
    "type": "string",
    "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\Z",
}
UUID: Schema = {
    "type": "string",
    "pattern": r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z",
}
STRING: Schema = {"type": "string"}
STRING_OR_NULL: Schema = {"type": ["string", "null"]}

# Queries: each parameter is a list, for it may be repeated. Unknown ones are
# ignored, as Masakari does.

_BOOLEAN_WORD: Schema = {
    "type": "string",
    "pattern": r"^\s*(?i:1|t|true|on|y|yes|0|f|false|off|n|no)\s*\Z",
    "description": "1, t, true, on, y, yes, 0, f, false, off, n, no",
}
_PARAMETERS: dict[str, Schema] = {
    "boolean": _BOOLEAN_WORD,
    "string": {"type": "string"},
    "time": {
        "type": "string",
        "format": "query-time",
        "description": "a time in ISO 8601",
    },
}
_PAGING: dict[str, Schema] = {
    "limit": {
        "type": "string",
        "pattern": r"^[0-9]+\Z",
        "description": "an integer, 0 or more",
    },
    "marker": {"type": "string"},
    "sort_key": {"type": "string"},
    "sort_dir": {"enum": ["asc", "desc"]},
}


def query(**parameters: Any) -> Schemas:
    """Return the schema of a list's query, paging included.

    :param parameters: the filters and their kind, boolean, string or time,
        or the schema of a value.
    """
    properties = _PAGING | {
        name: _PARAMETERS[kind] if isinstance(kind, str) else kind
        for name, kind in parameters.items()
    }
    schema = {
        "type": "object",
        "properties": {
            name: {"type": "array", "items": item}
            for name, item in properties.items()
        },
    }
    return Schemas(("1.0", None, schema))


#: A query of which nothing is read.
NO_QUERY = Schemas(("1.0", None, {"type": "object"}))
