"""Which replies count, and for what."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import (
    ActionStatus,
    Answer,
    InstanceAction,
    ReplyStatus,
    SessionInstance,
    SessionProject,
    SessionState,
)
from recovery_ha.domain.replies import Asked, Change, Reply, settle

S, A, R = SessionState, InstanceAction, ReplyStatus
NOW = 1000.0
ALL = tuple(A)


def instance(name, **fields):
    known = {
        "instance_id": name,
        "name": name,
        "project_id": "p",
        "host": "h",
        "round": 3,
        "listed": True,
        "allowed_actions": ALL,
    }
    return SessionInstance(**known | fields)


def asked(*instances, state=S.PREPARE_MAINTENANCE, **fields):
    project = SessionProject(
        project_id="p",
        answer=Answer.ASK,
        round=3,
        state=state,
        deadline=NOW + 10,
        allowed_actions=ALL,
    )
    known = {
        "state": state,
        "round": 3,
        "ending": False,
        "project": project,
        "instances": instances or (instance("a"), instance("b")),
        "now": NOW,
    }
    return Asked(**known | fields)


def with_project(found, **fields):
    return replace(found, project=replace(found.project, **fields))


def ack(state=S.PREPARE_MAINTENANCE, action=None, **actions):
    return Reply(state=state, status=R.ACK, actions=actions, action=action)


def nack(state=S.PREPARE_MAINTENANCE, reason=None):
    return Reply(state=state, status=R.NACK, reason=reason)


# A project as a whole


def test_each_instance_has_an_action():
    change = settle(asked(), ack(a=A.MIGRATE, b=A.OWN_ACTION))
    assert change == Change(
        status=R.ACK, instances={"a": A.MIGRATE, "b": A.OWN_ACTION}
    )


def test_one_action_for_all_and_another_for_one():
    change = settle(asked(), ack(action=A.MIGRATE, b=A.OWN_ACTION))
    assert change == Change(
        status=R.ACK,
        action=A.MIGRATE,
        instances={"a": A.MIGRATE, "b": A.OWN_ACTION},
    )


def test_a_part_leaves_the_rest_open():
    first = asked()
    assert settle(first, ack(a=A.MIGRATE)) == Change(
        instances={"a": A.MIGRATE}
    )
    second = replace(
        first,
        instances=(
            instance("a", reply=R.ACK, action=A.MIGRATE),
            instance("b"),
        ),
    )
    # said again it changes nothing; with the rest the project agrees
    assert settle(second, ack(a=A.MIGRATE)) is None
    assert settle(second, ack(b=A.LIVE_MIGRATE)).status is R.ACK
    assert settle(second, ack(a=A.MIGRATE, b=A.MIGRATE)) == Change(
        status=R.ACK, instances={"b": A.MIGRATE}
    )
    with pytest.raises(errors.ReplyRefused, match="Instance a"):
        settle(second, ack(a=A.OWN_ACTION, b=A.MIGRATE))


def test_what_is_under_way_since_before_goes_on():
    moving = instance(
        "a",
        reply=R.ACK,
        action=A.MIGRATE,
        action_status=ActionStatus.RUNNING,
    )
    found = asked(moving, instance("b"))
    assert settle(found, ack(action=A.LIVE_MIGRATE)).instances == {
        "b": A.LIVE_MIGRATE
    }
    change = settle(found, ack(a=A.OWN_ACTION, b=A.MIGRATE))
    assert change == Change(status=R.ACK, instances={"b": A.MIGRATE})


@pytest.mark.parametrize(
    "state", [S.MAINTENANCE, S.SCALE_IN, S.MAINTENANCE_COMPLETE]
)
def test_other_states_need_no_action(state):
    assert settle(asked(state=state), ack(state)) == Change(status=R.ACK)


def test_a_refusal_has_its_reason():
    assert settle(asked(), nack(reason="busy")) == Change(
        status=R.NACK, reason="busy"
    )


def test_actions_are_asked_for():
    with pytest.raises(errors.BadRequest, match="instance_actions"):
        settle(asked(), ack())


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (ack(action=A.OWN_ACTION), "instance_action. Value: OWN_ACTION. "),
        (
            ack(a=A.OWN_ACTION, b=A.MIGRATE),
            "instance_actions. Value: OWN_ACTION for a. ",
        ),
        (
            ack(action=A.OWN_ACTION, a=A.MIGRATE),
            "instance_action. Value: OWN_ACTION. ",
        ),
    ],
)
@pytest.mark.parametrize("alone", [None, "a"])
def test_an_action_that_was_not_offered(reply, said, alone):
    offered = {"allowed_actions": (A.MIGRATE, A.LIVE_MIGRATE)}
    found = with_project(
        asked(instance("a", **offered), instance("b", **offered)), **offered
    )
    if alone and "b" in reply.actions:
        reply = ack(a=reply.actions["a"])
    elif alone:
        reply = ack(action=reply.action)
    with pytest.raises(errors.BadRequest) as refused:
        settle(found, reply, alone)
    assert f"{said}Allowed: MIGRATE, LIVE_MIGRATE." in str(refused.value)
    assert settle(found, ack(action=A.MIGRATE), alone) is not None


def test_what_is_offered_is_each_instance_s_own():
    found = asked(instance("a", allowed_actions=(A.MIGRATE,)), instance("b"))
    said = ack(action=A.OWN_ACTION, a=A.MIGRATE)
    assert settle(found, said).status is R.ACK
    with pytest.raises(errors.BadRequest, match="Allowed: MIGRATE"):
        settle(found, ack(action=A.OWN_ACTION))


def test_no_action_where_none_is_offered():
    one = instance("a", allowed_actions=())
    found = asked(one, state=S.MAINTENANCE)
    found = with_project(found, allowed_actions=())
    for reply in (
        ack(S.MAINTENANCE, action=A.MIGRATE),
        ack(S.MAINTENANCE, a=A.MIGRATE),
    ):
        with pytest.raises(errors.BadRequest, match="no action is asked for"):
            settle(found, reply)
    assert settle(found, ack(S.MAINTENANCE)) is not None


def test_the_usual_action_has_to_be_offered_too():
    one = instance("a", allowed_actions=(A.MIGRATE,))
    found = asked(one, defaults={"a": A.OWN_ACTION})
    with pytest.raises(errors.BadRequest, match=r"missing\. Allowed: MIGRATE"):
        settle(found, ack(), "a")


def test_no_action_is_needed_where_all_are_known():
    known = instance("a", reply=R.ACK, action=A.MIGRATE)
    assert settle(asked(known), ack()) == Change(status=R.ACK)


@pytest.mark.parametrize(
    "others", [(), (instance("c", listed=False),), (instance("c", round=2),)]
)
def test_an_instance_that_is_not_asked_about(others):
    found = asked(instance("a"), instance("b"), *others)
    with pytest.raises(errors.BadRequest, match="asked about, a, b"):
        settle(found, ack(a=A.MIGRATE, b=A.MIGRATE, c=A.MIGRATE))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"round": 2}, "asked nothing now"),
        ({"state": S.SCALE_IN}, "asked nothing now"),
        ({"state": None}, "asked nothing now"),
        ({"deadline": NOW - 0.001}, "too late"),
        ({"reply": R.NACK}, "NACK_PREPARE_MAINTENANCE already"),
    ],
)
def test_what_comes_late_is_refused(changes, said):
    with pytest.raises(errors.ReplyRefused, match=said):
        settle(with_project(asked(), **changes), ack(action=A.MIGRATE))


def test_the_last_moment_counts():
    found = with_project(asked(), deadline=NOW)
    assert settle(found, ack(action=A.MIGRATE)) is not None
    assert settle(with_project(asked(), deadline=None), nack()) is not None


def test_a_reply_to_another_state():
    expected = "ACK_PREPARE_MAINTENANCE or NACK_PREPARE_MAINTENANCE"
    with pytest.raises(errors.ReplyRefused, match=expected):
        settle(asked(), ack(S.SCALE_IN))


def test_a_session_that_is_aborted():
    with pytest.raises(errors.ReplyRefused, match="aborted"):
        settle(asked(ending=True), nack())


@pytest.mark.parametrize(
    ("reply", "same"),
    [
        (ack(), True),
        (ack(action=A.MIGRATE), True),
        (ack(a=A.MIGRATE), True),
        (ack(a=A.MIGRATE, b=A.MIGRATE), True),
        (ack(a=A.OWN_ACTION), False),
        (ack(action=A.LIVE_MIGRATE), False),
        (nack(), False),
    ],
)
def test_said_again_even_after_the_time(reply, same):
    found = with_project(
        asked(
            instance("a", reply=R.ACK, action=A.MIGRATE),
            instance("b", reply=R.ACK, action=A.MIGRATE),
        ),
        reply=R.ACK,
        deadline=NOW - 5,
    )
    if same:
        assert settle(found, reply) is None
    else:
        with pytest.raises(errors.ReplyRefused, match="already"):
            settle(found, reply)


# One instance


def test_one_after_the_other():
    found = asked()
    assert settle(found, ack(action=A.MIGRATE), "a") == Change(
        instances={"a": A.MIGRATE}
    )
    assert settle(found, ack(b=A.MIGRATE), "b").status is None
    found = asked(instance("a", reply=R.ACK, action=A.MIGRATE), instance("b"))
    assert settle(found, ack(action=A.OWN_ACTION), "b") == Change(
        status=R.ACK, instances={"b": A.OWN_ACTION}
    )


def test_one_refusal_is_the_project_s():
    change = settle(asked(), nack(reason="busy"), "a")
    assert change == Change(
        status=R.NACK, reason="instance a: busy", instances={"a": None}
    )


def test_each_instance_has_its_own_time():
    found = asked(instance("a", deadline=NOW - 1), instance("b"))
    with pytest.raises(errors.ReplyRefused, match="too late"):
        settle(found, ack(action=A.MIGRATE), "a")
    assert settle(found, ack(action=A.MIGRATE), "b") is not None
    # in the name of all, it would be late for the one
    with pytest.raises(errors.ReplyRefused, match="too late"):
        settle(found, ack(action=A.MIGRATE))


def test_one_said_again():
    found = asked(
        instance("a", reply=R.ACK, action=A.MIGRATE, deadline=NOW - 9),
        instance("b"),
    )
    assert settle(found, ack(action=A.MIGRATE), "a") is None
    for reply in (ack(action=A.OWN_ACTION), nack()):
        with pytest.raises(errors.ReplyRefused, match="MIGRATE"):
            settle(found, reply, "a")


@pytest.mark.parametrize(
    ("name", "reply", "error"),
    [
        ("x", ack(action=A.MIGRATE), errors.SessionInstanceNotFound),
        ("a", ack(), errors.BadRequest),
        ("a", ack(action=A.MIGRATE, b=A.MIGRATE), errors.BadRequest),
        ("a", ack(S.SCALE_IN), errors.ReplyRefused),
    ],
)
def test_one_that_does_not_count(name, reply, error):
    with pytest.raises(error):
        settle(asked(), reply, name)


def test_one_that_is_not_asked_about():
    found = asked(instance("a"), instance("b", listed=False))
    with pytest.raises(errors.ReplyRefused, match="not asked about"):
        settle(found, ack(action=A.MIGRATE), "b")


def test_one_after_the_project_as_a_whole():
    found = with_project(asked(), reply=R.NACK)
    with pytest.raises(errors.ReplyRefused, match="for all its"):
        settle(found, ack(action=A.MIGRATE), "a")


# Whatever is said


NAMES = st.sampled_from("abcx")
REPLIES = st.builds(
    Reply,
    state=st.sampled_from([S.PREPARE_MAINTENANCE, S.SCALE_IN]),
    status=st.sampled_from([R.ACK, R.NACK]),
    actions=st.dictionaries(NAMES, st.sampled_from(A), max_size=3),
    action=st.none() | st.sampled_from(A),
)
INSTANCES = st.lists(
    st.builds(
        instance,
        NAMES.filter(lambda name: name != "x"),
        listed=st.booleans(),
        round=st.sampled_from([2, 3]),
        deadline=st.none() | st.sampled_from([NOW - 1, NOW + 1]),
    ),
    max_size=3,
    unique_by=lambda one: one.instance_id,
)


def apply(found, reply, change):
    """Return what is known after a change, as the database keeps it."""
    instances = tuple(
        replace(
            one, reply=reply.status, action=change.instances[one.instance_id]
        )
        if one.instance_id in change.instances
        else one
        for one in found.instances
    )
    found = replace(found, instances=instances)
    if change.status is None:
        return found
    return with_project(found, reply=change.status, action=change.action)


@given(INSTANCES, st.lists(st.tuples(REPLIES, st.none() | NAMES), max_size=6))
def test_whatever_is_said_is_settled_once(instances, said):
    found = asked(*instances) if instances else asked()
    for reply, name in said:
        before = found
        try:
            change = settle(found, reply, name)
        except (
            errors.ReplyRefused,
            errors.BadRequest,
            errors.SessionInstanceNotFound,
        ):
            continue
        if change is None:
            continue
        found = apply(found, reply, change)
        # what was settled stays, and only what is asked about is settled
        for old, new in zip(before.instances, found.instances, strict=True):
            if old.reply is not R.PENDING:
                assert new == old
            elif new != old:
                assert old.listed
                assert old.round == 3
        assert before.project.reply is R.PENDING
        if found.project.reply is R.ACK:
            assert all(one.action is not None for one in found.listed.values())
        # and said once more it changes nothing
        assert settle(found, reply, name) is None
