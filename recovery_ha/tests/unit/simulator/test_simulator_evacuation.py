"""Evacuation must go right and wrong exactly as in Nova."""

import pytest

from recovery_ha.simulator.errors import BadRequest, Conflict, NotFound
from recovery_ha.simulator.records import ServerGroup

VCPU = {"VCPU": 1, "MEMORY_MB": 64, "DISK_GB": 1}


def test_moves_the_server_and_completes_when_the_source_returns(
    world, down, evacuate
):
    [uuid] = world.create_servers("compute-1")
    server = world.servers[uuid]
    down("compute-1")
    record = evacuate(uuid)
    assert server.status == "REBUILD"
    assert server.host == "compute-1"
    assert record.status == "pre-migrating"
    world.wait(lambda: server.status == "ACTIVE")
    assert server.host == "compute-2"
    assert record.status == "pre-migrating", "done comes a moment later"
    world.wait(lambda: record.status == "done")
    assert world.allocations.of(uuid) == {
        "compute-1": VCPU,
        "compute-2": VCPU,
    }
    world.start("compute-1")
    world.wait(lambda: record.status == "completed")
    assert world.allocations.of(uuid) == {"compute-2": VCPU}
    assert world.computes.get("compute-2").guests == {uuid}


@pytest.mark.parametrize(
    ("vm_state", "stop", "status"),
    [
        ("active", False, "ACTIVE"),
        ("active", True, "SHUTOFF"),
        ("stopped", False, "SHUTOFF"),
        ("stopped", True, "SHUTOFF"),
        ("error", False, "ACTIVE"),
        ("error", True, "SHUTOFF"),
    ],
)
def test_how_a_server_ends(world, down, evacuate, vm_state, stop, status):
    [uuid] = world.create_servers("compute-1", vm_state=vm_state)
    server = world.servers[uuid]
    down("compute-1")
    evacuate(uuid, stop=stop)
    world.wait(
        lambda: server.host != "compute-1" and server.task_state is None
    )
    assert server.status == status


@pytest.mark.parametrize(
    "vm_state",
    ["paused", "suspended", "rescued", "resized", "shelved", "building"],
)
def test_states_that_are_refused(world, down, evacuate, vm_state):
    [uuid] = world.create_servers("compute-1", vm_state=vm_state)
    down("compute-1")
    with pytest.raises(Conflict) as error:
        evacuate(uuid)
    assert error.value.message == (
        f"Cannot 'evacuate' instance {uuid} while it is in vm_state {vm_state}"
    )


def test_needs_a_source_that_is_down(world, evacuate):
    [uuid] = world.create_servers("compute-1")
    with pytest.raises(BadRequest, match="compute-1 is still in use"):
        evacuate(uuid)
    world.computes.get("compute-1").forced_down = True
    evacuate(uuid)


def test_destinations_that_are_refused(world, down, evacuate):
    [uuid] = world.create_servers("compute-1")
    down("compute-1")
    with pytest.raises(BadRequest, match="can't be the same one"):
        evacuate(uuid, "compute-1")
    with pytest.raises(NotFound, match="Compute host nowhere not found"):
        evacuate(uuid, "nowhere")


def test_a_named_host_that_is_down_leaves_an_error_behind(
    world, down, evacuate
):
    [uuid] = world.create_servers("compute-1")
    server = world.servers[uuid]
    down("compute-1")
    down("compute-2")
    record = evacuate(uuid, "compute-2")
    assert record.status == "error"
    assert (server.status, server.host) == ("ERROR", "compute-1")
    assert "No valid host was found" in server.fault["message"]
    evacuate(uuid, "compute-3")
    world.wait(lambda: server.status == "ACTIVE")
    assert server.host == "compute-3"


def test_two_evacuations_of_one_server_destroy_it(world, down, evacuate):
    [uuid] = world.create_servers("compute-1")
    server = world.servers[uuid]
    down("compute-1")
    first, second = evacuate(uuid), evacuate(uuid)
    world.wait(lambda: server.status == "ERROR")
    assert (first.status, second.status) == ("failed", "accepted")
    assert server.host == "compute-1"
    assert list(world.allocations.of(uuid)) == ["compute-1"]
    world.start("compute-1")
    world.wait(lambda: world.up("compute-1"))
    world.wait(lambda: world.allocations.of(uuid) == {})
    assert not [c for c in world.computes if c.working or c.waiting]


@pytest.mark.parametrize("while_rebuilding", [False, True])
def test_the_message_outlives_the_death_of_the_destination(
    world, settings, down, evacuate, while_rebuilding
):
    settings.rebuild_seconds = 0.2
    [uuid] = world.create_servers("compute-1")
    server = world.servers[uuid]
    down("compute-1")
    if while_rebuilding:
        record = evacuate(uuid, "compute-2")
        assert record.status == "pre-migrating"
        world.kill("compute-2")
    else:
        world.kill("compute-2")
        record = evacuate(uuid, "compute-2", force=True)
    assert record.status == "accepted"
    assert (server.status, server.host) == ("REBUILD", "compute-1")
    world.start("compute-2")
    world.wait(lambda: record.status == "done")
    assert (server.status, server.host) == ("ACTIVE", "compute-2")


