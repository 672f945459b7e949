"""Sessions of the workflow vnf: what projects bear is kept to."""

import functools
import itertools

import pytest
import sqlalchemy as sa

from recovery_ha.db import models
from recovery_ha.domain.maintenance import (
    InstanceAction,
    SessionState,
)
from recovery_ha.tests.fixtures import members
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.members import ACTING, Manager
from recovery_ha.tests.fixtures.sessions import QUICK
from recovery_ha.tests.fixtures.waiting import eventually

S = SessionState


@pytest.fixture
def manager(site, sessions):
    sessions.subscribe("p-1")
    made = Manager(site, sessions)
    yield made
    made.close()


@pytest.fixture
def constrain(site):
    """Return a function that says what instances, and their group, bear."""
    return functools.partial(members.constrain, site)


def done(sessions, uuid):
    found = sessions.ended(uuid)
    assert found.state is S.MAINTENANCE_DONE, found.message
    return found


def asked_alone(sessions, uuid):
    """Return the messages about single instances, in order."""
    return [
        one
        for one in sessions.told(uuid, "maintenance.scheduled")
        if one["state"] in ACTING
    ]


@pytest.mark.parametrize("backend", BACKENDS)
def test_members_go_one_after_the_other(site, sessions, manager, constrain):
    site.world.settings.migrate_seconds = 0.2
    servers = site.servers("compute-1", 3, project_id="p-1")
    constrain(servers, recovery_time=1)
    manager.start()
    site.engine_here(**QUICK)

    uuid = sessions.create("compute-1", "compute-4", workflow="vnf")

    found = done(sessions, uuid)
    assert manager.most == {"g": 1}
    moved = sorted(one.moved_at for one in found.instances)
    assert len(moved) == 3
    for one, following in itertools.pairwise(moved):
        assert following - one > 1.0
    assert site.servers_on("compute-4") == servers
    told = asked_alone(sessions, uuid)
    assert sorted(one["instance_ids"] for one in told) == [
        [one] for one in servers
    ]
    for one in told:
        assert one["reply_url"].endswith(f"/p-1/{one['instance_ids'][0]}")
        assert one["reply_at"] < one["actions_at"]


def test_as_many_side_by_side_as_the_group_bears(
    site, sessions, manager, constrain
):
    site.world.settings.migrate_seconds = 0.5
    servers = site.servers("compute-1", 4, project_id="p-1")
    constrain(servers, max_impacted_members=2)
    manager.start()
    site.engine_here(**QUICK)

    uuid = sessions.create("compute-1", "compute-4", workflow="vnf")

    done(sessions, uuid)
    assert manager.most == {"g": 2}


def test_two_sessions_share_the_limit_of_a_group(
    site, sessions, manager, constrain
):
    site.world.settings.migrate_seconds = 0.3
    servers = site.servers("compute-1", 2, project_id="p-1")
    servers += site.servers("compute-2", 2, project_id="p-1")
    constrain(servers)
    manager.start()
    site.engine_here("one", **QUICK)
    site.engine_here("two", **QUICK)

    both = [
        sessions.create("compute-1", workflow="vnf"),
        sessions.create("compute-2", workflow="vnf"),
    ]

    for uuid in both:
        done(sessions, uuid)
    assert manager.most == {"g": 1}


def test_members_stay_apart_where_nova_knows_of_no_group(
    site, sessions, manager, constrain
):
    """Two share a host; they may go on sharing none."""
    servers = site.servers("compute-1", 2, project_id="p-1")
    other = site.servers("compute-2", 1, project_id="p-1")
    constrain(servers + other, anti_affinity_group=True)
    manager.start()
    site.engine_here(**QUICK)

    uuid = sessions.create("compute-1", "compute-4", workflow="vnf")

    done(sessions, uuid)
    assert len(site.servers_on("compute-4")) == 1
    assert len(site.servers_on("compute-3")) == 1
    assert site.servers_on("compute-2") == other


def test_constraints_must_be_there_before(site, sessions, manager, constrain):
    servers = site.servers("compute-1", 2, project_id="p-1")
    constrain(servers[:1])
    manager.start()
    site.engine_here(**QUICK)

    uuid = sessions.create("compute-1", workflow="vnf")

    failed = sessions.ended(uuid)
    assert failed.state is S.MAINTENANCE_FAILED
    assert failed.failed_state is S.MAINTENANCE
    assert f"these are missing: instance {servers[1]}" in failed.message
    assert servers[0] not in failed.message
    assert sessions.told(uuid, "maintenance.scheduled") == []


