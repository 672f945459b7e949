"""Moves between living hosts, as maintenance asks Nova for them."""

from datetime import UTC, datetime, timedelta

import pytest

from recovery_ha.clients.compute import Compute
from recovery_ha.domain import errors
from recovery_ha.domain.ports import NovaService, ServerGroup
from recovery_ha.simulator.records import ServerGroup as Group

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(autouse=True)
def quick(world):
    world.settings.migrate_seconds = 0.05
    yield
    world.settings.controllers = 1


@pytest.fixture
def compute(bind):
    return bind(Compute)


def ended(world):
    return all(
        one.status in {"completed", "finished", "cancelled", "error"}
        for one in world.migrations
    )


def test_a_server_is_moved_while_it_runs(compute, world):
    (server,) = world.create_servers("compute-1")
    compute.live_migrate_server(server)
    world.wait(lambda: ended(world))
    (found,) = compute.list_migrations("compute-1")
    assert (found.type, found.status) == ("live-migration", "completed")
    assert found.instance_uuid == server
    assert found.dest_compute == world.servers[server].host != "compute-1"


def test_a_server_is_moved_cold_and_confirmed(compute, world):
    (server,) = world.create_servers("compute-1", vm_state="stopped")
    compute.migrate_server(server)
    world.wait(lambda: ended(world))
    assert world.servers[server].status == "VERIFY_RESIZE"
    compute.confirm_migration(server)
    assert world.servers[server].status == "SHUTOFF"
    (found,) = compute.list_migrations("compute-1", "migration")
    assert found.status == "confirmed"
    with pytest.raises(errors.ComputeConflict, match="Cannot 'confirmResize'"):
        compute.confirm_migration(server)


@pytest.mark.parametrize("name", ["live_migrate_server", "migrate_server"])
def test_to_a_host_that_is_named(compute, world, name):
    (server,) = world.create_servers("compute-1")
    getattr(compute, name)(server, "compute-4")
    world.wait(lambda: ended(world))
    assert world.servers[server].host == "compute-4"


def test_a_stopped_server_is_not_moved_while_it_runs(compute, world):
    (server,) = world.create_servers("compute-1", vm_state="stopped")
    with pytest.raises(errors.ComputeConflict, match="vm_state stopped"):
        compute.live_migrate_server(server)


def test_a_live_migration_is_aborted(compute, world):
    (server,) = world.create_servers("compute-1")
    world.faults.add(kind="migration", result="stuck")
    compute.live_migrate_server(server)
    (found,) = compute.list_migrations("compute-1")
    assert found.status == "running"
    compute.abort_live_migration(server, found.id)
    (found,) = compute.list_migrations("compute-1")
    assert found.status == "cancelled"
    assert world.servers[server].host == "compute-1"
    with pytest.raises(errors.ComputeNotFound):
        compute.abort_live_migration(server, found.id)


def test_records_of_a_host_by_type_and_time_page_by_page(compute, world):
    world.settings.page_limit = 2
    servers = world.create_servers("compute-1", 3)
    for server in servers:
        compute.live_migrate_server(server)
    world.wait(lambda: ended(world))
    (other,) = world.create_servers("compute-2")
    compute.migrate_server(other)
    (cold,) = world.create_servers("compute-1")
    compute.migrate_server(cold)

    found = compute.list_migrations("compute-1")
    assert {one.instance_uuid for one in found} == {*servers, cold}
    found = compute.list_migrations("compute-1", "live-migration")
    assert {one.instance_uuid for one in found} == {*servers}
    later = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)
    assert compute.list_migrations("compute-1", since=later) == []
    assert compute.list_evacuations("compute-1") == []


@pytest.mark.parametrize(
    ("method", "kind", "action"),
    [
        ("live_migrate_server", "migration", "live-migration"),
        ("migrate_server", "cold-migration", "migrate"),
    ],
)
def test_novas_own_words_on_a_failure(compute, world, method, kind, action):
    (server,) = world.create_servers("compute-1")
    assert compute.find_failure(server, action) is None
    world.faults.add(kind=kind, result="error", message="Disk is full")
    getattr(compute, method)(server)
    world.wait(lambda: ended(world))
    assert compute.find_failure(server, action) == "Disk is full"
    assert compute.find_failure(server, "reboot") is None


def test_what_would_explain_a_failure_is_no_failure(compute, world):
    assert compute.find_failure("unheard-of", "migrate") is None


def test_services_of_all_binaries(compute, world):
    world.settings.controllers = 2
    found = compute.list_all_services()
    assert all(isinstance(one, NovaService) for one in found)
    assert len({one.id for one in found}) == len(found) == 4 + 2 * 2
    hosts = {one.host for one in found if one.binary == "nova-conductor"}
    assert hosts == {"controller", "controller-2"}
    assert {one.host for one in found if one.binary == "nova-compute"} == {
        f"compute-{number}" for number in range(1, 5)
    }
    assert all(one.up and one.enabled for one in found)


def test_server_groups_of_all_projects_page_by_page(compute, world):
    world.settings.page_limit = 2
    for number in range(5):
        group = Group(
            f"g-{number}",
            f"group {number}",
            "anti-affinity",
            f"p-{number}",
            "u",
            {"max_server_per_host": 3} if number == 4 else {},
        )
        world.groups[group.uuid] = group
    (server,) = world.create_servers("compute-1")
    world.servers[server].group = "g-2"
    found = compute.list_server_groups()
    assert [one.id for one in found] == [f"g-{n}" for n in range(5)]
    assert found[2] == ServerGroup(
        "g-2", "group 2", "anti-affinity", (server,), 1
    )
    assert found[4].max_per_host == 3


def test_nothing_is_sent_for_work_that_was_lost(compute, world, work):
    (server,) = world.create_servers("compute-1")
    work.refusal = errors.LeaseLost("gone")
    for ask in (
        compute.live_migrate_server,
        compute.migrate_server,
        compute.confirm_migration,
        lambda one: compute.abort_live_migration(one, 1),
    ):
        with pytest.raises(errors.LeaseLost):
            ask(server)
    assert list(world.migrations) == []
