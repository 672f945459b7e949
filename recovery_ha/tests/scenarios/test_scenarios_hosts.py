"""F32 to F37: hosts that come back, hang, flap, or are not dead at all."""

import contextlib

from recovery_ha.domain import errors
from recovery_ha.domain.recovery import NotificationStatus, VMoveStatus
from recovery_ha.tests.fixtures.site import STOPPED
from recovery_ha.tests.fixtures.waiting import eventually
from recovery_ha.tests.scenarios.invariants import (
    all_notifications,
    assert_invariants,
)

FAILED, IGNORED = NotificationStatus.FAILED, NotificationStatus.IGNORED
FINISHED = NotificationStatus.FINISHED


def test_f32_the_host_returns_before_the_evacuation(site, engine):
    """F32: nothing is evacuated, and it ends cleanly."""
    site.world.settings.down_time_seconds = 60
    servers = site.servers("compute-1", 2)
    engine(wait_period_after_service_update=1, max_attempts=1)

    uuid = site.lose("compute-1")
    site.world.start("compute-1")

    ended = site.ended(uuid)
    assert ended.status is FAILED
    assert "instances of a living host are not evacuated" in ended.message
    assert not site.asked("evacuate")
    assert site.servers_on("compute-1") == servers
    with site.world.lock:
        assert site.world.computes.get("compute-1").disabled
    assert (
        "The compute service nova-compute on compute-1 is left disabled"
        " (reason: Masakari detected host failed.). Nova sees it up."
        " When the host is in order: openstack compute service set --enable"
        " compute-1 nova-compute."
    ) in ended.message
    assert_invariants(site)


def test_f33_the_host_returns_in_mid_evacuation(site, engine):
    """F33: what is under way ends elsewhere; nothing runs twice."""
    site.world.settings.rebuild_seconds = 1
    servers = site.servers("compute-1", 4)
    engine(
        host_failure_recovery_threads=2,
        max_attempts=2,
        wait_period_after_service_update=1,
    )

    uuid = site.lose("compute-1")
    eventually(lambda: len(site.evacuations()) == 2, "two are under way")
    site.world.start("compute-1")

    ended = site.ended(uuid)
    assert ended.status is FAILED
    assert "instances of a living host are not evacuated" in ended.message
    moves = site.moves(uuid)
    assert [m.status is VMoveStatus.SUCCEEDED for m in moves] == (
        [True] * 2 + [False] * 2
    )
    assert site.servers_on("compute-1") == servers[2:]
    assert site.evacuations() == dict.fromkeys(servers[:2], 1)
    assert_invariants(site, host_returns=True)


def test_f35_only_the_management_network_is_lost(site, engine):
    """F35: a report that is not sure, and a host that Nova sees up."""
    servers = site.servers("compute-1", 2)
    engine(wait_period_after_service_update=1, max_attempts=1)
    unsure = STOPPED | {"host_status": "UNKNOWN"}

    uuid = site.report("compute-1", **unsure)

    assert site.ended(uuid).status is IGNORED
    assert "unsafe" in site.ended(uuid).message
    assert site.world.journal.calls() == []
    assert site.servers_on("compute-1") == servers
    assert_invariants(site)


def test_f36_storage_is_lost_and_the_host_alive(site, engine):
    """F36: as long as Nova sees the host up, nothing is evacuated."""
    servers = site.servers("compute-1", 2)
    engine(wait_period_after_service_update=1, max_attempts=2)

    uuid = site.report("compute-1")

    ended = site.ended(uuid)
    assert ended.status is FAILED
    assert "still sees the compute service on compute-1 up" in ended.message
    assert not site.asked("evacuate")
    assert site.servers_on("compute-1") == servers
    assert_invariants(site)


def test_f37_a_flapping_host(site, engine):
    """F37: its reports are one incident, its instances are moved once."""
    site.world.settings.rebuild_seconds = 1
    servers = site.servers("compute-1", 3)
    first = site.lose("compute-1")
    engine("alpha")
    engine("beta")

    refused = 0
    for number in range(4):
        site.world.start("compute-1")
        with contextlib.suppress(errors.Conflict):
            site.report("compute-1", **STOPPED | {"event": "STARTED"})
        site.world.kill("compute-1")
        try:
            site.report("compute-1", **STOPPED | {"x": str(number)})
        except errors.Conflict:
            refused += 1

    assert site.ended(first).message
    ended = [site.ended(one.uuid) for one in all_notifications(site)]
    recovered = [one for one in ended if one.attempts and not one.joined_to]
    assert len(recovered) == 1
    assert refused or any(one.joined_to for one in ended)
    assert all(count == 1 for count in site.evacuations().values())
    assert set(site.evacuations()) <= set(servers)
    assert_invariants(site, host_returns=True)
