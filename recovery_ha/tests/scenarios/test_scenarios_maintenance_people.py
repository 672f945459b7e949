"""F49 and F51: projects reply badly, and administrators change their mind."""

import pytest

from recovery_ha.db import work
from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import (
    ActionStatus,
    InstanceAction,
    ReplyStatus,
    RunStatus,
    SessionAction,
    SessionState,
)
from recovery_ha.tests.fixtures.sessions import QUICK
from recovery_ha.tests.fixtures.waiting import eventually
from recovery_ha.tests.scenarios.invariants import assert_invariants

DONE, FAILED = SessionState.MAINTENANCE_DONE, SessionState.MAINTENANCE_FAILED
PLANNED = SessionState.PLANNED_MAINTENANCE
MOVING = {"live-migration", "migration"}
OPTIONS = {**QUICK, "hold_interval": 0.2}


def works_on(sessions, uuid):
    """Wait until a session works on a host."""
    sessions.until_started(uuid)


def slow(seconds):
    return [("dummy", "host", {"seconds": seconds})]


@pytest.fixture
def two(site, sessions):
    """Have a project on each of two hosts; return the instances."""
    sessions.subscribe("p-2")
    return [
        *site.servers("compute-1", 1, project_id="p-1"),
        *site.servers("compute-2", 1, project_id="p-2"),
    ]


ASKED = (SessionState.MAINTENANCE, PLANNED, SessionState.MAINTENANCE_COMPLETE)


@pytest.mark.parametrize("state", ASKED)
def test_f49_a_project_never_replies(site, engine, sessions, two, state):
    """F49: its session fails when its time is over, and others go on."""
    sessions.silent = {("p-1", state)}
    engine(
        "alpha",
        **OPTIONS
        | {"project_maintenance_reply": 2, "project_scale_in_reply": 2},
    )
    silent = sessions.create("compute-1", "compute-3")
    other = sessions.create("compute-2")

    failed = sessions.ended(silent)

    assert failed.state is FAILED
    assert failed.failed_state is state
    assert f"Project p-1 did not reply to {state} in time" in failed.message
    assert sessions.ended(other).state is DONE
    if state is not SessionState.MAINTENANCE_COMPLETE:
        assert site.servers_on("compute-1") == two[:1]
    sessions.silent = set()
    sessions.act(silent, SessionAction.CONTINUE)
    assert sessions.until(silent, DONE)
    assert sessions.disabled() == {}
    assert site.locks() == 0


def test_f49_one_of_two_in_a_session_never_replies(
    site, engine, sessions, two
):
    """F49: nothing is done to the one that has replied, either."""
    sessions.silent = {("p-1", SessionState.MAINTENANCE)}
    engine("alpha", **OPTIONS | {"project_maintenance_reply": 2})
    uuid = sessions.create("compute-1", "compute-2")

    failed = sessions.ended(uuid)

    assert failed.state is FAILED
    assert "Project p-1 did not reply" in failed.message
    assert "p-2" not in failed.message
    said = {one.project_id: one.reply for one in failed.projects}
    assert said["p-2"] is ReplyStatus.ACK
    assert sessions.moved() == 0
    assert not site.asked("migrate")
    assert sessions.disabled() == {}


def test_f49_a_reply_comes_too_late(site, engine, sessions, two):
    """F49: whether an engine has seen that or not, it does not count."""
    late = SessionState.MAINTENANCE
    sessions.silent = {("p-1", late)}
    first = engine("first", **OPTIONS | {"project_maintenance_reply": 1})
    uuid = sessions.create("compute-1", "compute-3")
    sessions.until_said(uuid, f"reply of p-1 to {late}")
    first.kill()

    def refused():
        try:
            sessions.reply(uuid, "p-1", late)
        except errors.ReplyRefused as exc:
            return str(exc)
        pytest.fail("it counts")

    eventually(lambda: _is_over(site, sessions, uuid), "its time is over")
    assert "comes too late" in refused()
    engine("second", **OPTIONS)
    failed = sessions.ended(uuid)
    assert f"did not reply to {late} in time" in failed.message
    assert "the session is in MAINTENANCE_FAILED" in refused()
    assert sessions.get(uuid).state is FAILED


def _is_over(site, sessions, uuid):
    (project,) = sessions.get(uuid).projects
    return work.clock(site.ctx) > project.deadline


def test_f49_nonsense_is_refused_and_the_true_reply_counts(
    site, engine, sessions, two, api
):
    """F49: it changes nothing; what was said twice counts once."""
    state = SessionState.MAINTENANCE
    sessions.silent = {("p-1", state), ("p-1", PLANNED)}
    engine("alpha", **OPTIONS)
    uuid = sessions.create("compute-1", "compute-3")
    sessions.until_said(uuid, f"reply of p-1 to {state}")
    put = api().put
    url = f"/maintenance/{uuid}/p-1"

    for body, status in (
        ([], 400),
        ({}, 400),
        ({"state": "YES"}, 400),
        ({"state": "ACK_MAINTENANCE", "instance_action": "EVACUATE"}, 400),
        ({"state": "ACK_MAINTENANCE", "shout": True}, 400),
        ({"state": "ACK_PLANNED_MAINTENANCE"}, 409),
        ({"state": "ACK_SCALE_IN"}, 409),
    ):
        assert put(url, body).status == status, body
    assert put(f"/maintenance/{uuid}/p-2", {"state": "x"}).status in {400, 404}
    good = {"state": "ACK_MAINTENANCE"}
    assert put(f"/maintenance/{uuid}/p-2", good).status == 404
    (asked,) = sessions.get(uuid).projects
    assert asked.reply is ReplyStatus.PENDING
    assert sessions.get(uuid).state is state

    assert put(url, good).status == 200
    sessions.until_said(uuid, f"reply of p-1 to {PLANNED}")
    number = sessions.get(uuid).round
    url = f"{url}/{two[0]}"
    moving = {
        "state": f"ACK_{PLANNED}",
        "instance_action": "LIVE_MIGRATE",
    }
    assert put(url, moving | {"instance_action": None}).status == 400
    assert put(url, moving).status == 200
    assert put(url, moving).status in {200, 409}  # it may be moved by now
    assert sessions.ended(uuid).state is DONE
    assert number < sessions.get(uuid).round
    assert put(url, moving).status == 409
    assert sessions.moved() == 1


