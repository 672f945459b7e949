"""Vmoves: one instance's move each, for operators and for resuming."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from oslo_utils import uuidutils

from recovery_ha.context import RequestContext
from recovery_ha.db import models, recovery_runs, types, work
from recovery_ha.db.paging import Page, by_reference, page_rows
from recovery_ha.db.recovery_runs import Moved
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain import errors
from recovery_ha.domain.lease import Claim
from recovery_ha.domain.recovery import VMOVE, VMove, VMoveStatus, VMoveType

_V = models.VMove

VMOVE_SORT_KEYS = (
    "id",
    "uuid",
    "instance_uuid",
    "instance_name",
    "source_host",
    "dest_host",
    "start_time",
    "end_time",
    "type",
    "status",
    "created_at",
    "updated_at",
)


def _vmove(row: sa.Row[Any]) -> VMove:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return VMove(
        type=VMoveType(values.pop("type")),
        status=VMoveStatus(values.pop("status")),
        **values,
    )


@reader
def list_vmoves(
    ctx: RequestContext,
    notification_uuid: str,
    page: Page | None = None,
    *,
    type: str | None = None,  # noqa: A002 - the column's and filter's name
    status: str | None = None,
) -> list[VMove]:
    """Return a page of a notification's vmoves, or all in recovery order.

    :raises errors.BadRequest: see :func:`page_rows`.
    """
    query = sa.select(*_V.__table__.c).where(
        _V.notification_uuid == notification_uuid
    )
    for key, value in (("type", type), ("status", status)):
        if value is not None:
            query = query.where(getattr(_V, key) == value)
    rows: Iterable[sa.Row[Any]]
    if page is None:
        rows = connection(ctx).execute(query.order_by(_V.ordinal))
    else:
        rows = page_rows(
            connection(ctx), query, _V, page, sortable=VMOVE_SORT_KEYS
        )
    return [_vmove(row) for row in rows]


@reader
def get_vmove(
    ctx: RequestContext, notification_uuid: str, reference: str
) -> VMove:
    """Return one vmove of a notification by its uuid or integer id.

    :raises errors.VMoveNotFound: the notification has no such vmove.
    """
    row = (
        connection(ctx)
        .execute(
            sa.select(*_V.__table__.c).where(
                _V.notification_uuid == notification_uuid,
                by_reference(_V, "uuid", reference),
            )
        )
        .first()
    )
    if row is None:
        raise errors.VMoveNotFound(
            f"No vmove with id {reference} in notification"
            f" {notification_uuid}."
        )
    return _vmove(row)


@writer
def create_vmoves(
    ctx: RequestContext, claim: Claim, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Write down which instances are going to be evacuated, all or none.

    Harmless when repeated, as a commit that succeeded unheard of is.

    :param rows: column values of :class:`VMove`, without id, uuid and times.
    :raises errors.LeaseLost: and nothing was written.
    """
    work.fence(ctx, claim)
    conn, created_at = connection(ctx), types.utcnow()
    known = set(
        conn.scalars(
            sa.select(_V.instance_uuid).where(
                _V.notification_uuid == claim.uuid
            )
        )
    )
    values = [
        {
            **row,
            "uuid": uuidutils.generate_uuid(),
            "notification_uuid": claim.uuid,
            "type": str(VMoveType.EVACUATION),
            "created_at": created_at,
            "attempts": 0,
            "locked_by_us": False,
        }
        for row in rows
        if row["instance_uuid"] not in known
    ]
    if not values:
        return
    conn.execute(sa.insert(_V), values)
    recovery_runs.expect_moves(ctx, claim.uuid, len(known) + len(values))
    begun = [v["uuid"] for v in values if v["status"] == VMoveStatus.ONGOING]
    if begun:
        found = conn.execute(
            sa.select(*_V.__table__.c).where(_V.uuid.in_(begun))
        )
        moved = [Moved(_vmove(row), VMoveStatus.PENDING) for row in found]
        recovery_runs.tell_moves(ctx, claim.uuid, moved)


