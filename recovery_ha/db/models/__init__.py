"""The tables, as SQLAlchemy models; queries use their columns."""

from recovery_ha.db.models.base import Base
from recovery_ha.db.models.recovery import Host, Notification, Segment, VMove
from recovery_ha.db.models.work import ResourceLock

__all__ = [
    "Base",
    "Host",
    "Notification",
    "ResourceLock",
    "Segment",
    "VMove",
]
