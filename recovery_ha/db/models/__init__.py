"""The tables, as SQLAlchemy models; queries use their columns."""

from recovery_ha.db.models.base import Base
from recovery_ha.db.models.history import Event, Transaction
from recovery_ha.db.models.recovery import (
    GateDecision,
    Host,
    Notification,
    ReservedHostUse,
    Segment,
    VMove,
)
from recovery_ha.db.models.work import ResourceLock

__all__ = [
    "Base",
    "Event",
    "GateDecision",
    "Host",
    "Notification",
    "ReservedHostUse",
    "ResourceLock",
    "Segment",
    "Transaction",
    "VMove",
]
