"""Whole sessions of the default workflow, against the simulated cloud."""

import pytest

from recovery_ha.domain.maintenance import (
    HostStatus,
    InstanceAction,
    RunStatus,
    SessionState,
)
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.sessions import QUICK

HOSTS = [f"compute-{number}" for number in range(1, 5)]


def assert_done(site, sessions, uuid):
    """Show that a session has ended well, everywhere."""
    done = sessions.ended(uuid)
    assert done.state is SessionState.MAINTENANCE_DONE, done.message
    assert {one.status for one in done.hosts} <= {HostStatus.MAINTAINED}
    assert done.percent_done == 100
    assert sessions.disabled() == {}
    assert site.locks() == 0
    assert sessions.run(uuid).status == "ready"
    assert sessions.run(uuid).message == done.message
    return done


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_empty_host_then_all_others_one_by_one(site, sessions):
    first = site.servers("compute-1", 2, project_id="p-1")
    second = site.servers("compute-2", 1, project_id="p-2")
    sessions.subscribe("p-1", "p-2")
    sessions.answer()
    site.engine_here(**QUICK)
    uuid = sessions.create(
        *HOSTS,
        actions=[
            ("dummy", "post", {"message": "after"}),
            ("dummy", "host", {"message": "one"}),
            ("dummy", "host", {"message": "two"}),
            ("dummy", "compute", {}),
            ("dummy", "controller", {}),
            ("dummy", "pre", {"message": "before"}),
        ],
    )

    done = assert_done(site, sessions, uuid)

    # Each plug-in where it belongs, once, and in the order of the session.
    ran = sorted(
        (one.started_at, one.ordinal, one.host, one.status)
        for one in done.runs
    )
    assert {one[3] for one in ran} == {RunStatus.DONE}
    assert {one[1:3] for one in ran} == {
        (0, "localhost"),
        (5, "localhost"),
        *((ordinal, host) for ordinal in (1, 2, 3) for host in HOSTS),
    }
    assert ran[0][1] == 5
    assert ran[-1][1] == 0
    for host in HOSTS:
        mine = [one[1] for one in ran if one[2] == host]
        assert mine == [1, 2, 3]
    # Instances went to hosts that had been maintained by then.
    assert {site.world.servers[one].status for one in first + second} == {
        "ACTIVE"
    }
    # What projects were told, each once under both names.
    for event in ("maintenance.scheduled", "maintenance.planned"):
        told = [
            (one["project_id"], one["state"], one["instance_ids"][0])
            for one in sessions.told(uuid, event)
            if one["state"] == "INSTANCE_ACTION_DONE"
        ]
        assert sorted(one[2] for one in told) == sorted(first + second)
        asked = [
            (one["project_id"], one["state"])
            for one in sessions.told(uuid, event)
            if one["state"] != "INSTANCE_ACTION_DONE"
        ]
        assert sorted(asked) == sorted(
            [
                ("p-1", "MAINTENANCE"),
                ("p-2", "MAINTENANCE"),
                ("p-1", "PLANNED_MAINTENANCE"),
                ("p-2", "PLANNED_MAINTENANCE"),
                ("p-1", "MAINTENANCE_COMPLETE"),
                ("p-2", "MAINTENANCE_COMPLETE"),
            ]
        )
    for one in sessions.told(uuid, "maintenance.planned"):
        if one["reply_at"] is not None:
            assert one["reply_at"] < one["actions_at"]
    # What administrators were told.
    hosts = [
        (one["host"], one["state"])
        for one in sessions.told(uuid, "maintenance.host")
    ]
    assert sorted(hosts) == sorted(
        (host, state)
        for host in HOSTS
        for state in ("IN_MAINTENANCE", "MAINTENANCE_COMPLETE")
    )
    states = [
        (one["state"], one["percent_done"])
        for one in sessions.told(uuid, "maintenance.session")
    ]
    assert states == [
        ("MAINTENANCE", 0),
        ("START_MAINTENANCE", 0),
        ("PLANNED_MAINTENANCE", 50),
        ("START_MAINTENANCE", 50),
        ("PLANNED_MAINTENANCE", 75),
        ("START_MAINTENANCE", 75),
        ("MAINTENANCE_COMPLETE", 100),
        ("MAINTENANCE_DONE", 100),
    ]


