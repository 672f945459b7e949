import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_domain_evacuation import a_server

from recovery_ha.domain.capacity import fit
from recovery_ha.domain.ports import Capacity, Flavor


def sized(id_, vcpus=1, memory=64, disk=1):
    return a_server(id_, flavor=Flavor("f", vcpus, memory, disk, {}))


def test_nobody_knows_means_that_nova_decides():
    found = fit([sized("a", 999), sized("b")], "rh", None)
    assert (found.fitting, found.left) == (("a", "b"), {})


def test_a_host_is_filled_in_order_and_a_smaller_one_may_follow():
    servers = [sized("a", 4), sized("b", 5), sized("c", 4), sized("d", 1)]
    found = fit(servers, "rh", Capacity(8, 1000, 1000))
    assert found.fitting == ("a", "c")
    assert set(found.left) == {"b", "d"}
    assert found.left["b"] == (
        "Does not fit on reserved host rh: 5 VCPU needed, 4 free."
    )
    assert found.left["d"].endswith("1 VCPU needed, 0 free.")


@pytest.mark.parametrize(
    ("free", "words"),
    [
        (Capacity(0.5, 64, 1), "1 VCPU needed, 0.5 free."),
        (Capacity(1, 63, 1), "64 MB of memory needed, 63 free."),
        (Capacity(1, 64, 0), "1 GB of disk needed, 0 free."),
        (Capacity(-3, 64, 1), "1 VCPU needed, 0 free."),
        (
            Capacity(0, 0, 0),
            ", 64 MB of memory needed, 0 free, 1 GB of disk needed, 0 free.",
        ),
    ],
)
def test_what_is_short_is_said(free, words):
    found = fit([sized("a")], "rh", free)
    assert found.fitting == ()
    assert found.left["a"].endswith(words)


def test_what_is_not_counted_never_runs_out():
    free = Capacity(math.inf, math.inf, math.inf)
    assert len(fit([sized(str(n)) for n in range(99)], "rh", free).left) == 0


def test_what_an_instance_does_not_take_may_be_over_full():
    """One on a volume takes no disk; Nova has promised too much of it."""
    found = fit([sized("a", disk=0)], "rh", Capacity(1, 64, -5))
    assert found.fitting == ("a",)


amounts = st.integers(0, 9)
servers = st.lists(st.tuples(amounts, amounts, amounts), max_size=8)


@given(servers, st.builds(Capacity, amounts, amounts, amounts))
def test_no_more_is_chosen_than_fits_and_nothing_is_lost(sizes, free):
    asked = [sized(str(n), *size) for n, size in enumerate(sizes)]
    found = fit(asked, "rh", free)
    assert sorted([*found.fitting, *found.left]) == [s.id for s in asked]
    assert list(found.fitting) == sorted(found.fitting)
    chosen = [sizes[int(id_)] for id_ in found.fitting]
    used = [sum(column) for column in zip(*chosen, strict=True)] or [0] * 3
    limits = (free.vcpus, free.memory_mb, free.disk_gb)
    assert all(u <= limit for u, limit in zip(used, limits, strict=True))
    # What was left really did not fit beside those chosen before it.
    for id_ in found.left:
        before = [sizes[int(i)] for i in found.fitting if int(i) < int(id_)]
        rest = [
            limit - sum(size[n] for size in before)
            for n, limit in enumerate(limits)
        ]
        wanted = sizes[int(id_)]
        assert any(w > r for w, r in zip(wanted, rest, strict=True))