@dataclass(frozen=True, slots=True)
class Change:
    """A vmove, the state it is to have, and new values of other columns.

    :ivar status: may be its present one, to change other columns only.
    """

    move: VMove
    status: VMoveStatus
    values: Mapping[str, Any]


def _alike(changes: Sequence[Change]) -> list[list[Change]]:
    """Return the changes in groups that one statement can make.

    The host's instances are asked for together, and a statement for each
    would keep the first one waiting for the last.
    """
    groups: dict[tuple[Any, ...], list[Change]] = {}
    for change in changes:
        said = tuple(
            (name, type(value) if isinstance(value, types.now) else value)
            for name, value in sorted(change.values.items())
        )
        groups.setdefault((change.status, said), []).append(change)
    return list(groups.values())


def _enter(conn: sa.Connection, alike: Sequence[Change]) -> bool:
    """Make equal changes; False if a row is in no state that allows it."""
    first = alike[0]
    sources = {*VMOVE.sources(first.status), first.status}
    result = conn.execute(
        sa.update(_V)
        .where(
            _V.id.in_([change.move.id for change in alike]),
            _V.status.in_([str(state) for state in sources]),
        )
        .values(
            status=str(first.status),
            updated_at=types.utcnow(),
            **first.values,
        )
    )
    return bool(result.rowcount == len(alike))


def _refusals(changes: Sequence[Change], found: Mapping[int, VMove]) -> str:
    """Return which rows cannot become what they are to be.

    :param found: the rows as they are, perhaps changed by this transaction.
    """
    return " ".join(
        f"vmove {c.move.uuid} is {found[c.move.id].status} and cannot"
        f" become {c.status}."
        for c in changes
        if found[c.move.id].status not in {*VMOVE.sources(c.status), c.status}
    )


@writer
def transition_vmoves(
    ctx: RequestContext, claim: Claim, changes: Sequence[Change]
) -> list[VMove]:
    """Bring vmoves into other states, all or none.

    Harmless when repeated, as a commit that succeeded unheard of is.

    :returns: the vmoves as they are now, in the order of the changes.
    :raises errors.LeaseLost: the work is somebody else's; nothing changed.
    :raises errors.IllegalTransition: a row is in no state from which the
        wanted one can be entered; nothing changed.
    """
    work.fence(ctx, claim)
    conn = connection(ctx)
    all_entered = all(_enter(conn, alike) for alike in _alike(changes))
    ids = [change.move.id for change in changes]
    rows = conn.execute(sa.select(*_V.__table__.c).where(_V.id.in_(ids)))
    found = {row.id: _vmove(row) for row in rows}
    if not all_entered:
        raise errors.IllegalTransition(_refusals(changes, found))
    recovery_runs.tell_moves(
        ctx,
        claim.uuid,
        [Moved(found[c.move.id], c.move.status) for c in changes],
    )
    return [found[row_id] for row_id in ids]


def transition_vmove(
    ctx: RequestContext,
    /,
    claim: Claim,
    move: VMove,
    status: VMoveStatus,
    **values: Any,
) -> VMove:
    """Do the same as :func:`transition_vmoves` for a single one."""
    return transition_vmoves(ctx, claim, [Change(move, status, values)])[0]


@writer
def give_up(ctx: RequestContext, claim: Claim, reason: str) -> None:
    """Fail the moves of a recovery that will not be attempted again.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    conn = connection(ctx)
    rows = conn.execute(
        sa.select(*_V.__table__.c).where(
            _V.notification_uuid == claim.uuid,
            _V.status.in_(
                [str(state) for state in VMOVE.sources(VMoveStatus.FAILED)]
            ),
        )
    )
    values = {"message": reason, "end_time": types.utcnow()}
    changes = [Change(_vmove(r), VMoveStatus.FAILED, values) for r in rows]
    if changes:
        transition_vmoves(ctx, claim, changes)
