"""What an engine writes on the session that it owns.

Each function is fenced by the claim: it changes nothing and raises
:class:`errors.LeaseLost` when the session is somebody else's by now. Where a
function is called again after a crash, what it has written stays.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import hosts_out, models, work
from recovery_ha.db.ledger.book import clock
from recovery_ha.db.maintenance import outbox, removal, session_runs, sessions
from recovery_ha.db.session import connection, writer
from recovery_ha.domain.lease import Claim
from recovery_ha.domain.ledger import Outcome, TransactionStatus
from recovery_ha.domain.maintenance import (
    Session,
    SessionAction,
    SessionState,
)

_M = models.MaintenanceSession
_H = models.MaintenanceHost

Payload = Mapping[str, Any]
SESSION_EVENT = "maintenance.session"
#: What a session's record has of how often something was tried: it begins
#: anew when a failed session is continued.
TRIES = ("_scale_ins", "_again")


# The session's course


@writer
def snapshot(
    ctx: RequestContext, claim: Claim, known: Session | None = None
) -> Session:
    """Return the session as it is, one that is to be removed included.

    Not from a replica, which may not have the latest replies.

    :param known: see :func:`sessions.get`.
    :raises errors.LeaseLost: it is somebody else's.
    """
    work.fence(ctx, claim)
    return sessions.get(ctx, claim.uuid, deleted=True, known=known)


@writer
def begin(ctx: RequestContext, claim: Claim, session: Session) -> None:
    """Have the state that the session is in begin in the ledger.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    session_runs.enter(ctx, session.uuid, session.state, session.round)


@writer
def enter(
    ctx: RequestContext,
    /,
    claim: Claim,
    session: Session,
    state: SessionState,
    payload: Payload,
    message: str | None = None,
    **values: Any,
) -> None:
    """Have a session enter a working state, in a new round.

    It may be claimed again at once.

    :param payload: of ``maintenance.session``, without what changes here.
    :param message: the sentence that says why; None: what was said last.
    :param values: of further columns.
    :raises errors.LeaseLost: and nothing was changed.
    """
    number = session.round + 1
    if message is not None:
        values["message"] = message
    work.release(
        ctx,
        claim,
        wake_in=0,
        state=str(state),
        round=number,
        attempts=0,
        updated_at=clock(),
        **values,
    )
    _tell(ctx, session, number, payload, state)
    session_runs.enter(ctx, session.uuid, state, number)
    session_runs.say(ctx, session.uuid, message, session.request_id)


def _tell(
    ctx: RequestContext,
    session: Session,
    number: int,
    payload: Payload,
    state: SessionState,
) -> None:
    """Have administrators told that a session has entered a state."""
    percent = connection(ctx).scalar(
        sa.select(_M.percent_done).where(_M.uuid == session.uuid)
    )
    outbox.add(
        ctx,
        session=session,
        event_type=SESSION_EVENT,
        payload={**payload, "state": str(state), "percent_done": percent},
        dedupe_key=f"{session.uuid}:{number}:{SESSION_EVENT}:{state}",
    )


@writer
def wait(
    ctx: RequestContext,
    /,
    claim: Claim,
    session: Session,
    message: str | None,
    *,
    wake_in: float | None,
    attempts: int = 0,
    remark: str | None = None,
    **values: Any,
) -> None:
    """Give a session back that stays where it is.

    :param message: the sentence that says what it waits for.
    :param wake_in: seconds until it is gone on with, if nothing happens;
        None: never by itself.
    :param attempts: how often it could not go on, in a row.
    :param remark: what is to be said besides.
    :param values: of further columns.
    :raises errors.LeaseLost: and nothing was changed.
    """
    work.release(
        ctx,
        claim,
        wake_in=wake_in,
        seen=session.seen,
        keep_locks=True,
        attempts=attempts,
        message=message or session.message,
        **values,
    )
    if message and message != session.message:
        session_runs.say(ctx, session.uuid, message, session.request_id)
    session_runs.say(ctx, session.uuid, remark, session.request_id)


def answered(wish: SessionAction | None, wanted_in: int | None = None) -> Any:
    """Return a value for ``requested_action``: what was wanted is done.

    What an administrator has come to want meanwhile stays.

    :param wanted_in: the round in which it was wanted; None: whichever.
    """
    column = _M.requested_action
    same = column.is_not_distinct_from(wish)
    if wanted_in is not None:
        same = sa.and_(same, _M.requested_round == wanted_in)
    return sa.case((same, sa.null()), else_=column)


