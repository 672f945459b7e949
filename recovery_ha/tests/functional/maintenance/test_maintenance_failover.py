"""Engines that stop, die, or find the cloud away in the middle of a session.

Another one goes on: nothing is asked twice, no instance is moved twice, no
plug-in that is done runs again.
"""

from collections import Counter

import pytest

from recovery_ha.domain.maintenance import (
    InstanceAction,
    RunStatus,
    SessionState,
)
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.sessions import QUICK
from recovery_ha.tests.fixtures.waiting import eventually

S = SessionState
HOSTS = ("compute-1", "compute-2", "compute-3", "compute-4")
COMMIT = "sqlalchemy.engine.default:DefaultDialect.do_commit"


@pytest.fixture
def servers(site, sessions):
    """Instances on three of four hosts, whose projects reply."""
    made = site.servers("compute-1", 2, project_id="p-1")
    made += site.servers("compute-2", 1, project_id="p-2")
    sessions.subscribe("p-1", "p-2")
    sessions.action = InstanceAction.LIVE_MIGRATE
    sessions.answer()
    return made


def assert_done_once(site, sessions, uuid, servers):
    """Show that all was done, and once."""
    done = sessions.ended(uuid)
    assert done.state is S.MAINTENANCE_DONE, done.message
    assert sessions.disabled() == {}
    assert site.locks() == 0
    assert {one.status for one in done.runs} == {RunStatus.DONE}
    told = Counter(
        (one["project_id"], one["state"], str(one["instance_ids"]))
        for one in sessions.told(uuid, "maintenance.planned")
        if one["state"] != S.PLANNED_MAINTENANCE
    )
    assert set(told.values()) == {1}
    hosts = Counter(
        (one["host"], one["state"])
        for one in sessions.told(uuid, "maintenance.host")
    )
    assert set(hosts.values()) == {1}
    assert len(hosts) == 2 * len(done.hosts)
    with site.world.lock:
        moves = Counter(
            record.server.uuid
            for record in site.world.migrations
            if record.migration_type == "live-migration"
        )
    # Whoever has left its host did so once per time that it was emptied.
    assert moves == dict.fromkeys(servers, 1)
    return done


@pytest.mark.parametrize(
    "state",
    [
        S.MAINTENANCE,
        S.SCALE_IN,
        S.PREPARE_MAINTENANCE,
        S.PLANNED_MAINTENANCE,
        S.MAINTENANCE_COMPLETE,
    ],
)
def test_stopped_while_it_waits(site, sessions, state):
    servers = sessions.arrange(state, *HOSTS)
    sessions.silent = {("p-1", state)}
    sessions.answer()
    first = site.engine_here("alpha", **QUICK)
    uuid = sessions.create(*HOSTS, actions=[("dummy", "host", {})])
    before = sessions.until_said(uuid, f"to {state}")

    first.stop()
    site.engines_here.remove(first)
    if state is S.SCALE_IN:
        for server in servers[:2]:
            site.world.delete_server(site.world.servers[server])
    sessions.silent = set()
    eventually(
        lambda: sessions.get(uuid).seen > before.seen, "the project replies"
    )
    site.engine_here("beta", **QUICK)

    done = sessions.ended(uuid)
    assert done.state is S.MAINTENANCE_DONE, done.message
    assert sessions.disabled() == {}
    assert site.locks() == 0
    assert {one.attempt for one in done.runs} == {1}
    # The reply to the one that is gone was enough.
    rounds = sum(
        one["state"] == state
        for one in sessions.told(uuid, "maintenance.session")
    )
    assert sessions.asked(uuid, state) == rounds


def test_stopped_while_a_plug_in_runs(site, sessions, servers):
    first = site.engine_here("alpha", **QUICK)
    uuid = sessions.create(*HOSTS, actions=[("dummy", "host", {"seconds": 3})])
    sessions.until_started(uuid)

    first.stop()
    site.engines_here.remove(first)
    assert sessions.get(uuid).state is S.START_MAINTENANCE
    site.engine_here("beta", **QUICK)

    assert_done_once(site, sessions, uuid, servers)


@pytest.mark.processes
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("step", [7, 11])
@pytest.mark.timeout(400)
def test_killed_at_commits_all_along(site, sessions, servers, step):
    uuid = sessions.create(*HOSTS, actions=[("dummy", "host", {})])
    quick = QUICK | {"lease_seconds": 2}
    quick |= dict.fromkeys(
        ("project_maintenance_reply", "project_scale_in_reply"), 60
    )

    # Each dies at its commit of that number, on either side in turn.
    for number in range(6):
        daemon = site.engine(
            f"engine-{number}",
            crash=(
                "KILL",
                ("before", "after")[number % 2],
                COMMIT,
                str(step + number),
            ),
            **quick,
        )
        daemon.wait_ended(60)
    site.engine("last", **quick)

    assert_done_once(site, sessions, uuid, servers)


@pytest.mark.parametrize("service", ["compute", "placement", "alarm"])
def test_the_cloud_is_away_and_comes_back(site, sessions, servers, service):
    away = site.fault(service=service, status=503, times=None)
    sessions.options(retry_delay=1, retry_delay_max=1)
    site.engine_here(**QUICK)
    uuid = sessions.create(*HOSTS)

    waiting = sessions.until_said(uuid, "Waiting for the cloud")
    assert waiting.state is S.MAINTENANCE
    site.world.faults.remove(away.id)

    assert sessions.ended(uuid).state is S.MAINTENANCE_DONE


def test_the_cloud_stays_away(site, sessions):
    site.fault(service="compute", status=503, times=None)
    sessions.options(retry_delay=1, retry_delay_max=1, max_attempts=2)
    site.engine_here(**QUICK)

    failed = sessions.ended(sessions.create(*HOSTS))

    assert failed.state is S.MAINTENANCE_FAILED
    assert "given up after 2 attempts" in failed.message
