"""Maintenance sessions: created, read, listed, and what is wanted of them."""

import contextlib
import threading
from collections import Counter
from datetime import datetime

import pytest
import sqlalchemy as sa
from oslo_utils import uuidutils

from recovery_ha.context import internal_context
from recovery_ha.db import models, work
from recovery_ha.db.ledger import events, transactions
from recovery_ha.db.maintenance import creation, sessions, wishes
from recovery_ha.db.paging import Page
from recovery_ha.domain import errors
from recovery_ha.domain.ledger import Kind, Outcome, TransactionStatus
from recovery_ha.domain.maintenance import (
    HostStatus,
    PluginType,
    PluginUse,
    ReplyStatus,
    SessionAction,
    SessionState,
)
from recovery_ha.domain.wishes import Effect
from recovery_ha.tests.fixtures.asked_session import (
    WHEN,
    AskedSession,
    at_once,
)

A, S = SessionAction, SessionState
#: SQLite is told so.
BEGIN = Counter(["BEGIN"])
servers = pytest.mark.parametrize(
    "backend", ["mysql", "postgresql"], indirect=True
)
DUMMY = PluginUse(
    ordinal=0, plugin="dummy", type=PluginType.HOST, metadata={"a": [1]}
)


@pytest.fixture
def session(database):
    return AskedSession(database, actions=[DUMMY])


def create(ctx, *hosts):
    uuid = uuidutils.generate_uuid()
    creation.create(
        ctx,
        uuid=uuid,
        hosts=hosts,
        maintenance_at=WHEN,
        metadata={},
        workflow="default",
        actions=(),
        payload={"state": "MAINTENANCE"},
    )
    return uuid


def act(session, action, state=None):
    return wishes.act(
        session.ctx,
        session.uuid,
        action,
        payload={"service": "recovery_ha"},
        state=state,
    ).effect


def told(session):
    """Return the states that administrators were told."""
    table = models.OutboxMessage
    with session.database.engine.connect() as connection:
        return [
            payload.get("state")
            for payload in connection.scalars(
                sa.select(table.payload)
                .where(
                    table.session_uuid == session.uuid,
                    table.event_type == "maintenance.session",
                )
                .order_by(table.id)
            )
        ]


# Creating and reading


def test_a_session_is_read_as_it_was_created(session):
    found = session.get()
    assert (found.state, found.round) == (S.MAINTENANCE, 1)
    assert found.maintenance_at == WHEN == datetime(2026, 12, 2, 3, 4, 5)
    assert found.metadata == {"openstack_release": "Queens"}
    assert [one.host for one in found.hosts] == ["compute-1", "compute-2"]
    assert found.actions == (DUMMY,)
    assert not found.all_hosts
    assert found.requested is found.failed_state is None
    run = transactions.get(session.ctx, session.uuid)
    assert (run.kind, run.status) == (
        Kind.MAINTENANCE,
        TransactionStatus.PENDING,
    )
    assert (run.origin_type, run.origin_id) == ("session", session.uuid)


def test_it_is_work_for_an_engine_at_once(session):
    claim = work.claim_next(
        session.ctx, work.WorkKind.MAINTENANCE, "e", 60, plugins=["default"]
    )
    assert claim.uuid == session.uuid


def test_the_order_of_hosts_is_kept(ctx):
    uuid = create(ctx, "b", "c", "a")
    found = sessions.get(ctx, uuid)
    assert [one.host for one in found.hosts] == ["b", "c", "a"]
    assert create(ctx) != uuid


def test_no_hosts_are_all_hosts(ctx):
    assert sessions.get(ctx, create(ctx)).all_hosts


def test_a_host_is_in_one_session(ctx, session):
    with pytest.raises(errors.HostInSession) as raised:
        create(ctx, "compute-3", "compute-2")
    assert f"compute-2 (session {session.uuid})" in str(raised.value)
    assert len(sessions.list_page(ctx, Page())) == 1
    # nothing of it is left
    create(ctx, "compute-3")


def test_a_host_is_free_when_its_session_has_ended(ctx, session):
    session.finish()
    assert create(ctx, "compute-1")


def test_hosts_of_a_deleted_session_are_not_free_yet(ctx, session):
    act(session, A.DELETE)
    with pytest.raises(errors.HostInSession, match="is being undone"):
        create(ctx, "compute-1")


