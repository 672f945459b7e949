"""Clusters that are provisioned, and what they consist of."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recovery_ha.db import types
from recovery_ha.db.models.base import MYSQL, Base, SoftDelete, Timestamps
from recovery_ha.db.models.work import Leased


class Cluster(Timestamps, SoftDelete, Leased, Base):
    """A cluster; ``project_id`` is "" for nobody's.

    The row is also the work that an engine claims whose plug-in provisions
    it; ``wake_at`` is NULL while no plug-in has anything to do.
    """

    __tablename__ = "clusters"
    __table_args__ = (
        sa.UniqueConstraint("project_id", "name", "deleted"),
        sa.Index("ix_clusters_project_id", "project_id", "deleted", "id"),
        sa.Index("ix_clusters_status", "deleted", "status", "id"),
        sa.Index("ix_clusters_claim", "wake_at", "lease_expires_at"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    project_id: Mapped[str] = mapped_column(sa.String(64), default="")
    plugin_name: Mapped[str | None] = mapped_column(sa.String(255))
    plugin_version: Mapped[str | None] = mapped_column(sa.String(64))
    description: Mapped[str | None] = mapped_column(types.LongText)
    status: Mapped[str] = mapped_column(sa.String(64))
    status_description: Mapped[str | None] = mapped_column(types.LongText)
    extra: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    requested_action: Mapped[str | None] = mapped_column(sa.String(16))


class ClusterNodeGroup(Timestamps, Base):
    """Instances of a cluster that are alike."""

    __tablename__ = "node_groups"
    __table_args__ = (sa.UniqueConstraint("cluster_id", "name"), MYSQL)

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    cluster_id: Mapped[str] = mapped_column(
        sa.String(36), sa.ForeignKey("clusters.uuid", ondelete="CASCADE")
    )
    name: Mapped[str] = mapped_column(sa.String(255))
    count: Mapped[int] = mapped_column(sa.Integer)
    flavor_id: Mapped[str | None] = mapped_column(sa.String(255))
    node_processes: Mapped[list[str]] = mapped_column(sa.JSON)


class ClusterInstance(Timestamps, Base):
    """An instance of a cluster's node group."""

    __tablename__ = "cluster_instances"
    __table_args__ = (
        sa.UniqueConstraint("node_group_id", "instance_id"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    node_group_id: Mapped[str] = mapped_column(
        sa.String(36), sa.ForeignKey("node_groups.uuid", ondelete="CASCADE")
    )
    instance_id: Mapped[str] = mapped_column(sa.String(64))
    instance_name: Mapped[str] = mapped_column(sa.String(255))
    internal_ip: Mapped[str | None] = mapped_column(sa.String(64))
    management_ip: Mapped[str | None] = mapped_column(sa.String(64))