@writer
def begin_again(
    ctx: RequestContext,
    claim: Claim,
    session: Session,
    payload: Payload,
    message: str,
) -> None:
    """Have a session enter the state that it is in, as it is told.

    :param payload: see :func:`enter`.
    :raises errors.LeaseLost: and nothing was changed.
    """
    enter(
        ctx,
        claim,
        session,
        session.state,
        payload,
        message,
        requested_action=answered(session.requested, session.round),
    )


@writer
def hand_over(ctx: RequestContext, claim: Claim) -> None:
    """Give a session back for another engine to go on with.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.release(ctx, claim, wake_in=0)


@writer
def finish(
    ctx: RequestContext,
    claim: Claim,
    session: Session,
    payload: Payload,
    message: str,
) -> None:
    """End a session well; its hosts are free.

    :param payload: see :func:`enter`.
    :raises errors.LeaseLost: and nothing was changed.
    """
    work.release(
        ctx,
        claim,
        wake_in=None,
        seen=session.seen,
        state=str(SessionState.MAINTENANCE_DONE),
        round=session.round + 1,
        attempts=0,
        percent_done=100,
        message=message,
        updated_at=clock(),
    )
    _free_hosts(ctx, session)
    number, done = session.round + 1, SessionState.MAINTENANCE_DONE
    _tell(ctx, session, number, payload, done)
    session_runs.say(ctx, session.uuid, message, session.request_id)
    session_runs.end(ctx, session.uuid, message, str(TransactionStatus.READY))


@writer
def fail(
    ctx: RequestContext,
    claim: Claim,
    session: Session,
    payload: Payload,
    message: str,
    *,
    aborted: bool = False,
) -> None:
    """Have a session fail where it is.

    It keeps its hosts until it has ended, is deleted, or is aborted.

    :param payload: see :func:`enter`.
    :param aborted: it was undone, and cannot be continued.
    :raises errors.LeaseLost: and nothing was changed.
    """
    remember(ctx, claim, **dict.fromkeys(TRIES))
    values: dict[str, Any] = {}
    if session.state is not SessionState.MAINTENANCE_FAILED:
        values = {
            "failed_state": str(session.state),
            "round": session.round + 1,
        }
    if aborted:
        values |= {
            "aborted": True,
            "requested_action": answered(SessionAction.ABORT),
            "paused": False,
        }
    work.release(
        ctx,
        claim,
        wake_in=None,
        seen=session.seen,
        keep_locks=not aborted,
        state=str(SessionState.MAINTENANCE_FAILED),
        attempts=0,
        message=message,
        updated_at=clock(),
        **values,
    )
    if aborted:
        _free_hosts(ctx, session)
    _tell(
        ctx,
        session,
        session.round + 1,
        payload,
        SessionState.MAINTENANCE_FAILED,
    )
    session_runs.say(ctx, session.uuid, message, session.request_id)
    session_runs.end(
        ctx,
        session.uuid,
        message,
        str(Outcome.ABORTED if aborted else TransactionStatus.ERROR),
    )


@writer
def remove(
    ctx: RequestContext, claim: Claim, session: Session, message: str
) -> None:
    """Remove a session that was undone; the ledger keeps its run.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    session_runs.say(ctx, session.uuid, message, session.request_id)
    session_runs.end(ctx, session.uuid, message, str(Outcome.ABORTED))
    work.unlock_resources(ctx, claim)
    _free_hosts(ctx, session)
    removal.drop(ctx, claim.uuid)


def _free_hosts(ctx: RequestContext, session: Session) -> None:
    """Let others have the hosts, and what is reported of them recovered."""
    connection(ctx).execute(
        sa.update(_H)
        .where(_H.session_uuid == session.uuid)
        .values(live_name=None)
    )
    hosts_out.wake_reports(ctx)


@writer
def remember(ctx: RequestContext, /, claim: Claim, **facts: Any) -> None:
    """Keep facts in the session's record; None removes one.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    known = connection(ctx).scalar(
        sa.select(_M.record).where(_M.uuid == claim.uuid)
    )
    record = dict(known or {}) | facts
    work.update_owned(
        ctx,
        claim,
        record={k: v for k, v in record.items() if v is not None},
    )


@writer
def say(
    ctx: RequestContext, claim: Claim, session: Session, message: str
) -> bool:
    """Say what is going on; said once in a row.

    :returns: whether it is new.
    :raises errors.LeaseLost: and nothing was changed.
    """
    before = connection(ctx).scalar(
        sa.select(_M.message).where(_M.uuid == claim.uuid)
    )
    work.update_owned(ctx, claim, message=message)
    if before == message:
        return False
    session_runs.say(ctx, session.uuid, message, session.request_id)
    return True


@writer
def tell(
    ctx: RequestContext,
    claim: Claim,
    session: Session,
    told: Sequence[session_runs.Told],
) -> None:
    """Write down in the ledger how units of the state are.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    session_runs.tell(ctx, session, told)
