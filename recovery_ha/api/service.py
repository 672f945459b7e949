"""What the controllers of one application work with, made once at its start.

Nothing of it is global: several applications live in one process.
"""

from collections.abc import Callable
from dataclasses import dataclass

from recovery_ha.db.session import Database
from recovery_ha.policy import Policy


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of one application.

    :ivar wake: has the engines look for work; called after a commit.
    :ivar open: every caller is an administrator (``noauth``).
    :ivar max_limit: the largest page.
    :ivar link_prefix: what links begin with; None: as in the request.
    :ivar check_responses: answers are compared with their schemas, for tests.
    """

    database: Database
    policy: Policy
    wake: Callable[[], None]
    open: bool
    max_limit: int
    link_prefix: str | None
    check_responses: bool
