"""Answers that are sent while they are read: lists without an end in sight."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

#: Rows that are sent together.
_TOGETHER = 500

CSV = "text/csv"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stream:
    """A list, as JSON or as a table.

    :ivar rows: what is in it; read while it is sent.
    :ivar columns: the keys that a table of it has; None: it is JSON.
    """

    rows: Iterable[dict[str, Any]]
    columns: Sequence[str] | None = None

    @property
    def media_type(self) -> str:
        """What it is sent as."""
        if self.columns is None:
            return "application/json"
        return f"{CSV}; charset=utf-8"

    def chunks(self) -> Iterator[bytes]:
        """Yield it in pieces."""
        texts = self._json() if self.columns is None else self._csv()
        kept: list[str] = []
        for text in texts:
            kept.append(text)
            if len(kept) == _TOGETHER:
                yield "".join(kept).encode()
                kept.clear()
        yield "".join(kept).encode()

    def _json(self) -> Iterator[str]:
        before = "["
        for row in self.rows:
            yield before + json.dumps(row)
            before = ", "
        yield "[]" if before == "[" else "]"

    def _csv(self) -> Iterator[str]:
        columns = self.columns or ()
        yield _line(columns)
        for row in self.rows:
            yield _line([row.get(name) for name in columns])


def _line(values: Iterable[Any]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow(values)
    return written.getvalue()


def all_pages(
    first: Sequence[T], size: int, read: Callable[[T], Sequence[T]]
) -> Iterator[T]:
    """Yield what is on a page and on those after it.

    :param size: how much fits on a page.
    :param read: returns the page after an entry.
    """
    page = first
    while page:
        yield from page
        if len(page) < size:
            return
        page = read(page[-1])
