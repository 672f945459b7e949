"""kill -9 before, while and after the owner of a recovery acts.

Another engine goes on; no instance is evacuated twice, none is left behind.
"""

import signal

import pytest

from recovery_ha.domain.recovery import NotificationStatus
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.site import STOPPED
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = pytest.mark.processes

DISABLE = {"method": "PUT", "path": "/os-services/"}
SERVERS = {"method": "GET", "path": "/servers/detail"}
RECORDS = {"method": "GET", "path": "/os-migrations"}

#: What becomes of the request that was under way when its sender died.
LOST = {"when": "before", "hold": True, "drop": True}
LATE = {"when": "before", "hold": True}
DONE = {"when": "after", "hold": True}
FATES = pytest.mark.parametrize(
    "fate", [LOST, LATE, DONE], ids=["lost", "late", "done"]
)

FINISH = "recovery_ha.db.owned:finish"
CREATE = "recovery_ha.db.vmoves:create_vmoves"
CHANGE = "recovery_ha.db.vmoves:transition_vmoves"
COMMIT = "sqlalchemy.engine.default:DefaultDialect.do_commit"


def kill_owner_at(site, uuid, fault):
    """Kill the owner while a fault holds its request; let that go then."""
    site.held(fault)
    site.owning_daemon(uuid).kill9()
    site.world.faults.release(fault.id)


@pytest.fixture
def engines(site):
    return [site.engine(name) for name in ("alpha", "beta")]


@pytest.mark.parametrize("backend", BACKENDS)
@FATES
@pytest.mark.parametrize(
    ("lock", "changes"),
    [
        ("always", ("lock", "evacuate", "unlock")),
        ("when_needed", ("evacuate",)),
    ],
)
def test_killed_at_each_change(site, fate, lock, changes):
    site.world.settings.rebuild_seconds = 3  # longer than a lease
    servers = site.servers("compute-1", 3)
    actions = [{"action": action, "server": servers[1]} for action in changes]
    faults = [site.fault(**asked, **fate) for asked in (DISABLE, *actions)]
    site.engine("engine-0", lock_instances=lock)

    uuid = site.lose("compute-1")
    for number, held in enumerate(faults, start=1):
        site.engine(f"engine-{number}", lock_instances=lock)
        kill_owner_at(site, uuid, held)

    site.assert_recovered(uuid, servers)
    assert site.notification(uuid).attempts == 1


@FATES
@pytest.mark.usefixtures("engines")
def test_killed_at_an_evacuation_in_the_middle(site, fate):
    servers = site.servers("compute-1", 4)
    held = site.fault(action="evacuate", server=servers[2], **fate)

    uuid = site.lose("compute-1")
    kill_owner_at(site, uuid, held)

    site.assert_recovered(uuid, servers)


@FATES
def test_killed_at_the_first_evacuation(site, fate):
    for name in ("alpha", "beta"):
        site.engine(name, host_failure_recovery_threads=1)
    servers = site.servers("compute-1", 3)
    held = site.fault(action="evacuate", **fate)

    uuid = site.lose("compute-1")
    kill_owner_at(site, uuid, held)

    site.assert_recovered(uuid, servers)


@pytest.mark.parametrize("reading", [SERVERS, RECORDS], ids=["list", "look"])
@pytest.mark.usefixtures("engines")
def test_killed_at_a_look(site, reading):
    servers = site.servers("compute-1", 3)
    held = site.fault(**reading, **LOST)

    uuid = site.lose("compute-1")
    kill_owner_at(site, uuid, held)

    site.assert_recovered(uuid, servers)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_the_last_write(site, backend, when):
    dying = site.engine(
        "dying", crash=("KILL", when, FINISH, "1"), lock_instances="always"
    ).wait_ready()
    servers = site.servers("compute-1", 2)

    uuid = site.lose("compute-1")
    dying.wait_ended()
    site.engine("heir")

    site.assert_recovered(uuid, servers)
    assert len(site.asked("lock")) == 2


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("when", "write", "call"),
    [
        ("before", CREATE, 1),
        ("after", CREATE, 1),
        ("after", CHANGE, 1),
        ("before", CHANGE, 4),
        ("before", COMMIT, 4),
        ("after", COMMIT, 9),
        ("before", COMMIT, 13),
        ("before", COMMIT, 30),
    ],
)
def test_killed_at_a_write(site, when, write, call):
    crash = ("KILL", when, write, str(call))
    # One after the other: that makes for a write of each at least.
    dying = site.engine(
        "dying", crash=crash, host_failure_recovery_threads=1
    ).wait_ready()
    servers = site.servers("compute-1", 3)

    uuid = site.lose("compute-1")
    assert site.owner(uuid) == "dying"
    site.engine("heir")

    assert dying.wait_ended() == -signal.SIGKILL
    site.assert_recovered(uuid, servers)


def test_work_waits_for_an_engine_when_all_are_dead(site, engines):
    servers = site.servers("compute-1", 3)
    held = site.fault(action="evacuate", server=servers[0], **LATE)

    first = site.lose("compute-1")
    site.held(held)
    for engine in engines:
        engine.kill9()
    site.world.faults.release(held.id)
    second = site.report("compute-2", **STOPPED | {"event": "STARTED"})
    assert site.notification(first).status is NotificationStatus.RUNNING
    assert site.notification(second).status is NotificationStatus.NEW
    site.engine("gamma")

    site.assert_recovered(first, servers)
    site.ended(second)


@pytest.mark.usefixtures("engines")
def test_killed_while_nova_rebuilds(site):
    site.world.settings.rebuild_seconds = 3
    servers = site.servers("compute-1", 3)

    uuid = site.lose("compute-1")
    eventually(lambda: len(site.evacuations()) == 3, "all are under way")
    site.owning_daemon(uuid).kill9()

    site.assert_recovered(uuid, servers)
    assert sorted(site.asked("evacuate")) == servers