@servers
def test_creations_at_once(ctx, database):
    """However they overlap, no host is in two sessions."""
    made, refused = [], []
    start = threading.Barrier(4)

    def run(number):
        mine = internal_context(database)
        start.wait()
        for turn in range(5):
            hosts = [f"h{turn}-{(number + n) % 4}" for n in range(2)]
            try:
                made.append((hosts, create(mine, *hosts)))
            except errors.HostInSession:
                refused.append(hosts)

    at_once(run, range(4))
    assert len(made) + len(refused) == 20
    taken = [host for hosts, _uuid in made for host in hosts]
    assert len(taken) == len(set(taken))
    # of each turn somebody had two of the four hosts
    assert {host.split("-")[0] for host in taken} == {
        f"h{turn}" for turn in range(5)
    }


@pytest.mark.parametrize("number", [1, 30])
def test_reading_costs_one_statement_per_table(session, statements, number):
    session.settle(
        {f"p{n}": [f"i{n}-{m}" for m in range(3)] for n in range(number)}
    )
    with statements() as seen:
        found = session.get()
    assert len(found.instances) == 3 * number
    assert seen - BEGIN == {"SELECT": 6}


def test_unknown_and_deleted_sessions(ctx, session):
    with pytest.raises(errors.SessionNotFound):
        sessions.get(ctx, uuidutils.generate_uuid())
    act(session, A.DELETE)
    with pytest.raises(errors.SessionNotFound):
        session.get()
    assert session.get(deleted=True).requested is A.DELETE
    assert sessions.list_page(ctx, Page()) == []


def test_lists(ctx, statements):
    uuids = [create(ctx, f"compute-{n}") for n in range(5)]
    with statements() as seen:
        found = sessions.list_page(ctx, Page(limit=2))
    assert [one.uuid for one in found] == uuids[:2:-1]
    assert seen - BEGIN == {"SELECT": 1}
    with statements() as seen:
        found = sessions.list_page(ctx, Page(limit=2, marker=uuids[3]))
    assert [one.uuid for one in found] == [uuids[2], uuids[1]]
    assert seen - BEGIN == {"SELECT": 2}

    def names(**filters):
        return [one.uuid for one in sessions.list_page(ctx, Page(), **filters)]

    assert names(host="compute-3") == [uuids[3]]
    assert names(host="compute-9") == []
    assert names(state="SCALE_IN") == []
    assert names(state="MAINTENANCE", host="compute-1") == [uuids[1]]
    with pytest.raises(errors.BadRequest, match="marker"):
        sessions.list_page(ctx, Page(marker="nothing"))


# Wishes


def test_pausing_stops_time(session):
    session.settle({"p1": ["i1"]})
    session.ask({"p1": ["i1"]}, seconds=30)
    (before,) = session.get().projects
    assert act(session, A.PAUSE) is Effect.PAUSE
    assert act(session, A.PAUSE) is Effect.NOTHING
    assert session.get().paused
    assert session.row("wake_at") is None
    # as if it had been so for a while
    since = session.row("record")[wishes.PAUSED_AT]
    session.set(record={"kept": 1, wishes.PAUSED_AT: since - 100})
    assert act(session, A.CONTINUE) is Effect.UNPAUSE
    found = session.get()
    (after,) = found.projects
    assert 100 <= after.deadline - before.deadline < 110
    assert found.instances[0].deadline == pytest.approx(after.deadline)
    assert not found.paused
    assert found.record == {"kept": 1}
    assert session.row("wake_at") <= work.clock(session.ctx)
    with pytest.raises(errors.SessionRefused):
        act(session, A.CONTINUE)


def test_replied_deadlines_do_not_move(session):
    session.settle({"p1": ["i1"]})
    session.ask({"p1": ["i1"]})
    session.set(models.MaintenanceProject, reply=str(ReplyStatus.ACK))
    (before,) = session.get().projects
    act(session, A.PAUSE)
    act(session, A.CONTINUE)
    assert session.get().projects == (before,)


def test_a_pause_under_an_engine_is_seen_when_it_lets_go(session):
    claim, found = session.claim(), session.get()
    assert act(session, A.PAUSE) is Effect.PAUSE
    assert session.get().seen == found.seen + 1
    session.release(claim)
    assert session.get().paused


def test_continuing_where_it_failed(session):
    session.enter(S.SCALE_IN)
    session.fail()
    assert session.get().failed_state is S.SCALE_IN
    seen = session.get().seen
    assert act(session, A.CONTINUE) is Effect.RESUME
    found = session.get()
    assert (found.state, found.failed_state) == (S.SCALE_IN, None)
    assert (found.round, found.seen) == (4, seen + 1)
    assert "Continued in SCALE_IN" in found.message
    assert session.row("wake_at") <= work.clock(session.ctx)
    run = transactions.get(session.ctx, session.uuid)
    assert run.status is TransactionStatus.RUNNING
    assert told(session)[-2:] == ["MAINTENANCE_FAILED", "SCALE_IN"]


