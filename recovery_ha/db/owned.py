"""What an engine writes on the notification that it owns.

Each function is fenced by the claim: it changes nothing and raises
:class:`errors.LeaseLost` when the notification is somebody else's by now.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import ending, models, recovery_runs, types, work
from recovery_ha.db.ledger import events
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain import errors
from recovery_ha.domain.gates import Decision
from recovery_ha.domain.history import Remark
from recovery_ha.domain.lease import Claim
from recovery_ha.domain.recovery import (
    OPEN_MOVES,
    MaintenanceCause,
    Notification,
    NotificationStatus,
)

_N = models.Notification
_H = models.Host
_V = models.VMove
_D = models.GateDecision

#: Should the work that another one waits for end without a word, look again
#: after so many seconds.
_JOINED_SECONDS = 60
_WAITING_SECONDS = 1


def _say(
    ctx: RequestContext, notification: Notification, text: str | None
) -> None:
    if text:
        events.add_events(
            ctx,
            notification.uuid,
            [Remark(text)],
            notification.request_id,
        )


@writer
def say(
    ctx: RequestContext,
    claim: Claim,
    notification: Notification,
    remarks: Sequence[Remark],
) -> None:
    """Append to the notification's events.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    events.add_events(ctx, notification.uuid, remarks, notification.request_id)


@writer
def mark_host(
    ctx: RequestContext,
    claim: Claim,
    notification: Notification,
    cause: MaintenanceCause,
) -> None:
    """Put a host on maintenance because it, or a process of it, failed.

    A failed host is no reserve any more. What it was before is remembered
    with the notification.

    :raises errors.LeaseLost: and nothing was changed.
    """
    conn = connection(ctx)
    row = conn.execute(
        sa.select(_H.reserved, _H.on_maintenance, _H.maintenance_cause)
        .where(
            _H.uuid == notification.source_host_uuid,
            _H.deleted == 0,
        )
        .with_for_update()
    ).first()
    was = (
        {"reserved": row[0], "on_maintenance": row[1], "cause": row[2]}
        if row
        else {}
    )
    remember(ctx, claim, host=was)
    if row is None or (
        row.maintenance_cause == MaintenanceCause.HOST_FAILURE
        and cause is MaintenanceCause.PROCESS_FAILURE
    ):
        return
    failed = cause is MaintenanceCause.HOST_FAILURE
    conn.execute(
        sa.update(_H)
        .where(_H.uuid == notification.source_host_uuid, _H.deleted == 0)
        .values(
            on_maintenance=True,
            maintenance_cause=cause,
            reserved=False if failed else _H.reserved,
            updated_at=types.utcnow(),
        )
    )


@writer
def remember(ctx: RequestContext, /, claim: Claim, **facts: Any) -> None:
    """Write down what was found or done outside, the first time only.

    :param facts: JSON values by name; a name that is known keeps its value.
    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    known = (
        connection(ctx).scalar(
            sa.select(_N.record).where(_N.notification_uuid == claim.uuid)
        )
        or {}
    )
    if facts.keys() - known.keys():
        work.update_owned(ctx, claim, record=facts | known)


@reader
def recall(ctx: RequestContext, uuid: str) -> dict[str, Any]:
    """Return what was remembered of a notification's recovery."""
    found = connection(ctx).scalar(
        sa.select(_N.record).where(_N.notification_uuid == uuid)
    )
    return dict(found or {})


@writer
def stand_back(
    ctx: RequestContext,
    claim: Claim,
    notification: Notification,
    owner: str,
    message: str,
    *,
    joined: bool,
) -> None:
    """Let another recovery go first.

    :param owner: its uuid.
    :param joined: this one ends with it; else it waits for it.
    :raises errors.LeaseLost: and nothing was changed.
    """
    work.release(
        ctx,
        claim,
        wake_in=_unless_asked(_JOINED_SECONDS if joined else _WAITING_SECONDS),
        status=NotificationStatus.NEW,
        joined_to=owner if joined else None,
        message=message,
        updated_at=types.utcnow(),
    )
    if notification.message != message:
        _say(ctx, notification, message)


