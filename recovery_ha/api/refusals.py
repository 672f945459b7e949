"""What is said of a value that a schema does not allow.

Every refusal names the field, the value and what is allowed. Values that may
be secret, and whole objects, are not repeated.
"""

import re
from typing import Any

import jsonschema

from recovery_ha.api.validation import FORMATS, Schema
from recovery_ha.domain.errors import BadRequest

#: Fields whose values are repeated to nobody.
SECRET_FIELDS = frozenset({"control_attributes", "secret"})
_SHOWN = 80

_FORMATS = jsonschema.FormatChecker(formats=())


def _register(name: str) -> None:
    of_texts = FORMATS[name]

    @_FORMATS.checks(name)
    def _check(value: Any) -> bool:
        return not isinstance(value, str) or of_texts(value)


for _name in FORMATS:
    _register(_name)


def check(schema: Schema, value: Any, at: str) -> None:
    """Refuse a value that a schema does not allow.

    :param at: the path of the value in what the caller sent.
    :raises BadRequest: it names the field, the value and what is allowed.
    """
    checking = jsonschema.Draft202012Validator(schema, format_checker=_FORMATS)
    for error in checking.iter_errors(value):
        raise BadRequest(_explain(error, at))


def _explain(error: Any, at: str) -> str:
    # Numbers in a path are places in a list: which of them is plain from the
    # value, and a URL's parameters are lists only to us.
    names = [part for part in error.absolute_path if isinstance(part, str)]
    path = ".".join([*([at] if at else []), *names])
    rule, wanted = str(error.validator), error.validator_value
    instance, schema = error.instance, error.schema
    match rule:
        case "required":
            missing = next(key for key in wanted if key not in instance)
            return _text(_join(path, missing), "missing", _allowed(error))
        case "additionalProperties" | "propertyNames":
            return _unknown(path, error)
        case "minProperties":
            known = ", ".join(schema.get("properties", ()))
            return _text(
                path, "{}", f"at least {wanted} of these fields: {known}"
            )
    return _text(path, _shown(instance, error), _allowed(error))


def _unknown(path: str, error: Any) -> str:
    schema, instance = error.schema, error.instance
    if error.validator == "propertyNames":
        return _text(
            _join(path, _bounded(str(instance))),
            "not a valid name of a field",
            str(error.validator_value.get("description", "")),
        )
    known = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    extra = next(
        key
        for key in instance
        if key not in known and not any(re.search(p, key) for p in patterns)
    )
    allowed = ", ".join(known) or schema.get("description", "nothing")
    return _text(
        _join(path, _bounded(extra)),
        "not a known field (additional properties are not allowed)",
        allowed,
    )


def _text(path: str, value: str, allowed: str) -> str:
    return (
        f"Invalid input for field/attribute {path or 'body'}. Value: {value}."
        f" Allowed: {allowed}."
    )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _bounded(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _shown(value: Any, error: Any) -> str:
    """Return a value as it may be repeated to the caller."""
    if SECRET_FIELDS.intersection(map(str, error.absolute_path)):
        return "***"
    match value:
        case dict():
            return "an object"
        case list():
            return "a list"
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return repr(_bounded(value))
        case _:
            return _bounded(str(value))


def _allowed(error: Any) -> str:
    """Return what the schema of the field says in words, or its keyword."""
    schema, rule = error.schema, str(error.validator)
    if rule == "required":
        return f"all of {', '.join(error.validator_value)}"
    if rule == "type" and "description" not in schema:
        wanted = error.validator_value
        names = [wanted] if isinstance(wanted, str) else wanted
        return " or ".join(names)
    if rule == "enum":
        return ", ".join(_word(item) for item in error.validator_value)
    return str(schema.get("description") or f"{rule} {error.validator_value}")


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
