"""Hosts kept in reserve: which is used, for what, and what is given back."""

import pytest
import sqlalchemy as sa

from recovery_ha.db import models, reserved
from recovery_ha.db.reserved import UseStatus
from recovery_ha.domain.recovery import NotificationStatus, VMoveStatus
from recovery_ha.simulator.records import Aggregate
from recovery_ha.tests.fixtures.waiting import eventually

FINISHED, FAILED = NotificationStatus.FINISHED, NotificationStatus.FAILED
USED_UP = "segment segment has no reserved host that can be used"
DISABLE = "DisableComputeServiceTask"
PREPARE = "PrepareHAEnabledInstancesTask"
EVACUATE = "EvacuateInstancesTask"


@pytest.fixture
def site(site):
    """Two hosts in reserve, and a third that has room for nothing."""
    site.reserve("compute-3", "compute-4")
    site.room(compute_2=0)
    site.choose("reserved_host")
    return site


def uses(site, uuid):
    found = reserved.list_uses(site.ctx, uuid)
    return [(use.host_name, str(use.status)) for use in found]


def hosts(site, servers):
    return [site.world.servers[uuid].host for uuid in servers]


def is_reserve(site, name):
    """Tell whether a host is as it was before anything was done to it."""
    compute = site.world.computes.get(name)
    reason = f"Reserve {name}."
    same = (compute.disabled, compute.disabled_reason) == (True, reason)
    assert same is site.host(name).reserved
    return same


def targets(site):
    """Return where evacuations were asked for to, each once, in order."""
    calls = site.world.journal.calls(action="evacuate")
    return list(dict.fromkeys(c.body["evacuate"].get("host") for c in calls))


# The order, and what fits


@pytest.mark.parametrize("method", ["reserved_host", "rh_priority"])
def test_the_first_reserved_host_takes_all(site, method):
    site.choose(method)
    servers = site.servers("compute-1", 3)
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert hosts(site, servers) == ["compute-3"] * 3
    assert targets(site) == ["compute-3"]
    assert uses(site, uuid) == [("compute-3", "kept")]
    assert not is_reserve(site, "compute-3")
    assert not site.world.computes.get("compute-3").disabled
    assert is_reserve(site, "compute-4")
    assert site.tasks(uuid) == [DISABLE, PREPARE, EVACUATE]


def test_one_without_room_is_not_touched_and_the_next_is_tried(site):
    site.room(compute_3=0)
    servers = site.servers("compute-1", 2)
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert hosts(site, servers) == ["compute-4"] * 2
    assert uses(site, uuid) == [
        ("compute-3", "given_back"),
        ("compute-4", "kept"),
    ]
    assert is_reserve(site, "compute-3")
    assert targets(site) == ["compute-4"]


def test_what_does_not_fit_goes_to_the_next_and_all_end_recovered(site):
    site.room(compute_3=2)
    servers = site.servers("compute-1", 5)
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert hosts(site, servers) == ["compute-3"] * 2 + ["compute-4"] * 3
    assert uses(site, uuid) == [("compute-3", "kept"), ("compute-4", "kept")]
    assert site.evacuations() == dict.fromkeys(servers, 1)
    assert site.notification(uuid).attempts == 1
    assert site.tasks(uuid) == [DISABLE, *[PREPARE, EVACUATE] * 2]


def test_a_small_instance_fits_where_a_large_one_does_not(site):
    site.room(compute_3=3)
    site.world.add_flavor("wide", disk=4)
    marked = {"HA_Enabled": "True"}
    (large,) = site.servers("compute-1", flavor="wide", metadata=marked)
    small = site.servers("compute-1", 3)
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, [large, *small])
    assert hosts(site, [large, *small]) == ["compute-4"] + ["compute-3"] * 3


def test_no_reserved_host_has_room_for_all(site):
    site.room(compute_3=1, compute_4=1)
    servers = site.servers("compute-1", 3)
    site.engine_here(max_attempts=1)

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is FAILED
    assert "1 of 3 instances were not evacuated" in ended.message
    assert "not fit on reserved host compute-4" in ended.message
    assert USED_UP in ended.message
    assert hosts(site, servers) == ["compute-3", "compute-4", "compute-1"]
    assert site.evacuations() == dict.fromkeys(servers[:2], 1)
    assert site.locks() == 0


# What is given back


