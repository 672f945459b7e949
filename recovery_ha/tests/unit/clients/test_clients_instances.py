"""What single servers are, what is done to them, and what was."""

from datetime import UTC, datetime, timedelta

import pytest

from recovery_ha.clients.compute import Compute
from recovery_ha.domain import errors
from recovery_ha.domain.ports import Flavor

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def compute(bind):
    return bind(Compute)


@pytest.fixture
def server(world):
    (uuid,) = world.create_servers("compute-1", user_id="their-user")
    return uuid


@pytest.fixture
def our_user(world):
    return world.identity.user("service").id


def test_a_server_says_whose_it_is_and_what_it_takes(compute, world):
    world.add_flavor("big", vcpus=4, ram=8192, disk=40)
    (uuid,) = world.create_servers(
        "compute-1",
        flavor="big",
        project_id="their-project",
        user_id="their-user",
        extra_specs={"ha:group": "db"},
    )
    server = compute.find_server(uuid)
    assert (server.project_id, server.user_id) == (
        "their-project",
        "their-user",
    )
    assert server.flavor == Flavor("big", 4, 8192, 40, {"ha:group": "db"})
    assert server.image_id == world.images.all()[0].id
    assert compute.list_servers("compute-1") == [server]


def test_a_server_on_a_volume_has_no_image_and_takes_no_disk(compute, world):
    (uuid,) = world.create_servers("compute-1", image_id=None)
    server = compute.find_server(uuid)
    assert server.image_id is None
    assert server.flavor.disk_gb == 0


def test_a_stopped_server_is_started(compute, world, server):
    world.set_server(server, vm_state="stopped")
    compute.start_server(server)
    world.wait(lambda: world.servers[server].vm_state == "active")
    with pytest.raises(errors.ComputeConflict, match="Cannot 'start'"):
        compute.start_server(server)


@pytest.mark.parametrize(
    "vm_state", ["active", "stopped", "paused", "suspended", "error"]
)
def test_a_hard_reboot_ends_active(compute, world, server, vm_state):
    world.set_server(server, vm_state=vm_state)
    compute.reboot_server(server)
    world.wait(lambda: world.servers[server].status == "ACTIVE")
    call = world.journal.calls()[-1]
    assert call.body == {"reboot": {"type": "HARD"}}


def test_a_crashed_guest_is_stopped_and_started(compute, world, server):
    world.crash(server)
    found = compute.find_server(server)
    assert (found.vm_state, found.power_state) == ("active", 4)
    compute.stop_server(server)
    world.wait(lambda: world.servers[server].vm_state == "stopped")
    compute.start_server(server)
    world.wait(lambda: world.servers[server].vm_state == "active")
    assert compute.find_server(server).power_state == 1


# What was done


def test_actions_are_listed_the_newest_first(compute, world, server, our_user):
    compute.stop_server(server)
    world.wait(lambda: world.servers[server].vm_state == "stopped")
    compute.start_server(server)
    world.wait(lambda: world.servers[server].vm_state == "active")
    compute.reboot_server(server)
    found = compute.list_actions(server)
    assert [(one.action, one.user_id) for one in found] == [
        ("reboot", our_user),
        ("start", our_user),
        ("stop", our_user),
        ("create", "their-user"),
    ]
    assert our_user == compute.user_id()
    assert len({one.request_id for one in found}) == 4
    age = datetime.now(UTC).replace(tzinfo=None) - found[0].start_time
    assert abs(age) < timedelta(minutes=1)


def test_what_nova_did_by_itself_has_no_user(compute, world, server):
    world.crash(server, noticed=True)
    found = compute.find_server(server)
    assert (found.vm_state, found.power_state) == ("stopped", 4)
    newest = compute.list_actions(server)[0]
    assert (newest.action, newest.user_id) == ("stop", None)


def test_a_refused_action_is_not_recorded(compute, server):
    with pytest.raises(errors.ComputeConflict):
        compute.start_server(server)
    assert [a.action for a in compute.list_actions(server)] == ["create"]


def test_actions_are_listed_over_all_pages(compute, world, server):
    for _ in range(5):
        compute.lock_server(server, "-")
        compute.unlock_server(server)
    world.settings.page_limit = 3
    world.journal.clear_counts()
    found = compute.list_actions(server)
    assert [one.action for one in found] == [*["unlock", "lock"] * 5, "create"]
    ((_, pages),) = world.journal.counts()["compute"].items()
    assert pages == 4


def test_the_actions_of_a_deleted_server_are_kept(compute, world, server):
    world.delete_server(world.servers[server])
    assert [a.action for a in compute.list_actions(server)] == ["create"]
    with pytest.raises(errors.ComputeNotFound, match="could not be found"):
        compute.list_actions("11111111-2222-3333-4444-555555555555")


def test_who_we_are_is_asked_again_when_keystone_fails(
    compute, world, work, our_user
):
    world.faults.add(service="identity", status=503, times=1)
    assert compute.user_id() == our_user
    assert len(work.slept) == 1
