"""Who owns which work: claim, renew, release, and locks on resources.

The only code that touches the lease columns. Every change is one conditional
UPDATE that says what its writer believed, and time is the database's.
"""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.db.types import now
from recovery_ha.domain import errors
from recovery_ha.domain.lease import Claim, WorkKind
from recovery_ha.domain.maintenance import SessionAction
from recovery_ha.domain.recovery import NOTIFICATION, NotificationStatus

_N = models.Notification
_C = models.Cluster
_M = models.MaintenanceSession
_LOCK = models.ResourceLock

#: What is wanted of a session that is not to be worked on to its end.
_ENDS_SESSION = (str(SessionAction.ABORT), str(SessionAction.DELETE))


def _table(kind: WorkKind) -> tuple[Any, Any]:
    """Return model and uuid column of a kind of work."""
    match kind:
        case WorkKind.RECOVERY:
            return _N, _N.notification_uuid
        case WorkKind.CLUSTER:
            return _C, _C.uuid
        case WorkKind.MAINTENANCE:
            return _M, _M.uuid


def _claimable(
    kind: WorkKind, plugins: Collection[str]
) -> sa.ColumnElement[bool]:
    table, _uuid = _table(kind)
    waits = sa.and_(
        table.wake_at <= now(),
        sa.or_(
            table.lease_expires_at.is_(None), table.lease_expires_at <= now()
        ),
    )
    match kind:
        case WorkKind.RECOVERY:
            states = [str(s) for s in NOTIFICATION.unfinished]
            return sa.and_(waits, _N.status.in_(states))
        case WorkKind.CLUSTER:
            return sa.and_(waits, _C.plugin_name.in_(sorted(plugins)))
        case WorkKind.MAINTENANCE:
            # Undoing a session takes no workflow, which may be gone by then.
            mine = sa.or_(
                _M.workflow.in_(sorted(plugins)),
                _M.requested_action.in_(_ENDS_SESSION),
            )
            return sa.and_(waits, mine)


def _was_left(kind: WorkKind) -> sa.ColumnElement[bool]:
    """Return the condition for work that an owner has begun and not ended."""
    match kind:
        case WorkKind.RECOVERY:
            return _N.status == NotificationStatus.RUNNING
        case WorkKind.CLUSTER:
            return _C.lease_owner.is_not(None)
        case WorkKind.MAINTENANCE:
            return _M.lease_owner.is_not(None)


@reader
def _candidates(
    ctx: RequestContext, kind: WorkKind, plugins: Collection[str], limit: int
) -> list[tuple[int, str, int, bool]]:
    table, uuid = _table(kind)
    rows = connection(ctx).execute(
        sa.select(table.id, uuid, table.lease_epoch, _was_left(kind))
        .where(_claimable(kind, plugins))
        .order_by(table.wake_at)
        .limit(limit)
    )
    return [(row[0], row[1], row[2], bool(row[3])) for row in rows]


@writer
def _claim(
    ctx: RequestContext,
    kind: WorkKind,
    plugins: Collection[str],
    row_id: int,
    epoch: int,
    owner: str,
    lease_seconds: float,
) -> bool:
    table, _uuid = _table(kind)
    values: dict[str, Any] = {
        "lease_owner": owner,
        "lease_epoch": epoch + 1,
        "lease_expires_at": now() + lease_seconds,
    }
    if kind is WorkKind.RECOVERY:
        values["status"] = NotificationStatus.RUNNING
    result = connection(ctx).execute(
        sa.update(table)
        .where(
            table.id == row_id,
            table.lease_epoch == epoch,
            _claimable(kind, plugins),
        )
        .values(**values)
    )
    return result.rowcount == 1


def claim_next(
    ctx: RequestContext,
    kind: WorkKind,
    owner: str,
    lease_seconds: float,
    *,
    plugins: Collection[str] = (),
) -> Claim | None:
    """Own the work that has waited longest, or return None if there is none.

    :param owner: unique per start of an engine process.
    :param lease_seconds: for how long, by the database's clock.
    :param plugins: names of those provisioning plug-ins whose clusters are
        wanted, or of those workflows whose sessions are.
    """
    # A few candidates, because other engines are after the same ones.
    for row_id, uuid, epoch, left in _candidates(ctx, kind, plugins, 8):
        if _claim(ctx, kind, plugins, row_id, epoch, owner, lease_seconds):
            return Claim(
                kind=kind,
                uuid=uuid,
                owner=owner,
                epoch=epoch + 1,
                taken_over=left,
            )
    return None


