"""Processes that end on a compute host."""

import pytest

from recovery_ha.domain.recovery import (
    MaintenanceCause,
    NotificationStatus,
    NotificationType,
)
from recovery_ha.tests.fixtures.waiting import eventually

FINISHED = NotificationStatus.FINISHED
TASKS = ["DisableComputeNodeTask", "ConfirmComputeNodeDisabledTask"]
REASON = "Masakari detected process failed."


def stopped(site, name="nova-compute", host="compute-1", event="STOPPED"):
    """Report a process; return the notification's uuid."""
    return site.report(
        host, kind=NotificationType.PROCESS, process_name=name, event=event
    )


def test_a_failed_nova_compute_keeps_instances_off_its_host(site):
    servers = site.servers("compute-1", 2)
    site.engine_here()

    uuid = stopped(site)

    ended = site.ended(uuid)
    assert ended.status is FINISHED
    assert ended.message == (
        "Compute service on compute-1 is disabled because nova-compute has"
        " failed. The compute service nova-compute on compute-1 is left"
        f" disabled (reason: {REASON}). When the host is in order: openstack"
        " compute service set --enable compute-1 nova-compute."
    )
    service = site.world.computes.get("compute-1")
    assert service.disabled
    assert service.disabled_reason == REASON
    assert site.tasks(uuid) == TASKS
    assert site.servers_on("compute-1") == servers
    assert not site.evacuations()
    host = site.host("compute-1")
    assert host.on_maintenance
    assert host.maintenance_cause is MaintenanceCause.PROCESS_FAILURE


def test_one_that_nova_sees_down_is_disabled_too(site):
    site.world.kill("compute-1")
    site.world.wait(lambda: not site.world.up("compute-1"))
    site.engine_here()

    assert site.ended(stopped(site)).status is FINISHED
    assert site.world.computes.get("compute-1").disabled


def test_one_that_is_disabled_already_keeps_its_reason(site):
    service = site.world.computes.get("compute-1")
    service.disabled, service.disabled_reason = True, "An operator's."
    site.engine_here()

    assert site.ended(stopped(site)).status is FINISHED
    assert service.disabled_reason == "An operator's."


@pytest.mark.parametrize(
    ("name", "event", "words"),
    [
        ("libvirtd", "STOPPED", "only nova-compute has a recovery"),
        ("nova-compute", "STARTED", "has started; nothing to do"),
        ("libvirtd", "STARTED", "has started; nothing to do"),
    ],
)
def test_others_end_without_touching_the_host(site, name, event, words):
    site.engine_here()

    ended = site.ended(stopped(site, name, event=event))

    assert ended.status is FINISHED
    assert words in ended.message
    assert not site.world.computes.get("compute-1").disabled
    assert not site.host("compute-1").on_maintenance


def test_the_host_may_fail_afterwards(site):
    servers = site.servers("compute-1", 2)
    site.engine_here()
    assert site.ended(stopped(site)).status is FINISHED

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    cause = site.host("compute-1").maintenance_cause
    assert cause is MaintenanceCause.HOST_FAILURE


def test_a_host_that_nova_does_not_know_fails_with_a_sentence(site):
    site.register_host("ghost")
    site.engine_here(max_attempts=1)

    ended = site.ended(stopped(site, host="ghost"))

    assert ended.status is NotificationStatus.FAILED
    assert "no compute service on a host named ghost" in ended.message


def test_a_service_that_stays_enabled_fails_the_recovery(site):
    site.fault(
        service="compute",
        method="PUT",
        path="/os-services/",
        status=500,
        message="Boom",
        times=None,
    )
    site.engine_here(wait_period_after_service_update=1, max_attempts=1)

    ended = site.ended(stopped(site))

    assert ended.status is NotificationStatus.FAILED
    assert "still shows the compute service" in ended.message


def test_nobody_waits_for_nova_to_ask_a_dead_service(site):
    """Nova answers only when its own call has timed out, after a minute."""
    held = site.hold(
        "after",
        {"service": "compute", "method": "PUT", "path": "/os-services/"},
    )
    site.engine_here()

    uuid = stopped(site)

    assert site.ended(uuid).status is FINISHED
    eventually(lambda: held.held, "Nova has not answered")
    site.world.faults.release(held.id)
