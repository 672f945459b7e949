"""JSON Schemas by microversion, and the formats that they name.

fastjsonschema says quickly what is allowed, which nearly everything is; what
it does not let pass is decided, and explained, by :mod:`refusals`.
"""

import functools
import re
import unicodedata
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import fastjsonschema
from oslo_utils import uuidutils

from recovery_ha import microversion
from recovery_ha.microversion import Version

Schema = dict[str, Any]

#: The formats of texts, by name: what tells whether a text is of one.
FORMATS: dict[str, Callable[[str], bool]] = {}


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
    """One schema.

    :ivar schema: it, of the draft 2020-12.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    @functools.cached_property
    def _quick(self) -> Callable[[Any], Any]:
        found: Callable[[Any], Any] = fastjsonschema.compile(
            _narrowed(self.schema),
            formats=FORMATS,
            use_default=False,
            detailed_exceptions=False,
        )
        return found

    def check(self, value: Any, at: str = "") -> None:
        """Refuse a value that the schema does not allow.

        :param at: the path of the value in what the caller sent.
        :raises BadRequest: it names the field, the value and what is allowed.
        """
        try:
            self._quick(value)
        except fastjsonschema.JsonSchemaValueException:
            # Most processes never need it, and it takes 4 MiB.
            from recovery_ha.api import refusals  # noqa: PLC0415

            refusals.check(self.schema, value, at)


def _narrowed(schema: Any) -> Any:
    """Return a schema that allows nothing which the draft 2020-12 does not.

    fastjsonschema takes 1 for ``true``: other constants than texts are left
    out.
    """
    if isinstance(schema, list):
        return [_narrowed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _narrowed(value) for key, value in schema.items()}
    constants = [found.pop("const")] if "const" in found else found.get("enum")
    if isinstance(constants, list):
        found["enum"] = [item for item in constants if isinstance(item, str)]
    return found


def _format(
    name: str,
) -> Callable[[Callable[[str], bool]], Callable[[str], bool]]:
    def register(check: Callable[[str], bool]) -> Callable[[str], bool]:
        FORMATS[name] = check
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
def _is_name(value: str) -> bool:
    if value.isascii():
        return value.isprintable() and value == value.strip()
    ends = {unicodedata.category(value[0]), unicodedata.category(value[-1])}
    return _printable(value) and "Zs" not in ends


@_format("text")
def _is_text(value: str) -> bool:
    flat = value.replace("\n", "")
    return flat.isprintable() if flat.isascii() else _printable(flat)


@_format("uuid-like")
def _is_uuid_like(value: str) -> bool:
    return bool(uuidutils.is_uuid_like(value))


@_format("time")
def _is_time(value: str) -> bool:
    return _parses(parse_time, value)


@_format("query-time")
def _is_query_time(value: str) -> bool:
    return _parses(parse_query_time, value)


def _parses(parse: Callable[[str], datetime], value: str) -> bool:
    try:
        parse(value)
    except (ValueError, OverflowError):
        return False
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
