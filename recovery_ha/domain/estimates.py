"""When a session will probably be at its end, from what was measured."""

from collections.abc import Sequence
from datetime import datetime

from recovery_ha.domain.maintenance import HostStatus, SessionHost


def estimated_end(
    hosts: Sequence[SessionHost], now: datetime
) -> datetime | None:
    """Return when the last host will be maintained, if all goes on as it did.

    What a host took is measured from the end of one to that of the next, so
    that moving instances, asking projects, and working on several hosts at
    once are in it.

    :param now: naive UTC; the end is not before it.
    :returns: naive UTC; None: no host was maintained yet, or there is no
        other.
    """
    ends = [
        host.ended_at
        for host in hosts
        if host.status is HostStatus.MAINTAINED and host.ended_at is not None
    ]
    starts = [host.started_at for host in hosts if host.started_at is not None]
    left = sum(host.status is not HostStatus.MAINTAINED for host in hosts)
    if not (ends and starts and left):
        return None
    took = max(ends) - min(starts)
    return max(now, max(ends) + left * took / len(ends))
