"""F01, F08: what an engine that takes over must do for the dead one."""

import pytest

from recovery_ha.domain.recovery import NotificationStatus, VMoveStatus
from recovery_ha.tests.fixtures.waiting import eventually
from recovery_ha.tests.scenarios.invariants import assert_invariants

FAILED = NotificationStatus.FAILED
BOTH_WAYS = (
    "host_auto_failure_recovery_tasks",
    "host_rh_failure_recovery_tasks",
)
#: In the second, both tasks are in one flow for a reserved host as well.
SPLIT = {
    "auto": ("post", "main"),
    "auto_priority": ("post", "main"),
    "rh_priority": ("main", "main"),
    "reserved_host": ("main", "main"),
}


def confirming(phase):
    """Return a flow that confirms in a phase, as an option's value."""
    tasks = {
        "pre": ["disable_compute_service_task"],
        "main": [
            "prepare_HA_enabled_instances_task",
            "evacuate_instances_task",
        ],
        "post": [],
    }
    tasks[phase] = [*tasks[phase], "confirm_evacuation_task"]
    return ",".join(f"{name}:{names}" for name, names in tasks.items())


@pytest.fixture
def die_between(site, engine):
    """Return a function that has an engine die when all was accepted."""

    def die_between(method, **options):
        site.world.settings.rebuild_seconds = 2
        site.choose(method)
        if method != "auto":
            site.reserve("compute-4")
        flows = map(confirming, SPLIT[method])
        dead = engine(
            "alpha",
            lease_seconds=1,
            **dict(zip(BOTH_WAYS, flows, strict=True)),
            **options,
        )
        uuid = site.lose("compute-1")
        begun = "Started execution of ConfirmEvacuationTask"
        eventually(lambda: begun in site.said(uuid), "all was accepted")
        dead.kill()
        return uuid

    return die_between


@pytest.mark.parametrize("method", SPLIT)
def test_f08_the_heir_has_no_task_that_confirms(
    site, engine, die_between, method
):
    """F08: what is under way is waited for all the same, and judged."""
    servers = site.servers("compute-1", 3)

    uuid = die_between(method)
    engine("beta")

    site.assert_recovered(uuid, servers)
    assert_invariants(site)


@pytest.mark.parametrize("method", ["auto", "auto_priority"])
def test_f08_the_heir_without_that_task_judges(
    site, engine, die_between, method
):
    """F08: one that has failed in Nova is no success of the heir."""
    servers = site.servers("compute-1", 3)
    site.fault(
        kind="rebuild", server=servers[1], message="No disk.", times=None
    )

    uuid = die_between(method, max_attempts=1)
    engine("beta", max_attempts=1)

    ended = site.ended(uuid)
    assert ended.status is FAILED
    assert "1 of 3 instances were not evacuated" in ended.message
    assert "No disk." in ended.message
    moved = [m.status is VMoveStatus.SUCCEEDED for m in site.moves(uuid)]
    assert moved == [True, False, True]
    assert_invariants(site)


def test_f01_the_heir_counts_what_the_dead_one_has_asked_for(site, engine):
    """F01: over its own limit, it begins with nothing more."""
    site.world.settings.rebuild_seconds = 2
    first = site.servers("compute-1", 4)
    second = site.servers("compute-2", 2)
    for server in first[2:]:  # the first two arrive, and free their places
        site.fault(kind="rebuild", server=server, result="stuck")
    dead = engine("alpha", lease_seconds=1, max_evacuations=4)
    one = site.lose("compute-1")
    eventually(lambda: len(site.evacuations()) == 4, "all are under way")
    dead.kill()

    engine(
        "beta",
        max_evacuations=2,
        max_attempts=1,
        wait_period_after_evacuation=4,
    )
    eventually(lambda: site.owner(one) == "beta", "it was taken over")
    two = site.lose("compute-2")

    assert site.ended(one).status is FAILED
    site.assert_recovered(two, second, "compute-2")
    with site.world.lock:
        begun = [
            record.created_at
            for record in site.world.migrations
            if record.source_compute == "compute-2"
        ]
    given_up = min(
        move.end_time
        for move in site.moves(one)
        if move.status is VMoveStatus.FAILED
    )
    assert min(begun).replace(tzinfo=None) >= given_up
    assert_invariants(site)