def test_or_they_are_done_without(site, sessions, manager):
    servers = site.servers("compute-1", 2, project_id="p-1")
    manager.start()
    site.engine_here(missing_constraints="default", **QUICK)

    uuid = sessions.create("compute-1", workflow="vnf")

    done(sessions, uuid)
    assert set(servers).isdisjoint(site.servers_on("compute-1"))


def test_a_project_that_refuses_one_of_them(
    site, sessions, manager, constrain
):
    servers = site.servers("compute-1", 2, project_id="p-1")
    constrain(servers)
    manager.refused.add(servers[1])
    manager.start()
    site.engine_here(**QUICK)

    uuid = sessions.create("compute-1", workflow="vnf")

    failed = sessions.ended(uuid)
    assert failed.state is S.MAINTENANCE_FAILED
    assert "Project p-1 refused PREPARE_MAINTENANCE for" in failed.message
    assert servers[1] in failed.message
    assert "busy" in failed.message
    # The other one has gone before.
    assert site.servers_on("compute-1") == servers[1:]


def test_a_group_that_bears_nothing_is_not_waited_for(
    site, sessions, manager, constrain
):
    constrain(
        site.servers("compute-1", 1, project_id="p-1"), max_impacted_members=0
    )
    manager.start()
    site.engine_here(**QUICK)

    uuid = sessions.create("compute-1", workflow="vnf")

    failed = sessions.ended(uuid)
    assert failed.state is S.MAINTENANCE_FAILED
    assert "max_impacted_members is 0" in failed.message
    assert asked_alone(sessions, uuid) == []


def test_a_reply_is_due_before_the_lead_time_is_over(
    site, sessions, manager, constrain
):
    servers = site.servers("compute-1", 1, project_id="p-1")
    constrain(servers, instance={"lead_time": 3})
    manager.silent |= set(servers)
    manager.start()
    site.engine_here(**QUICK)

    uuid = sessions.create("compute-1", workflow="vnf")

    failed = sessions.ended(uuid)
    assert failed.state is S.MAINTENANCE_FAILED
    assert "did not reply to PREPARE_MAINTENANCE for" in failed.message
    (told,) = asked_alone(sessions, uuid)
    assert told["reply_at"] < told["actions_at"]


def test_what_is_not_said_is_the_migration_type(
    site, sessions, manager, constrain
):
    servers = site.servers("compute-1", 1, project_id="p-1")
    constrain(servers, instance={"migration_type": "LIVE_MIGRATE"})
    manager.action = None
    manager.start()
    site.engine_here(**QUICK)

    uuid = sessions.create("compute-1", workflow="vnf")

    (one,) = done(sessions, uuid).instances or [None]
    assert sessions.moved() == 1
    assert one is None or one.action is InstanceAction.LIVE_MIGRATE


def test_an_instance_that_its_project_has_deleted_is_done(
    site, sessions, manager, constrain
):
    servers = site.servers("compute-1", 2, project_id="p-1")
    constrain(servers)
    manager.action = InstanceAction.OWN_ACTION
    manager.start()
    site.engine_here(**QUICK)

    uuid = sessions.create("compute-1", workflow="vnf")

    for _ in servers:
        one = eventually(manager.under_way, "one is waited for")[0]
        site.world.delete_server(site.world.servers[one])
        eventually(
            lambda gone=one: gone not in manager.under_way(),
            "its going is noticed",
        )
    done(sessions, uuid)
    assert manager.most == {"g": 1}


def test_exactly_as_many_are_named_as_the_group_can_spare(
    site, sessions, manager, constrain
):
    for host in ("compute-1", "compute-2"):
        site.room(**{host.replace("-", "_"): 2})
    for host in ("compute-3", "compute-4"):
        site.room(**{host.replace("-", "_"): 0})
    servers = site.servers("compute-1", 2, project_id="p-1")
    servers += site.servers("compute-2", 1, project_id="p-1")
    constrain(servers, max_impacted_members=1)
    sessions.silent.add(("p-1", "SCALE_IN"))
    manager.start()
    site.engine_here(**QUICK)

    uuid = sessions.create("compute-1", "compute-2", workflow="vnf")

    # compute-2 has one, and compute-1 no place for it.
    sessions.until(uuid, "SCALE_IN")
    named = eventually(lambda: listed(site, uuid), "some are named")
    assert len(named) == 1
    site.world.delete_server(site.world.servers[named[0]])
    sessions.reply(uuid, "p-1", "SCALE_IN")
    done(sessions, uuid)


def listed(site, uuid):
    row = models.MaintenanceInstance
    query = sa.select(row.instance_id).where(
        row.session_uuid == uuid, row.listed.is_(True), row.round > 1
    )
    with site.database.read_engine.connect() as connection:
        return list(connection.scalars(query))
