"""Answers that are documents about the API itself."""

from recovery_ha.api.schemas import common
from recovery_ha.api.validation import Schema, Schemas

_LINKS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {
            "rel": common.STRING,
            "href": common.STRING,
            "type": common.STRING,
        },
        "required": ["rel", "href"],
        "additionalProperties": False,
    },
}
_EXTENSION: Schema = {
    "type": "object",
    "properties": {
        "name": common.STRING,
        "alias": common.STRING,
        "description": common.STRING,
        "namespace": common.STRING,
        "updated": common.STRING,
        "links": _LINKS,
    },
    "required": ["name", "alias", "description"],
    "additionalProperties": False,
}
EXTENSION = Schemas(("1.0", None, common.wrapped("extension", _EXTENSION)))
EXTENSIONS = Schemas(("1.0", None, common.listed("extensions", _EXTENSION)))

_ID = {
    "id": {"const": "v1.0"},
    "status": {"const": "CURRENT"},
    "links": _LINKS,
}
_MEDIA_TYPES: Schema = {"type": "array", "items": {"type": "object"}}
_VERSION = {
    **_ID,
    "version": common.STRING,
    "min_version": common.STRING,
    "updated": common.STRING,
}


def _document(properties: dict[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


VERSIONS = Schemas(
    ("1.0", None, common.listed("versions", _document(_VERSION)))
)
VERSION = Schemas(
    (
        "1.0",
        None,
        common.wrapped(
            "version", _document({**_VERSION, "media-types": _MEDIA_TYPES})
        ),
    )
)
CHOICES = Schemas(
    (
        "1.0",
        None,
        common.listed(
            "choices", _document({**_ID, "media-types": _MEDIA_TYPES})
        ),
    )
)
