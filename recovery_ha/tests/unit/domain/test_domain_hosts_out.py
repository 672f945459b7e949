import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.domain.hosts_out import HostsOut, awaited, beyond

hosts = st.sampled_from("abcdef")


def test_a_host_that_is_out_twice_is_one():
    out = HostsOut({"a": "n-1"}, ("a", "b"))
    assert out.besides("b") == ["a"]
    assert out.besides("x") == ["a", "b"]


@given(
    st.dictionaries(hosts, st.just("n-1")),
    st.sets(hosts),
    hosts,
    st.integers(0, 7),
)
def test_with_one_more_there_are_never_too_many(
    recovering, maintained, host, limit
):
    out = HostsOut(recovering, tuple(sorted(maintained)))
    after = {*recovering, *maintained, host}
    refused = beyond(out, host, limit)
    assert (refused is None) == (not limit or len(after) <= limit)


@pytest.mark.parametrize(
    ("recovering", "words"),
    [
        ({}, None),
        ({"x": "n-1"}, None),
        ({"a": "n-1"}, "Host a is being recovered (notification n-1)"),
        (dict.fromkeys("abcdefgh", "n-1"), "Host a, b, c, d, e and 3 more is"),
    ],
)
def test_a_session_waits_for_recoveries(recovering, words):
    said = awaited(HostsOut(recovering), "x")
    assert (said is None) if words is None else said.startswith(words)
