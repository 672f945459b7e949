"""When a session will be at its end."""

import datetime as dt

import pytest

from recovery_ha.domain.estimates import estimated_end
from recovery_ha.domain.maintenance import HostStatus, HostType, SessionHost

NOON = dt.datetime(2026, 11, 20, 12)


def minutes(number):
    return NOON + dt.timedelta(minutes=number)


def host(number, status=HostStatus.PENDING, start=None, end=None):
    return SessionHost(
        ordinal=number,
        host=f"compute-{number}",
        type=HostType.COMPUTE,
        status=status,
        started_at=None if start is None else minutes(start),
        ended_at=None if end is None else minutes(end),
    )


DONE = HostStatus.MAINTAINED


@pytest.mark.parametrize(
    ("hosts", "now", "expected"),
    [
        ([], 0, None),
        ([host(1), host(2)], 0, None),
        ([host(1, HostStatus.IN_MAINTENANCE, 0), host(2)], 5, None),
        ([host(1, DONE, 0, 10), host(2)], 10, 20),
        ([host(1, DONE, 0, 10), host(2), host(3)], 12, 30),
        # two at once: five minutes each
        ([host(1, DONE, 0, 10), host(2, DONE, 0, 10), host(3)], 10, 15),
        # the pause between two hosts counts
        ([host(1, DONE, 0, 10), host(2, DONE, 20, 30), host(3)], 30, 45),
        # it takes longer than expected
        ([host(1, DONE, 0, 10), host(2)], 90, 90),
        ([host(1, DONE, 0, 10)], 10, None),
        ([host(1, DONE, 0, 10), host(2, HostStatus.FAILED, 10, 20)], 10, 20),
    ],
)
def test_estimates(hosts, now, expected):
    end = None if expected is None else minutes(expected)
    assert estimated_end(hosts, minutes(now)) == end
