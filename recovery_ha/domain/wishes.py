"""What an administrator may want of a session, and what that comes down to.

A session that has failed, or is done, leaves that state by nobody but its
administrator.
"""

from dataclasses import dataclass
from enum import StrEnum

from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import (
    WORKING,
    SessionAction,
    SessionState,
)


class Effect(StrEnum):
    """What is done about it at once."""

    #: It is so already.
    NOTHING = "nothing"
    #: Nobody begins with the next step.
    PAUSE = "pause"
    #: Its next step is begun; deadlines count on from where they stopped.
    UNPAUSE = "unpause"
    #: It leaves MAINTENANCE_FAILED, in a new round.
    RESUME = "resume"
    #: Its state begins again, in a new round.
    REPEAT = "repeat"
    #: The engine that works on it, or the next one, does what is wanted.
    HAND_OVER = "hand_over"
    #: There is nothing to undo: it goes at once.
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a session stands when something is wanted of it.

    :ivar owned: an engine works on it.
    :ivar requested: what was wanted before, and is not done yet.
    """

    state: SessionState
    owned: bool = False
    paused: bool = False
    aborted: bool = False
    requested: SessionAction | None = None


def effect(
    action: SessionAction,
    standing: Standing,
    state: SessionState | None = None,
) -> Effect:
    """Decide what a wish comes down to.

    :param state: in which a failed session is to go on; None: where it failed.
    :raises errors.SessionRefused: it does not fit; the text says why, and
        what does.
    """
    if action is SessionAction.DELETE:
        return _delete(standing)
    if action is SessionAction.ABORT:
        return _abort(standing)
    if standing.requested is SessionAction.ABORT:
        raise errors.SessionRefused(
            "The session is being aborted; it can be deleted."
        )
    match action:
        case SessionAction.PAUSE:
            _demand_working(standing, action)
            return Effect.NOTHING if standing.paused else Effect.PAUSE
        case SessionAction.RETRY:
            return _retry(standing)
    return _continue(standing, state)


def _delete(standing: Standing) -> Effect:
    ended = standing.state is SessionState.MAINTENANCE_DONE or standing.aborted
    return Effect.REMOVE if ended and not standing.owned else Effect.HAND_OVER


def _abort(standing: Standing) -> Effect:
    if standing.state is SessionState.MAINTENANCE_DONE or standing.aborted:
        raise errors.SessionRefused(
            f"The session has ended ({_ended(standing)}); it can be deleted."
        )
    if standing.requested is SessionAction.ABORT:
        return Effect.NOTHING
    return Effect.HAND_OVER


def _ended(standing: Standing) -> str:
    return "aborted" if standing.aborted else standing.state


def _demand_working(standing: Standing, action: SessionAction) -> None:
    if standing.state in WORKING:
        return
    fits = "it can be deleted"
    if not standing.aborted and standing.state not in WORKING | {
        SessionState.MAINTENANCE_DONE
    }:
        fits = "it can be continued, aborted or deleted"
    raise errors.SessionRefused(
        f"The session is in {standing.state}, where nothing is done that"
        f" {action} could be meant for; {fits}."
    )


def _retry(standing: Standing) -> Effect:
    _demand_working(standing, SessionAction.RETRY)
    if standing.paused:
        raise errors.SessionRefused(
            "The session is paused; continue it before a retry."
        )
    if standing.requested is SessionAction.RETRY:
        return Effect.NOTHING
    return Effect.HAND_OVER if standing.owned else Effect.REPEAT


def _continue(standing: Standing, state: SessionState | None) -> Effect:
    if standing.aborted:
        raise errors.SessionRefused(
            "The session was aborted, and what it had done to hosts was"
            " undone: it cannot be continued, only deleted."
        )
    if standing.state is SessionState.MAINTENANCE_FAILED:
        if standing.owned:
            raise errors.SessionRefused(
                "An engine is about to let go of the session that has failed;"
                " try again in a moment."
            )
        return Effect.RESUME
    if state is not None:
        raise errors.SessionRefused(
            f"The session is in {standing.state}; only one in"
            f" {SessionState.MAINTENANCE_FAILED} can go on in another state."
        )
    if standing.state in WORKING and standing.paused:
        return Effect.UNPAUSE
    raise errors.SessionRefused(
        f"The session is in {standing.state}, neither failed nor paused:"
        " there is nothing to continue."
    )