def test_a_reserved_host_on_which_nothing_landed_is_given_back(site):
    site.fault(kind="rebuild", host="compute-3", times=None)
    servers = site.servers("compute-1", 2)
    site.engine_here()

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is FINISHED
    assert hosts(site, servers) == ["compute-4"] * 2
    assert targets(site) == ["compute-3", "compute-4"]
    assert uses(site, uuid) == [
        ("compute-3", "given_back"),
        ("compute-4", "kept"),
    ]
    assert is_reserve(site, "compute-3")
    assert not is_reserve(site, "compute-4")
    assert site.locks() == 0


def test_one_that_was_enabled_before_stays_enabled(site):
    site.fault(kind="rebuild", host="compute-3", times=None)
    site.world.computes.get("compute-3").disabled = False
    servers = site.servers("compute-1", 1)
    site.engine_here()

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is FINISHED
    assert hosts(site, servers) == ["compute-4"]
    assert not site.world.computes.get("compute-3").disabled
    assert site.host("compute-3").reserved


def test_one_whose_service_is_down_is_passed_over(site):
    site.world.kill("compute-3")
    site.world.wait(lambda: not site.world.up("compute-3"))
    servers = site.servers("compute-1", 2)
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert hosts(site, servers) == ["compute-4"] * 2
    assert is_reserve(site, "compute-3")


def test_a_host_without_instances_uses_no_reserve(site):
    site.engine_here()

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is FINISHED
    assert uses(site, uuid) == [("compute-3", "given_back")]
    assert is_reserve(site, "compute-3")


@pytest.mark.parametrize("add", [True, False])
@pytest.mark.parametrize("works", [True, False])
def test_a_reserved_host_joins_the_aggregates_of_the_failed_one(
    site, add, works
):
    groups = [["compute-1"], ["compute-1", "compute-3"], ["compute-2"]]
    for number, members in enumerate(groups, start=1):
        site.world.aggregates[number] = Aggregate(
            number, f"aggregate-{number}", hosts=list(members)
        )
    if not works:
        site.fault(kind="rebuild", host="compute-3", times=None)
    site.servers("compute-1")
    site.engine_here(add_reserved_host_to_aggregate=add)

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is FINISHED
    first, second, third = (
        set(site.world.aggregates[n].hosts) for n in (1, 2, 3)
    )
    serving = "compute-3" if works else "compute-4"
    assert first == {"compute-1"} | ({serving} if add else set())
    extra = {serving} if add and not works else set()
    assert second == {"compute-1", "compute-3"} | extra
    assert third == {"compute-2"}


# None is left


def test_without_a_reserved_host_the_host_is_disabled_and_it_fails(site):
    site.change(models.Host, reserved=False)
    servers = site.servers("compute-1", 2)
    site.engine_here(max_attempts=2)

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is FAILED
    assert ended.message.strip().startswith(f"{USED_UP}. The compute service")
    assert "set --enable compute-1 nova-compute" in ended.message
    assert ended.attempts == 2
    assert site.world.computes.get("compute-1").disabled
    assert hosts(site, servers) == ["compute-1"] * 2
    assert not site.evacuations()
    assert site.tasks(uuid) == [DISABLE, DISABLE]


def test_a_reserve_on_maintenance_is_none(site):
    host = models.Host
    with site.database.engine.begin() as connection:
        connection.execute(
            sa.update(host)
            .where(host.name == "compute-3")
            .values(on_maintenance=True, maintenance_cause="operator")
        )
    servers = site.servers("compute-1", 2)
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert uses(site, uuid) == [("compute-4", "kept")]


# Several failures at once


def test_two_failures_at_once_take_different_hosts(site):
    one = site.servers("compute-1", 3)
    two = site.servers("compute-2", 3)
    site.engine_here()

    first, second = site.lose("compute-1"), site.lose("compute-2")

    assert site.ended(second).status is FINISHED
    site.assert_recovered(first, one)
    took = [uses(site, uuid) for uuid in (first, second)]
    assert sorted(took) == [
        [("compute-3", "kept")],
        [("compute-4", "kept")],
    ]
    assert len(set(hosts(site, one))) == len(set(hosts(site, two))) == 1


def test_of_two_failures_one_has_the_last_reserve(site):
    site.world.remove_compute("compute-4")
    site.change(models.Host, reserved=False)
    site.reserve("compute-3")
    site.servers("compute-1", 2)
    site.servers("compute-2", 2)
    site.engine_here()

    both = site.lose("compute-1"), site.lose("compute-2")

    ended = [site.ended(uuid) for uuid in both]
    assert sorted(n.status for n in ended) == [FAILED, FINISHED]
    (failed,) = [n for n in ended if n.status is FAILED]
    assert USED_UP in failed.message
    taken = [use for uuid in both for use in uses(site, uuid)]
    assert taken == [("compute-3", "kept")]


