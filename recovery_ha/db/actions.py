"""What operators ask of recoveries: retry, restart, rollback, cancel.

What nobody works on is changed here; for the rest the row says what is
wanted, and the engine that works on it, or the next one, does it.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import (
    ending,
    models,
    recovery,
    recovery_runs,
    types,
    work,
)
from recovery_ha.db.ledger import events, runs, transactions
from recovery_ha.db.paging import by_reference
from recovery_ha.db.session import connection, writer
from recovery_ha.db.types import now
from recovery_ha.domain import errors
from recovery_ha.domain.actions import Action, Effect, Standing, effect
from recovery_ha.domain.history import Remark
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.recovery import (
    Notification,
    NotificationStatus,
    NotificationType,
    VMoveStatus,
)

_N = models.Notification
_T = models.Transaction
_V = models.VMove
_D = models.GateDecision
_LOCK = models.ResourceLock

_KIND = WorkKind.RECOVERY
#: What a restart still knows of what was done outside: it is not undone yet.
_KEPT = frozenset({"service", "host"})
#: Where the record has who wants a recovery interrupted; nothing was done.
ASKED_BY = "asked_by"


@dataclass(frozen=True, slots=True)
class Transaction:
    """A run of something.

    :ivar origin_id: what it is the run of: a recovery's notification.
    :ivar status: ``pending``, ``running``, ``ready`` or ``error``.
    :ivar ended: the notification, if it has ended with what was asked for;
        None: there is more to do, for an engine.
    """

    id: int
    uuid: str
    kind: str
    origin_id: str
    status: str
    ended: Notification | None


@writer
def act(
    ctx: RequestContext,
    reference: str,
    action: Action,
    *,
    duplicate_window: float,
) -> Transaction:
    """Do what an operator wants with a recovery, or have an engine do it.

    Age counts from now on for all but a cancelled one: what is asked for
    must not end as expired.

    :param reference: uuid or integer id of the transaction.
    :param duplicate_window: seconds for which a report equal to one that is
        cancelled is still refused, if it is about a host.
    :returns: the transaction as it is now.
    :raises errors.TransactionNotFound: there is none.
    :raises errors.ActionRefused: see :func:`effect`.
    """
    found = (
        connection(ctx)
        .execute(
            sa.select(_T.id, _T.uuid, _T.kind)
            .join(_N, _N.notification_uuid == _T.uuid)
            .where(by_reference(_T, "uuid", reference))
        )
        .first()
    )
    if found is None:
        raise errors.TransactionNotFound(
            f"No transaction with id {reference}."
        )
    status = _act(ctx, found.uuid, action, duplicate_window)
    return Transaction(
        id=found.id,
        uuid=found.uuid,
        kind=found.kind,
        origin_id=found.uuid,
        status=str(transactions.get(ctx, found.id).status),
        ended=recovery.get_notification(ctx, found.uuid)
        if status is NotificationStatus.FAILED
        else None,
    )


def _act(
    ctx: RequestContext, uuid: str, action: Action, duplicate_window: float
) -> NotificationStatus:
    epoch, is_owned = work.look(ctx, _KIND, uuid)
    row = (
        connection(ctx)
        .execute(
            sa.select(
                _N.status,
                _N.type,
                _N.source_host_name,
                _N.attempts,
                _N.record,
                _N.requested_action,
            ).where(_N.notification_uuid == uuid)
        )
        .one()
    )
    wanted = effect(
        action,
        Standing(
            NotificationStatus(row.status),
            is_owned,
            bool(
                row.attempts
                or (row.record or {}).keys() - {ASKED_BY}
                or work.has_locks(ctx, uuid)
            ),
            row.requested_action,
        ),
    )
    if action is Action.ROLLBACK:
        _refuse_while_recovered(ctx, uuid, row)
    who = f"by an operator (user {ctx.user_id})."
    said = f"{action.capitalize()} asked for {who}"
    values: dict[str, Any] = {
        "message": said,
        "updated_at": types.utcnow(),
    }
    if action is not Action.CANCEL:
        values["received_at"] = now()
    asked = {
        "requested_action": str(action),
        "record": {**(row.record or {}), ASKED_BY: ctx.user_id},
    }
    status = NotificationStatus.ERROR
    match wanted:
        case Effect.END:
            status, said = NotificationStatus.FAILED, f"Cancelled {who}"
            work.change_unowned(
                ctx,
                _KIND,
                uuid,
                epoch,
                wake=False,
                **ending.ended(status, said, duplicate_window),
            )
            recovery_runs.end(ctx, uuid, status, said, cancelled=True)
            ending.end_joined(ctx, uuid, status, said, duplicate_window)
        case Effect.INTERRUPT:
            status = NotificationStatus.RUNNING
            work.ask_owner(ctx, _KIND, uuid, epoch, **values, **asked)
        case Effect.HAND_OVER:
            values |= {"attempts_before": _N.attempts, "held": False}
            work.change_unowned(
                ctx,
                _KIND,
                uuid,
                epoch,
                wake=True,
                status=status,
                **values,
                **asked,
            )
            runs.reopen(ctx, uuid)
        case Effect.REOPEN:
            # All attempts are to be had again.
            values |= {"attempts_before": _N.attempts, "held": False}
            if action is Action.RESTART:
                values |= _forget(ctx, uuid, row.record)
            work.change_unowned(
                ctx,
                _KIND,
                uuid,
                epoch,
                wake=True,
                status=status,
                joined_to=None,
                **values,
            )
            runs.reopen(ctx, uuid)
    events.add_events(ctx, uuid, [Remark(said)], ctx.request_id)
    return status


def _refuse_while_recovered(
    ctx: RequestContext, uuid: str, row: sa.Row[Any]
) -> None:
    """Refuse to bring a host back into use that another recovery works on.

    :raises errors.ActionRefused: the text names that one.
    """
    if row.type == NotificationType.VM:
        return
    other = (
        connection(ctx)
        .execute(
            sa.select(_LOCK.owner_uuid, _LOCK.owner_kind).where(
                _LOCK.type == "host",
                _LOCK.key == row.source_host_name,
                _LOCK.owner_uuid != uuid,
            )
        )
        .first()
    )
    if other is not None:
        whose = f"is being recovered by notification {other.owner_uuid}"
        if other.owner_kind == WorkKind.MAINTENANCE:
            whose = f"is in maintenance session {other.owner_uuid}"
        raise errors.ActionRefused(
            f"Host {row.source_host_name} {whose}; a rollback is possible"
            " when that has ended."
        )


def _forget(
    ctx: RequestContext, uuid: str, record: dict[str, Any] | None
) -> dict[str, Any]:
    """Have gates and instances looked at as if for the first time.

    That an instance was left out is no end here, unlike in the table of
    vmoves. What may be under way in Nova is found by the attempt.

    :returns: the columns of the notification that say so.
    """
    conn = connection(ctx)
    conn.execute(sa.delete(_D).where(_D.notification_uuid == uuid))
    conn.execute(
        sa.update(_V)
        .where(
            _V.notification_uuid == uuid,
            _V.status != VMoveStatus.SUCCEEDED,
        )
        .values(
            status=str(VMoveStatus.PENDING),
            message=None,
            end_time=None,
            requested_at=None,
            accepted=False,
            updated_at=types.utcnow(),
        )
    )
    kept = {k: v for k, v in (record or {}).items() if k in _KEPT}
    return {"record": kept, "flow_uuid": None}
