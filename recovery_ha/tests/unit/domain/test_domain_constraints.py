import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.domain.constraints import Rule, refusal, rules, without
from recovery_ha.domain.maintenance import (
    GroupConstraints,
    InstanceConstraints,
)
from recovery_ha.domain.ports import ServerGroup


def a_group(policy, *members, max_per_host=1, id_="g"):
    return ServerGroup(id_, "web", policy, members, max_per_host)


def asked(**values):
    return GroupConstraints(
        **{"group_id": "g", "project_id": "p", "group_name": "front"} | values
    )


def of(instance_id, group_id="g", project_id="p"):
    return InstanceConstraints(
        instance_id=instance_id, project_id=project_id, group_id=group_id
    )


@pytest.mark.parametrize(
    ("policy", "together", "limit", "soft"),
    [
        ("affinity", True, 0, False),
        ("anti-affinity", False, 2, False),
        ("soft-affinity", True, 0, True),
        ("soft-anti-affinity", False, 2, True),
        ("of a later release", False, 0, False),
    ],
)
def test_a_server_group_is_a_rule(policy, together, limit, soft):
    (rule,) = rules([a_group(policy, "a", "b", max_per_host=2)])
    assert rule == Rule(
        what=f"server group web ({policy})",
        members=frozenset("ab"),
        together=together,
        limit=limit,
        soft=soft,
    )


@pytest.mark.parametrize(
    ("values", "limit"),
    [
        ({}, None),
        ({"max_instances_per_host": 3}, 3),
        ({"anti_affinity_group": True}, 1),
        ({"anti_affinity_group": True, "max_instances_per_host": 3}, 1),
    ],
)
def test_a_group_of_a_project_is_a_rule(values, limit):
    found = rules([], [asked(**values)], [of("a"), of("b"), of("c", "h")])
    assert [(r.limit, r.members, r.what) for r in found] == (
        [] if limit is None else [(limit, frozenset("ab"), "group front")]
    )


def test_members_of_the_server_group_of_that_id_count_too():
    found = rules(
        [a_group("affinity", "x", "y")],
        [asked(anti_affinity_group=True, group_name=None)],
        [of("a")],
        {"x": "p", "y": "p"},
    )
    assert [(r.what, r.members) for r in found] == [
        ("server group web (affinity)", frozenset("xy")),
        ("group g", frozenset("axy")),
    ]


def test_a_group_is_its_project_s():
    """What a project says of a group's id binds nobody else's instances."""
    found = rules(
        [a_group("affinity", "x", "y")],
        [asked(max_instances_per_host=2), asked(project_id="q")],
        [of("a"), of("b"), of("c", project_id="q")],
        {"x": "q", "y": "p"},
    )
    assert [(r.what, r.members) for r in found] == [
        ("server group web (affinity)", frozenset("xy")),
        ("group front", frozenset("aby")),
    ]


def test_one_alone_is_no_group():
    assert rules([a_group("anti-affinity", "a")]) == ()


WHERE = {"a": "h1", "b": "h1", "c": "h2"}


@pytest.mark.parametrize(
    ("rule", "host", "said"),
    [
        ({"limit": 1}, "h2", "r allows 1 of its members per host, and h2 has"),
        ({"limit": 2}, "h2", None),
        ({"limit": 1}, "h3", None),
        ({"limit": 1, "soft": True}, "h2", None),
        ({"together": True}, "h2", None),
        ({"together": True}, "h3", "r keeps it on h1, h2"),
        ({"together": True, "soft": True}, "h3", None),
        ({"limit": 1, "members": frozenset("bc")}, "h2", None),
    ],
)
def test_what_a_rule_refuses(rule, host, said):
    one = Rule(**{"what": "r", "members": frozenset("abc")} | rule)
    found = refusal([one], WHERE, "a", host)
    assert (found is None) if said is None else found.startswith(said)


def test_members_that_are_nowhere_do_not_count():
    one = Rule(what="r", members=frozenset("axy"), together=True, limit=1)
    assert refusal([one], {"a": "h1"}, "a", "h2") is None


@given(st.integers(1, 4), st.lists(st.sampled_from("hi"), max_size=6))
def test_a_limit_is_reached_and_never_passed(limit, hosts):
    where = {str(n): host for n, host in enumerate(hosts)}
    one = Rule(what="r", members=frozenset({*where, "new"}), limit=limit)
    refused = refusal([one], where, "new", "h")
    assert (refused is None) == (hosts.count("h") < limit)


def test_what_was_not_said_is_listed():
    known = {"a": of("a"), "b": of("b", None), "c": of("c", "gone")}
    found = without(
        [("d", "four"), ("c", "three"), ("b", "two"), ("a", "one")],
        known,
        {("p", "g"): asked()},
    )
    assert found == (
        "the group of instance b (two)",
        "group gone of instance c (three)",
        "instance d (four)",
    )
