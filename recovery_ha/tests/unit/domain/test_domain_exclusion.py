import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_domain_evacuation import a_server

from recovery_ha.conf.host_failure import OPTS
from recovery_ha.domain.exclusion import Exclusions, exclude
from recovery_ha.domain.gates import Verdict
from recovery_ha.domain.ports import Flavor

FLAVOR = Flavor("gpu", 1, 64, 1, {"hw:numa": "1", "pinned": "yes"})
AMPHORA = "amphora-5f0a3c1e-9a4f-4c39-8a52-0d1ad6ff2d4c"


def a_vm(**values):
    fields = {
        "name": "web-1",
        "project_id": "p-1",
        "metadata": {"tier": "front", "empty": ""},
        "flavor": FLAVOR,
    }
    return a_server("i-1", **{**fields, **values})


IMAGE = {"os_type": "linux", "tags": "a,b"}

ROWS = [
    # rules, gate (None: it is recovered), rule
    ({}, None, None),
    ({"projects": ["p-2", "p-1"]}, "exclude_project", "p-1"),
    ({"projects": ["p-2", "P-1", "p-11"]}, None, None),
    ({"names": ["db-*", "web-?"]}, "exclude_name_pattern", "web-?"),
    ({"names": ["WEB-*", "web", "eb-1"]}, None, None),
    ({"metadata": ["tier"]}, "exclude_metadata", "tier"),
    ({"metadata": ["tier=front"]}, "exclude_metadata", "tier=front"),
    ({"metadata": ["empty="]}, "exclude_metadata", "empty="),
    ({"metadata": ["tier=back", "Tier", "other"]}, None, None),
    (
        {"extra_specs": ["hw:numa=1"]},
        "exclude_flavor_extra_spec",
        "hw:numa=1",
    ),
    ({"extra_specs": ["hw:numa=2", "numa"]}, None, None),
    (
        {"image_properties": ["os_type=linux"]},
        "exclude_image_property",
        "os_type=linux",
    ),
    (
        {"image_properties": ["tags=a,b"]},
        "exclude_image_property",
        "tags=a,b",
    ),
    ({"image_properties": ["tags=b"]}, None, None),
    # one match is enough, and the first gate is named
    (
        {"names": ["db"], "projects": ["p-1"], "metadata": ["tier"]},
        "exclude_project",
        "p-1",
    ),
]


@pytest.mark.parametrize(("rules", "gate", "rule"), ROWS)
def test_a_rule_leaves_out_what_it_matches(rules, gate, rule):
    said = exclude(a_vm(), Exclusions(**rules), IMAGE)
    if gate is None:
        assert said is None
        return
    assert (said.gate, said.limit) == (gate, rule)
    assert said.verdict is Verdict.LEAVE_OUT
    assert said.subject == "i-1"
    assert said.sentence.startswith("web-1 is left out: ")
    assert rule in said.sentence


def test_an_image_that_is_not_known_matches_nothing():
    rules = Exclusions(image_properties=["os_type"])
    assert exclude(a_vm(), rules) is None
    assert exclude(a_vm(), rules, {}) is None


def test_what_was_looked_at_is_kept():
    said = exclude(a_vm(), Exclusions(metadata=["tier"]))
    assert said.inputs == {"metadata": {"tier": "front", "empty": ""}}


@pytest.mark.parametrize(
    ("name", "excluded"),
    [
        (AMPHORA, True),
        ("amphora-1", False),
        (f"my-{AMPHORA}", False),
        (f"{AMPHORA}-2", False),
    ],
)
def test_amphorae_are_left_to_octavia_by_default(name, excluded):
    (option,) = [o for o in OPTS if o.name == "exclude_names"]
    said = exclude(a_vm(name=name), Exclusions(names=option.default))
    assert (said is not None) is excluded


short = st.text("ab=*?", max_size=3)
lists = st.lists(short, max_size=3)


@given(
    st.builds(
        Exclusions,
        projects=lists,
        names=lists,
        metadata=lists,
        extra_specs=lists,
        image_properties=lists,
    ),
    short,
    short,
    st.dictionaries(short, short, max_size=2),
    st.dictionaries(short, short, max_size=2),
)
def test_an_instance_is_left_out_as_one_of_the_rules_alone_does(
    rules, name, project, metadata, image
):
    server = a_vm(name=name, project_id=project, metadata=metadata)
    alone = [
        exclude(server, Exclusions(**{field.name: [rule]}), image)
        for field in dataclasses.fields(Exclusions)
        for rule in getattr(rules, field.name)
    ]
    said = exclude(server, rules, image)
    assert (said is None) == (alone == [None] * len(alone))
    assert said is None or said in alone
