"""``confirm_evacuation_task``: one task asks, another one waits and judges."""

import pytest

from recovery_ha.db import progress
from recovery_ha.domain.recovery import NotificationStatus, VMoveStatus
from recovery_ha.tests.fixtures.waiting import eventually

FLOW = (
    "pre:['disable_compute_service_task'],"
    "main:['prepare_HA_enabled_instances_task','evacuate_instances_task'],"
    "post:['confirm_evacuation_task']"
)


@pytest.fixture
def engine(site):
    """Return a function that starts an engine with that flow."""

    def engine(**options):
        site.engine_here(host_auto_failure_recovery_tasks=FLOW, **options)

    return engine


def reported(site, uuid):
    """Return what each task has said, by its name; of the last attempt."""
    return {
        task.name: task for task in progress.list_task_progress(site.ctx, uuid)
    }


def test_the_first_ends_when_all_are_accepted(site, engine):
    site.world.settings.rebuild_seconds = 2
    servers = site.servers("compute-1", 3)
    engine()

    uuid = site.lose("compute-1")
    eventually(
        lambda: "ConfirmEvacuationTask" in reported(site, uuid),
        "the confirmation has begun",
    )
    under_way = site.evacuations()

    site.assert_recovered(uuid, servers)
    assert sorted(under_way) == servers
    evacuate, confirm = list(reported(site, uuid).values())[-2:]
    assert evacuate.details[-2].message == (
        "3 of 3 evacuations from compute-1 accepted by Nova"
    )
    assert [detail.message for detail in confirm.details[:2]] == [
        "Started execution of ConfirmEvacuationTask",
        "Confirming 3 evacuations from compute-1",
    ]
    asked = evacuate.details[-1].timestamp
    ended = {
        detail.timestamp
        for detail in confirm.details
        if " succeeded: " in detail.message
    }
    assert len(ended) == 3
    assert asked < min(ended)


def test_more_than_may_be_under_way_at_once(site, engine):
    servers = site.servers("compute-1", 5)
    engine(host_failure_recovery_threads=2)

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)


def test_the_second_judges(site, engine):
    servers = site.servers("compute-1", 3)
    reason = "no space left on device"
    site.fault(kind="rebuild", server=servers[1], message=reason)
    engine(max_attempts=1)

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is NotificationStatus.FAILED
    assert ended.message.startswith(
        "Failed to confirm the evacuation: 1 of 3 instances were not"
        " evacuated: "
    )
    assert reason in ended.message
    moves = site.moves(uuid)
    assert [m.status is VMoveStatus.SUCCEEDED for m in moves] == [1, 0, 1]
    assert not any(m.locked_by_us for m in moves)
    assert not any(s.locked for s in site.world.servers.values())
    assert site.locks() == 0


def test_one_that_nova_refuses_is_judged_by_the_second_too(site, engine):
    servers = site.servers("compute-1", 2)
    site.fault(action="evacuate", server=servers[0], status=400)
    engine(max_attempts=1)

    uuid = site.lose("compute-1")

    assert "Failed to confirm the evacuation: 1 of 2" in (
        site.ended(uuid).message or ""
    )
    last = reported(site, uuid)["EvacuateInstancesTask"].details[-2]
    assert last.message == "1 of 2 evacuations from compute-1 accepted by Nova"


def test_the_next_attempt_takes_only_those_that_failed(site, engine):
    servers = site.servers("compute-1", 3)
    site.fault(kind="rebuild", server=servers[1])
    engine()

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is NotificationStatus.FINISHED
    assert site.evacuations() == {u: 1 + (u == servers[1]) for u in servers}


def test_a_host_without_instances(site, engine):
    engine()

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is NotificationStatus.FINISHED
