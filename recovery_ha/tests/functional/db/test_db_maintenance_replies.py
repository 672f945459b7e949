"""Replies against deadlines, transitions, pauses, and each other."""

import contextlib
import threading
from collections import Counter

import pytest
from oslo_utils import uuidutils

from recovery_ha.context import internal_context
from recovery_ha.db import models, work
from recovery_ha.db.maintenance import (
    replies,
    session_work,
    sessions,
    wishes,
)
from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import (
    InstanceAction,
    ReplyStatus,
    SessionAction,
    SessionState,
)
from recovery_ha.domain.replies import Reply
from recovery_ha.tests.fixtures.asked_session import AskedSession, at_once

A, R, S = InstanceAction, ReplyStatus, SessionState
SCALE, PREPARE = S.SCALE_IN, S.PREPARE_MAINTENANCE
OF = {"p1": ["i1", "i2"], "p2": ["i3"]}
#: How often a race is run.
TURNS = 12
#: SQLite is told so.
BEGIN = Counter(["BEGIN"])
servers = pytest.mark.parametrize(
    "backend", ["mysql", "postgresql"], indirect=True
)


@pytest.fixture
def session(database):
    session = AskedSession(database)
    session.settle(OF)
    session.enter(SCALE)
    session.ask(OF)
    return session


@pytest.fixture
def acting(database):
    """Give a session that asks for actions."""
    session = AskedSession(database)
    session.settle(OF)
    session.enter(PREPARE)
    session.ask(OF)
    return session


def said(state=SCALE, status=R.ACK, action=None, reason=None, **actions):
    return Reply(
        state=state,
        status=status,
        action=action,
        actions=actions,
        reason=reason,
    )


def reply(session, project="p1", instance=None, ctx=None, **words):
    return replies.reply(
        ctx or session.ctx, session.uuid, project, said(**words), instance
    )


def project(session, name="p1"):
    (found,) = sessions.read_projects(session.ctx, session.uuid, name)
    return found


def actions(session):
    return {one.instance_id: one.action for one in session.get().instances}


def test_a_reply_is_kept_and_wakes_an_engine(session):
    assert session.row("wake_at") > work.clock(session.ctx)
    seen = session.row("seen")
    assert reply(session)
    assert project(session).reply is R.ACK
    assert project(session).replied_at is not None
    assert project(session, "p2").reply is R.PENDING
    assert session.row("seen") == seen + 1
    assert session.row("wake_at") <= work.clock(session.ctx)


def test_said_again_it_changes_nothing(session):
    reply(session)
    before = session.row("seen"), session.get()
    assert not reply(session)
    assert (session.row("seen"), session.get()) == before


def test_a_refusal(session):
    assert reply(session, status=R.NACK, reason="not now")
    assert project(session).reply is R.NACK
    assert project(session).message == "not now"
    with pytest.raises(errors.ReplyRefused):
        reply(session)


def test_no_wake_up_is_lost(session):
    """An engine that lets go of what it read before looks again."""
    claim = session.claim()
    found = session.get()
    reply(session)
    assert session.row("lease_owner") == "engine-1"
    session_work.wait(session.ctx, claim, found, None, wake_in=3600)
    assert session.row("wake_at") <= work.clock(session.ctx)


def test_parts_of_a_reply_add_up(acting):
    assert reply(acting, state=PREPARE, i1=A.MIGRATE)
    assert project(acting).reply is R.PENDING
    assert actions(acting) == {"i1": A.MIGRATE, "i2": None, "i3": None}
    assert reply(acting, state=PREPARE, i2=A.OWN_ACTION)
    assert project(acting).reply is R.ACK
    assert actions(acting)["i2"] is A.OWN_ACTION


def test_one_action_for_all(acting):
    assert reply(acting, state=PREPARE, action=A.LIVE_MIGRATE)
    assert project(acting).action is A.LIVE_MIGRATE
    assert actions(acting) == {
        "i1": A.LIVE_MIGRATE,
        "i2": A.LIVE_MIGRATE,
        "i3": None,
    }


