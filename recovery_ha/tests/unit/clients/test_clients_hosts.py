"""Services and aggregates of hosts, and the room that is left on them."""

import math

import pytest

from recovery_ha.clients.compute import Compute
from recovery_ha.clients.placement import Placement
from recovery_ha.domain import errors
from recovery_ha.domain.ports import Aggregate, Capacity
from recovery_ha.simulator.records import Aggregate as Record

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def compute(bind):
    return bind(Compute)


@pytest.fixture
def placement(bind):
    return bind(Placement)


def add_aggregate(world, number, *hosts, zone=None):
    world.aggregates[number] = Record(number, f"a-{number}", zone, [*hosts])


# Services


def test_a_service_is_enabled_again(compute):
    service = compute.find_service("compute-1")
    compute.disable_service(service.id, "It failed.")
    compute.enable_service(service.id)
    service = compute.find_service("compute-1")
    assert service.enabled
    assert service.disabled_reason is None


def test_forced_down_is_cleared_when_the_host_has_started(compute, world):
    (uuid,) = world.create_servers("compute-1")
    service = compute.find_service("compute-1")
    world.kill("compute-1")
    compute.force_service_down(service.id)
    compute.evacuate_server(uuid, None)
    world.wait(lambda: all(m.status == "done" for m in world.migrations))
    with pytest.raises(errors.ComputeError, match="`done` evacuation") as e:
        compute.clear_forced_down(service.id)
    assert e.value.status == 400
    world.start("compute-1")
    world.wait(lambda: all(m.status == "completed" for m in world.migrations))
    compute.clear_forced_down(service.id)
    service = compute.find_service("compute-1")
    assert (service.forced_down, service.up) == (False, True)


# Aggregates


def test_hosts_come_into_and_out_of_aggregates(compute, world):
    assert compute.list_aggregates() == []
    add_aggregate(world, 3, "compute-1")
    add_aggregate(world, 5)
    for _ in range(2):
        compute.add_to_aggregate(3, "compute-2")
    assert compute.list_aggregates() == [
        Aggregate(3, "a-3", ("compute-1", "compute-2")),
        Aggregate(5, "a-5", ()),
    ]
    for _ in range(2):
        compute.remove_from_aggregate(3, "compute-1")
    assert compute.list_aggregates()[0].hosts == ("compute-2",)


def test_nothing_is_missing_from_an_aggregate_that_is_gone(compute):
    compute.remove_from_aggregate(9, "compute-1")
    with pytest.raises(errors.ComputeNotFound, match="Aggregate 9"):
        compute.add_to_aggregate(9, "compute-1")


def test_no_aggregate_takes_a_host_that_is_not_there(compute, world):
    add_aggregate(world, 3)
    with pytest.raises(errors.ComputeNotFound, match="Compute host nowhere"):
        compute.add_to_aggregate(3, "nowhere")


def test_a_conflict_of_zones_is_not_taken_for_done(compute, world):
    add_aggregate(world, 3, "compute-1", zone="east")
    add_aggregate(world, 5, zone="west")
    with pytest.raises(errors.ComputeConflict, match="already in availabil"):
        compute.add_to_aggregate(5, "compute-1")
    world.create_servers("compute-2")
    with pytest.raises(errors.ComputeConflict, match="would change"):
        compute.add_to_aggregate(5, "compute-2")


def test_a_host_that_nova_cannot_remove_is_not_taken_for_gone(compute, world):
    add_aggregate(world, 3, "compute-1")
    world.faults.add(action="remove_host", status=404, message="No service.")
    with pytest.raises(errors.ComputeNotFound, match="No service"):
        compute.remove_from_aggregate(3, "compute-1")


# Room


def test_what_is_free_is_what_all_servers_leave(placement, world):
    # Four times the processors, and 512 MiB for the host itself.
    world.set_capacity("compute-1", VCPU=4, MEMORY_MB=4608, DISK_GB=100)
    world.create_servers("compute-1", 2, flavor="small")
    assert placement.free("compute-1") == Capacity(12.0, 0.0, 60.0)
    world.set_capacity("compute-1", VCPU=1, MEMORY_MB=4096)
    assert placement.free("compute-1") == Capacity(0.0, -512.0, 60.0)


def test_disks_elsewhere_do_not_run_out(placement, world):
    world.set_capacity("compute-1", DISK_GB=None)
    world.create_servers("compute-1")
    assert placement.free("compute-1").disk_gb == math.inf


def test_a_provider_is_not_found_by_its_name(placement, world):
    world.settings.hypervisor_suffix = ".example.org"
    world.reset(2, 0)
    assert placement.free("compute-2").vcpus == 4000
    assert placement.free("compute-2.example.org") is None


def test_hypervisors_are_listed_once_over_all_pages(placement, world):
    world.settings.page_limit = 2
    hosts = [compute.host for compute in world.computes]
    assert None not in map(placement.free, hosts)
    counts = world.journal.counts()["compute"]
    assert counts == {"GET /os-hypervisors/detail": 3}


def test_a_host_that_placement_does_not_know_is_none(placement, world):
    world.faults.add(
        service="placement", path="inventories", status=404, times=None
    )
    assert placement.free("compute-1") is None


def test_an_evacuation_takes_room(compute, placement, world):
    (uuid,) = world.create_servers("compute-1", flavor="large")
    before = placement.free("compute-2")
    world.kill("compute-1")
    world.wait(lambda: not world.up("compute-1"))
    compute.evacuate_server(uuid, "compute-2")
    world.wait(lambda: world.servers[uuid].host == "compute-2")
    after = placement.free("compute-2")
    assert before.vcpus - after.vcpus == 8
    assert before.memory_mb - after.memory_mb == 16384


def test_an_outage_is_named_after_the_service(bind, world, work):
    placement = bind(Placement, read_retries=2)
    placement.free("compute-1")
    world.outages.begin("placement", 503)
    with pytest.raises(errors.ComputeUnavailable) as caught:
        placement.free("compute-1")
    assert str(caught.value) == "Placement answered 503: Service Unavailable"
    assert len(work.slept) == 2


def test_an_outage_that_ends_is_waited_for(placement, world, work):
    world.faults.add(service="placement", status=503, times=2, method="GET")
    assert placement.free("compute-1") is not None
    assert world.faults.all()[0].hits == 2
