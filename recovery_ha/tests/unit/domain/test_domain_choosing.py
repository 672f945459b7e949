"""Which host is next, and why."""

import dataclasses
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_domain_evacuation import a_server

from recovery_ha.domain.choosing import (
    CloudHost,
    CloudSnapshot,
    choose_next,
    destinations,
    empty_hosts,
    host_to_empty,
)
from recovery_ha.domain.maintenance import (
    GroupConstraints,
    HostStatus,
    HostType,
    InstanceConstraints,
    Session,
    SessionHost,
    SessionState,
)
from recovery_ha.domain.ports import Amounts, Flavor, ServerGroup

S = SessionState
DONE = HostStatus.MAINTAINED


def a_session(*names, state=S.MAINTENANCE, done=(), controllers=()):
    hosts = [
        SessionHost(
            ordinal=number,
            host=name,
            type=HostType.CONTROLLER
            if name in controllers
            else HostType.COMPUTE,
            status=DONE if name in done else HostStatus.PENDING,
        )
        for number, name in enumerate(names)
    ]
    return Session(
        id=1,
        uuid="s-1",
        state=state,
        round=1,
        workflow="default",
        maintenance_at=datetime(2026, 1, 1),
        metadata={},
        all_hosts=False,
        hosts=tuple(hosts),
        projects=(),
        instances=(),
        actions=(),
        runs=(),
        failed_state=None,
        aborted=False,
        paused=False,
        requested=None,
        seen=0,
        attempts=0,
        percent_done=0,
        record={},
        message=None,
        project_id=None,
        user_id=None,
        request_id=None,
        created_at=datetime(2026, 1, 1),
        updated_at=None,
    )


def a_host(name, *sizes, total=8, up=True, enabled=True, project="p-1"):
    """A host with servers of these sizes, in VCPU."""
    servers = tuple(
        a_server(f"{name}-{number}", host=name, project_id=project)
        for number, _size in enumerate(sizes)
    )
    taken = {
        server.id: {"VCPU": size}
        for server, size in zip(servers, sizes, strict=True)
    }
    amounts = Amounts(
        total={"VCPU": total},
        free={"VCPU": total - sum(sizes)},
        largest={"VCPU": total},
        taken=taken,
    )
    return CloudHost(
        host=name, enabled=enabled, up=up, servers=servers, amounts=amounts
    )


def a_cloud(*hosts, **values):
    return CloudSnapshot(hosts={host.host: host for host in hosts}, **values)


# Empty


def test_an_empty_host_is_maintained_at_once():
    cloud = a_cloud(a_host("a", 1), a_host("b"), a_host("c"), a_host("d"))
    session = a_session("a", "c", "b", "d", done=["d"])
    assert empty_hosts(cloud, session) == ("c", "b")
    choice = choose_next(cloud, session)
    assert (choice.state, choice.host) == (S.START_MAINTENANCE, "c")
    assert choice.sentence == (
        "2 of 3 compute hosts that are not maintained are empty: c, b."
    )


def test_instances_that_stay_leave_their_host_empty():
    cloud = a_cloud(a_host("a", 1, project="left-alone"), a_host("b", 1))
    session = a_session("a", "b")
    assert empty_hosts(cloud, session) == ()
    cloud = dataclasses.replace(cloud, skipped=frozenset({"left-alone"}))
    assert empty_hosts(cloud, session) == ("a",)
    assert choose_next(cloud, session).sentence.startswith("1 of 2 compute")


def test_controllers_and_hosts_that_nova_does_not_know_are_not_empty():
    cloud = a_cloud(a_host("ctl"), a_host("a", 1))
    session = a_session("ctl", "unknown", "a", controllers=["ctl"])
    assert empty_hosts(cloud, session) == ()


def test_with_everything_maintained_there_is_nothing_to_do():
    cloud = a_cloud(a_host("a", 1))
    for state in (S.MAINTENANCE, S.PLANNED_MAINTENANCE):
        session = a_session("a", done=["a"], state=state)
        choice = host_to_empty(cloud, session)
        assert (choice.state, choice.host) == (S.START_MAINTENANCE, None)


# Before anything is maintained


def test_a_host_whose_instances_fit_elsewhere_is_emptied():
    cloud = a_cloud(
        a_host("a", 4, 2), a_host("b", 5), a_host("c", 3), a_host("d", 1, 1)
    )
    choice = choose_next(cloud, a_session("a", "b", "c"))
    assert (choice.state, choice.host) == (S.PREPARE_MAINTENANCE, "c")
    assert choice.moves == {"c-0": "b"}
    assert choice.sentence == (
        "No compute host is empty. c is emptied: its 1 instance (3 VCPU) fit"
        " on other hosts, for instance on b (free on 3: 11 VCPU)."
    )


