"""A recovery's progress, read from taskflow's own tables.

One indexed SELECT per attempt's flow; no taskflow code, no RPC, so it works
with all engines down.
"""

import json
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db.session import connection, reader
from recovery_ha.domain.recovery import ProgressDetail, TaskProgress

_FLOWS = sa.table(
    "flowdetails",
    sa.column("uuid"),
    sa.column("parent_uuid"),
    sa.column("meta"),
    sa.column("created_at"),
)
_ATOMS = sa.table(
    "atomdetails",
    sa.column("parent_uuid"),
    sa.column("name"),
    sa.column("state"),
    sa.column("meta"),
)


@reader
def list_task_progress(
    ctx: RequestContext, notification_uuid: str
) -> list[TaskProgress]:
    """Return each task of each attempt that reported something.

    In the order of execution: the flow detail's meta holds the number of the
    flow and the names of its tasks in order (taskflow's tables have no order
    of their own). The logbook's uuid is the notification's.
    """
    rows = connection(ctx).execute(
        sa.select(_FLOWS.c.meta, _ATOMS.c.name, _ATOMS.c.state, _ATOMS.c.meta)
        .join(_ATOMS, _ATOMS.c.parent_uuid == _FLOWS.c.uuid)
        .where(_FLOWS.c.parent_uuid == notification_uuid)
    )
    found: list[tuple[tuple[int, int], TaskProgress]] = []
    for flow_meta, name, state, atom_meta in rows:
        flow, atom = _json(flow_meta), _json(atom_meta)
        order = flow.get("order", [])
        details = _details(atom)
        if name in order and details:
            number = flow.get("number", flow.get("attempt", 0))
            place = (int(number), order.index(name))
            progress = float(atom.get("progress", 0.0))
            found.append((place, TaskProgress(name, progress, state, details)))
    return [task for _place, task in sorted(found, key=lambda pair: pair[0])]


def _json(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = json.loads(value)
    return value or {}


def _details(atom_meta: dict[str, Any]) -> tuple[ProgressDetail, ...]:
    held = (atom_meta.get("progress_details") or {}).get("details") or {}
    return tuple(
        ProgressDetail(
            timestamp=str(detail["timestamp"]),
            progress=float(detail["progress"]),
            message=str(detail["message"]),
        )
        for detail in held.get("progress_details", ())
    )
