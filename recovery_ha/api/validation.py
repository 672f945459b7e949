"""JSON Schemas by microversion, and what is said of a value that fails one.

Every refusal names the field, the value and what is allowed. Values that may
be secret, and whole objects, are not repeated.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import jsonschema
from oslo_utils import uuidutils

from recovery_ha import microversion
from recovery_ha.domain.errors import BadRequest
from recovery_ha.microversion import Version

Schema = dict[str, Any]

#: Fields whose values are repeated to nobody.
SECRET_FIELDS = frozenset({"control_attributes"})
_SHOWN = 80

FORMATS = jsonschema.FormatChecker(formats=())


class Schemas:
    """The schema of one body or query, for each range of versions.

    :param ranges: first and last version (None: the newest) and the schema
        between them; without a gap or an overlap.
    """

    def __init__(self, *ranges: tuple[str, str | None, Schema]) -> None:
        """Compile the schemas.

        :raises ValueError: there is a gap or an overlap.
        """
        self._ranges: list[tuple[Version, Version, Validator]] = []
        for first, last, schema in ranges:
            low = microversion.parse(first)
            high = microversion.parse(last or "latest")
            if low > high:
                raise ValueError(f"{first} is later than {last}")
            if self._ranges and not _follows(self._ranges[-1][1], low):
                raise ValueError(f"the range before {first} does not meet it")
            self._ranges.append((low, high, Validator(schema)))

    @property
    def first(self) -> Version:
        """Return the oldest version that has a schema."""
        return self._ranges[0][0]

    @property
    def last(self) -> Version:
        """Return the newest version that has a schema."""
        return self._ranges[-1][1]

    def at(self, version: Version) -> "Validator":
        """Return what checks by the schema of a version.

        :raises LookupError: none has it.
        """
        for low, high, validator in self._ranges:
            if low <= version <= high:
                return validator
        raise LookupError(str(version))


def _follows(before: Version, after: Version) -> bool:
    known = [version for version, _line in microversion.MICROVERSIONS]
    return (
        before in known
        and after in known
        and known.index(before) + 1 == known.index(after)
    )


class Validator:
    """One compiled schema."""

    def __init__(self, schema: Schema) -> None:
        jsonschema.Draft202012Validator.check_schema(schema)
        self.schema = schema
        self._validator = jsonschema.Draft202012Validator(
            schema, format_checker=FORMATS
        )

    def check(self, value: Any, at: str = "") -> None:
        """Refuse a value that the schema does not allow.

        :param at: the path of the value in what the caller sent.
        :raises BadRequest: it names the field, the value and what is allowed.
        """
        for error in self._validator.iter_errors(value):
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


def _format(
    name: str, raises: type[Exception] | tuple[type[Exception], ...] = ()
) -> Callable[[Callable[[Any], bool]], Callable[[Any], bool]]:
    def register(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
        FORMATS.checks(name, raises)(check)
        return check

    return register


def _printable(characters: Iterable[str]) -> bool:
    """Tell whether all are what Masakari calls printable, below U+FFFF."""
    for character in characters:
        category = unicodedata.category(character)
        if category[0] == "C" or category in {"Zl", "Zp"}:
            return False
        if ord(character) >= 0xFFFF:  # noqa: PLR2004 - Masakari's bound
            return False
    return True


@_format("name")
def _is_name(value: Any) -> bool:
    if not isinstance(value, str):
        return True
    if value.isascii():
        return value.isprintable() and value == value.strip()
    ends = {unicodedata.category(value[0]), unicodedata.category(value[-1])}
    return _printable(value) and "Zs" not in ends


@_format("text")
def _is_text(value: Any) -> bool:
    if not isinstance(value, str):
        return True
    flat = value.replace("\n", "")
    return flat.isprintable() if flat.isascii() else _printable(flat)


@_format("uuid-like")
def _is_uuid_like(value: Any) -> bool:
    return bool(uuidutils.is_uuid_like(value))


@_format("time", raises=(ValueError, OverflowError))
def _is_time(value: Any) -> bool:
    if isinstance(value, str):
        parse_time(value)
    return True


@_format("query-time", raises=(ValueError, OverflowError))
def _is_query_time(value: Any) -> bool:
    if isinstance(value, str):
        parse_query_time(value)
    return True


_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8})"
    r"([T ][0-9]{2}(:?[0-9]{2}(:?[0-9]{2}([.,][0-9]{1,9})?)?)?"
    r"( ?(Z|[+-][0-9]{2}(:?[0-9]{2})?))?)?",
    re.ASCII,
)
#: Before it MariaDB has no dates.
_OLDEST_YEAR = 1000


def parse_time(text: str) -> datetime:
    """Return the naive UTC time of an ISO 8601 text; no offset means UTC.

    :raises ValueError: it is none, or one that no database can store.
    """
    if _TIME.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no time")
    found = datetime.fromisoformat(re.sub(r" (?=[Z+-])", "", text))
    if found.tzinfo is not None:
        found = found.astimezone(UTC).replace(tzinfo=None)
    if found.year < _OLDEST_YEAR:
        raise ValueError(f"{text!r} is no time")
    return found


def parse_query_time(text: str) -> datetime:
    """Return the time of a URL's parameter.

    The plus sign of an offset becomes a blank there, unless the client has
    quoted it.

    :raises ValueError: as :func:`parse_time`.
    """
    return parse_time(re.sub(r"(T[0-9:.,]+) (?=[0-9])", r"\1+", text))
