"""Instances whose guest has ended, one by one, and beside their host."""

import pytest
import sqlalchemy as sa

from recovery_ha.db import models
from recovery_ha.domain.recovery import NotificationStatus
from recovery_ha.tests.fixtures.waiting import eventually

FINISHED = NotificationStatus.FINISHED
IGNORED = NotificationStatus.IGNORED
FAILED = NotificationStatus.FAILED
HA = {"HA_Enabled": "True"}
TASKS = ["StopInstanceTask", "StartInstanceTask", "ConfirmInstanceActiveTask"]
SKIPPED = "Skipping recovery for instance as it is not Ha_Enabled"
IGNORING = "Ignoring recovery for instance as it is in paused/rescued state"
CHANGES = ("os-stop", "os-start", "reboot", "os-resetState")


@pytest.fixture
def guest(site):
    """Return a function that has one HA-enabled server."""

    def guest(host="compute-1", **fields):
        (server,) = site.servers(host, **{"metadata": HA, **fields})
        return server

    return guest


def asked(site):
    """Return what was asked of Nova to change servers, in order."""
    calls = site.world.journal.calls()
    return [call.action for call in calls if call.action in CHANGES]


def state(site, server):
    with site.world.lock:
        found = site.world.servers[server]
        return found.vm_state, found.task_state


def runs(site, server):
    """Tell whether the guest really runs."""
    with site.world.lock:
        host = site.world.computes.get(site.world.servers[server].host)
        return server in host.guests


def assert_active(site, uuid, *servers):
    ended = site.ended(uuid)
    assert ended.status is FINISHED, ended.message
    for server in servers:
        assert state(site, server) == ("active", None)
        assert runs(site, server)


# One instance


@pytest.mark.parametrize("noticed", [True, False])
def test_an_instance_is_started_again(site, guest, noticed):
    server = guest()
    site.engine_here()

    uuid = site.crash(server, noticed=noticed)

    assert_active(site, uuid, server)
    assert site.notification(uuid).message == (
        f"Instance {server} is active again."
    )
    stop = [] if noticed else ["os-stop"]
    assert asked(site) == [*stop, "os-start"]
    assert site.tasks(uuid) == TASKS
    assert "Confirming instance is Active" in site.said(uuid)
    assert "Confirmed instance is Active" in site.said(uuid)
    assert site.locks() == 0
    assert not site.host("compute-1").on_maintenance


@pytest.mark.parametrize("metadata", [{}, {"HA_Enabled": "no"}])
def test_only_marked_instances_are_recovered(site, guest, metadata):
    server = guest(metadata=metadata)
    site.engine_here()

    uuid = site.crash(server)

    ended = site.ended(uuid)
    assert ended.status is FINISHED
    assert "is not HA-enabled" in ended.message
    assert asked(site) == []
    assert SKIPPED in site.said(uuid)
    assert site.tasks(uuid) == TASKS[:1]


def test_all_are_recovered_if_the_operator_says_so(site, guest):
    server = guest(metadata={})
    site.engine_here(process_all_instances=True)

    assert_active(site, site.crash(server), server)


@pytest.mark.parametrize("vm_state", ["paused", "rescued"])
def test_a_paused_or_rescued_instance_is_left_alone(site, guest, vm_state):
    server = guest(vm_state=vm_state)
    site.engine_here()

    uuid = site.report_instance(server)

    ended = site.ended(uuid)
    assert ended.status is IGNORED
    assert f"is {vm_state}" in ended.message
    assert asked(site) == []
    assert IGNORING in site.said(uuid)


def test_what_its_user_has_stopped_stays_stopped(site, guest):
    server = guest(vm_state="stopped")
    site.world.servers[server].record("stop", "req-1", "the user")
    site.engine_here()

    uuid = site.report_instance(server)

    ended = site.ended(uuid)
    assert ended.status is IGNORED
    assert "was stopped by its user, and stays stopped." in ended.message
    assert asked(site) == []


def test_an_instance_in_error_is_rebooted_hard(site, guest):
    fault = {"message": "No space left on the moon"}
    server = guest(vm_state="error", fault=fault)
    site.engine_here()

    uuid = site.report_instance(server)

    assert_active(site, uuid, server)
    assert site.notification(uuid).message == (
        f"Instance {server} was in error (No space left on the moon) and is"
        " active after a hard reboot."
    )
    assert asked(site) == ["reboot"]


def test_a_resized_instance_is_started_again(site, guest):
    server = guest(vm_state="resized")
    site.engine_here()

    assert_active(site, site.crash(server), server)
    assert asked(site) == ["os-resetState", "os-stop", "os-start"]


@pytest.mark.parametrize("when", ["before", "stop", "start"])
def test_an_instance_that_is_deleted_meanwhile_is_left(site, guest, when):
    server = guest()
    if when == "before":
        uuid = site.crash(server)
        site.world.delete_server(site.world.servers[server])
        site.engine_here()
    else:
        held = site.hold("before", {"action": f"os-{when}"})
        site.engine_here()
        uuid = site.crash(server)
        site.held(held)
        site.world.delete_server(site.world.servers[server])
        site.world.faults.release(held.id)

    ended = site.ended(uuid)
    assert ended.status is IGNORED
    assert ended.message == "The instance was deleted meanwhile."
    assert site.locks() == 0