@writer
def decide(
    ctx: RequestContext,
    claim: Claim,
    notification: Notification,
    decisions: Sequence[Decision],
) -> None:
    """Keep what gates said; what they said before is replaced.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    conn = connection(ctx)
    rows = conn.execute(
        sa.select(_D.gate, _D.subject, _D.id, _D.verdict, _D.sentence).where(
            _D.notification_uuid == notification.uuid
        )
    )
    known = {(row.gate, row.subject): row for row in rows}
    fresh = []
    for decision in decisions:
        values = {
            "verdict": str(decision.verdict),
            "sentence": decision.sentence,
            "inputs": dict(decision.inputs),
            "limit": decision.limit,
        }
        row = known.get((decision.gate, decision.subject))
        if row is None:
            fresh.append(
                {
                    **values,
                    "notification_uuid": notification.uuid,
                    "gate": decision.gate,
                    "subject": decision.subject,
                    "created_at": types.utcnow(),
                }
            )
        elif (row.verdict, row.sentence) != (
            decision.verdict,
            decision.sentence,
        ):
            conn.execute(
                sa.update(_D)
                .where(_D.id == row.id)
                .values(**values, updated_at=types.utcnow())
            )
    if fresh:
        conn.execute(sa.insert(_D), fresh)


@writer
def hold(
    ctx: RequestContext,
    claim: Claim,
    notification: Notification,
    message: str,
    *,
    wake_in: float,
) -> None:
    """Let a notification wait for a gate to open.

    :param wake_in: seconds until the gates are asked again at the latest.
    :raises errors.LeaseLost: and nothing was changed.
    """
    work.release(
        ctx,
        claim,
        wake_in=_unless_asked(wake_in),
        status=NotificationStatus.NEW,
        held=True,
        message=message,
        updated_at=types.utcnow(),
    )
    if notification.message != message:
        _say(ctx, notification, message)


@writer
def put_back(
    ctx: RequestContext,
    claim: Claim,
    notification: Notification,
    status: NotificationStatus,
    message: str | None,
    *,
    wake_in: float,
    uncount: bool = False,
    done: str | None = None,
) -> None:
    """Give the notification back to be claimed again later.

    :param wake_in: seconds until then.
    :param uncount: the attempt that ends does not count.
    :param done: what an operator has asked for and was being done.
    :raises errors.LeaseLost: and nothing was changed.
    """
    work.release(
        ctx,
        claim,
        wake_in=_unless_asked(wake_in, done),
        status=status,
        message=message,
        attempts_before=_N.attempts_before + int(uncount),
        updated_at=types.utcnow(),
    )
    _say(ctx, notification, message)


def _unless_asked(seconds: float, done: str | None = None) -> Any:
    """Return a time to wait, 0 if an operator has meanwhile asked for more."""
    return sa.case(
        (_N.requested_action.is_not_distinct_from(done), seconds), else_=0
    )


@writer
def count_attempt(ctx: RequestContext, claim: Claim) -> None:
    """Count an attempt that broke before it had a flow.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.update_owned(ctx, claim, attempts=_N.attempts + 1)


def _refuse_open_moves(ctx: RequestContext, claim: Claim) -> None:
    """Let nobody call a success what Nova still works on."""
    still_open = connection(ctx).scalar(
        sa.select(sa.func.count())
        .select_from(_V)
        .where(
            _V.notification_uuid == claim.uuid,
            _V.status.in_([str(state) for state in OPEN_MOVES]),
        )
    )
    if still_open:
        raise errors.MovesOpen(
            f"{still_open} moves of notification {claim.uuid} have not ended."
        )


@writer
def finish(
    ctx: RequestContext,
    claim: Claim,
    notification: Notification,
    status: NotificationStatus,
    message: str,
    *,
    duplicate_window: float,
    done: str | None = None,
) -> None:
    """End a notification and those that were joined to it.

    :param status: a terminal one.
    :param message: the sentence that says why.
    :param duplicate_window: seconds for which an equal COMPUTE_HOST report
        is still refused.
    :param done: what an operator has asked for and has been done.
    :raises errors.LeaseLost: and nothing was changed.
    :raises errors.RecoveryInterrupted: an operator wants it rolled back.
    :raises errors.MovesOpen: it is no failure, and moves of it have not
        ended; nothing was changed.
    """
    asked = connection(ctx).scalar(
        sa.select(_N.requested_action)
        .where(_N.notification_uuid == claim.uuid)
        .with_for_update()
    )
    if asked == "rollback" and done != asked:
        raise errors.RecoveryInterrupted(asked)
    values = ending.ended(status, message, duplicate_window)
    work.release(ctx, claim, wake_in=None, **values)
    if status is not NotificationStatus.FAILED:
        _refuse_open_moves(ctx, claim)
    recovery_runs.end(
        ctx, claim.uuid, status, message, cancelled=done == "cancel"
    )
    _say(ctx, notification, message)
    ending.end_joined(ctx, claim.uuid, status, message, duplicate_window)
