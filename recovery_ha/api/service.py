"""What the controllers of one application work with, made once at its start.

Nothing of it is global: several applications live in one process.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from recovery_ha.api.waiting import Waiting
from recovery_ha.clients.events import Emitter
from recovery_ha.clients.webhook import Network
from recovery_ha.db.session import Database
from recovery_ha.policy import Policy


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one application.

    :ivar events: sends what happens to whoever listens, after a commit; None:
        to nobody.
    :ivar wake: has the engines look for work; called after a commit.
    :ivar open: every caller is an administrator (``noauth``).
    :ivar max_limit: the largest page.
    :ivar link_prefix: what links begin with; None: as in the request.
    :ivar duplicate_window: seconds for which a report equal to one that has
        ended is refused.
    :ivar waiting: the places of requests that wait for news.
    :ivar plugins: names of the provisioning plug-ins that are installed.
    :ivar event_log: events about the provisioning of clusters are written.
    :ivar default_lease: seconds for which a reporter of a run may be silent
        unless it says otherwise; ``max_lease``: however long it wants.
    :ivar down_time: seconds after which an engine counts as down.
    :ivar webhook_networks: in which webhooks may have any address.
    :ivar archives: what sessions may name for download, SHA-256 by URL.
    :ivar check_responses: answers are compared with their schemas, for tests.
    """

    database: Database
    policy: Policy
    events: Emitter | None
    wake: Callable[[], None]
    open: bool
    max_limit: int
    link_prefix: str | None
    duplicate_window: float
    waiting: Waiting
    plugins: frozenset[str]
    event_log: bool
    default_lease: int
    max_lease: int
    down_time: float
    webhook_networks: tuple[Network, ...]
    archives: Mapping[str, str]
    check_responses: bool