def test_an_instance_that_does_not_start_fails_with_the_reason(site, guest):
    server = guest()
    site.fault(action="os-start", status=400, message="Boom", times=None)
    site.engine_here(max_attempts=2)

    uuid = site.crash(server)

    ended = site.ended(uuid)
    assert ended.status is FAILED
    assert "Boom" in ended.message
    assert ended.attempts == 2
    assert site.locks() == 0


def test_nova_that_fails_at_an_instance_is_no_outage(site, guest):
    server = guest()
    site.fault(action="os-stop", status=500, message="Boom", times=None)
    site.engine_here(max_attempts=2)

    uuid = site.crash(server)

    ended = site.ended(uuid)
    assert ended.status is FAILED
    assert "Nova answered 500: Boom" in ended.message
    assert ended.attempts == 2


def test_an_instance_that_does_not_stop_in_time_fails(site, guest):
    server = guest(task_state="powering-off")
    site.engine_here(wait_period_after_power_off=1, max_attempts=1)

    uuid = site.report_instance(server)

    ended = site.ended(uuid)
    assert ended.status is FAILED
    assert "has not stopped within 1 seconds" in ended.message


# Many, and again


def test_fifty_at_once_are_recovered_side_by_side(site, guest):
    servers = [guest(f"compute-{n % 4 + 1}") for n in range(50)]
    held = site.hold("before", {"action": "os-start", "server": servers[0]})
    site.engine_here(lease_seconds=30)

    uuids = [site.crash(server) for server in servers]

    site.held(held)
    for uuid, server in zip(uuids[1:], servers[1:], strict=True):
        assert_active(site, uuid, server)
    assert site.notification(uuids[0]).status is NotificationStatus.RUNNING
    site.world.faults.release(held.id)
    assert_active(site, uuids[0], servers[0])
    assert sorted(site.asked("os-start")) == sorted(servers)


def test_it_may_crash_again_when_it_was_recovered(site, guest):
    server = guest()
    site.engine_here()

    for _ in range(2):
        assert_active(site, site.crash(server), server)
    assert asked(site) == ["os-stop", "os-start"] * 2


def test_another_report_of_it_ends_with_the_first(site, guest):
    server = guest()
    held = site.hold("before", {"action": "os-start"})
    site.engine_here()
    first = site.crash(server)
    site.held(held)

    second = site.report_instance(
        server, event="IO_ERROR", vir_domain_event="IO_ERROR_REPORT"
    )
    eventually(
        lambda: site.notification(second).joined_to == first, "it is joined"
    )
    site.world.faults.release(held.id)

    assert_active(site, first, server)
    ended = site.ended(second)
    assert ended.status is FINISHED
    assert ended.message.startswith(f"Ended with notification {first}")
    assert asked(site) == ["os-stop", "os-start"]


# Beside the recovery of its host


def set_wake(site, uuid, at):
    row = models.Notification
    with site.database.engine.begin() as connection:
        connection.execute(
            sa.update(row)
            .where(row.notification_uuid == uuid)
            .values(wake_at=at)
        )


def test_a_crash_while_the_host_is_recovered_is_joined(site, guest):
    servers = [guest(), *site.servers("compute-1", 2)]
    held = site.hold("before", {"action": "evacuate"})
    instance = site.crash(servers[0])
    set_wake(site, instance, 9e9)  # nobody has got to it yet
    site.engine_here(host_failure_recovery_threads=1)
    host = site.lose("compute-1")
    site.held(held)

    set_wake(site, instance, 0.0)
    eventually(
        lambda: site.notification(instance).joined_to == host, "it is joined"
    )
    site.world.faults.release(held.id)

    site.assert_recovered(host, servers)
    assert site.ended(instance).status is FINISHED
    assert asked(site) == []


def test_a_failed_host_takes_its_instance_recoveries_over(site, guest):
    servers = sorted([guest(), guest(), guest()])
    held = site.hold("before", {"action": "os-start", "server": servers[1]})
    site.engine_here()
    crashed = [site.crash(server) for server in servers[:2]]
    site.held(held)

    host = site.lose("compute-1")
    words = f"Taking over from notification {crashed[1]}"
    eventually(
        lambda: words in (site.notification(host).message or ""),
        "the host waits for the next safe point",
    )
    site.world.faults.release(held.id)

    assert site.ended(host).status is FINISHED
    ended = site.ended(crashed[1])
    assert ended.status is FINISHED
    assert ended.message.startswith(f"Ended with notification {host}")
    assert site.evacuations() == dict.fromkeys(servers, 1)
    assert site.locks() == 0
    for server in servers:
        assert site.world.servers[server].host != "compute-1"
        assert runs(site, server)


def test_instances_of_other_hosts_do_not_wait(site, guest):
    here, there = guest("compute-1"), guest("compute-2")
    held = site.hold("before", {"action": "evacuate", "server": here})
    site.engine_here()
    host = site.lose("compute-1")
    site.held(held)

    assert_active(site, site.crash(there), there)

    site.world.faults.release(held.id)
    assert site.ended(host).status is FINISHED


def test_an_outage_of_nova_is_waited_out(site, guest):
    server = guest()
    site.world.outages.begin("compute")
    site.engine_here(read_retries=1, max_attempts=1, retry_delay=1)

    uuid = site.crash(server)
    assert "503" in site.waits(uuid).message
    site.world.outages.end("compute")

    assert_active(site, uuid, server)
