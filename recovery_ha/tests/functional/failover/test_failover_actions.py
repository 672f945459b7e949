"""kill -9 around every task and step of what an operator has asked for.

Another engine ends it; nothing is evacuated twice or after a cancel.
"""

import itertools
import signal

import pytest

from recovery_ha.domain.recovery import NotificationStatus, VMoveStatus
from recovery_ha.tests.fixtures.operating import (
    Operator,
    assert_released,
    assert_rolled_back,
    assert_settled,
)
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = pytest.mark.processes

WHEN = ("before", "after")
_ENGINE = "recovery_ha.engine.recovery"
#: The tasks of a host's recovery.
TASKS = {
    "disable": f"{_ENGINE}.tasks:DisableComputeServiceTask.execute",
    "prepare": f"{_ENGINE}.tasks:PrepareHAEnabledInstancesTask.execute",
    "evacuate": f"{_ENGINE}.evacuate:EvacuateInstancesTask.execute",
}
#: What an engine does when it is asked to stop a recovery.
STEPS = {
    "revert": f"{_ENGINE}.evacuate:EvacuateInstancesTask.revert",
    "give up": "recovery_ha.db.vmoves:give_up",
    "finish": "recovery_ha.db.owned:finish",
}
CANCEL = STEPS | {
    "unlock": f"{_ENGINE}.handler:release_locks",
    "settle": f"{_ENGINE}.handler:settle",
}
ROLLBACK = STEPS | {
    "lock host": f"{_ENGINE}.rollback:_other_recovery",
    "unlock": f"{_ENGINE}.rollback:release_locks",
    "settle": f"{_ENGINE}.rollback:settle",
    "service": f"{_ENGINE}.rollback:_undo_service",
    "host": "recovery_ha.db.hosts:restore_host",
}
#: All that is asked of an engine at any boundary.
OPTIONS = {"force_down": "always", "host_failure_recovery_threads": 2}


def table(*groups):
    """Return the cases: an action, and where its engine is killed."""
    return [
        pytest.param(action, when, target, id=f"{action}-{when} {name}")
        for action, targets in groups
        for (name, target), when in itertools.product(targets.items(), WHEN)
    ]


@pytest.fixture
def operator(site):
    return Operator(site)


@pytest.fixture
def dying(site):
    def dying(when, target, call=1):
        crash = ("KILL", when, target, str(call))
        return site.engine("dying", crash=crash, **OPTIONS).wait_ready()

    return dying


def assert_done(site, uuid, action, servers):
    """Show that what was asked for is done, everywhere, and only once."""
    assert_released(site, uuid)
    if action == "rollback":
        assert_rolled_back(site, uuid)
    else:
        assert "Cancelled" in site.notification(uuid).message
    assert_settled(site, servers)


@pytest.mark.parametrize(
    ("action", "when", "target"), table(("cancel", TASKS), ("rollback", TASKS))
)
def test_asked_for_where_its_engine_dies(
    site, operator, dying, action, when, target
):
    servers = site.servers("compute-1", 3)
    engine = dying(when, target)
    uuid = site.lose("compute-1")
    assert engine.wait_ended() == -signal.SIGKILL
    asked = site.asked("evacuate")

    assert operator.act(uuid, action)["status"] == "running"
    site.engine_here(**OPTIONS)

    assert_done(site, uuid, action, servers)
    assert site.asked("evacuate") == asked


@pytest.mark.parametrize(
    ("action", "when", "target"),
    table(("cancel", CANCEL), ("rollback", ROLLBACK)),
)
def test_killed_while_it_does_it(site, operator, dying, action, when, target):
    site.world.settings.rebuild_seconds = 2
    servers = site.servers("compute-1", 4)
    engine = dying(when, target)
    uuid = site.lose("compute-1")
    eventually(lambda: len(site.evacuations()) == 2, "two are under way")

    operator.act(uuid, action)
    assert engine.wait_ended() == -signal.SIGKILL
    site.engine_here(**OPTIONS)

    assert_done(site, uuid, action, servers)
    assert len(site.asked("evacuate")) == 2


@pytest.mark.parametrize(
    ("action", "when", "target"), table(("restart", TASKS))
)
def test_killed_while_it_goes_on(site, operator, dying, action, when, target):
    servers = site.servers("compute-1", 3)
    fault = site.fault(kind="rebuild", server=servers[1], times=None)
    first = site.engine_here("first", max_attempts=1, **OPTIONS)
    uuid = site.lose("compute-1")
    assert site.ended(uuid).status is NotificationStatus.FAILED
    first.stop()
    site.world.faults.remove(fault.id)

    engine = dying(when, target)
    operator.act(uuid, action)
    assert engine.wait_ended() == -signal.SIGKILL
    site.engine_here("heir", **OPTIONS)

    eventually(
        lambda: site.notification(uuid).status is NotificationStatus.FINISHED,
        "it is recovered",
    )
    assert {m.status for m in site.moves(uuid)} == {VMoveStatus.SUCCEEDED}
    assert site.evacuations() == {
        u: 2 if u == servers[1] else 1 for u in servers
    }
    assert site.locks() == 0
    assert not any(s.locked for s in site.world.servers.values())
