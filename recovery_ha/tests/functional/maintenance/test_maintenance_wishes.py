"""What administrators want of a session while it is worked on, or is not."""

import time

import pytest

from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import (
    HostStatus,
    SessionAction,
    SessionState,
)
from recovery_ha.tests.fixtures.sessions import QUICK
from recovery_ha.tests.fixtures.waiting import eventually

S, A = SessionState, SessionAction
HOSTS = ("compute-1", "compute-2", "compute-3")
#: In which of its waits a session is when something is wanted of it.
WAITS = (
    S.MAINTENANCE,
    S.SCALE_IN,
    S.PREPARE_MAINTENANCE,
    S.PLANNED_MAINTENANCE,
    S.MAINTENANCE_COMPLETE,
)


@pytest.fixture
def server(site, sessions):
    """An instance on one of three hosts, whose project replies."""
    (made,) = site.servers("compute-1", 1, project_id="p-1")
    sessions.subscribe("p-1")
    sessions.answer()
    return made


def waiting(sessions, uuid, state):
    """Wait until a session waits for its project."""
    return sessions.until_said(uuid, f"reply of p-1 to {state}")


@pytest.mark.parametrize("state", WAITS)
def test_abort_while_it_waits(site, sessions, state):
    sessions.arrange(state, *HOSTS)
    sessions.silent = {("p-1", state)}
    sessions.answer()
    site.engine_here(**QUICK)
    uuid = sessions.create(*HOSTS)
    before = waiting(sessions, uuid, state)
    # The one that is to be emptied, or all that are still to come.
    disabled = {S.PREPARE_MAINTENANCE: 1, S.PLANNED_MAINTENANCE: 1}
    assert len(sessions.disabled()) == disabled.get(state, 0)

    sessions.act(uuid, A.ABORT)

    failed = sessions.until(uuid, S.MAINTENANCE_FAILED)
    assert failed.aborted
    assert failed.failed_state is before.state
    assert failed.message.startswith("Aborted by an administrator.")
    assert sessions.disabled() == {}
    assert site.locks() == 0
    assert sessions.run(uuid).outcome == "aborted"
    with pytest.raises(errors.Conflict, match="cannot be continued"):
        sessions.act(uuid, A.CONTINUE)
    # Its hosts may be in another session at once.
    sessions.silent = {("p-1", S.MAINTENANCE)}
    again = sessions.create(*HOSTS)
    sessions.until_said(again, "to MAINTENANCE")


def test_abort_while_a_plug_in_runs(site, sessions):
    site.engine_here(**QUICK)
    uuid = sessions.create(
        *HOSTS, actions=[("dummy", "host", {"seconds": 60})]
    )
    sessions.until_started(uuid)

    sessions.act(uuid, A.ABORT)

    failed = sessions.until(uuid, S.MAINTENANCE_FAILED)
    assert failed.aborted
    assert sessions.disabled() == {}


def test_abort_awaits_what_nova_is_moving(site, sessions, server):
    site.world.settings.action_seconds = 0.05
    held = site.hold("before", {"action": "confirmResize"})
    site.engine_here(**QUICK)
    uuid = sessions.create(*HOSTS)
    site.held(held)

    sessions.act(uuid, A.ABORT)
    site.world.faults.release(held.id)

    failed = sessions.until(uuid, S.MAINTENANCE_FAILED)
    assert failed.aborted
    assert site.world.servers[server].status == "ACTIVE"
    assert sessions.disabled() == {}


@pytest.mark.parametrize("state", WAITS)
def test_delete_undoes_and_removes(site, sessions, state):
    sessions.arrange(state, *HOSTS)
    sessions.silent = {("p-1", state)}
    sessions.answer()
    site.engine_here(**QUICK)
    uuid = sessions.create(*HOSTS)
    waiting(sessions, uuid, state)

    sessions.act(uuid, A.DELETE)

    sessions.gone(uuid)
    assert sessions.disabled() == {}
    assert site.locks() == 0
    assert sessions.run(uuid).outcome == "aborted"


