"""Engines: which there are, and what they can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

#: What every engine of this release has.
BUILT_IN_WORKFLOWS = frozenset({"default", "vnf"})
BUILT_IN_ACTIONS = frozenset({"dummy", "command"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRecord:
    """An engine that has reported itself.

    :ivar owner: as which it owns work; another one after each start.
    :ivar capabilities: ``workflows`` and ``actions``, lists of names.
    :ivar seen_at: when it last did, epoch seconds by the database's clock.
    :ivar alive: that was not too long ago.
    """

    id: int
    uuid: str
    host: str
    binary: str
    version: str
    owner: str
    capabilities: Mapping[str, Any]
    seen_at: float
    started_at: datetime
    alive: bool