def test_continuing_elsewhere(session):
    session.fail()
    act(session, A.CONTINUE, S.START_MAINTENANCE)
    assert session.get().state is S.START_MAINTENANCE


def test_continuing_while_an_engine_ends(session):
    session.fail()
    claim, found = session.claim(), session.get()
    with pytest.raises(errors.SessionRefused, match="in a moment"):
        act(session, A.CONTINUE)
    assert session.get() == found
    session.release(claim)
    assert act(session, A.CONTINUE) is Effect.RESUME


def test_a_retry_is_a_new_round(session):
    session.enter(S.SCALE_IN)
    assert act(session, A.RETRY) is Effect.REPEAT
    found = session.get()
    assert (found.state, found.round) == (S.SCALE_IN, 3)
    assert told(session) == [None, "SCALE_IN", "SCALE_IN"]


def test_a_retry_waits_for_the_engine(session):
    claim = session.claim()
    assert act(session, A.RETRY) is Effect.HAND_OVER
    assert session.get().requested is A.RETRY
    assert session.get().round == 1
    session.release(claim)


@pytest.mark.parametrize("owned", [False, True])
@pytest.mark.parametrize("action", [A.ABORT, A.DELETE])
def test_what_an_engine_undoes(session, action, owned):
    if owned:
        session.claim()
    else:
        session.set(wake_at=None)
    assert act(session, action) is Effect.HAND_OVER
    found = session.get(deleted=True)
    assert found.requested is action
    assert found.seen == 1
    if not owned:
        # also by an engine that has not its workflow
        claim = work.claim_next(
            session.ctx, work.WorkKind.MAINTENANCE, "e", 60, plugins=[]
        )
        assert claim.uuid == session.uuid


@pytest.mark.parametrize("end", ["finish", "abort"])
def test_an_ended_session_goes_at_once(session, end):
    session.settle({"p1": ["i1"]})
    if end == "finish":
        session.finish()
    else:
        session.fail(aborted=True)
    assert act(session, A.DELETE) is Effect.REMOVE
    with session.database.engine.connect() as connection:
        for table in (
            models.MaintenanceSession,
            models.MaintenanceHost,
            models.MaintenanceProject,
            models.MaintenanceInstance,
            models.MaintenanceAction,
        ):
            number = connection.scalar(
                sa.select(sa.func.count()).select_from(table)
            )
            assert number == 0, table
    run = transactions.get(session.ctx, session.uuid)
    assert run.status in {TransactionStatus.READY, TransactionStatus.ERROR}
    assert run.outcome is (None if end == "finish" else Outcome.ABORTED)
    with pytest.raises(errors.SessionNotFound):
        act(session, A.DELETE)


def test_a_refused_wish_changes_nothing(session):
    before = session.get()
    with pytest.raises(errors.SessionRefused):
        act(session, A.CONTINUE)
    assert session.get() == before


def test_wishes_are_in_the_ledger(session):
    act(session, A.PAUSE)
    act(session, A.CONTINUE)
    act(session, A.ABORT)
    said = [
        event.text
        for event in events.list_events(session.ctx, session.uuid, 0, 100)
    ]
    assert [text.split(" by ")[0] for text in said] == [
        "The session was created.",
        "Paused",
        "Continued",
        "Abort asked for",
    ]


@servers
def test_wishes_at_once(session, database):
    """An abort is wanted for good, whatever else comes at the moment."""
    session.enter(S.SCALE_IN)
    start = threading.Barrier(4)

    def run(action):
        mine = internal_context(database)
        start.wait()
        for _ in range(5):
            with contextlib.suppress(errors.SessionRefused):
                wishes.act(mine, session.uuid, action, payload={})

    at_once(run, [A.PAUSE, A.CONTINUE, A.RETRY, A.ABORT])
    assert session.get().requested is A.ABORT
    # and an engine will find it
    assert session.row("wake_at") <= work.clock(session.ctx)


def test_what_is_held_is_known(session):
    kind = work.WorkKind.MAINTENANCE
    assert work.list_held(session.ctx, kind) == {}
    session.claim()
    assert work.list_held(session.ctx, kind) == {"engine-1": [session.uuid]}
    session.set(lease_expires_at=1.0)
    assert work.list_held(session.ctx, kind) == {}


def test_hosts_show_how_far_it_is(session):
    session.maintain("compute-2")
    found = session.get()
    assert found.percent_done == 50
    assert [one.status for one in found.hosts] == [
        HostStatus.PENDING,
        HostStatus.MAINTAINED,
    ]