def test_an_old_message_breaks_a_server_recovered_elsewhere(
    world, down, evacuate
):
    [uuid] = world.create_servers("compute-1")
    server = world.servers[uuid]
    down("compute-1")
    evacuate(uuid, "compute-2")
    world.kill("compute-2")
    world.set_server(uuid, vm_state="active", task_state=None)
    second = evacuate(uuid, "compute-3")
    world.wait(lambda: second.status == "done")
    assert (server.status, server.host) == ("ACTIVE", "compute-3")
    world.start("compute-2")
    world.wait(lambda: server.status == "REBUILD")
    assert server.host == "compute-3"


def test_rebuilds_queue_at_the_destination(world, settings, down, evacuate):
    settings.rebuild_concurrency = 2
    uuids = world.create_servers("compute-1", 5)
    down("compute-1")
    records = [evacuate(uuid, "compute-2") for uuid in uuids]
    assert [r.status for r in records].count("pre-migrating") == 2
    assert [r.status for r in records].count("accepted") == 3
    most = 0

    def all_done():
        nonlocal most
        most = max(most, len(world.computes.get("compute-2").working))
        return all(record.status == "done" for record in records)

    world.wait(all_done)
    assert most == 2


def test_freezing_leaves_a_second_copy(world, evacuate):
    [uuid] = world.create_servers("compute-1")
    world.freeze("compute-1")
    world.wait(lambda: not world.up("compute-1"))
    record = evacuate(uuid)
    world.wait(lambda: record.status == "done")
    world.thaw("compute-1")
    assert world.up("compute-1")
    holders = [c.host for c in world.computes if uuid in c.guests]
    assert holders == ["compute-1", "compute-2"]
    assert record.status == "done"


def test_a_frozen_destination_finishes_after_the_thaw(world, down, evacuate):
    [uuid] = world.create_servers("compute-1")
    server = world.servers[uuid]
    down("compute-1")
    record = evacuate(uuid, "compute-2")
    world.freeze("compute-2")
    [work] = world.computes.get("compute-2").working
    world.wait(lambda: work.overdue)
    assert server.status == "REBUILD"
    world.thaw("compute-2")
    world.wait(lambda: record.status == "done")


def test_no_valid_host_when_all_are_full(world, settings, down, evacuate):
    settings.vcpus = 1
    world.reset(2, 0)
    [uuid] = world.create_servers("compute-1", flavor="large")
    down("compute-1")
    record = evacuate(uuid)
    assert record.status == "error"
    assert world.servers[uuid].status == "ERROR"


def test_anti_affinity_is_honoured(world, down, evacuate):
    world.reset(3, 0)
    group = _group(world, "anti-affinity")
    [one] = world.create_servers("compute-1", group=group)
    world.create_servers("compute-2", group=group)
    down("compute-1")
    assert evacuate(one).dest_compute == "compute-3"


def test_anti_affinity_can_leave_no_host(world, down, evacuate):
    world.reset(2, 0)
    group = _group(world, "anti-affinity")
    [one] = world.create_servers("compute-1", group=group)
    world.create_servers("compute-2", group=group)
    down("compute-1")
    assert evacuate(one).status == "error"


def _group(world, policy):
    group = ServerGroup("g", "g", policy, "p", "u")
    world.groups[group.uuid] = group
    return group.uuid


def test_injected_failure_and_stuck_rebuild(world, down, evacuate):
    bad, stuck, good = world.create_servers("compute-1", 3)
    world.faults.add(kind="rebuild", server=bad, message="No more disk")
    world.faults.add(kind="rebuild", server=stuck, result="stuck")
    down("compute-1")
    records = {uuid: evacuate(uuid) for uuid in (bad, stuck, good)}
    world.wait(lambda: records[good].status == "done")
    world.wait(lambda: records[bad].status == "failed")
    assert world.servers[bad].status == "ERROR"
    assert world.servers[bad].fault["message"] == "No more disk"
    assert list(world.allocations.of(bad)) == ["compute-1"]
    assert world.servers[stuck].status == "REBUILD"
    assert records[stuck].status == "pre-migrating"


def test_a_server_deleted_meanwhile(world, down, evacuate):
    [uuid] = world.create_servers("compute-1")
    down("compute-1")
    record = evacuate(uuid)
    world.delete_server(world.servers[uuid])
    world.wait(lambda: record.status == "failed")
    assert world.allocations.of(uuid) == {}
