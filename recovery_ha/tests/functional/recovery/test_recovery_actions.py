"""What operators may do to a recovery: retry, restart, roll back, cancel."""

import time

import pytest
import sqlalchemy as sa

from recovery_ha.db import models
from recovery_ha.domain.recovery import NotificationStatus, VMoveStatus
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.operating import (
    Operator,
    assert_released,
    assert_rolled_back,
    assert_settled,
)
from recovery_ha.tests.fixtures.waiting import eventually

FAILED, FINISHED = NotificationStatus.FAILED, NotificationStatus.FINISHED
DOWN = {"wait_period_after_service_update": 30}


@pytest.fixture
def operator(site):
    return Operator(site)


@pytest.fixture
def slow(site):
    """Evacuations that take longer than it takes to stop them."""
    site.world.settings.rebuild_seconds = 2


def change(site, which, **values):
    with site.database.engine.begin() as connection:
        table = which.left.table
        connection.execute(sa.update(table).where(which).values(**values))


def rolled_back(site, uuid):
    eventually(
        lambda: site.notification(uuid).status is FAILED, "it is rolled back"
    )


def under_way(site, count):
    eventually(
        lambda: len(site.evacuations()) >= count, f"{count} are under way"
    )


# Cancel


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.usefixtures("slow")
def test_cancelled_in_the_middle_of_evacuations(site, operator):
    servers = site.servers("compute-1", 6)
    site.engine_here(host_failure_recovery_threads=2)
    uuid = site.lose("compute-1")
    under_way(site, 2)

    assert operator.act(uuid, "cancel")["status"] == "running"
    assert_released(site, uuid)

    asked = site.asked("evacuate")
    assert len(asked) == 2
    assert_settled(site, servers)
    assert site.asked("evacuate") == asked
    assert site.world.computes.get("compute-1").disabled
    message = site.notification(uuid).message
    assert "Cancelled by an operator (user noauth)." in message
    said = site.said(uuid)
    assert "Cancel asked for by an operator (user noauth)." in said


def test_cancelled_without_any_engine(site, operator):
    uuid = site.lose("compute-1")

    assert operator.act(uuid, "cancel")["status"] == "error"

    assert site.notification(uuid).status is FAILED
    site.engine_here()
    later = site.report("compute-2", event="STARTED", host_status="NORMAL")
    site.ended(later)
    assert site.asked("evacuate") == []


def test_cancelled_between_two_attempts(site, operator):
    servers = site.servers("compute-1", 2)
    site.fault(kind="rebuild", times=None)
    site.engine_here(retry_delay=60)
    uuid = site.lose("compute-1")
    site.waits(uuid)

    operator.act(uuid, "cancel")

    assert_released(site, uuid)
    assert {*site.asked("evacuate")} == {*servers}


def test_cancelled_while_it_waits_for_nova(site, operator):
    site.servers("compute-1", 2)
    site.engine_here(**DOWN)
    uuid = site.report("compute-1")  # which is alive
    eventually(lambda: site.said(uuid), "it has begun")

    operator.act(uuid, "cancel")

    assert_released(site, uuid)
    assert site.asked("evacuate") == []


# Rollback


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.usefixtures("slow")
def test_rolled_back_in_the_middle(site, operator):
    servers = site.servers("compute-1", 6)
    site.engine_here(host_failure_recovery_threads=2, force_down="always")
    uuid = site.lose("compute-1")
    under_way(site, 2)

    operator.act(uuid, "rollback")

    assert_rolled_back(site, uuid)
    assert len(site.asked("evacuate")) == 2
    assert_settled(site, servers)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rolled_back_after_its_end(site, operator):
    servers = site.servers("compute-1", 2)
    site.engine_here(force_down="always")
    uuid = site.report("compute-1")  # alive: it is forced down
    site.assert_recovered(uuid, servers)
    assert site.world.computes.get("compute-1").forced_down
    site.world.kill("compute-1")
    site.world.start("compute-1")
    eventually(
        lambda: {m.status for m in site.world.migrations} == {"completed"},
        "nova-compute has cleaned up, else Nova refuses",
    )

    operator.act(uuid, "rollback")
    rolled_back(site, uuid)

    assert_rolled_back(site, uuid)
    message = site.notification(uuid).message
    assert "forced-down cleared" in message
    assert "compute service enabled" in message
    moves = site.moves(uuid)
    assert {m.status for m in moves} == {VMoveStatus.SUCCEEDED}


