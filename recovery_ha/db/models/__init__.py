"""The tables, as SQLAlchemy models; queries use their columns."""

from recovery_ha.db.models.base import Base
from recovery_ha.db.models.clusters import (
    Cluster,
    ClusterInstance,
    ClusterNodeGroup,
)
from recovery_ha.db.models.history import (
    DeploymentHistory,
    Event,
    Step,
    Transaction,
)
from recovery_ha.db.models.maintenance import (
    GroupConstraints,
    InstanceConstraints,
    MaintenanceAction,
    MaintenanceActionRun,
    MaintenanceHost,
    MaintenanceInstance,
    MaintenanceProject,
    MaintenanceSession,
    OutboxMessage,
    Service,
    Webhook,
)
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
    "Cluster",
    "ClusterInstance",
    "ClusterNodeGroup",
    "DeploymentHistory",
    "Event",
    "GateDecision",
    "GroupConstraints",
    "Host",
    "InstanceConstraints",
    "MaintenanceAction",
    "MaintenanceActionRun",
    "MaintenanceHost",
    "MaintenanceInstance",
    "MaintenanceProject",
    "MaintenanceSession",
    "Notification",
    "OutboxMessage",
    "ReservedHostUse",
    "ResourceLock",
    "Segment",
    "Service",
    "Step",
    "Transaction",
    "VMove",
    "Webhook",
]