@pytest.mark.parametrize(
    ("hosts", "chosen"),
    [
        # the fewest instances
        ([a_host("a", 1, 1), a_host("b", 4), a_host("c", 3, 3)], "b"),
        # then the most that is free
        ([a_host("a", 3), a_host("b", 2), a_host("c", 3, 3)], "b"),
        # of a larger host, which has more to move, the same share
        ([a_host("a", 4), a_host("b", 8, total=16)], "a"),
        # then the session's order
        ([a_host("b", 2), a_host("a", 2)], "b"),
        # but only one whose instances fit
        ([a_host("a", 8, total=9), a_host("b", 1, 1, 1, total=4)], None),
        ([a_host("a", 8, total=9), a_host("b", 1, total=4)], "b"),
        # and none that is down
        ([a_host("a", 1, up=False), a_host("b", 2, 2), a_host("c", 1)], "c"),
    ],
)
def test_which_host_is_preferred(hosts, chosen):
    session = a_session(*[host.host for host in hosts])
    choice = choose_next(a_cloud(*hosts), session)
    assert choice.host == chosen
    same = choose_next(a_cloud(*reversed(hosts)), session)
    assert same == choice


def test_when_nothing_fits_room_has_to_be_made():
    cloud = a_cloud(a_host("a", 5, 3), a_host("b", 4, 3))
    choice = choose_next(cloud, a_session("a", "b", state=S.SCALE_IN))
    assert (choice.state, choice.host) == (S.SCALE_IN, None)
    assert choice.sentence == (
        "No compute host is empty, and no host's instances fit on the"
        " others. b comes closest, with 2 instances and 2 without a place on"
        " 1 hosts: 7 VCPU needed, 0 VCPU free."
    )
    assert choice.left == ("b-0", "b-1")


@pytest.mark.parametrize("change", [{"enabled": False}, {"up": False}])
def test_nothing_goes_where_nova_would_not_place_it(change):
    other = a_host("b", 1, 1, **change)
    cloud = a_cloud(a_host("a", 1), other)
    assert choose_next(cloud, a_session("a")).state is S.SCALE_IN
    fine = a_cloud(a_host("a", 1), a_host("b", 1, 1))
    assert choose_next(fine, a_session("a")).host == "a"


def test_nothing_is_said_to_fit_where_placement_knows_nothing():
    unknown = dataclasses.replace(a_host("b", 1, 1), amounts=None)
    choice = choose_next(a_cloud(a_host("a", 1), unknown), a_session("a"))
    assert choice.state is S.SCALE_IN
    assert "there is no host that it may go to" in choice.sentence


def test_all_down_is_said():
    cloud = a_cloud(a_host("a", 1, up=False), a_host("b", 1, up=False))
    choice = choose_next(cloud, a_session("a", "b"))
    assert choice.state is S.SCALE_IN
    assert "sees none of those" in choice.sentence


def test_an_instance_that_placement_does_not_know_takes_its_flavor():
    server = a_server("x", host="a", flavor=Flavor("f", 2, 64, 0, {}))
    host = dataclasses.replace(a_host("a"), servers=(server,))
    cloud = a_cloud(host)
    assert cloud.item(server).amounts == {"VCPU": 2.0, "MEMORY_MB": 64.0}


def test_server_groups_are_honoured():
    group = ServerGroup("g", "web", "anti-affinity", ("a-0", "b-0"))
    cloud = a_cloud(a_host("a", 1), a_host("b", 1), groups=(group,))
    choice = choose_next(cloud, a_session("a", "b"))
    assert choice.state is S.SCALE_IN
    assert "server group web (anti-affinity) allows 1" in choice.sentence


def test_groups_of_projects_are_honoured():
    members = {
        id_: InstanceConstraints(
            instance_id=id_, project_id="p-1", group_id="g"
        )
        for id_ in ("a-0", "b-0", "b-1")
    }
    group = GroupConstraints(
        group_id="g", project_id="p-1", max_instances_per_host=2
    )
    cloud = a_cloud(
        a_host("a", 1),
        a_host("b", 1, 1),
        instances=members,
        constraints={group.key: group},
    )
    choice = choose_next(cloud, a_session("a"))
    assert choice.state is S.SCALE_IN
    assert "allows 2 of its members per host, and b has 2" in choice.sentence


# Once something is maintained


