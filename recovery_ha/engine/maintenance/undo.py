"""Taking back what a session has done, for its abort or deletion."""

import logging
from dataclasses import dataclass

from recovery_ha.db.maintenance import session_work
from recovery_ha.domain import errors
from recovery_ha.domain.leaving import MovesStatus, is_awaited
from recovery_ha.domain.maintenance import Session, SessionAction
from recovery_ha.engine.maintenance import hosts, moving
from recovery_ha.engine.maintenance.environment import SessionEnvironment

LOG = logging.getLogger(__name__)

#: What is wanted of a session that is not to go on.
ENDS = frozenset({SessionAction.ABORT, SessionAction.DELETE})


@dataclass(frozen=True, slots=True)
class Undone:
    """How far it is.

    :ivar sentence: what is waited for, or could not be taken back; empty.
    :ivar waits_until: moves are still under way, and are looked at again
        then, epoch seconds by the database's clock.
    :ivar outage: the cloud did not answer: worth another try.
    """

    sentence: str = ""
    waits_until: float | None = None
    outage: bool = False


def undo(env: SessionEnvironment, session: Session) -> Undone:
    """Await the moves that are under way, then enable our hosts again.

    Nothing new is begun. A second call goes on where the first has ended.

    :raises errors.LeaseLost: (or EngineStopping) somebody else goes on.
    """
    try:
        waiting, left = _await_moves(env, session)
    except errors.ComputeUnavailable as exc:
        return Undone(f"Waiting for moves under way: {exc}", outage=True)
    if waiting is not None:
        return waiting
    disabled, outage = hosts.release(env, session)
    said = " ".join([*left, *disabled])
    return Undone(said, outage=outage is not None)


def _await_moves(
    env: SessionEnvironment, session: Session
) -> tuple[Undone | None, list[str]]:
    """Bring moves that Nova was asked for to their end.

    :returns: what is still waited for, and what has failed for good.
    """
    sources = sorted(
        {
            one.source_host or one.host
            for one in session.instances
            if is_awaited(one)
        }
    )
    left: list[str] = []
    waiting: Undone | None = None
    for host in sources:
        try:
            fresh = session_work.snapshot(env.ctx, env.lease.claim)
            state = moving.advance(env, fresh, host, begin=False)
        except errors.ComputeUnavailable:
            raise
        except errors.ComputeError as exc:
            left.append(f"Moves from {host} were not awaited: {exc}")
            continue
        if state.status is MovesStatus.BUSY:
            waiting = Undone(state.sentence, waits_until=state.until)
        elif state.status is MovesStatus.FAILED:
            left.append(state.sentence)
    return waiting, left
