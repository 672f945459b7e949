"""Which instances leave a host, how many at once, and how far they are."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.domain.leaving import (
    MovesStatus,
    agreed_action,
    choose_asks,
    instances_to_move,
    is_awaited,
    is_open,
    state_of_moves,
)
from recovery_ha.domain.maintenance import (
    ActionStatus,
    Answer,
    InstanceAction,
    Session,
    SessionInstance,
    SessionProject,
    SessionState,
)
from recovery_ha.domain.moving import Decision, MoveStep

WHEN = datetime(2026, 1, 2, 3, 4, 5)
LIVE, COLD, OWN = (
    InstanceAction.LIVE_MIGRATE,
    InstanceAction.MIGRATE,
    InstanceAction.OWN_ACTION,
)


def row(number=1, status="pending", **values):
    return SessionInstance(
        **{
            "instance_id": f"i-{number}",
            "name": f"vm{number}",
            "project_id": "p-1",
            "host": "c-1",
            "source_host": "c-1",
            "listed": True,
            "action_status": ActionStatus(status),
            **values,
        }
    )


def session(*rows, answer=Answer.ASK, action=None):
    project = SessionProject(project_id="p-1", answer=answer, action=action)
    return Session(
        id=1,
        uuid="s-1",
        state=SessionState.PLANNED_MAINTENANCE,
        round=3,
        workflow="default",
        maintenance_at=WHEN,
        metadata={},
        all_hosts=False,
        hosts=(),
        projects=(project,),
        instances=rows,
        actions=(),
        runs=(),
        failed_state=None,
        aborted=False,
        paused=False,
        requested=None,
        seen=0,
        attempts=0,
        percent_done=0,
        record={},
        message=None,
        project_id=None,
        user_id=None,
        request_id=None,
        created_at=WHEN,
        updated_at=None,
    )


@pytest.mark.parametrize(
    ("answer", "of_project", "of_instance", "expected"),
    [
        (Answer.ASK, None, None, None),
        (Answer.ASK, COLD, None, COLD),
        (Answer.ASK, COLD, LIVE, LIVE),
        (Answer.ASK, None, OWN, OWN),
        (Answer.MIGRATE, None, None, COLD),
        (Answer.MIGRATE, None, LIVE, LIVE),
        (Answer.MIGRATE, None, OWN, COLD),
        (Answer.LIVE_MIGRATE, None, None, LIVE),
        (Answer.LIVE_MIGRATE, None, COLD, COLD),
        (Answer.SKIP, COLD, COLD, None),
    ],
)
def test_what_was_agreed(answer, of_project, of_instance, expected):
    mine = row(action=of_instance)
    whole = session(mine, answer=answer, action=of_project)
    assert agreed_action(whole, mine) is expected


def test_who_leaves_a_host():
    rows = (
        row(1),
        row(2, listed=False),
        row(3, host="c-2"),  # has left it
        row(4, host="c-2", source_host="c-2"),
        row(5, source_host=None),
        row(6, source_host="c-9"),  # had left another one
    )
    found = instances_to_move(session(*rows), rows, "c-1")
    assert [one.name for one in found] == ["vm1", "vm3", "vm5", "vm6"]
    found = instances_to_move(session(*rows), rows, "c-1", ["i-3"])
    assert [one.name for one in found] == ["vm3"]
    skipped = session(*rows, answer=Answer.SKIP)
    assert instances_to_move(skipped, rows, "c-1") == ()


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (row(), True),
        (row(status="running"), True),
        (row(status="done"), False),
        (row(status="failed"), False),
        (row(status="done", source_host="c-9"), True),
        (row(source_host=None), True),
    ],
)
def test_who_is_still_to_leave(found, expected):
    assert is_open(found, "c-1") is expected


ASK = Decision(MoveStep.ASK, "ask", LIVE)
WAIT = Decision(MoveStep.WAIT, "wait")


def test_no_more_are_asked_for_than_there_is_room():
    rows = [row(n) for n in range(6)]
    decided = [(one, ASK) for one in rows[:5]] + [(rows[5], WAIT)]

    def chosen(**values):
        given = {"busy": ["x", "y"], "most": 4, "begin": True} | values
        return [one.name for one in choose_asks(decided, **given)]

    assert chosen() == ["vm0", "vm1"]
    assert chosen(most=1) == []
    assert chosen(begin=False) == []
    # who is asked for once more has a place already
    assert chosen(busy=["i-3", "y"], most=2) == ["vm3"]


running = {"requested_at": 5.0, "attempts": 1, "kind": LIVE}


@pytest.mark.parametrize(
    ("rows", "begin", "status", "sentence"),
    [
        ([], True, "settled", "0 of 0 instances have left c-1."),
        ([row(status="done")], True, "settled", "1 of 1 instances"),
        ([row(), row(2, "done")], True, "busy", "waiting for vm1."),
        (
            [row(1, "running", **running), row(2, "failed", message="No")],
            True,
            "busy",
            "waiting for vm1.",
        ),
        (
            [row(1), row(2, "failed", message="No")],
            True,
            "failed",
            "1 of 2 instances could not be moved from c-1: vm2 (i-2): No",
        ),
        (
            [
                row(1, "running", requested_at=5.0, kind=OWN),
                row(2, "failed", message="No"),
            ],
            True,
            "failed",
            "vm2 (i-2): No",
        ),
        ([row(), row(2, "done")], False, "settled", "1 of 2 instances"),
        (
            [row(), row(2, "running", **running)],
            False,
            "busy",
            "waiting for vm2.",
        ),
    ],
)
def test_how_far_they_are(rows, begin, status, sentence):
    state = state_of_moves(rows, "c-1", next_look=9.0, begin=begin)
    assert state.status == status
    assert sentence in state.sentence
    assert state.until == (9.0 if status == "busy" else None)


def test_of_many_only_some_are_named():
    rows = [row(n, "failed", message="No") for n in range(12)]
    state = state_of_moves(rows, "c-1", next_look=9.0)
    assert state.sentence.endswith("vm9 (i-9): No; and 2 more")
    state = state_of_moves([row(n) for n in range(12)], "c-1", next_look=9.0)
    assert state.sentence.endswith("vm9 and 2 more.")


rows_of_any_kind = st.lists(
    st.builds(
        row,
        st.integers(1, 99),
        st.sampled_from(["pending", "running", "done", "failed"]),
        kind=st.sampled_from([None, *InstanceAction]),
        requested_at=st.none() | st.just(5.0),
        attempts=st.integers(0, 2),
        message=st.just("No"),
    ),
    max_size=8,
    unique_by=lambda one: one.instance_id,
)


@given(rows_of_any_kind, st.booleans())
def test_it_is_over_only_when_nothing_is_under_way(rows, begin):
    state = state_of_moves(rows, "c-1", next_look=9.0, begin=begin)
    failed = any(r.action_status is ActionStatus.FAILED for r in rows)
    if state.status is not MovesStatus.BUSY:
        assert not any(map(is_awaited, rows))
        assert (state.status is MovesStatus.FAILED) == failed
    if state.status is MovesStatus.SETTLED and begin:
        done = {ActionStatus.DONE}
        assert {one.action_status for one in rows} <= done


@given(
    rows_of_any_kind,
    st.integers(1, 5),
    st.sets(st.integers(1, 99).map("i-{}".format), max_size=6),
)
def test_the_limit_holds(rows, most, others):
    asks = [(one, ASK) for one in rows if not is_awaited(one)]
    busy = {one.instance_id for one in rows if is_awaited(one)} | others
    chosen = choose_asks(asks, busy=busy, most=most, begin=True)
    fresh = [one for one in chosen if one.instance_id not in busy]
    assert len(fresh) + len(busy) <= max(most, len(busy))