def test_a_reserve_that_fails_while_it_is_used_is_recovered_afterwards(site):
    servers = site.servers("compute-1", 2)
    held = site.hold("before", {"action": "unlock", "server": servers[0]})
    site.engine_here(lock_instances="always")
    first = site.lose("compute-1")
    site.held(held)

    second = site.lose("compute-3")

    words = f"Waiting for notification {first}, which uses compute-3"
    eventually(
        lambda: words in (site.notification(second).message or ""),
        "it waits for the other recovery",
    )
    site.world.faults.release(held.id)
    assert site.ended(first).status is FINISHED
    assert site.ended(second).status is FINISHED
    assert hosts(site, servers) == ["compute-4"] * 2
    assert len(site.said(second)) == len(set(site.said(second)))
    assert not site.host("compute-3").reserved


# Two ways


def test_with_auto_priority_reserves_are_for_what_found_no_host(site):
    site.choose("auto_priority")
    site.room(compute_2=2)
    servers = site.servers("compute-1", 4)
    site.engine_here()

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is FINISHED
    assert (
        sorted(hosts(site, servers)) == ["compute-2"] * 2 + ["compute-3"] * 2
    )
    landed = {u: n for u, n in site.evacuations().items() if n == 1}
    on_2 = [u for u in servers if site.world.servers[u].host == "compute-2"]
    assert sorted(landed) == on_2
    assert uses(site, uuid) == [("compute-3", "kept")]
    assert site.tasks(uuid) == [DISABLE, *[PREPARE, EVACUATE] * 2]
    assert site.notification(uuid).attempts == 1


def test_with_auto_priority_no_reserve_is_used_without_need(site):
    site.choose("auto_priority")
    site.room(compute_2=10)
    servers = site.servers("compute-1", 3)
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert hosts(site, servers) == ["compute-2"] * 3
    assert uses(site, uuid) == []
    assert is_reserve(site, "compute-3")


def test_with_rh_priority_the_rest_finds_a_host_itself(site):
    site.choose("rh_priority")
    site.room(compute_3=1, compute_4=1, compute_2=10)
    servers = site.servers("compute-1", 4)
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert sorted(hosts(site, servers)) == [
        *["compute-2"] * 2,
        "compute-3",
        "compute-4",
    ]
    assert site.tasks(uuid) == [DISABLE, *[PREPARE, EVACUATE] * 3]


def test_with_rh_priority_and_no_reserve_all_find_a_host(site):
    site.choose("rh_priority")
    site.change(models.Host, reserved=False)
    site.room(compute_2=10)
    servers = site.servers("compute-1", 2)
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert hosts(site, servers) == ["compute-2"] * 2


@pytest.mark.parametrize("method", ["auto_priority", "rh_priority"])
def test_when_both_ways_fail_it_says_why_and_leaves_nothing(site, method):
    site.choose(method)
    site.room(compute_3=0, compute_4=0)
    servers = site.servers("compute-1", 2)
    site.engine_here(max_attempts=1)

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is FAILED
    assert "No valid host" in ended.message
    assert "reserved host" in ended.message
    assert {m.status for m in site.moves(uuid)} == {VMoveStatus.FAILED}
    assert is_reserve(site, "compute-3")
    assert is_reserve(site, "compute-4")
    assert not any(site.world.servers[u].locked for u in servers)
    assert site.locks() == 0


def test_the_next_attempt_tries_the_reserves_again(site):
    site.fault(kind="rebuild", host="compute-3", times=2)
    site.fault(kind="rebuild", host="compute-4", times=2)
    servers = site.servers("compute-1", 2)
    site.engine_here(max_attempts=2)

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is FINISHED
    assert hosts(site, servers) == ["compute-3"] * 2
    assert uses(site, uuid) == [
        ("compute-3", str(UseStatus.GIVEN_BACK)),
        ("compute-4", str(UseStatus.GIVEN_BACK)),
        ("compute-3", str(UseStatus.KEPT)),
    ]
    assert site.notification(uuid).attempts == 2


def test_an_engine_that_is_stopped_hands_its_reserve_over(site):
    servers = site.servers("compute-1", 3)
    held = site.hold("before", {"action": "evacuate", "server": servers[2]})
    one = site.engine_here("one", host_failure_recovery_threads=1)
    uuid = site.lose("compute-1")
    site.held(held)
    site.world.faults.release(held.id)
    one.stop()
    site.engine_here("two")

    site.assert_recovered(uuid, servers)
    assert hosts(site, servers) == ["compute-3"] * 3
    assert uses(site, uuid) == [("compute-3", "kept")]