@pytest.mark.parametrize("other", ["same", "opposite"])
def test_f49_a_reply_is_given_twice(site, engine, sessions, two, other):
    """F49: the first counts."""
    state = SessionState.MAINTENANCE
    sessions.silent = {("p-1", state)}
    first = engine("first", **OPTIONS | {"lease_seconds": 2})
    uuid = sessions.create("compute-1", "compute-3")
    sessions.until_said(uuid, f"reply of p-1 to {state}")
    first.kill()

    sessions.reply(uuid, "p-1", state)
    seen = sessions.get(uuid).seen
    if other == "same":
        sessions.reply(uuid, "p-1", state)
    else:
        with pytest.raises(errors.ReplyRefused, match="already"):
            sessions.reply(uuid, "p-1", state, ReplyStatus.NACK)
    assert sessions.get(uuid).seen == seen
    engine("second", **OPTIONS)

    assert sessions.ended(uuid).state is DONE


# F51: aborted by its administrator


def can_be_recovered(site, sessions, host, servers):
    """Show that hosts of a session that has ended are recovered again."""
    assert site.locks() == 0
    uuid = site.lose(host)
    site.assert_recovered(uuid, servers, host)
    assert sessions.disabled().keys() == {host}
    assert_invariants(site)


@pytest.mark.parametrize("action", ["LIVE_MIGRATE", "MIGRATE"])
@pytest.mark.parametrize("dies", [False, True])
def test_f51_aborted_in_the_middle_of_moves(
    site, engine, sessions, action, dies
):
    """F51: the one that is under way ends, and no other begins."""
    site.world.settings.migrate_seconds = 2
    servers = site.servers("compute-1", 3, project_id="p-1")
    sessions.action = InstanceAction(action)
    sessions.options(max_parallel_moves=1)
    options = OPTIONS | {"lease_seconds": 2}
    first = engine("alpha", **options)
    uuid = sessions.create("compute-1", "compute-2")

    def moving():
        with site.world.lock:
            return [
                one.server.uuid
                for one in site.world.migrations
                if one.migration_type in MOVING
            ]

    eventually(moving, "the first is being moved")

    sessions.act(uuid, SessionAction.ABORT)
    if dies:
        first.kill()
        engine("beta", **options)

    failed = sessions.until(uuid, FAILED)
    assert failed.aborted
    (moved,) = moving()
    assert site.world.servers[moved].host != "compute-1"
    assert site.world.servers[moved].status == "ACTIVE"
    stay = [one for one in servers if one != moved]
    assert site.servers_on("compute-1") == stay
    assert sessions.disabled() == {}
    found = {one.instance_id: one.action_status for one in failed.instances}
    assert found[moved] is ActionStatus.DONE
    assert {found[one] for one in stay} == {ActionStatus.PENDING}
    site.world.settings.migrate_seconds = 0
    can_be_recovered(site, sessions, "compute-1", stay)


def test_f51_aborted_while_a_move_never_ends(site, engine, sessions):
    """F51: what is not waited for any longer is named."""
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    site.fault(kind="cold-migration", result="stuck", server=server)
    sessions.options(cold_migration_timeout=2)
    engine("alpha", **OPTIONS)
    uuid = sessions.create("compute-1", "compute-2")
    eventually(lambda: site.asked("migrate"), "it is being moved")

    sessions.act(uuid, SessionAction.ABORT)

    failed = sessions.until(uuid, FAILED)
    assert failed.aborted
    (name,) = [one.name for one in failed.instances]
    assert name in failed.message or server in failed.message
    assert "compute-1" in failed.message
    assert site.asked("migrate") == [server]
    assert sessions.disabled() == {}
    assert site.locks() == 0


@pytest.mark.parametrize("dies", [False, True])
def test_f51_aborted_in_the_middle_of_an_action(site, engine, sessions, dies):
    """F51: it is broken off, its host is enabled, and no other is begun."""
    servers = site.servers("compute-2", 1, project_id="p-1")
    options = OPTIONS | {"lease_seconds": 2}
    first = engine("alpha", **options)
    uuid = sessions.create(
        "compute-1", "compute-2", actions=slow(120) + slow(0)
    )
    works_on(sessions, uuid)

    sessions.act(uuid, SessionAction.ABORT)
    if dies:
        first.kill()
        engine("beta", **options)

    failed = sessions.until(uuid, FAILED)
    assert failed.aborted
    assert {one.ordinal for one in failed.runs} == {0}
    assert not any(one.status is RunStatus.DONE for one in failed.runs)
    assert sessions.disabled() == {}
    assert site.servers_on("compute-2") == servers
    assert sessions.moved() == 0
    assert not site.host("compute-1").on_maintenance
    can_be_recovered(site, sessions, "compute-2", servers)
