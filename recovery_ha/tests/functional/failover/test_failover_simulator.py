"""Nothing in this process: two engines and ``recovery-ha-simulator``."""

import re
from collections import Counter

import pytest

from recovery_ha.domain.recovery import NotificationStatus
from recovery_ha.simulator.control_client import ControlClient
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.processes import Daemon, write_config
from recovery_ha.tests.fixtures.site import QUICK_CLOUD
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = pytest.mark.processes


@pytest.fixture
def cloud(site):
    """The control interface of a simulator that the engines work with."""
    options = QUICK_CLOUD | {"port": 0, "rebuild_seconds": 3}
    path = write_config(
        site.directory / "simulator.conf", {"simulator": options}
    )
    daemon = Daemon("simulator", "simulator", path, ready="USER_DOMAIN")
    site.daemons.append(daemon)
    found = re.search(r"ready at (\S+) ", daemon.wait_ready().log.read_text())
    assert found is not None
    site.auth_url = f"{found[1]}/identity/v3"
    with ControlClient(found[1]) as control:
        yield control


def held(cloud, fault):
    eventually(lambda: cloud.fault(fault)["held"], "the request is held")


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_is_frozen_and_the_other_killed(site, cloud):
    for name in ("alpha", "beta"):
        site.engine(name, lock_instances="always").wait_ready()
    servers = sorted(cloud.create_servers("compute-1", 4))
    locking, evacuating = [
        cloud.add_fault(
            action=action, server=servers[2], when="after", hold=True
        )
        for action in ("lock", "evacuate")
    ]

    cloud.kill("compute-1")
    uuid = site.report("compute-1")
    held(cloud, locking)
    frozen = site.owning_daemon(uuid)
    site.freeze(frozen)
    cloud.release(locking)
    held(cloud, evacuating)
    killed = site.owning_daemon(uuid)
    assert killed is not frozen
    frozen.thaw()
    killed.kill9()
    cloud.release(evacuating)

    assert site.ended(uuid).status is NotificationStatus.FINISHED
    asked = cloud.log(action="evacuate")
    assert Counter(call["server"] for call in asked) == Counter(servers)
    assert not any(move.locked_by_us for move in site.moves(uuid))
    assert site.locks() == 0
    for server in cloud.servers():
        assert server["host"] != "compute-1"
        assert server["status"] == "ACTIVE"
        assert not server["locked"]
