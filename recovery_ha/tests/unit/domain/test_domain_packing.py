"""Whether instances fit, compared with trying everything."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery_ha.domain.constraints import Rule, refusal
from recovery_ha.domain.packing import (
    Bin,
    Item,
    amounts_text,
    free_text,
    pack,
)


def item(id_, **amounts):
    return Item(id_, {name.upper(): n for name, n in amounts.items()})


def a_bin(host, largest=None, **free):
    amounts = {name.upper(): n for name, n in free.items()}
    return Bin(host, amounts, largest or {})


def test_nothing_always_fits():
    assert pack([], []).fits
    assert pack([], [a_bin("a", vcpu=0)]).moves == {}


def test_the_largest_goes_first_and_leaves_as_little_as_it_can():
    found = pack(
        [item("small", vcpu=2), item("large", vcpu=6)],
        [a_bin("a", vcpu=8), a_bin("b", vcpu=6)],
    )
    assert found.moves == {"large": "b", "small": "a"}


def test_other_ways_are_tried_when_the_first_leads_nowhere():
    """Best fit puts 7 into 9; then 6 and three of 3 are left for 13 and 2."""
    items = [item(str(n), vcpu=n) for n in (7, 6)]
    items += [item("3a", vcpu=3), item("3b", vcpu=3), item("3c", vcpu=3)]
    bins = [a_bin("a", vcpu=13), a_bin("b", vcpu=9)]
    found = pack(items, bins)
    assert found.fits
    assert found.steps > len(items)
    assert found.moves["7"] == found.moves["6"] == "a"


def test_every_class_counts():
    one = item("vm", vcpu=1, vgpu=1)
    assert not pack([one], [a_bin("a", vcpu=8)]).fits
    found = pack([one], [a_bin("a", vcpu=8), a_bin("b", vcpu=1, vgpu=1)])
    assert found.moves == {"vm": "b"}


def test_disks_that_a_host_does_not_have_are_elsewhere():
    one = item("vm", vcpu=1, disk_gb=999)
    assert pack([one], [a_bin("a", vcpu=1)]).fits
    assert not pack([one], [a_bin("a", vcpu=1, disk_gb=998)]).fits
    mixed = [a_bin("a", vcpu=1, disk_gb=1), a_bin("b", vcpu=1)]
    assert pack([one], mixed).moves == {"vm": "b"}


def test_one_instance_may_be_too_large_where_there_is_room():
    found = pack([item("vm", vcpu=9)], [a_bin("a", {"VCPU": 8}, vcpu=32)])
    assert found.left == ("vm",)
    assert found.why == "vm fits nowhere (a: 9 VCPU needed, 8 free)"


@pytest.mark.parametrize(
    ("items", "bins", "why"),
    [
        ([item("vm", vcpu=1)], [], "there is no host that it may go to"),
        (
            [item("x", vcpu=3), item("y", vcpu=3)],
            [a_bin("a", vcpu=4), a_bin("b", vcpu=1)],
            "6 VCPU needed, 5 VCPU free",
        ),
        (
            [item("x", vcpu=1, memory_mb=64)],
            [a_bin("a", vcpu=-2, memory_mb=64)],
            "1 VCPU needed, 0 VCPU free",
        ),
        (
            [item("x", vcpu=3), item("y", vcpu=3)],
            [a_bin("a", vcpu=5), a_bin("b", vcpu=2)],
            "do not fit together",
        ),
    ],
)
def test_what_does_not_fit_is_said(items, bins, why):
    found = pack(items, bins)
    assert not found.fits
    assert why in found.why


def test_a_host_that_is_over_full_takes_no_room_from_others():
    assert pack(
        [item("vm", vcpu=4)], [a_bin("a", vcpu=-9), a_bin("b", vcpu=4)]
    ).moves == {"vm": "b"}


# Groups


def anti(*members, limit=1, soft=False):
    return Rule(what="g", members=frozenset(members), limit=limit, soft=soft)


def together(*members, soft=False):
    return Rule(what="g", members=frozenset(members), together=True, soft=soft)


def test_those_that_stay_apart_do_on_their_new_hosts_too():
    items = [item("x", vcpu=1), item("y", vcpu=1)]
    bins = [a_bin("a", vcpu=4), a_bin("b", vcpu=4)]
    where = {"x": "s", "y": "s", "z": "a"}
    found = pack(items, bins, [anti("x", "y", "z")], where)
    assert not found.fits
    found = pack(items, bins, [anti("x", "y", "z", limit=2)], where)
    assert sorted(found.moves.values()) == ["a", "b"]


def test_the_reason_names_the_group():
    found = pack(
        [item("x", vcpu=1)],
        [a_bin("a", vcpu=4), a_bin("b", vcpu=0)],
        [anti("x", "z")],
        {"x": "s", "z": "a"},
    )
    assert found.why == (
        "x fits nowhere (a: g allows 1 of its members per host, and a has 1)"
    )


def test_those_that_stay_together_go_where_the_others_are():
    bins = [a_bin("a", vcpu=9), a_bin("b", vcpu=1)]
    where = {"x": "s", "z": "b"}
    found = pack([item("x", vcpu=1)], bins, [together("x", "z")], where)
    assert found.moves == {"x": "b"}


def test_those_that_stay_together_cannot_leave_one_by_one():
    where = {"x": "s", "y": "s"}
    items = [item("x", vcpu=1), item("y", vcpu=1)]
    found = pack(items, [a_bin("a", vcpu=9)], [together("x", "y")], where)
    assert not found.fits
    assert "g keeps it on s" in found.why
    # The last one of its group goes anywhere.
    assert pack(items[:1], [a_bin("a", vcpu=9)], [], {"x": "s"}).fits


def test_wishes_are_granted_where_they_cost_nothing():
    bins = [a_bin("a", vcpu=2), a_bin("b", vcpu=9)]
    where = {"x": "s", "z": "b"}
    one = item("x", vcpu=2)
    soft = pack([one], bins, [together("x", "z", soft=True)], where)
    assert soft.moves == {"x": "b"}
    soft = pack([one], bins, [anti("x", "z", soft=True)], where)
    assert soft.moves == {"x": "a"}
    assert pack([one], bins[1:], [anti("x", "z", soft=True)], where).fits


# Against all ways there are

amounts = st.fixed_dictionaries(
    {"VCPU": st.integers(0, 4)},
    optional={"VGPU": st.integers(0, 2), "DISK_GB": st.integers(0, 4)},
)
offers = st.fixed_dictionaries(
    {"VCPU": st.integers(-1, 7)},
    optional={"VGPU": st.integers(0, 2), "DISK_GB": st.integers(0, 6)},
)
MOVED = ["m0", "m1", "m2", "m3", "m4"]
OTHERS = ["o0", "o1", "o2"]
HOSTS = ["a", "b", "c"]


@st.composite
def problems(draw):
    count = draw(st.integers(1, len(MOVED)))
    items = [Item(id_, draw(amounts)) for id_ in MOVED[:count]]
    bins = [
        Bin(host, draw(offers), draw(st.sampled_from([{}, {"VCPU": 3}])))
        for host in HOSTS[: draw(st.integers(0, 3))]
    ]
    members = st.frozensets(
        st.sampled_from(MOVED + OTHERS), min_size=2, max_size=4
    )
    rules = draw(
        st.lists(
            st.builds(
                Rule,
                what=st.just("g"),
                members=members,
                together=st.booleans(),
                limit=st.integers(0, 2),
                soft=st.booleans(),
            ),
            max_size=3,
        )
    )
    where = dict.fromkeys(MOVED[:count], "s")
    where |= {id_: draw(st.sampled_from(HOSTS)) for id_ in OTHERS}
    return items, bins, rules, where


def has_room(items, bins, moves):
    """Reckon anew, by another way than the code does."""
    for one in bins:
        there = [i.amounts for i in items if moves[i.id] == one.host]
        for name in {n for amounts in there for n in amounts}:
            taken = [amounts.get(name, 0) for amounts in there]
            if not sum(taken):
                continue
            offered = one.free.get(name, math.inf if "DISK" in name else 0)
            if sum(taken) > offered:
                return False
            if max(taken) > one.largest.get(name, math.inf):
                return False
    return True


def one_by_one(rules, where, moves):
    """Tell whether Nova would move each, in some order."""
    if not moves:
        return True
    for id_ in sorted(moves):
        if refusal(rules, where, id_, moves[id_]) is None:
            rest = {k: v for k, v in moves.items() if k != id_}
            if one_by_one(rules, where | {id_: moves[id_]}, rest):
                return True
    return False


@settings(max_examples=600, deadline=None)
@given(problems())
def test_what_is_claimed_holds_and_what_can_be_done_is_found(problem):
    items, bins, rules, where = problem
    found = pack(items, bins, rules, where)
    assert set(found.moves) | set(found.left) == {i.id for i in items}
    assert not set(found.moves) & set(found.left)
    assert found.fits == (found.why is None)
    ways = itertools.product([b.host for b in bins], repeat=len(items))
    possible = any(
        has_room(items, bins, way) and one_by_one(rules, where, way)
        for hosts in ways
        for way in [dict(zip([i.id for i in items], hosts, strict=True))]
    )
    if found.fits:
        assert has_room(items, bins, found.moves)
        assert one_by_one(rules, where, found.moves)
    assert found.fits == possible
    again = pack(items, bins, rules, where)
    assert again == found


@settings(max_examples=60, deadline=None)
@given(problems(), st.integers(0, 12))
def test_a_small_budget_misses_ways_and_invents_none(problem, budget):
    items, bins, rules, where = problem
    found = pack(items, bins, rules, where, budget=budget)
    assert found.steps <= max(budget, len(items))
    if found.fits:
        assert has_room(items, bins, found.moves)
        assert one_by_one(rules, where, found.moves)


def test_many_equal_hosts_are_one_kind():
    """Else all orders of 12 hosts that take one each would be tried."""
    items = [item(str(n), vcpu=2) for n in range(13)]
    bins = [a_bin(str(n), vcpu=3) for n in range(12)]
    found = pack(items, bins)
    assert not found.fits
    assert found.steps < 100


def test_a_full_cloud_is_packed_in_time():
    items = [item(f"{n:03}", vcpu=1 + n % 5) for n in range(120)]
    bins = [a_bin(f"h{n:03}", vcpu=4 + n % 3) for n in range(100)]
    assert pack(items, bins).fits


def test_amounts_are_read_easily():
    assert amounts_text({"VCPU": 4.0, "DISK_GB": 1.5}) == "1.5 DISK_GB, 4 VCPU"
    assert amounts_text({"VCPU": math.inf}) == "any VCPU"
    bins = [a_bin("a", vcpu=-3, vgpu=1), a_bin("b", vcpu=4)]
    assert free_text(bins, ["VCPU", "OTHER"]) == "4 VCPU"
