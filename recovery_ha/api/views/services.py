"""Engines, and what they do."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from recovery_ha.api.views.recovery import time_text
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.services import ServiceRecord


def service(
    item: ServiceRecord, held: Mapping[WorkKind, Collection[str]]
) -> dict[str, Any]:
    """Return an engine.

    :param held: uuids of the work that it holds now, by kind.
    """
    return {
        "id": item.uuid,
        "host": item.host,
        "binary": item.binary,
        "state": "up" if item.alive else "down",
        "version": item.version,
        "seen_at": _seen_at(item.seen_at),
        "started_at": time_text(item.started_at),
        "capabilities": {
            name: sorted(values) for name, values in item.capabilities.items()
        },
        "holds": {str(kind): sorted(held.get(kind, ())) for kind in WorkKind},
    }


def _seen_at(seconds: float) -> str | None:
    when = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    return time_text(when)
