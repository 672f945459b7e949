"""F42 to F45: much at once, and too little room."""

from recovery_ha.db import recovery
from recovery_ha.domain.recovery import (
    NotificationStatus,
    NotificationType,
    VMoveStatus,
)
from recovery_ha.tests.fixtures.site import new_report
from recovery_ha.tests.fixtures.waiting import eventually
from recovery_ha.tests.scenarios.invariants import assert_invariants

FINISHED, FAILED = NotificationStatus.FINISHED, NotificationStatus.FAILED
MARKED = {"metadata": {"HA_Enabled": "True"}}


def crashed(host, instance):
    """Return the report of an instance whose guest has ended."""
    return new_report(
        host,
        NotificationType.VM,
        event="LIFECYCLE",
        instance_uuid=instance,
        vir_domain_event="STOPPED_FAILED",
    )


def test_f42_partitioned_from_the_cloud(site, engine):
    """F42: it waits with a reason and counts no attempts."""
    servers = site.servers("compute-1", 2)
    for service in ("identity", "compute"):
        site.world.outages.begin(service)
    engine(read_retries=0, max_attempts=1, retry_delay=0)

    uuid = site.lose("compute-1")
    eventually(lambda: site.notification(uuid).attempts >= 3, "it tries")
    assert "503" in site.waits(uuid).message
    assert_invariants(site)
    site.world.outages.end()

    site.assert_recovered(uuid, servers)
    assert_invariants(site)


def test_f43_fifty_instances_crash_at_once(site, engine):
    """F43: every one of them is brought back, once."""
    servers = site.servers("compute-1", 50, **MARKED)
    for one in servers:
        site.world.crash(one)
    uuids = [
        recovery.create_notification(site.ctx, crashed("compute-1", one)).uuid
        for one in servers
    ]
    engine("alpha", verify_interval=0.2)

    for uuid in uuids:
        assert site.ended(uuid).status is FINISHED
    assert all(s.status == "ACTIVE" for s in site.world.servers.values())
    assert sorted(site.asked("os-start")) == servers
    assert site.servers_on("compute-1") == servers
    assert_invariants(site)


def test_f44_not_enough_room_for_all(site, engine):
    """F44: the HA-enabled ones first; who is left out is listed."""
    site.servers("compute-1", 4)
    marked = site.servers("compute-1", 2, **MARKED)
    for host in ("compute-3", "compute-4"):
        site.world.kill(host)
    site.world.set_capacity("compute-2", DISK_GB=3)
    engine(host_failure_recovery_threads=1, max_attempts=1)

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is FAILED
    assert "3 of 6 instances were not evacuated" in ended.message
    moves = site.moves(uuid)
    assert {m.instance_uuid for m in moves[:2]} == set(marked)
    assert [m.status is VMoveStatus.SUCCEEDED for m in moves] == (
        [True] * 3 + [False] * 3
    )
    for move in moves[3:]:
        assert "No valid host" in move.message
        assert move.instance_uuid in ended.message
    assert_invariants(site)


def test_f45_two_of_three_hosts_die(site, engine):
    """F45: the third takes everything."""
    site.world.remove_compute("compute-4")
    lost = {host: site.servers(host, 2) for host in ("compute-1", "compute-2")}
    for host in lost:
        site.world.kill(host)
    reports = {host: site.report(host) for host in lost}
    engine("alpha")
    engine("beta")

    for uuid in reports.values():
        site.ended(uuid)
    for host, servers in lost.items():
        site.assert_recovered(reports[host], servers, host)
    assert len(site.servers_on("compute-3")) == 4
    assert_invariants(site)
