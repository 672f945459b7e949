"""What an engine writes on the action plug-ins of the session that it owns.

A row per plug-in and host says how its latest run went. It is kept when the
plug-in is done, and is the truth about that: taskflow's own tables show the
progress.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models, work
from recovery_ha.db.ledger import events
from recovery_ha.db.ledger.book import clock
from recovery_ha.db.maintenance import session_runs
from recovery_ha.db.maintenance.session_runs import Told
from recovery_ha.db.session import connection, writer
from recovery_ha.domain.history import Remark
from recovery_ha.domain.lease import Claim
from recovery_ha.domain.ledger import TaskStatus
from recovery_ha.domain.maintenance import PluginUse, RunStatus, Session

_R = models.MaintenanceActionRun
_TOLD = {
    RunStatus.RUNNING: TaskStatus.RUNNING,
    RunStatus.DONE: TaskStatus.READY,
    RunStatus.FAILED: TaskStatus.ERROR,
}
#: Characters of what a plug-in says of itself that are kept, its end for
#: the most part.
LONGEST_OUTPUT = 65536
_BEGINNING = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRun:
    """How the latest run of a plug-in on a host went.

    :ivar attempt: which one it was, from 1.
    """

    ordinal: int
    status: RunStatus
    attempt: int
    output: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A run of a plug-in on a host.

    :ivar name: of its task.
    :ivar flow_uuid: of the flow that the task is in.
    :ivar attempt: from 1, over all of the session.
    """

    use: PluginUse
    host: str
    name: str
    flow_uuid: str
    attempt: int


@writer
def list_runs(
    ctx: RequestContext, claim: Claim, host: str
) -> dict[int, HostRun]:
    """Return how the plug-ins went on a host so far, by ordinal.

    :raises errors.LeaseLost: the session is somebody else's.
    """
    work.fence(ctx, claim)
    rows = connection(ctx).execute(
        sa.select(_R.ordinal, _R.status, _R.attempt, _R.output).where(
            _R.session_uuid == claim.uuid, _R.host == host
        )
    )
    return {
        row.ordinal: HostRun(
            ordinal=row.ordinal,
            status=RunStatus(row.status),
            attempt=row.attempt,
            output=row.output,
        )
        for row in rows
    }


@writer
def tell(
    ctx: RequestContext,
    claim: Claim,
    session: Session,
    unit: Unit,
    remarks: Sequence[Remark],
    *,
    status: RunStatus | None = None,
    output: str | None = None,
) -> None:
    """Write down what a plug-in says, and that it began or ended.

    Harmless when repeated, as a commit that succeeded unheard of is, but for
    the remarks.

    :param status: what its run is from now on; None: as before.
    :param output: what is kept of it when it ends.
    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    if status is not None:
        _write(ctx, session, unit, status, output)
        told = Told(
            node_id=unit.host,
            node_type="host",
            status=_TOLD[status],
            task=unit.name,
            message=remarks[-1].text
            if remarks and status is not RunStatus.RUNNING
            else None,
        )
        session_runs.tell(ctx, session, [told])
    events.add_events(ctx, session.uuid, remarks, session.request_id)


def _write(
    ctx: RequestContext,
    session: Session,
    unit: Unit,
    status: RunStatus,
    output: str | None,
) -> None:
    conn, time = connection(ctx), clock()
    values: dict[str, Any] = {
        "status": str(status),
        "attempt": unit.attempt,
        "output": None if output is None else bounded(output),
        "flow_uuid": unit.flow_uuid,
        "ended_at": time,
        "updated_at": time,
    }
    if status is RunStatus.RUNNING:
        values |= {"started_at": time, "ended_at": None}
    changed = conn.execute(
        sa.update(_R)
        .where(
            _R.session_uuid == session.uuid,
            _R.ordinal == unit.use.ordinal,
            _R.host == unit.host,
        )
        .values(**values)
    )
    if changed.rowcount == 0:
        conn.execute(
            sa.insert(_R).values(
                session_uuid=session.uuid,
                ordinal=unit.use.ordinal,
                host=unit.host,
                created_at=time,
                **values,
            )
        )


def bounded(output: str) -> str:
    """Return what is kept of an output: its beginning and its end."""
    if len(output) > LONGEST_OUTPUT:
        end = LONGEST_OUTPUT - _BEGINNING
        left_out = len(output) - LONGEST_OUTPUT
        output = (
            f"{output[:_BEGINNING]}\n[{left_out} characters left out]\n"
            f"{output[-end:]}"
        )
    return events.clean(output, 2 * LONGEST_OUTPUT)
