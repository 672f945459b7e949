"""F46 to F48: hosts and engines fail in maintenance, or while there is one."""

import itertools
import json
from collections import Counter

import pytest

from recovery_ha.db import hosts_out
from recovery_ha.domain.maintenance import (
    InstanceAction,
    RunStatus,
    SessionAction,
    SessionState,
)
from recovery_ha.domain.recovery import NotificationStatus, NotificationType
from recovery_ha.tests.fixtures.sessions import QUICK
from recovery_ha.tests.fixtures.waiting import eventually
from recovery_ha.tests.scenarios.invariants import assert_invariants

FINISHED, IGNORED = NotificationStatus.FINISHED, NotificationStatus.IGNORED
DONE, FAILED = SessionState.MAINTENANCE_DONE, SessionState.MAINTENANCE_FAILED
PLANNED = SessionState.PLANNED_MAINTENANCE
MOVING = {"live-migration", "migration"}
OPTIONS = {**QUICK, "hold_interval": 0.2}


def works_on(sessions, uuid):
    """Wait until a session works on a host."""
    sessions.until_started(uuid)


def slow(seconds=2.5):
    return [("dummy", "host", {"seconds": seconds})]


def held(site, uuid, words):
    def find():
        found = site.notification(uuid)
        return found.held and words in (found.message or "")

    eventually(find, f"it is held: {words}")


def out_at_once(site, sessions, uuid, recovery, seconds=60):
    """Watch until both have ended; return the most hosts that were out."""

    most = 0

    def look():
        nonlocal most
        out = hosts_out.look(site.ctx)
        most = max(most, len(out.besides("")))
        return (
            sessions.get(uuid).state is DONE
            and site.notification(recovery).status is FINISHED
        )

    eventually(look, "both end", seconds)
    return most


@pytest.mark.parametrize("limit", [1, 0])
def test_f46_a_host_dies_while_another_is_maintained(
    site, engine, sessions, limit
):
    """F46: the limit is shared; without one it is recovered at once."""
    servers = site.servers("compute-2", 2, project_id="p-1")
    engine("alpha", max_hosts_out=limit, **OPTIONS)
    session = sessions.create("compute-1", actions=slow())
    works_on(sessions, session)

    uuid = site.lose("compute-2")

    if limit:
        held(site, uuid, "in maintenance: compute-1")
        assert site.decisions(uuid)[-1] == ("hosts_out", "", "hold")
        assert not site.evacuations()
    else:
        eventually(site.evacuations, "it is recovered meanwhile")
        assert sessions.get(session).state is SessionState.START_MAINTENANCE
    most = out_at_once(site, sessions, session, uuid)
    assert most == (1 if limit else 2)
    site.assert_recovered(uuid, servers, "compute-2")
    assert sessions.ended(session).state is DONE
    assert_invariants(site)


def test_f46_a_session_waits_for_a_recovery(site, engine, sessions):
    """F46: the other way round, a session takes no host meanwhile."""
    servers = site.servers("compute-2", 2, project_id="p-1")
    request = site.hold("before", {"action": "evacuate"})
    engine("alpha", **OPTIONS)
    uuid = site.lose("compute-2")
    site.held(request)

    session = sessions.create("compute-1")

    waiting = sessions.until_said(session, "is being recovered")
    assert uuid in waiting.message
    assert sessions.told(session, "maintenance.host") == []
    site.world.faults.release(request.id)
    assert site.ended(uuid).status is FINISHED
    ended = sessions.ended(session)
    assert ended.state is DONE, ended.message
    site.assert_recovered(uuid, servers, "compute-2")
    assert_invariants(site)


def test_f46_two_hosts_die_and_one_may_be_out(site, engine, sessions):
    """F46: recoveries alone keep to the limit, too."""
    servers = {
        name: site.servers(name, 1) for name in ("compute-1", "compute-2")
    }
    request = site.hold("before", {"action": "evacuate"})
    engine("alpha", max_hosts_out=1, **OPTIONS)
    engine("beta", max_hosts_out=1, **OPTIONS)
    first = site.lose("compute-1")
    site.held(request)

    second = site.lose("compute-2")

    held(site, second, "recovered: compute-1")
    site.world.faults.release(request.id)
    site.assert_recovered(first, servers["compute-1"], "compute-1")
    site.assert_recovered(second, servers["compute-2"], "compute-2")
    assert_invariants(site)


