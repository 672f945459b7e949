"""What the parts of a session's work are given."""

from dataclasses import dataclass
from typing import Protocol

from oslo_config import cfg

from recovery_ha.clients.alarms import Alarms
from recovery_ha.clients.compute import Compute
from recovery_ha.clients.placement import Placement
from recovery_ha.context import RequestContext
from recovery_ha.engine.lease import Lease
from recovery_ha.engine.runner import FlowRunner


class Kicked(Protocol):
    """Who sends what was written down to be told."""

    def kick(self) -> None:
        """Look for messages now; returns at once."""


@dataclass(frozen=True, slots=True)
class SessionEnvironment:
    """A session that this engine owns, and all that is needed for it.

    :ivar ctx: with the request id of whoever made the session.
    :ivar lease: fences every write; its ``check`` comes before every call.
    :ivar compute: (and placement, alarms) bound to the lease.
    :ivar delivery: to be kicked after a commit with new messages.
    """

    conf: cfg.ConfigOpts
    ctx: RequestContext
    lease: Lease
    compute: Compute
    placement: Placement
    alarms: Alarms
    runner: FlowRunner
    delivery: Kicked