def test_instances_one_by_one(database):
    session = AskedSession(database)
    session.settle(OF)
    session.enter(S.PLANNED_MAINTENANCE)
    session.ask(OF, alone=True)
    state = S.PLANNED_MAINTENANCE
    assert reply(session, "p1", "i1", state=state, action=A.MIGRATE)
    assert project(session).reply is R.PENDING
    assert not reply(session, "p1", "i1", state=state, action=A.MIGRATE)
    assert reply(session, "p1", "i2", state=state, i2=A.MIGRATE)
    assert project(session).reply is R.ACK
    reason = "too early"
    reply(session, "p2", "i3", state=state, status=R.NACK, reason=reason)
    assert project(session, "p2").message == "instance i3: too early"
    (found,) = sessions.read_instances(session.ctx, session.uuid, "p2")
    assert found.reply is R.NACK


@pytest.mark.parametrize(
    ("where", "instance", "error"),
    [
        (("p3",), None, errors.SessionNotFound),
        (("p1",), "i3", errors.SessionInstanceNotFound),
        (("p2",), "i1", errors.SessionInstanceNotFound),
        (("p1",), "i9", errors.SessionInstanceNotFound),
    ],
)
def test_foreign_and_unknown_ones(session, where, instance, error):
    before = session.get()
    with pytest.raises(error):
        reply(session, *where, instance)
    assert session.get() == before


def test_unknown_and_deleted_sessions(session):
    nobody = uuidutils.generate_uuid()
    with pytest.raises(errors.SessionNotFound):
        replies.reply(session.ctx, nobody, "p1", said())
    wishes.act(session.ctx, session.uuid, SessionAction.DELETE, payload={})
    with pytest.raises(errors.SessionNotFound):
        reply(session)


def test_a_session_that_is_given_up(session):
    wishes.act(session.ctx, session.uuid, SessionAction.ABORT, payload={})
    with pytest.raises(errors.ReplyRefused, match="aborted"):
        reply(session)


@pytest.mark.parametrize("state", [S.SCALE_IN, S.START_MAINTENANCE])
def test_a_reply_of_the_round_before(session, state):
    session.enter(state)
    with pytest.raises(errors.ReplyRefused, match="asked nothing now"):
        reply(session)
    assert project(session).reply is R.PENDING


def test_a_deadline_by_the_database_s_clock(session):
    late = work.clock(session.ctx) - 0.05
    session.set(models.MaintenanceProject, deadline=late)
    with pytest.raises(errors.ReplyRefused, match="too late"):
        reply(session)
    assert project(session).reply is R.PENDING
    soon = work.clock(session.ctx) + 5
    session.set(models.MaintenanceProject, deadline=soon)
    assert reply(session)


def test_a_paused_session_takes_replies(session):
    """Time stands still: what was in time at the pause is in time."""
    wishes.act(session.ctx, session.uuid, SessionAction.PAUSE, payload={})
    # As if it had been paused a minute ago, half a minute before the end.
    now = work.clock(session.ctx)
    session.set(record={wishes.PAUSED_AT: now - 60})
    session.set(models.MaintenanceProject, deadline=now - 30)
    assert reply(session)
    # It is not gone on with before it is continued.
    assert session.row("wake_at") is None
    session.set(record={wishes.PAUSED_AT: now - 10})
    with pytest.raises(errors.ReplyRefused, match="too late"):
        reply(session, "p2")


def test_instances_of_now(session):
    def listed(name):
        return sessions.project_instances(session.ctx, session.uuid, name)

    assert listed("p1") == ["i1", "i2"]
    session.enter(PREPARE)
    assert listed("p1") == []
    session.ask({"p1": ["i2"]})
    assert listed("p1") == ["i2"]
    assert listed("p2") == []
    for uuid, name in ((session.uuid, "p3"), ("none", "p1")):
        with pytest.raises(errors.SessionNotFound):
            sessions.project_instances(session.ctx, uuid, name)


@pytest.mark.parametrize("number", [2, 200])
def test_a_reply_costs_the_same(database, statements, number):
    session = AskedSession(database)
    instances = [f"i{n}" for n in range(number)]
    session.settle({"p1": instances})
    session.enter(PREPARE)
    session.ask({"p1": instances})
    chosen = dict.fromkeys(instances, A.MIGRATE)
    with statements() as seen:
        reply(session, state=PREPARE, **chosen)
    # session, lease, project, instances, clock; then one of each
    assert seen - BEGIN == {"SELECT": 5, "UPDATE": 3}