@writer
def renew(
    ctx: RequestContext,
    kind: WorkKind,
    owner: str,
    lease_seconds: float,
    held: Collection[tuple[str, int]],
) -> dict[tuple[str, int], str | None]:
    """Prolong leases of an owner that have not ended.

    :param held: uuid and epoch of the work that is being done. What an owner
        has let go of unasked must end, or nobody could take it over.
    :returns: by uuid and epoch of each piece of work that is still owned,
        what an operator wants of it instead of its end, or None.
    """
    table, uuid = _table(kind)
    mine = sa.and_(
        table.lease_owner == owner,
        table.lease_expires_at > now(),
        sa.tuple_(uuid, table.lease_epoch).in_(list(held)),
    )
    conn = connection(ctx)
    conn.execute(
        sa.update(table)
        .where(mine)
        .values(lease_expires_at=now() + lease_seconds)
    )
    wish: Any = table.requested_action
    if kind is WorkKind.MAINTENANCE:
        # Other wishes wait until the step is done.
        wish = sa.case((wish.in_(_ENDS_SESSION), wish))
    rows = conn.execute(sa.select(uuid, table.lease_epoch, wish).where(mine))
    return {(row[0], row[1]): row[2] for row in rows}


def _owned(claim: Claim) -> sa.ColumnElement[bool]:
    table, uuid = _table(claim.kind)
    return sa.and_(
        uuid == claim.uuid,
        table.lease_owner == claim.owner,
        table.lease_epoch == claim.epoch,
        table.lease_expires_at > now(),
    )


def _lost(claim: Claim) -> errors.LeaseLost:
    return errors.LeaseLost(
        f"{claim.kind} {claim.uuid} is no longer owned by {claim.owner}"
        f" (epoch {claim.epoch})."
    )


@writer
def fence(ctx: RequestContext, claim: Claim) -> None:
    """Make sure that the open transaction is still the owner's.

    The work row is locked against others until the transaction ends, so that
    nobody can take the work over between this and the commit.

    :raises errors.LeaseLost: and nothing of the transaction may be kept.
    """
    table, _uuid = _table(claim.kind)
    found = connection(ctx).scalar(
        sa.select(table.id).where(_owned(claim)).with_for_update(read=True)
    )
    if found is None:
        raise _lost(claim)


@writer
def update_owned(ctx: RequestContext, /, claim: Claim, **values: Any) -> None:
    """Change columns of the owned row.

    :raises errors.LeaseLost: and nothing was changed.
    """
    table, _uuid = _table(claim.kind)
    result = connection(ctx).execute(
        sa.update(table).where(_owned(claim)).values(**values)
    )
    if result.rowcount != 1:
        raise _lost(claim)


@writer
def release(
    ctx: RequestContext,
    /,
    claim: Claim,
    *,
    wake_in: float | None,
    seen: int | None = None,
    keep_locks: bool = False,
    **values: Any,
) -> None:
    """Give the row back, with new values.

    :param wake_in: seconds until it may be claimed again; None means never,
        because it has ended; its locks on resources go with it.
    :param seen: of a session, what its owner has seen of replies and wishes:
        if there is more by now, it may be claimed again at once.
    :param keep_locks: they do not go.
    :raises errors.LeaseLost: and nothing was changed.
    """
    wake_at: Any = None if wake_in is None else now() + wake_in
    if seen is not None:
        wake_at = sa.case((_M.seen == seen, wake_at), else_=now())
    update_owned(
        ctx,
        claim,
        lease_owner=None,
        lease_expires_at=None,
        wake_at=wake_at,
        **values,
    )
    if wake_in is None and not keep_locks:
        unlock_resources(ctx, claim)


@writer
def unlock_resources(
    ctx: RequestContext, claim: Claim, key: str | None = None
) -> None:
    """Give back what the work has locked.

    :param key: only the host or instance of that name.
    """
    query = sa.delete(_LOCK).where(
        _LOCK.owner_kind == claim.kind, _LOCK.owner_uuid == claim.uuid
    )
    if key is not None:
        query = query.where(_LOCK.key == key)
    connection(ctx).execute(query)


@writer
def lock_resource(
    ctx: RequestContext, claim: Claim, type_: str, key: str
) -> str | None:
    """Have a resource for oneself until the work ends.

    :param type_: ``host`` or ``instance``.
    :param key: its name or uuid.
    :returns: None when it is the claim's (now or since earlier), else the
        uuid of the work that has it; that lock's row stays locked until the
        transaction ends, so that its owner cannot end meanwhile.
    :raises errors.LeaseLost: when the work is not owned any more.
    """
    fence(ctx, claim)
    conn = connection(ctx)
    try:
        with conn.begin_nested():
            conn.execute(
                sa.insert(_LOCK).values(
                    type=type_,
                    key=key,
                    owner_kind=claim.kind,
                    owner_uuid=claim.uuid,
                    epoch=claim.epoch,
                )
            )
    except db_exc.DBDuplicateEntry:
        owner: str | None = conn.scalar(
            sa.select(_LOCK.owner_uuid)
            .where(_LOCK.type == type_, _LOCK.key == key)
            .with_for_update()
        )
        if owner is None:
            # Given back between the two statements: try all of it again.
            raise db_exc.RetryRequest(errors.Conflict(key)) from None
        return None if owner == claim.uuid else owner
    return None