def test_what_is_planned_goes_to_maintained_hosts():
    cloud = a_cloud(
        a_host("a"), a_host("b", 2), a_host("c", 1, 1), a_host("d")
    )
    session = a_session("a", "b", "c", state=S.PLANNED_MAINTENANCE, done=["a"])
    choice = host_to_empty(cloud, session)
    assert (choice.state, choice.host) == (S.PLANNED_MAINTENANCE, "b")
    assert choice.moves == {"b-0": "a"}
    assert "fit on maintained hosts, for instance on a (free on 1: 8" in (
        choice.sentence
    )
    bins = destinations(cloud, session, "b", planned=True)
    assert [one.host for one in bins] == ["a"]


def test_a_host_that_is_empty_by_now_needs_no_plan():
    cloud = a_cloud(a_host("a"), a_host("b"))
    session = a_session("a", "b", state=S.PLANNED_MAINTENANCE, done=["a"])
    choice = host_to_empty(cloud, session)
    assert (choice.state, choice.host) == (S.START_MAINTENANCE, "b")


def test_hosts_outside_of_the_session_help_where_the_maintained_do_not():
    cloud = a_cloud(a_host("a", total=2), a_host("b", 2, 2), a_host("d"))
    session = a_session("a", "b", state=S.PLANNED_MAINTENANCE, done=["a"])
    choice = host_to_empty(cloud, session)
    assert choice.host == "b"
    assert set(choice.moves.values()) <= {"a", "d"}
    assert "maintained hosts and hosts outside of the session" in (
        choice.sentence
    )


def test_a_plan_that_does_not_fit_says_so():
    cloud = a_cloud(a_host("a", total=2), a_host("b", 2, 2), a_host("c", 4))
    session = a_session("a", "b", "c", state=S.PLANNED_MAINTENANCE, done=["a"])
    choice = host_to_empty(cloud, session)
    assert (choice.host, choice.left) == ("c", ("c-0",))
    assert "4 VCPU needed, 2 VCPU free" in choice.sentence
    assert "Nova has the last word" in choice.sentence


def test_a_maintained_host_that_is_disabled_takes_nothing():
    cloud = a_cloud(a_host("a", enabled=False), a_host("b", 2))
    session = a_session("a", "b", state=S.PLANNED_MAINTENANCE, done=["a"])
    assert host_to_empty(cloud, session).left == ("b-0",)


def test_hosts_that_nobody_knows_are_said():
    session = a_session("a", "b", state=S.PLANNED_MAINTENANCE, done=["a"])
    choice = host_to_empty(a_cloud(a_host("a")), session)
    assert choice.host is None
    assert "know none of the compute hosts" in choice.sentence


# Whatever the cloud


@st.composite
def clouds(draw):
    count = draw(st.integers(1, 4))
    names = [f"h{number}" for number in range(count)]
    hosts = [
        a_host(
            name,
            *draw(st.lists(st.integers(1, 5), max_size=4)),
            total=draw(st.integers(0, 12)),
            up=draw(st.booleans()),
            enabled=draw(st.booleans()),
        )
        for name in names
    ]
    session = a_session(
        *draw(st.permutations(names)),
        done=draw(st.sets(st.sampled_from(names))),
        state=draw(
            st.sampled_from(
                [
                    S.MAINTENANCE,
                    S.SCALE_IN,
                    S.PREPARE_MAINTENANCE,
                    S.PLANNED_MAINTENANCE,
                ]
            )
        ),
    )
    return a_cloud(*hosts), session


@settings(max_examples=300, deadline=None)
@given(clouds())
def test_a_choice_is_a_good_one(problem):
    cloud, session = problem
    choice = host_to_empty(cloud, session)
    assert choice.sentence.endswith(".")
    left = [h.host for h in session.hosts if h.status is not DONE]
    empty = empty_hosts(cloud, session)
    if choice.state is S.START_MAINTENANCE:
        assert choice.host in empty if left else choice.host is None
        return
    assert not empty
    if choice.state is S.SCALE_IN:
        assert session.state is not S.PLANNED_MAINTENANCE
        assert choice.host is None
        return
    assert choice.host in left
    movable = {server.id for server in cloud.movable(choice.host)}
    assert set(choice.moves) | set(choice.left) == movable
    for target in set(choice.moves.values()):
        host = cloud.hosts[target]
        assert host.enabled
        assert host.up
        assert target != choice.host
        arriving = [i for i, to in choice.moves.items() if to == target]
        taken = cloud.hosts[choice.host].amounts.taken
        needed = sum(taken[i]["VCPU"] for i in arriving)
        assert needed <= host.amounts.free["VCPU"]
        if choice.state is S.PLANNED_MAINTENANCE:
            assert target not in left
    if choice.state is S.PREPARE_MAINTENANCE:
        assert not choice.left