# Races


@servers
def test_two_say_the_opposite(session):
    """One of them counts, the other one hears that it does not."""
    for _ in range(TURNS):
        start = threading.Barrier(2)

        def run(status, start=start):
            mine = internal_context(session.database)
            start.wait()
            try:
                return status if reply(session, ctx=mine, status=status) else 0
            except errors.ReplyRefused:
                return None

        done = at_once(run, [R.ACK, R.NACK])
        assert sorted(done, key=str) == sorted(
            [None, project(session).reply], key=str
        )
        session.enter(SCALE)
        session.ask(OF)


@servers
def test_two_say_the_same(session):
    for _ in range(TURNS):
        start = threading.Barrier(3)
        seen = session.row("seen")

        def run(_number, start=start):
            mine = internal_context(session.database)
            start.wait()
            return reply(session, ctx=mine)

        assert sorted(at_once(run, range(3))) == [False, False, True]
        assert session.row("seen") == seen + 1
        session.enter(SCALE)
        session.ask(OF)


@servers
def test_parts_at_once(database):
    """However they come, the last one completes the reply."""
    names = [f"i{n}" for n in range(6)]
    session = AskedSession(database)
    session.settle({"p1": names})
    for _ in range(3):
        session.enter(PREPARE)
        session.ask({"p1": names})
        start = threading.Barrier(len(names))

        def run(name, start=start):
            mine = internal_context(database)
            start.wait()
            return reply(session, ctx=mine, state=PREPARE, **{name: A.MIGRATE})

        assert at_once(run, names) == [True] * len(names)
        assert project(session).reply is R.ACK
        assert set(actions(session).values()) == {A.MIGRATE}


@servers
def test_a_reply_and_the_next_state(session):
    """A reply counts in its round, or it is refused: nothing in between."""
    for _ in range(TURNS):
        claim, found = session.claim(), session.get()
        start = threading.Barrier(2)

        def answer(start=start):
            mine = internal_context(session.database)
            start.wait()
            try:
                return reply(session, ctx=mine)
            except errors.ReplyRefused:
                return False

        def go_on(start=start, claim=claim, found=found):
            mine = internal_context(session.database)
            start.wait()
            session_work.enter(mine, claim, found, S.SCALE_IN, {})

        counted, _none = at_once(lambda one: one(), [answer, go_on])
        now = project(session)
        assert now.reply is (R.ACK if counted else R.PENDING)
        assert now.round == found.round
        assert session.get().round == found.round + 1
        session.ask(OF)
        # What was said of the round before is not said of this one.
        assert project(session).reply is R.PENDING


@servers
def test_a_reply_and_an_engine_that_lets_go(session):
    """Whoever is first: the reply is looked at, at once."""
    for _ in range(TURNS):
        claim, found = session.claim(), session.get()
        start = threading.Barrier(2)

        def answer(start=start):
            mine = internal_context(session.database)
            start.wait()
            return reply(session, ctx=mine)

        def let_go(start=start, claim=claim, found=found):
            mine = internal_context(session.database)
            start.wait()
            session_work.wait(mine, claim, found, None, wake_in=3600)

        assert at_once(lambda one: one(), [answer, let_go])[0]
        assert session.row("lease_owner") is None
        assert session.row("wake_at") <= work.clock(session.ctx)
        session.enter(SCALE)
        session.ask(OF)


@servers
def test_a_reply_and_its_deadline(session):
    """It is in time or late by one clock, whoever looks."""
    for turn in range(TURNS):
        end = work.clock(session.ctx) + 0.002 * turn
        session.set(models.MaintenanceProject, deadline=end)
        with contextlib.suppress(errors.ReplyRefused):
            reply(session)
            assert project(session).reply is R.ACK
        if project(session).reply is R.PENDING:
            assert work.clock(session.ctx) > end
        session.enter(SCALE)
        session.ask(OF)
