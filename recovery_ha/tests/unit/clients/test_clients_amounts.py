"""What hosts have of each resource class, and who takes it."""

from types import SimpleNamespace

import pytest

from recovery_ha.clients.placement import Placement
from recovery_ha.domain.ports import Amounts

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def placement(bind):
    return bind(Placement)


def test_all_classes_and_what_each_server_takes(placement, world):
    world.set_capacity("compute-1", VCPU=4, MEMORY_MB=4608, DISK_GB=100)
    servers = world.create_servers("compute-1", 2, flavor="small")
    found = placement.amounts("compute-1")
    takes = {"VCPU": 2, "MEMORY_MB": 2048, "DISK_GB": 20}
    assert found == Amounts(
        total={"VCPU": 16, "MEMORY_MB": 4096, "DISK_GB": 100},
        free={"VCPU": 12, "MEMORY_MB": 0, "DISK_GB": 60},
        largest={"VCPU": 4, "MEMORY_MB": 0, "DISK_GB": 60},
        taken=dict.fromkeys(servers, takes),
    )


def test_a_few_requests_for_the_cloud_and_two_per_host(placement, world):
    world.create_servers("compute-1", 30)
    for compute in list(world.computes):
        assert placement.amounts(compute.host) is not None
    counts = world.journal.counts()
    assert sum(counts["compute"].values()) == 1
    counts["placement"].pop("GET /")  # which versions there are
    assert sum(counts["placement"].values()) == 1 + 2 * 4


def test_a_host_that_nobody_knows_has_no_amounts(placement, world):
    assert placement.amounts("nowhere") is None
    world.faults.add(
        method="GET", path="/resource_providers/.*/inventories", status=404
    )
    assert placement.amounts("compute-1") is None


class Canned(Placement):
    """Placement with answers that the simulator does not give."""

    def __init__(self, trees, inventories, allocations):
        self._hypervisors = {"h": ["root"]}
        self._trees = trees
        self._offered = inventories
        self._allocations = allocations
        self._api = SimpleNamespace(inventories={})
        self.asked = []

    def _get(self, api, path, params=None):
        self.asked.append(path)
        if path == "/resource_providers":
            return {
                "resource_providers": [
                    {"uuid": one, "root_provider_uuid": root}
                    for one, root in self._trees.items()
                ]
            }
        _, _, uuid, kind = path.split("/")
        if kind == "inventories":
            return {
                "resource_provider_generation": 1,
                "inventories": {
                    name: {
                        "total": total,
                        "reserved": 0,
                        "max_unit": most,
                        "allocation_ratio": 1.0,
                    }
                    for name, (total, most) in self._offered[uuid].items()
                },
            }
        return {
            "allocations": {
                consumer: {"resources": resources}
                for consumer, resources in self._allocations.get(
                    uuid, {}
                ).items()
            },
            "resource_provider_generation": 1,
        }


def test_devices_below_a_host_count_as_one_instance_can_have_them():
    placement = Canned(
        {"root": "root", "gpu-1": "root", "gpu-2": "root", "other": "other"},
        {
            "root": {"VCPU": (8, 8)},
            "gpu-1": {"VGPU": (4, 1)},
            "gpu-2": {"VGPU": (3, 3)},
        },
        {"root": {"vm": {"VCPU": 2}}, "gpu-2": {"vm": {"VGPU": 1}}},
    )
    assert placement.amounts("h") == Amounts(
        total={"VCPU": 8, "VGPU": 7},
        # Four of which are no more than three on one, and one at a time.
        free={"VCPU": 6, "VGPU": 4},
        largest={"VCPU": 6, "VGPU": 2},
        taken={"vm": {"VCPU": 2, "VGPU": 1}},
    )


def test_of_too_many_devices_none_is_looked_at():
    below = [f"gpu-{number}" for number in range(9)]
    placement = Canned(
        {"root": "root", **dict.fromkeys(below, "root")},
        {"root": {"VCPU": (8, 8)}},
        {},
    )
    assert placement.amounts("h").free == {"VCPU": 8}
    assert len(placement.asked) == 3
