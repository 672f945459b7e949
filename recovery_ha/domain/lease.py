"""Who works on what: claims, and how long one may be relied on.

The database's clock decides when a lease ends. An engine cannot read that
clock before every call, so it counts from a moment before it sent the
claiming or renewing statement, on its own monotonic clock, and stops a
margin earlier: it never believes in a lease that the database has ended.
"""

from dataclasses import dataclass
from enum import StrEnum


class WorkKind(StrEnum):
    """Kinds of work that an engine can own."""

    RECOVERY = "recovery"
    CLUSTER = "cluster"
    MAINTENANCE = "maintenance"


@dataclass(frozen=True, slots=True)
class Claim:
    """One engine's ownership of one piece of work.

    :ivar kind: which table the work is a row of.
    :ivar uuid: the work (a notification's, a cluster's or a session's uuid).
    :ivar owner: the engine's identity, unique per process start.
    :ivar epoch: raised by every claim; each write names it, so that a stale
        owner's writes change nothing.
    :ivar taken_over: the row was left behind by an owner whose lease ended.
    """

    kind: WorkKind
    uuid: str
    owner: str
    epoch: int
    taken_over: bool


#: The part of a lease kept back as safety against scheduling delays.
MARGIN = 0.1


def safe_until(asked_at: float, lease_seconds: float) -> float:
    """Return until when, on the caller's monotonic clock, a lease is safe.

    :param asked_at: monotonic time before the statement was sent.
    :param lease_seconds: what the statement asked for.
    """
    return asked_at + lease_seconds * (1 - MARGIN)
