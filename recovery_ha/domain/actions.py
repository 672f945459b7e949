"""What an operator may ask of a recovery, and what that comes down to.

Terminal states are terminal in the state machine of notifications: nothing
leaves them by itself. An operator's act stands outside of it and may open a
notification that has ended once more.
"""

from dataclasses import dataclass
from enum import StrEnum

from recovery_ha.domain import errors
from recovery_ha.domain.recovery import NOTIFICATION, NotificationStatus


class Action(StrEnum):
    """What can be asked for."""

    RETRY = "retry"
    RESTART = "restart"
    ROLLBACK = "rollback"
    CANCEL = "cancel"


class Effect(StrEnum):
    """What is done about it at once."""

    #: It ends here and now; there is nothing to release.
    END = "end"
    #: The engine that works on it is told.
    INTERRUPT = "interrupt"
    #: The next engine does what was asked for instead of recovering.
    HAND_OVER = "hand_over"
    #: It is recovered again.
    REOPEN = "reopen"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a recovery stands when something is asked of it.

    :ivar owned: an engine works on it.
    :ivar begun: something may have been done that has to be undone.
    :ivar requested: what was asked for before and is not done yet.
    """

    status: NotificationStatus
    owned: bool
    begun: bool
    requested: str | None


def effect(action: Action, standing: Standing) -> Effect:
    """Decide what an action comes down to.

    :raises errors.ActionRefused: it does not fit the state; the text says
        why and what does.
    """
    if action is Action.CANCEL:
        return _cancel(standing)
    if action is Action.ROLLBACK:
        return _roll_back(standing)
    return _go_on(action, standing)


def _cancel(standing: Standing) -> Effect:
    if standing.status in NOTIFICATION.terminal:
        raise errors.ActionRefused(
            f"The recovery has ended ({standing.status}) and cannot be"
            " cancelled; it can be rolled back."
        )
    if standing.requested == Action.ROLLBACK:
        raise errors.ActionRefused(
            "The recovery is being rolled back, which cannot be cancelled."
        )
    if standing.owned:
        return Effect.INTERRUPT
    return Effect.HAND_OVER if standing.begun else Effect.END


def _roll_back(standing: Standing) -> Effect:
    if standing.owned:
        return Effect.INTERRUPT
    if standing.begun or standing.status in NOTIFICATION.terminal:
        return Effect.HAND_OVER
    raise errors.ActionRefused(
        "The recovery has not begun: there is nothing to roll back; it can"
        " be cancelled."
    )


def _go_on(action: Action, standing: Standing) -> Effect:
    if standing.requested is not None:
        raise errors.ActionRefused(
            f"An operator has asked for {standing.requested}, which is not"
            f" done yet; {action} is possible afterwards."
        )
    if standing.status is NotificationStatus.RUNNING:
        raise errors.ActionRefused(
            f"The recovery is running; cancel it before a {action}."
        )
    if standing.status is NotificationStatus.NEW:
        raise errors.ActionRefused(
            "The recovery has not begun yet; it does by itself, and needs no"
            f" {action}."
        )
    return Effect.REOPEN