def test_all_hosts_where_none_is_empty(site, sessions):
    for host in HOSTS:
        site.servers(host, 1, project_id="p-1")
    sessions.subscribe("p-1")
    sessions.action = InstanceAction.LIVE_MIGRATE
    sessions.answer()
    site.engine_here(**QUICK)

    uuid = sessions.create()

    done = assert_done(site, sessions, uuid)
    assert [one.host for one in done.hosts] == HOSTS
    states = [
        one["state"] for one in sessions.told(uuid, "maintenance.session")
    ]
    assert states[:3] == [
        "MAINTENANCE",
        "PREPARE_MAINTENANCE",
        "START_MAINTENANCE",
    ]
    # The first one to a host that was not maintained, and from there again.
    assert sessions.moved() == 5


def test_nobody_has_instances_there(site, sessions):
    site.engine_here(**QUICK)
    uuid = sessions.create("compute-3")
    done = assert_done(site, sessions, uuid)
    assert done.projects == ()


def test_it_begins_when_it_is_time(site, sessions):
    site.servers("compute-1", 1, project_id="p-1")
    sessions.subscribe("p-1")
    sessions.answer()
    site.engine_here(**QUICK)
    uuid = sessions.create("compute-1", "compute-2", starts_in=4)

    waiting = sessions.until_said(uuid, "All projects agree")

    assert waiting.state is SessionState.MAINTENANCE
    assert sessions.disabled() == {}
    assert_done(site, sessions, uuid)


def test_what_others_have_disabled_stays_theirs(site, sessions):
    with site.world.lock:
        theirs = site.world.computes.get("compute-2")
        theirs.disabled, theirs.disabled_reason = True, "broken fan"
    site.engine_here(**QUICK)

    done = sessions.ended(sessions.create("compute-1", "compute-2"))

    assert done.state is SessionState.MAINTENANCE_DONE, done.message
    assert sessions.disabled() == {"compute-2": "broken fan"}


def test_hosts_are_disabled_with_the_session_as_the_reason(site, sessions):
    site.engine_here(**QUICK)
    uuid = sessions.create(
        "compute-1", actions=[("dummy", "host", {"seconds": 1.5})]
    )
    sessions.until(uuid, SessionState.START_MAINTENANCE)
    sessions.until_disabled("compute-1", f"Maintenance session {uuid}")
    assert_done(site, sessions, uuid)


def test_a_host_that_nova_does_not_know(site, sessions):
    site.engine_here(**QUICK)
    failed = sessions.ended(sessions.create("compute-1", "compte-2"))
    assert failed.state is SessionState.MAINTENANCE_FAILED
    assert failed.message == "Nova knows no service on compte-2."


def test_no_room_and_nobody_makes_any(site, sessions):
    for host in HOSTS:
        site.world.set_capacity(host, DISK_GB=2)
        site.servers(host, 2, project_id="p-1")
    sessions.subscribe("p-1")
    sessions.answer()
    site.engine_here(max_scale_in_rounds=2, **QUICK)
    uuid = sessions.create(*HOSTS)

    failed = sessions.ended(uuid)

    assert failed.state is SessionState.MAINTENANCE_FAILED
    assert failed.failed_state is SessionState.SCALE_IN
    assert "There is no room after 2 rounds of SCALE_IN" in failed.message
    asked = [
        one["state"] for one in sessions.told(uuid, "maintenance.planned")
    ]
    assert asked == ["MAINTENANCE", "SCALE_IN", "SCALE_IN"]
    assert sessions.disabled() == {}


def test_the_project_makes_room_when_it_is_asked(site, sessions):
    servers = []
    for host in HOSTS:
        site.world.set_capacity(host, DISK_GB=2)
        servers += site.servers(host, 2, project_id="p-1")
    sessions.subscribe("p-1")
    sessions.silent = {("p-1", "SCALE_IN")}
    sessions.answer()
    site.engine_here(**QUICK)
    uuid = sessions.create(*HOSTS)
    sessions.until_said(uuid, "to SCALE_IN")

    for server in servers[:2]:
        site.world.delete_server(site.world.servers[server])
    sessions.silent = set()

    assert_done(site, sessions, uuid)


def test_several_empty_hosts_at_once_up_to_the_option(site, sessions):
    site.engine_here(max_parallel_hosts=3, **QUICK)
    uuid = sessions.create(
        *HOSTS, actions=[("dummy", "host", {"seconds": 0.5})]
    )

    done = assert_done(site, sessions, uuid)

    def together(when):
        return sum(one.started_at <= when < one.ended_at for one in done.hosts)

    most = max(together(one.started_at) for one in done.hosts)
    assert most == 3
