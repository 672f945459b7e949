import pytest

from recovery_ha.domain import errors
from recovery_ha.domain.actions import Action, Effect, Standing, effect
from recovery_ha.domain.recovery import NOTIFICATION, NotificationStatus

NEW, RUNNING, ERROR, FINISHED, IGNORED, FAILED = NotificationStatus
ENDED = (FINISHED, IGNORED, FAILED)
REFUSED = None

#: (status, owned, begun): what cancel, rollback, retry and restart do.
TABLE = {
    (NEW, False, False): (Effect.END, REFUSED, REFUSED),
    (NEW, False, True): (Effect.HAND_OVER, Effect.HAND_OVER, REFUSED),
    (RUNNING, True, False): (Effect.INTERRUPT, Effect.INTERRUPT, REFUSED),
    (RUNNING, True, True): (Effect.INTERRUPT, Effect.INTERRUPT, REFUSED),
    # Its engine has died.
    (RUNNING, False, False): (Effect.END, REFUSED, REFUSED),
    (RUNNING, False, True): (Effect.HAND_OVER, Effect.HAND_OVER, REFUSED),
    (ERROR, False, False): (Effect.END, REFUSED, Effect.REOPEN),
    (ERROR, False, True): (
        Effect.HAND_OVER,
        Effect.HAND_OVER,
        Effect.REOPEN,
    ),
    **{
        (status, False, begun): (REFUSED, Effect.HAND_OVER, Effect.REOPEN)
        for status in ENDED
        for begun in (False, True)
    },
}
CASES = [
    (action, standing, effects[column])
    for standing, effects in TABLE.items()
    for action, column in (
        (Action.CANCEL, 0),
        (Action.ROLLBACK, 1),
        (Action.RETRY, 2),
        (Action.RESTART, 2),
    )
]


def found(action, *standing, requested=None):
    try:
        return effect(action, Standing(*standing, requested))
    except errors.ActionRefused:
        return REFUSED


@pytest.mark.parametrize(("action", "standing", "expected"), CASES)
def test_effect(action, standing, expected):
    assert found(action, *standing) is expected


@pytest.mark.parametrize("standing", [s for s in TABLE if s[2]])
def test_what_is_asked_for_twice_is_no_other_thing(standing):
    again = found(Action.ROLLBACK, *standing, requested="rollback")
    assert again is found(Action.ROLLBACK, *standing)
    # A rollback does more than a cancel, and takes its place; not back.
    more = found(Action.ROLLBACK, *standing, requested="cancel")
    assert more is again
    assert found(Action.CANCEL, *standing, requested="rollback") is REFUSED


@pytest.mark.parametrize("requested", ["cancel", "rollback"])
@pytest.mark.parametrize("action", [Action.RETRY, Action.RESTART])
def test_nothing_goes_on_before_what_was_asked_for_is_done(action, requested):
    with pytest.raises(errors.ActionRefused, match=requested):
        effect(action, Standing(ERROR, False, True, requested))


def test_running_is_to_be_cancelled_first():
    with pytest.raises(errors.ActionRefused, match="cancel it before"):
        effect(Action.RETRY, Standing(RUNNING, True, True, None))


def test_nothing_leaves_an_end_by_itself():
    assert NOTIFICATION.terminal == set(ENDED)
