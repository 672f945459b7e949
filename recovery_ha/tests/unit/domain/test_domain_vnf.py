"""Whose turn it is, whatever happens in whichever order."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_domain_choosing import a_cloud, a_host, a_session

from recovery_ha.domain.maintenance import (
    ActionStatus,
    GroupConstraints,
    InstanceConstraints,
    ReplyStatus,
    SessionInstance,
    SessionState,
)
from recovery_ha.domain.vnf import (
    Group,
    Member,
    Phase,
    limits,
    phase,
    scale_in,
    turns,
)

P = Phase
G, H, X = (("p-1", name) for name in "ghx")


def a_member(id_, phase=P.WAITING, group=G, **values):
    return Member(id=id_, name=f"vm-{id_}", phase=phase, group=group, **values)


def a_group(limit=1, recovery=0.0, others=()):
    return Group(
        name="web", limit=limit, recovery_time=recovery, others=(*others,)
    )


# One moment


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, P.WAITING),
        ({"listed": True}, P.ASKED),
        ({"listed": True, "round": 2}, P.WAITING),
        ({"listed": True, "reply": ReplyStatus.ACK}, P.AGREED),
        ({"action_status": ActionStatus.RUNNING, "round": 1}, P.MOVING),
        ({"action_status": ActionStatus.DONE}, P.WAITING),
        ({"listed": True, "action_status": ActionStatus.DONE}, P.DONE),
    ],
)
def test_how_far_an_instance_is(values, expected):
    fields = {
        "instance_id": "i",
        "name": "vm",
        "project_id": "p",
        "host": "h",
        "round": 3,
    }
    row = SessionInstance(**fields | values)
    assert phase(row, 3) is expected


def test_without_a_group_all_have_their_turns_at_once():
    found = turns(
        [a_member(id_, group=None) for id_ in "abc"], {}, 0.0, max_moves=1
    )
    assert (found.ask, found.move, found.wake_at) == (
        ("a", "b", "c"),
        (),
        None,
    )


@pytest.mark.parametrize("busy", [P.ASKED, P.AGREED, P.MOVING])
def test_one_after_the_other_in_a_group_that_bears_one(busy):
    members = [a_member("a", busy, deadline=7.0), a_member("b")]
    found = turns(members, {G: a_group()}, 0.0, max_moves=4)
    assert found.ask == ()
    assert "vm-b must wait, because 1 members of group web are" in (
        found.sentence
    )
    assert found.move == (("a",) if busy is P.AGREED else ())
    assert found.wake_at == (7.0 if busy is P.ASKED else None)


def test_as_many_as_the_group_bears():
    members = [a_member(id_) for id_ in "abcd"]
    found = turns(members, {G: a_group(3)}, 0.0, max_moves=4)
    assert found.ask == ("a", "b", "c")
    found = turns(
        members, {G: a_group(3, others=[None, 9.0])}, 0.0, max_moves=4
    )
    assert (found.ask, found.wake_at) == (("a",), 9.0)
    # The one elsewhere has recovered.
    found = turns(
        members, {G: a_group(3, others=[None, 9.0])}, 9.0, max_moves=4
    )
    assert found.ask == ("a", "b")


def test_groups_do_not_wait_for_each_other():
    members = [
        a_member("a", P.MOVING),
        a_member("b"),
        a_member("c", group=H),
    ]
    found = turns(members, {G: a_group(), H: a_group()}, 0.0, max_moves=4)
    assert found.ask == ("c",)


def test_the_pause_after_a_member_has_moved():
    members = [a_member("a", P.DONE, moved_at=100.0), a_member("b")]
    found = turns(members, {G: a_group(recovery=60)}, 159.9, max_moves=4)
    assert (found.ask, found.wake_at) == ((), 160.0)
    assert found.sentence == (
        "1 of 2 instances are done; vm-b must wait, because 1 members of"
        " group web are impacted of 1 that may be, one of them until"
        " 1970-01-01 00:02:40 UTC."
    )
    found = turns(members, {G: a_group(recovery=60)}, 160.0, max_moves=4)
    assert found.ask == ("b",)


def test_one_that_has_just_come_has_its_pause_too():
    members = [a_member("a", moved_at=100.0), a_member("b")]
    group = {G: a_group(2, recovery=60)}
    found = turns(members, group, 110.0, max_moves=4)
    assert (found.ask, found.wake_at) == (("b",), 160.0)
    assert turns(members, group, 160.0, max_moves=4).ask == ("a", "b")


def test_a_group_that_bears_nothing_never_has_its_turn():
    found = turns([a_member("a")], {G: a_group(0)}, 0.0, max_moves=4)
    assert (found.ask, found.wake_at) == ((), None)
    assert "0 members of group web are impacted of 0 that may be" in (
        found.sentence
    )


def test_no_more_are_under_way_than_may_be():
    members = [
        a_member("a", P.MOVING, group=None),
        *(a_member(id_, P.AGREED, group=None) for id_ in "bcd"),
    ]
    assert turns(members, {}, 0.0, max_moves=3).move == ("b", "c")
    assert turns(members, {}, 0.0, max_moves=1).move == ()


def test_the_earliest_of_what_is_waited_for_wakes():
    members = [
        a_member("a", P.ASKED, deadline=50.0, group=H),
        a_member("b", P.DONE, moved_at=20.0),
        a_member("c"),
    ]
    groups = {G: a_group(recovery=10), H: a_group()}
    assert turns(members, groups, 25.0, max_moves=4).wake_at == 30.0


def test_limits_are_those_that_projects_have_said():
    group = GroupConstraints(
        group_id="g",
        project_id="p-1",
        max_impacted_members=2,
        recovery_time=30,
    )
    assert limits([group], {G: [None], X: [None]}) == {
        G: Group(name="g", limit=2, recovery_time=30.0, others=(None,))
    }


# Any interleaving


@st.composite
def worlds(draw):
    """Two hosts, as two sessions would have them, with shared groups."""
    groups = {
        name: (draw(st.integers(1, 3)), draw(st.sampled_from([0.0, 5.0])))
        for name in (G, H)
    }
    members = [
        a_member(
            f"{number}",
            group=draw(st.sampled_from([G, H, None])),
        )
        for number in range(draw(st.integers(1, 8)))
    ]
    sides = [draw(st.booleans()) for _ in members]
    moves = draw(st.integers(1, 3))
    return groups, members, sides, moves


class Play:
    """Members on two hosts, as two sessions would move them."""

    def __init__(self, limits_, members, sides, moves):
        self.limits = limits_
        self.state = {m.id: m for m in members}
        self.side_of = dict(zip(self.state, sides, strict=True))
        self.moves = moves
        self.now = 0.0

    def on(self, side):
        return [m for m in self.state.values() if self.side_of[m.id] is side]

    def set(self, one, **values):
        self.state[one.id] = dataclasses.replace(one, **values)

    def absent(self, members, name):
        """Say until when members are impacted, reckoned anew."""
        found = []
        for m in members:
            if m.group == name and m.phase in {P.ASKED, P.AGREED, P.MOVING}:
                found.append(None)
            elif m.group == name and m.moved_at is not None:
                found.append(m.moved_at + self.limits[name][1])
        return [at for at in found if at is None or at > self.now]

    def tick(self, side):
        groups = {
            name: Group(
                name=name[1],
                limit=limit,
                recovery_time=pause,
                others=tuple(self.absent(self.on(not side), name)),
            )
            for name, (limit, pause) in self.limits.items()
        }
        found = turns(self.on(side), groups, self.now, max_moves=self.moves)
        for id_ in found.ask:
            assert self.state[id_].phase is P.WAITING
            self.set(self.state[id_], phase=P.ASKED, deadline=self.now + 9)
        for id_ in found.move:
            assert self.state[id_].phase is P.AGREED
            self.set(self.state[id_], phase=P.MOVING)
        for name, (limit, _pause) in self.limits.items():
            assert len(self.absent(self.state.values(), name)) <= limit
        under_way = [m for m in self.on(side) if m.phase is P.MOVING]
        assert len(under_way) <= self.moves
        return found.wake_at

    def go_on(self, one):
        """Have a project agree, or Nova be done."""
        if one.phase is P.ASKED:
            self.set(one, phase=P.AGREED)
        elif one.phase is P.MOVING:
            self.set(one, phase=P.DONE, moved_at=self.now)


@settings(max_examples=150, deadline=None)
@given(worlds(), st.data())
def test_limits_hold_over_any_order_of_events(world, data):
    play = Play(*world)
    for _ in range(40):
        play.tick(data.draw(st.booleans()))
        play.go_on(
            data.draw(st.sampled_from(sorted(play.state.values(), key=str)))
        )
        play.now += data.draw(st.sampled_from([0.0, 0.5, 6.0]))


@settings(max_examples=100, deadline=None)
@given(worlds())
def test_when_all_do_what_they_are_asked_all_leave(world):
    play = Play(*world)
    for _ in range(20 * len(play.state)):
        woken = [play.tick(side) for side in (False, True)]
        busy = [m for m in play.state.values() if m.phase is not P.WAITING]
        for one in busy:
            play.go_on(one)
        # Nothing but what was said to be waited for is waited for.
        if not any(m.phase is P.MOVING for m in busy):
            later = [at for at in woken if at is not None and at > play.now]
            play.now = min(later, default=play.now)
    assert {m.phase for m in play.state.values()} == {P.DONE}


# Doing without


def a_group_of(members, **values):
    """Constraints of a group with these members."""
    return {
        "instances": {
            id_: InstanceConstraints(
                instance_id=id_, project_id="p-1", group_id="g"
            )
            for id_ in members
        },
        "constraints": {
            G: GroupConstraints(group_id="g", project_id="p-1", **values)
        },
    }


def spare(cloud, session, impacted=None, projects=("p-1",)):
    return scale_in(cloud, session, projects=projects, impacted=impacted or {})


def test_as_few_as_will_do_are_named():
    cloud = a_cloud(
        a_host("a", 2, 3, 3),
        a_host("b", 4, 2),
        **a_group_of(["a-0", "a-1", "a-2", "b-0", "b-1"]),
    )
    session = a_session("a", "b", state=SessionState.SCALE_IN)
    found = spare(cloud, session)
    # 6 are to leave b, and a has none left: one of 4 is not enough.
    assert found.instances == {"p-1": ("b-0",)}
    assert "could be emptied" not in found.sentence
    cloud = a_cloud(
        a_host("a", 2, 3),
        a_host("b", 4, 2),
        **a_group_of(["a-0", "a-1", "b-0", "b-1"]),
    )
    found = spare(cloud, session)
    assert found.instances == {"p-1": ("a-1",)}
    assert found.sentence == "Without name of a-1, a could be emptied."


def test_no_more_than_a_group_bears_are_named():
    cloud = a_cloud(
        a_host("a", 4, 4),
        a_host("b", 4, 4),
        **a_group_of(["a-0", "a-1"], max_impacted_members=2),
    )
    session = a_session("a", "b", state=SessionState.SCALE_IN)
    assert spare(cloud, session).instances == {"p-1": ("a-0", "a-1")}
    found = spare(cloud, session, {G: 1})
    assert found.instances == {"p-1": ("a-0",)}
    assert found.sentence == (
        "To empty a, projects are asked to do without name of a-0 first;"
        " 1 more would have no place."
    )
    assert not spare(cloud, session, {G: 2}).instances


def test_nobody_is_asked_who_cannot_be():
    cloud = a_cloud(
        a_host("a", 8), a_host("b", 8), **a_group_of(["a-0", "b-0"])
    )
    session = a_session("a", "b", state=SessionState.SCALE_IN)
    assert spare(cloud, session).instances == {"p-1": ("a-0",)}
    found = spare(cloud, session, projects=[])
    assert not found.instances
    assert found.sentence.startswith("No instance can be named")


def test_those_that_can_be_replaced_are_named_first():
    cloud = a_cloud(
        a_host("a", 4, 1), a_host("b", 8), **a_group_of(["a-0", "a-1"])
    )
    session = a_session("a", state=SessionState.SCALE_IN)
    assert spare(cloud, session).instances == {"p-1": ("a-0",)}
    small = dataclasses.replace(
        cloud.instances["a-1"], resource_mitigation=True
    )
    cloud = dataclasses.replace(
        cloud, instances={**cloud.instances, "a-1": small}
    )
    assert spare(cloud, session).instances == {"p-1": ("a-1",)}
