"""What administrators may want of a session, in whatever state it is."""

import itertools

import pytest

from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import (
    WORKING,
    SessionAction,
    SessionState,
)
from recovery_ha.domain.wishes import Effect, Standing, effect

A, S, E = SessionAction, SessionState, Effect
WORKS, DONE, FAILED = S.SCALE_IN, S.MAINTENANCE_DONE, S.MAINTENANCE_FAILED
REFUSED = None


def decide(action, then=None, **standing):
    try:
        return effect(action, Standing(**standing), then)
    except errors.SessionRefused:
        return REFUSED


@pytest.mark.parametrize(
    ("action", "standing", "expected"),
    [
        (A.PAUSE, {"state": WORKS}, E.PAUSE),
        (A.PAUSE, {"state": WORKS, "owned": True}, E.PAUSE),
        (A.PAUSE, {"state": WORKS, "paused": True}, E.NOTHING),
        (A.PAUSE, {"state": DONE}, REFUSED),
        (A.PAUSE, {"state": FAILED}, REFUSED),
        (A.PAUSE, {"state": WORKS, "requested": A.ABORT}, REFUSED),
        (A.PAUSE, {"state": WORKS, "requested": A.RETRY}, E.PAUSE),
        (A.CONTINUE, {"state": WORKS}, REFUSED),
        (A.CONTINUE, {"state": DONE}, REFUSED),
        (A.CONTINUE, {"state": WORKS, "paused": True}, E.UNPAUSE),
        (
            A.CONTINUE,
            {"state": WORKS, "paused": True, "owned": True},
            E.UNPAUSE,
        ),
        (A.CONTINUE, {"state": FAILED}, E.RESUME),
        (A.CONTINUE, {"state": FAILED, "paused": True}, E.RESUME),
        (A.CONTINUE, {"state": FAILED, "owned": True}, REFUSED),
        (A.CONTINUE, {"state": FAILED, "aborted": True}, REFUSED),
        (A.CONTINUE, {"state": FAILED, "requested": A.ABORT}, REFUSED),
        (A.RETRY, {"state": WORKS}, E.REPEAT),
        (A.RETRY, {"state": WORKS, "owned": True}, E.HAND_OVER),
        (A.RETRY, {"state": WORKS, "requested": A.RETRY}, E.NOTHING),
        (A.RETRY, {"state": WORKS, "paused": True}, REFUSED),
        (A.RETRY, {"state": FAILED}, REFUSED),
        (A.RETRY, {"state": DONE}, REFUSED),
        (A.ABORT, {"state": WORKS}, E.HAND_OVER),
        (A.ABORT, {"state": WORKS, "owned": True}, E.HAND_OVER),
        (A.ABORT, {"state": WORKS, "paused": True}, E.HAND_OVER),
        (A.ABORT, {"state": WORKS, "requested": A.ABORT}, E.NOTHING),
        (A.ABORT, {"state": FAILED}, E.HAND_OVER),
        (A.ABORT, {"state": FAILED, "aborted": True}, REFUSED),
        (A.ABORT, {"state": DONE}, REFUSED),
        (A.DELETE, {"state": WORKS}, E.HAND_OVER),
        (A.DELETE, {"state": WORKS, "requested": A.ABORT}, E.HAND_OVER),
        (A.DELETE, {"state": FAILED}, E.HAND_OVER),
        (A.DELETE, {"state": FAILED, "aborted": True}, E.REMOVE),
        (A.DELETE, {"state": DONE}, E.REMOVE),
        (A.DELETE, {"state": DONE, "owned": True}, E.HAND_OVER),
    ],
)
def test_effects(action, standing, expected):
    assert decide(action, **standing) == expected


def test_only_a_failed_session_goes_on_in_another_state():
    for state in SessionState:
        standing = {"state": state, "paused": state in WORKING}
        found = decide(A.CONTINUE, S.SCALE_IN, **standing)
        assert found == (E.RESUME if state is FAILED else REFUSED)


def test_a_session_can_always_be_got_rid_of():
    """Whatever it is, it can be deleted, at once or by an engine."""
    for state, owned, paused, aborted, wish in itertools.product(
        SessionState, *[(False, True)] * 3, [None, *SessionAction]
    ):
        found = decide(
            A.DELETE,
            state=state,
            owned=owned,
            paused=paused,
            aborted=aborted,
            requested=wish,
        )
        assert found in {E.HAND_OVER, E.REMOVE}
        # What an engine works on is nobody else's to remove.
        assert not (owned and found is E.REMOVE)


def test_what_is_aborted_comes_back_by_no_wish():
    for action in set(SessionAction) - {A.DELETE}:
        assert decide(action, state=FAILED, aborted=True) is REFUSED


@pytest.mark.parametrize("state", SessionState)
def test_refusals_say_where_the_session_is(state):
    # Nothing is to be continued, or there is nothing that could be repeated.
    action = A.RETRY if state is FAILED else A.CONTINUE
    with pytest.raises(errors.SessionRefused, match=f"in {state}"):
        effect(action, Standing(state=state))
