import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.domain.pacing import pause

ages = st.lists(st.floats(0, 1000), max_size=20)
seconds = st.floats(0, 10_000)
shortest = st.none() | st.floats(0.01, 1000)


@pytest.mark.parametrize(
    ("quiet", "expected"),
    [(0, 0.25), (2, 0.25), (4, 0.5), (8, 1.0), (1000, 1.0)],
)
def test_nothing_known_means_ever_longer_pauses(quiet, expected):
    assert pause(1, quiet=quiet, under_way=[1], shortest=None) == expected


@pytest.mark.parametrize(
    ("under_way", "expected"),
    [
        ([], 0.25),  # nothing to expect
        ([1], 0.94),  # until shortly before the end
        ([0.1, 1.5], 0.44),  # the first one counts
        ([0.1], 1.0),  # but not longer than the interval
        ([1.94], 0.1),  # expected now
        ([2.4, 0.1], 0.1),
        ([3], 0.25),  # long overdue
        ([3, 1.9], 0.1),  # overdue, and one that is near
        ([3, 0.1], 0.25),  # overdue, and one that is far
    ],
)
def test_the_end_of_an_evacuation_is_waited_for(under_way, expected):
    found = pause(1, quiet=0, under_way=under_way, shortest=2)
    assert found == pytest.approx(expected)


def test_long_evacuations_are_looked_at_less_closely():
    assert pause(1, quiet=0, under_way=[30], shortest=30) == 0.6
    assert pause(1, quiet=0, under_way=[300], shortest=300) == 1


@given(st.floats(0.05, 60), seconds, ages, shortest)
def test_a_pause_is_neither_nothing_nor_endless(interval, quiet, ages, least):
    found = pause(interval, quiet=quiet, under_way=ages, shortest=least)
    assert interval / 10 <= found <= interval