def test_f47_a_host_is_powered_off_for_its_maintenance(site, engine, sessions):
    """F47: what is reported of it meanwhile recovers nothing."""
    engine("alpha", wait_period_after_service_update=2, **OPTIONS)
    session = sessions.create("compute-1", actions=slow())
    works_on(sessions, session)

    uuid = site.lose("compute-1")
    process = site.report(
        "compute-1",
        kind=NotificationType.PROCESS,
        event="STOPPED",
        process_name="nova-compute",
    )

    held(site, uuid, f"in maintenance session {session}")
    ignored = site.ended(process)
    assert ignored.status is IGNORED
    assert "its processes are stopped and started" in ignored.message
    site.world.start("compute-1")
    assert sessions.ended(session).state is DONE
    ended = site.ended(uuid)
    assert ended.status is IGNORED
    assert "it has not failed" in ended.message
    with site.world.lock:
        assert not site.world.computes.get("compute-1").disabled
    assert not site.host("compute-1").on_maintenance
    assert not site.evacuations()
    assert_invariants(site)


def test_f47_a_host_of_a_session_has_really_died(site, engine, sessions):
    """F47: it is recovered when the session has let go of it."""
    servers = site.servers("compute-1", 2, project_id="p-1")
    engine("alpha", wait_period_after_service_update=1, **OPTIONS)
    session = sessions.create("compute-1", "compute-2", starts_in=3600)
    sessions.until_said(session, "the maintenance begins at")

    uuid = site.lose("compute-1")

    held(site, uuid, f"in maintenance session {session}")
    assert not site.evacuations()
    sessions.act(session, SessionAction.ABORT)
    site.assert_recovered(uuid, servers)
    assert sessions.get(session).aborted
    assert ("maintenance_session", "", "pass") in site.decisions(uuid)
    assert_invariants(site)


def test_f47_an_instance_fails_while_it_is_moved(site, engine, sessions):
    """F47: its report waits until it has arrived."""
    site.world.settings.migrate_seconds = 3
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    engine("alpha", **OPTIONS)
    session = sessions.create("compute-1")
    eventually(lambda: site.asked("migrate"), "it is being moved")

    uuid = site.report_instance(server)

    held(site, uuid, f"being moved by maintenance session {session}")
    assert sessions.ended(session).state is DONE
    site.ended(uuid)
    assert ("maintenance_session", "", "pass") in site.decisions(uuid)


def test_f47_reserved_hosts_of_a_session_are_not_taken(site, engine, sessions):
    """F47: a recovery goes to the next reserved host."""
    servers = site.servers("compute-1", 2, project_id="p-1")
    site.choose("reserved_host")
    site.reserve("compute-2", "compute-3")
    engine("alpha", **OPTIONS)
    session = sessions.create("compute-2", starts_in=3600)
    sessions.until_said(session, "the maintenance begins at")

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is FINISHED, ended.message
    assert site.servers_on("compute-3") == servers
    assert not site.servers_on("compute-2")
    assert site.host("compute-2").reserved


# F48: engines die


def rolling(site, tmp_path, **options):
    """Have a cloud of twelve hosts, each with an instance or two.

    :returns: the names of the hosts, the instances, the options of engines,
        and the file in which an action on a host leaves its name.
    """
    for number in range(5, 13):
        site.register_host(site.world.add_compute(f"compute-{number}").host)
    hosts = [one.host for one in site.world.computes]
    servers = []
    for place, host in enumerate(hosts):
        servers += site.servers(host, 1 + place % 2, project_id="p-1")
    site.world.settings.migrate_seconds = 0.1
    done = tmp_path / "done"
    done.touch()
    commands = {"mark": ["sh", "-c", f"echo {{host}} >> {done}"]}
    quick = {"lease_seconds": 2, "commands": json.dumps(commands)}
    return hosts, servers, {**OPTIONS, **quick, **options}, done


def dies_and_dies(engine, deaths, options):
    """Have one engine after another go on, and die; the last one lives.

    :returns: how many have died.
    """
    for number, crash in enumerate(deaths):
        one = engine(f"engine-{number}", crash, **options)
        eventually(one.dead.is_set, f"it dies {' '.join(map(str, crash))}")
    engine("last", **options)
    return len(deaths)


