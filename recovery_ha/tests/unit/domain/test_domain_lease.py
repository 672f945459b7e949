import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.domain.lease import MARGIN, safe_until

seconds = st.floats(0.001, 1e6)


@given(st.floats(0, 1e6), seconds)
def test_a_lease_is_never_believed_longer_than_the_database_grants_it(
    asked_at, lease_seconds
):
    until = safe_until(asked_at, lease_seconds)
    # The database's lease begins at asked_at at the earliest.
    assert asked_at <= until < asked_at + lease_seconds or lease_seconds < 1e-9


@pytest.mark.parametrize(
    ("asked_at", "lease_seconds", "until"),
    [(0.0, 10.0, 9.0), (100.0, 10.0, 109.0), (5.0, 1.0, 5.9)],
)
def test_a_tenth_is_kept_back(asked_at, lease_seconds, until):
    assert MARGIN == 0.1
    assert safe_until(asked_at, lease_seconds) == pytest.approx(until)


def test_renewing_every_third_leaves_room_for_a_late_answer():
    lease = 9.0
    # Asked at a third, answered almost a third later: the next turn, at two
    # thirds, still lies before the end of the first grant.
    assert 2 * lease / 3 < safe_until(0.0, lease)
