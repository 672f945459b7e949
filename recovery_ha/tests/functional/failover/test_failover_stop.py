"""SIGTERM: what is under way is handed over, and nothing waits for a lease."""

import pytest

from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = pytest.mark.processes

#: So long that a test which waits for its end is out of time.
LONG_LEASE = 300


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_other_engine_goes_on_at_once(site):
    site.world.settings.rebuild_seconds = 4
    servers = site.servers("compute-1", 3)
    for name in ("alpha", "beta"):
        site.engine(name, lease_seconds=LONG_LEASE).wait_ready()

    uuid = site.lose("compute-1")
    eventually(lambda: len(site.evacuations()) == 3, "all are under way")
    owner = site.owning_daemon(uuid)
    owner.terminate()

    assert owner.wait_ended() == 0
    site.assert_recovered(uuid, servers)
    assert sorted(site.asked("evacuate")) == servers


def test_a_request_under_way_is_awaited(site):
    servers = site.servers("compute-1", 3)
    held = site.hold("before", {"action": "evacuate", "server": servers[1]})
    stopping = site.engine(
        "stopping", lease_seconds=LONG_LEASE, stop_timeout=60
    ).wait_ready()

    uuid = site.lose("compute-1")
    site.held(held)
    stopping.terminate()
    site.engine("heir").wait_ready()
    assert stopping.alive
    site.world.faults.release(held.id)

    assert stopping.wait_ended() == 0
    site.assert_recovered(uuid, servers)
    assert sorted(site.asked("evacuate")) == servers


def test_a_request_without_end_is_left_to_the_lease(site):
    servers = site.servers("compute-1", 2)
    held = site.hold("after", {"action": "evacuate", "server": servers[0]})
    stopping = site.engine("stopping", stop_timeout=1).wait_ready()

    uuid = site.lose("compute-1")
    site.held(held)
    stopping.terminate()

    assert stopping.wait_ended() == 0
    site.engine("heir")
    site.assert_recovered(uuid, servers)
    site.world.faults.release(held.id)


def test_an_idle_engine_ends(site):
    engine = site.engine("idle").wait_ready()

    eventually(lambda: engine.said("works"), "it works")
    engine.terminate()

    assert engine.wait_ended() == 0
    assert engine.said("has stopped")