@writer
def alone(ctx: RequestContext, claim: Claim, key: str) -> None:
    """Let nobody else pass here with the same key meanwhile.

    That is until the transaction ends; nothing of it remains.

    :param key: what the limit is of that is looked at and used up then.
    :raises errors.LeaseLost: when the work is not owned any more.
    """
    fence(ctx, claim)
    conn = connection(ctx)
    # Who inserts an equal row waits for the end of this transaction, on each
    # of the databases; of two nodes of a Galera cluster one is refused.
    conn.execute(
        sa.insert(_LOCK).values(
            type="limit",
            key=key,
            owner_kind=claim.kind,
            owner_uuid=claim.uuid,
            epoch=claim.epoch,
        )
    )
    conn.execute(
        sa.delete(_LOCK).where(_LOCK.type == "limit", _LOCK.key == key)
    )


# What operators ask for: nobody's lease is needed, and none is broken.


@writer
def look(ctx: RequestContext, kind: WorkKind, uuid: str) -> tuple[int, bool]:
    """Keep a piece of work as it is until the transaction ends.

    :returns: its epoch, and whether somebody owns it.
    """
    table, column = _table(kind)
    row = (
        connection(ctx)
        .execute(
            sa.select(table.lease_epoch, table.lease_expires_at > now())
            .where(column == uuid)
            .with_for_update()
        )
        .one()
    )
    return row[0], bool(row[1])


@writer
def ask_owner(
    ctx: RequestContext,
    /,
    kind: WorkKind,
    uuid: str,
    epoch: int,
    **values: Any,
) -> None:
    """Change columns of a row for its owner to find.

    :param epoch: the owner's, of :func:`look`.
    :raises db_exc.RetryRequest: it is the owner's no more; look again.
    """
    _swap(ctx, kind, uuid, epoch, values, owned=True)


@writer
def change_unowned(
    ctx: RequestContext,
    /,
    kind: WorkKind,
    uuid: str,
    epoch: int,
    *,
    wake: bool,
    **values: Any,
) -> None:
    """Change columns of a row that nobody owns.

    :param epoch: of :func:`look`.
    :param wake: it may be claimed at once; else never, because it has ended.
    :raises db_exc.RetryRequest: somebody owns it by now; look again.
    """
    values |= {
        "lease_owner": None,
        "lease_expires_at": None,
        "wake_at": now() if wake else None,
    }
    _swap(ctx, kind, uuid, epoch, values, owned=False)


def _swap(
    ctx: RequestContext,
    kind: WorkKind,
    uuid: str,
    epoch: int,
    values: dict[str, Any],
    *,
    owned: bool,
) -> None:
    table, column = _table(kind)
    alive = table.lease_expires_at > now()
    free = sa.or_(table.lease_expires_at.is_(None), sa.not_(alive))
    result = connection(ctx).execute(
        sa.update(table)
        .where(
            column == uuid,
            table.lease_epoch == epoch,
            alive if owned else free,
        )
        .values(**values)
    )
    if result.rowcount != 1:
        raise db_exc.RetryRequest(errors.Conflict(uuid))


@writer
def wake_held(ctx: RequestContext, *which: sa.ColumnElement[bool]) -> None:
    """Have the gates of held notifications asked again now."""
    connection(ctx).execute(
        sa.update(_N)
        .where(
            _N.status == NotificationStatus.NEW,
            _N.held.is_(True),
            _N.lease_expires_at.is_(None),
            *which,
        )
        .values(wake_at=now())
    )


@reader
def has_locks(ctx: RequestContext, uuid: str) -> bool:
    """Tell whether a piece of work has locked anything."""
    found = connection(ctx).scalar(
        sa.select(_LOCK.id).where(_LOCK.owner_uuid == uuid).limit(1)
    )
    return found is not None


@reader
def list_held(ctx: RequestContext, kind: WorkKind) -> dict[str, list[str]]:
    """Return the uuids of the work that is owned now, by owner."""
    table, uuid = _table(kind)
    rows = connection(ctx).execute(
        sa.select(table.lease_owner, uuid)
        .where(_was_left(kind), table.lease_expires_at > now())
        .order_by(table.id)
    )
    held: dict[str, list[str]] = {}
    for owner, of in rows:
        held.setdefault(owner, []).append(of)
    return held


@reader
def clock(ctx: RequestContext) -> float:
    """Return the database's time in epoch seconds."""
    return float(connection(ctx).execute(sa.select(now())).scalar_one())