def test_what_nova_does_not_undo_is_told_as_left(site, operator):
    servers = site.servers("compute-1", 1)
    site.engine_here(force_down="always")
    uuid = site.report("compute-1")
    site.assert_recovered(uuid, servers)

    operator.act(uuid, "rollback")
    rolled_back(site, uuid)

    message = site.notification(uuid).message
    assert "Left: compute-1 is still forced down" in message
    assert "Unable to force up host" in message
    assert "compute service enabled" in message
    assert not site.world.computes.get("compute-1").disabled


def test_a_service_that_is_gone_is_told_as_left(site, operator):
    servers = site.servers("compute-1", 1)
    site.engine_here()
    uuid = site.lose("compute-1")
    site.assert_recovered(uuid, servers)
    site.fault(
        method="PUT", path="/os-services/", status=404, message="None such"
    )

    operator.act(uuid, "rollback")
    rolled_back(site, uuid)

    message = site.notification(uuid).message
    assert "Left: compute service still disabled" in message
    assert "None such" in message
    assert "host taken off maintenance" in message


def test_a_rollback_waits_for_nova(site, operator):
    servers = site.servers("compute-1", 1)
    site.engine_here()
    uuid = site.lose("compute-1")
    site.assert_recovered(uuid, servers)
    site.world.outages.begin("compute")

    operator.act(uuid, "rollback")
    eventually(
        lambda: "Rolling back" in str(site.notification(uuid).message),
        "Nova does not answer",
    )
    site.world.outages.end()

    rolled_back(site, uuid)
    assert_rolled_back(site, uuid)


def test_a_reserved_host_is_given_back(site, operator):
    site.reserve("compute-3")
    site.choose("reserved_host")
    servers = site.servers("compute-1", 2)
    site.fault(kind="rebuild", times=None)
    site.engine_here(retry_delay=60)
    uuid = site.lose("compute-1")
    site.waits(uuid)

    operator.act(uuid, "rollback")

    assert_rolled_back(site, uuid)
    assert site.host("compute-3").reserved is True
    assert site.world.computes.get("compute-3").disabled
    assert {*site.asked("evacuate")} == {*servers}


@pytest.mark.usefixtures("slow")
def test_a_reserved_host_that_instances_come_to_is_kept(site, operator):
    site.reserve("compute-3")
    site.choose("reserved_host")
    servers = site.servers("compute-1", 2)
    site.engine_here()
    uuid = site.lose("compute-1")
    under_way(site, 2)

    operator.act(uuid, "cancel")

    assert_released(site, uuid)
    assert site.host("compute-3").reserved is False
    assert not site.world.computes.get("compute-3").disabled
    assert_settled(site, servers)


# Retry and restart


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_retry_finishes_the_rest_only(site, operator):
    servers = site.servers("compute-1", 4)
    fault = site.fault(kind="rebuild", server=servers[1], times=None)
    site.engine_here(max_attempts=2)
    uuid = site.lose("compute-1")
    assert site.ended(uuid).attempts == 2
    site.world.faults.remove(fault.id)

    operator.act(uuid, "retry")
    eventually(
        lambda: site.notification(uuid).status is FINISHED, "it is recovered"
    )

    assert {m.status for m in site.moves(uuid)} == {VMoveStatus.SUCCEEDED}
    assert site.evacuations() == {
        u: 3 if u == servers[1] else 1 for u in servers
    }
    assert site.locks() == 0


def test_a_retry_has_all_attempts_again(site, operator):
    servers = site.servers("compute-1", 1)
    site.fault(kind="rebuild", times=3)
    site.engine_here(max_attempts=2)
    uuid = site.lose("compute-1")
    assert site.ended(uuid).status is FAILED

    operator.act(uuid, "retry")
    eventually(
        lambda: site.notification(uuid).status is FINISHED, "it is recovered"
    )
    assert site.notification(uuid).attempts == 4
    assert site.evacuations() == {servers[0]: 4}


def test_a_retry_of_something_old_does_not_expire(site, operator):
    servers = site.servers("compute-1", 1)
    fault = site.fault(kind="rebuild", times=None)
    engine = site.engine_here(max_attempts=1)
    uuid = site.lose("compute-1")
    site.ended(uuid)
    engine.stop()
    site.world.faults.remove(fault.id)
    change(
        site, models.Notification.notification_uuid == uuid, received_at=1.0
    )

    operator.act(uuid, "retry")
    site.engine_here("other")
    eventually(
        lambda: site.notification(uuid).status is FINISHED, "it is recovered"
    )
    assert site.evacuations() == {servers[0]: 2}