def test_delete_while_nova_is_away(site, sessions, server):
    sessions.silent = {("p-1", S.PLANNED_MAINTENANCE)}
    sessions.options(retry_delay=1)
    site.engine_here(**QUICK)
    uuid = sessions.create(*HOSTS)
    waiting(sessions, uuid, S.PLANNED_MAINTENANCE)
    away = site.fault(service="compute", status=503, times=None)

    sessions.act(uuid, A.DELETE)

    sessions.until_said(uuid, "is still disabled")
    site.world.faults.release(away.id)
    site.world.faults.remove(away.id)
    sessions.gone(uuid)
    assert sessions.disabled() == {}


@pytest.mark.parametrize("state", WAITS)
def test_pause_and_continue(site, sessions, state):
    sessions.arrange(state, *HOSTS)
    sessions.silent = {("p-1", state)}
    sessions.answer()
    site.engine_here(**QUICK)
    uuid = sessions.create(*HOSTS)
    before = waiting(sessions, uuid, state)

    sessions.act(uuid, A.PAUSE)
    assert sessions.get(uuid).paused
    # A reply is accepted, and nothing comes of it yet.
    sessions.silent = set()
    eventually(
        lambda: sessions.get(uuid).projects[0].reply == "ack", "a reply"
    )
    still = sessions.get(uuid)
    assert (still.state, still.round) == (before.state, before.round)

    sessions.act(uuid, A.CONTINUE)

    eventually(lambda: sessions.get(uuid).round > before.round, "it goes on")
    assert not sessions.get(uuid).paused


def test_a_pause_stops_the_time(site, sessions, server):
    sessions.silent = {("p-1", S.PLANNED_MAINTENANCE)}
    site.engine_here(**QUICK | {"project_maintenance_reply": 5})
    uuid = sessions.create(*HOSTS)
    waiting(sessions, uuid, S.PLANNED_MAINTENANCE)
    before = sessions.get(uuid).projects[0].deadline

    sessions.act(uuid, A.PAUSE)
    time.sleep(7)  # longer than it had
    assert sessions.get(uuid).state is S.PLANNED_MAINTENANCE
    sessions.act(uuid, A.CONTINUE)
    assert sessions.get(uuid).projects[0].deadline > before + 6
    sessions.silent = set()

    assert sessions.ended(uuid).state is S.MAINTENANCE_DONE


@pytest.mark.parametrize("state", WAITS)
def test_retry_asks_again_in_a_new_round(site, sessions, state):
    sessions.arrange(state, *HOSTS)
    sessions.silent = {("p-1", state)}
    sessions.answer()
    site.engine_here(**QUICK)
    uuid = sessions.create(*HOSTS)
    before = waiting(sessions, uuid, state)

    sessions.act(uuid, A.RETRY)

    after = sessions.until_round(uuid, before.round + 1)
    assert (after.state, after.round) == (state, before.round + 1)
    eventually(
        lambda: sessions.asked(uuid, state) == 2, "it is asked once more"
    )
    sessions.silent = set()
    # Of another round, the first question's reply counts for nothing.
    eventually(lambda: sessions.get(uuid).round > after.round, "it goes on")


def test_a_plug_in_fails_and_the_session_goes_on_there(site, sessions):
    site.engine_here(**QUICK)
    uuid = sessions.create(
        *HOSTS, actions=[("command", "host", {"name": "missing"})]
    )
    failed = sessions.ended(uuid)
    assert failed.state is S.MAINTENANCE_FAILED
    assert failed.failed_state is S.START_MAINTENANCE
    assert "There is no command 'missing'" in failed.message
    assert {one.status for one in failed.hosts} == {HostStatus.FAILED}
    assert sorted(sessions.disabled()) == sorted(HOSTS)

    sessions.act(uuid, A.CONTINUE)

    again = sessions.until_round(uuid, failed.round + 2)
    assert again.state is S.MAINTENANCE_FAILED
    sessions.act(uuid, A.DELETE)
    sessions.gone(uuid)
    assert sessions.disabled() == {}


def test_a_retry_wanted_of_an_engine_that_works(site, sessions):
    site.engine_here(**QUICK)
    uuid = sessions.create(
        "compute-1", actions=[("dummy", "host", {"seconds": 1.5})]
    )
    before = sessions.until_started(uuid)

    sessions.act(uuid, A.RETRY)

    done = sessions.until(uuid, S.MAINTENANCE_DONE)
    assert done.requested is None
    assert done.round >= before.round + 1
    assert {one.attempt for one in done.runs} == {1}