def assert_one_by_one(site, sessions, uuid, hosts):
    """Show that each was maintained once, and none begun before another's end.

    And that each instance has left each host at most once, and none by hand.
    """
    done = sessions.ended(uuid)
    assert done.state is DONE, (done.message, sessions.said(uuid))
    told = sessions.told(uuid, "maintenance.host")
    pairs = list(zip(told[::2], told[1::2], strict=True))
    assert sorted(begun["host"] for begun, _ended in pairs) == sorted(hosts)
    for begun, ended in pairs:
        assert begun["host"] == ended["host"]
        assert begun["state"] == "IN_MAINTENANCE"
        assert ended["state"] == "MAINTENANCE_COMPLETE"
    assert {one.status for one in done.runs} == {RunStatus.DONE}
    assert len(done.runs) == len(hosts)
    with site.world.lock:
        left = Counter(
            (record.server.uuid, record.source_compute)
            for record in site.world.migrations
            if record.migration_type in MOVING
        )
        active = {one.status for one in site.world.servers.values()}
    assert set(left.values()) == {1}
    assert active == {"ACTIVE"}
    assert sessions.placing() == {
        (host, status): 1
        for host in hosts
        for status in ("disabled", "enabled")
    }
    assert sessions.disabled() == {}
    assert site.locks() == 0
    return done


@pytest.mark.timeout(300)
@pytest.mark.parametrize("action", ["LIVE_MIGRATE", "MIGRATE"])
def test_f48_engines_die_at_their_requests(
    site, engine, sessions, tmp_path, action
):
    """F48: another one goes on at the same host, and nothing is done twice."""
    hosts, servers, options, marked = rolling(site, tmp_path)
    sessions.action = InstanceAction(action)
    uuid = sessions.create(actions=[("command", "host", {"name": "mark"})])

    dies_and_dies(
        engine,
        [
            (when, "request", number)
            for number, when in zip(
                (2, 4, 3, 5, 6, 7, 8), itertools.cycle(["before", "after"])
            )
        ],
        options,
    )

    done = assert_one_by_one(site, sessions, uuid, hosts)
    # No request is sent while an action runs: none was interrupted.
    assert sorted(marked.read_text().split()) == sorted(hosts)
    assert {one.attempt for one in done.runs} == {1}
    assert {one.instance_id for one in done.instances} == set(servers)
    assert_invariants(site)


@pytest.mark.timeout(300)
def test_f48_engines_die_at_their_commits(site, engine, sessions, tmp_path):
    """F48: an action whose end was not written down is the only one again."""
    hosts, _servers, options, marked = rolling(site, tmp_path)
    uuid = sessions.create(actions=[("command", "host", {"name": "mark"})])

    died = dies_and_dies(
        engine,
        [
            (when, "commit", number)
            for number, when in zip(
                (12, 19, 26, 33, 40, 47), itertools.cycle(["before", "after"])
            )
        ],
        options,
    )

    done = assert_one_by_one(site, sessions, uuid, hosts)
    again = {one.host for one in done.runs if one.attempt > 1}
    assert len(again) <= died
    marks = Counter(marked.read_text().split())
    assert set(marks) == set(hosts)
    assert {host for host, times in marks.items() if times > 1} <= again
    assert_invariants(site)


@pytest.mark.timeout(300)
def test_f48_an_engine_dies_while_an_action_runs(
    site, engine, sessions, tmp_path
):
    """F48: it runs again there; those that were done do not."""
    _hosts, _servers, options, _marked = rolling(site, tmp_path)
    sessions.silent = {("p-1", PLANNED)}
    first = engine("first", **options)
    uuid = sessions.create(
        actions=[
            ("command", "host", {"name": "mark"}),
            ("dummy", "host", {"seconds": 1}),
        ]
    )

    def second_runs():
        found = {one.ordinal: one for one in sessions.get(uuid).runs}
        return 1 in found and found[1].status is RunStatus.RUNNING

    eventually(second_runs, "the second action runs")
    (host,) = {one.host for one in sessions.get(uuid).runs}
    first.kill()
    engine("second", **options)

    sessions.until_said(uuid, f"reply of p-1 to {PLANNED}")
    attempts = {one.ordinal: one.attempt for one in sessions.get(uuid).runs}
    assert attempts == {0: 1, 1: 2}
    assert {one.host for one in sessions.get(uuid).runs} == {host}
    sessions.act(uuid, SessionAction.ABORT)
    assert sessions.ended(uuid).aborted
    assert sessions.disabled() == {}