@pytest.mark.parametrize("action", ["retry", "restart"])
def test_what_was_finished_is_looked_at_again(site, operator, action):
    servers = site.servers("compute-1", 2)
    site.engine_here()
    uuid = site.lose("compute-1")
    site.assert_recovered(uuid, servers)
    more = site.servers("compute-1", 1)

    operator.act(uuid, action)

    eventually(lambda: len(site.moves(uuid)) == 3, "the new one is found")
    eventually(
        lambda: site.notification(uuid).status is FINISHED, "it is recovered"
    )
    assert site.evacuations() == dict.fromkeys([*servers, *more], 1)


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("action", ["retry", "restart"])
def test_what_nova_does_already_is_not_asked_for_again(site, operator, action):
    servers = site.servers("compute-1", 4)
    site.engine_here(host_failure_recovery_threads=2)
    uuid = site.lose("compute-1")
    under_way(site, 2)
    operator.act(uuid, "cancel")
    assert_released(site, uuid)

    operator.act(uuid, action)
    eventually(
        lambda: site.notification(uuid).status is FINISHED, "it is recovered"
    )

    assert site.evacuations() == dict.fromkeys(servers, 1)
    assert {m.status for m in site.moves(uuid)} == {VMoveStatus.SUCCEEDED}


def test_a_restart_asks_the_gates_again(site, operator):
    servers = site.servers("compute-1", 1)
    segment = f"/segments/{site.segment_uuid}"
    disable = {"segment": {"enabled": False}}
    operator.api.put(segment, disable, version="1.2")
    site.engine_here()
    uuid = site.lose("compute-1")
    assert site.ended(uuid).status is NotificationStatus.IGNORED
    enable = {"segment": {"enabled": True}}
    operator.api.put(segment, enable, version="1.2")

    operator.act(uuid, "restart")
    eventually(
        lambda: site.notification(uuid).status is FINISHED, "it is recovered"
    )

    assert site.evacuations() == {servers[0]: 1}
    found = operator.api.get(f"/notifications/{uuid}/decisions").json
    verdicts = {d["gate"]: d["verdict"] for d in found["decisions"]}
    assert verdicts["segment_enabled"] == "pass"


# Held ones go on by themselves


def test_a_held_report_goes_on_when_its_segment_is_enabled(site, operator):
    servers = site.servers("compute-1", 1)
    url = f"/segments/{site.segment_uuid}"
    disable = {"segment": {"enabled": False}}
    assert operator.api.put(url, disable, version="1.2").status == 200
    site.engine_here(disabled_segment="hold", hold_interval=600)
    uuid = site.lose("compute-1")
    eventually(lambda: site.notification(uuid).held, "it is held")
    assert site.notification(uuid).status is NotificationStatus.NEW
    assert "is disabled" in site.notification(uuid).message

    # Nothing else of the segment may be changed meanwhile.
    answer = operator.api.put(url, {"segment": {"name": "x"}})
    assert answer.status == 409
    enable = {"segment": {"enabled": True}}
    assert operator.api.put(url, enable, version="1.2").status == 200
    site.assert_recovered(uuid, servers)


def test_a_held_report_goes_on_when_its_host_is_off_maintenance(
    site, operator
):
    servers = site.servers("compute-1", 1)
    url = f"/segments/{site.segment_uuid}/hosts"
    host = f"{url}/{site.host('compute-1').uuid}"
    uuid = site.lose("compute-1")
    # An operator has put it on maintenance before an engine looked.
    change(
        site,
        models.Host.name == "compute-1",
        on_maintenance=True,
        maintenance_cause="operator",
    )
    site.engine_here(hold_interval=600)
    eventually(lambda: site.notification(uuid).held, "it is held")

    renamed = {"host": {"on_maintenance": False, "name": "x"}}
    assert operator.api.put(host, renamed).status == 409
    back = {"host": {"on_maintenance": False}}
    assert operator.api.put(host, back).status == 200
    site.assert_recovered(uuid, servers)


# Following


def test_a_recovery_is_followed_to_its_end(site, operator):
    servers = site.servers("compute-1", 3)
    held = site.fault(action="evacuate", hold=True)
    site.engine_here()
    uuid = site.lose("compute-1")

    events, answer = [], {"cursor": 0, "ended": False}
    end = time.monotonic() + 60
    while not answer["ended"] and time.monotonic() < end:
        cursor = answer["cursor"]
        url = f"/notifications/{uuid}/events?since={cursor}&wait=30"
        answer = operator.api.get(url).json
        events += answer["events"]
        # News has come while it runs: only now it may go on.
        site.world.faults.release(held.id)

    site.assert_recovered(uuid, servers)
    ids = [event["id"] for event in events]
    assert ids == sorted(set(ids))
    texts = [event["message"] for event in events]
    assert texts == site.said(uuid)
    assert "Finished execution of EvacuateInstancesTask" in texts
    assert "3 of 3 instances" in texts[-1]
    requests = {event["request_id"] for event in events}
    assert requests == {site.notification(uuid).request_id}
