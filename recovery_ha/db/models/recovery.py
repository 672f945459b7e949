"""Segments, hosts, notifications and vmoves."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recovery_ha.db import types
from recovery_ha.db.models.base import MYSQL, Base, SoftDelete, Timestamps
from recovery_ha.db.models.work import Leased


class Segment(Timestamps, SoftDelete, Base):
    """A group of hosts that are recovered by the same method."""

    __tablename__ = "failover_segments"
    __table_args__ = (sa.UniqueConstraint("name", "deleted"), MYSQL)

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    service_type: Mapped[str] = mapped_column(sa.String(255))
    enabled: Mapped[bool] = mapped_column(sa.Boolean, default=True)
    description: Mapped[str | None] = mapped_column(types.LongText)
    recovery_method: Mapped[str] = mapped_column(sa.String(36))


class Host(Timestamps, SoftDelete, Base):
    """A compute host of a segment."""

    __tablename__ = "hosts"
    __table_args__ = (sa.UniqueConstraint("name", "deleted"), MYSQL)

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    name: Mapped[str] = mapped_column(sa.String(255))
    type: Mapped[str] = mapped_column(sa.String(255))
    reserved: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    control_attributes: Mapped[str] = mapped_column(types.LongText)
    on_maintenance: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    maintenance_cause: Mapped[str | None] = mapped_column(sa.String(36))
    failover_segment_id: Mapped[str] = mapped_column(
        sa.String(36), sa.ForeignKey("failover_segments.uuid"), index=True
    )


class Notification(Timestamps, Leased, Base):
    """An accepted report; the row is also the work that an engine claims."""

    __tablename__ = "notifications"
    __table_args__ = (
        sa.Index("ix_notifications_claim", "wake_at", "lease_expires_at"),
        sa.Index("ix_notifications_owner", "lease_owner"),
        sa.Index("ix_notifications_host", "source_host_uuid", "status"),
        sa.Index("ix_notifications_status", "status", "id"),
        sa.Index("ix_notifications_type", "type", "id"),
        sa.Index("ix_notifications_generated", "generated_time"),
        sa.Index("ix_notifications_created", "created_at", "id"),
        sa.Index("ix_notifications_joined_to", "joined_to"),
        sa.Index("ix_notifications_reporter", "reporter", "id"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    notification_uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    generated_time: Mapped[datetime] = mapped_column(types.DateTime)
    source_host_uuid: Mapped[str] = mapped_column(sa.String(36))
    source_host_name: Mapped[str] = mapped_column(sa.String(255))
    type: Mapped[str] = mapped_column(sa.String(36))
    payload: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    status: Mapped[str] = mapped_column(sa.String(36))
    failover_segment_uuid: Mapped[str] = mapped_column(sa.String(36))
    message: Mapped[str | None] = mapped_column(types.LongText)
    request_id: Mapped[str | None] = mapped_column(sa.String(64))
    received_at: Mapped[float] = mapped_column(types.Epoch)
    dedupe_key: Mapped[str | None] = mapped_column(sa.String(64), unique=True)
    dedupe_until: Mapped[float | None] = mapped_column(types.Epoch, index=True)
    flow_uuid: Mapped[str | None] = mapped_column(sa.String(64))
    joined_to: Mapped[str | None] = mapped_column(sa.String(36))
    held: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    attempts_before: Mapped[int] = mapped_column(sa.Integer, default=0)
    requested_action: Mapped[str | None] = mapped_column(sa.String(16))
    record: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON)
    reporter: Mapped[str | None] = mapped_column(sa.String(64))


class VMove(Timestamps, Base):
    """One instance's move: what operators watch, what a resume reads."""

    __tablename__ = "vmoves"
    __table_args__ = (
        sa.UniqueConstraint("notification_uuid", "instance_uuid"),
        sa.Index("ix_vmoves_instance_uuid", "instance_uuid"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    notification_uuid: Mapped[str] = mapped_column(
        sa.String(36),
        sa.ForeignKey("notifications.notification_uuid", ondelete="CASCADE"),
    )
    instance_uuid: Mapped[str] = mapped_column(sa.String(36))
    instance_name: Mapped[str] = mapped_column(sa.String(255))
    source_host: Mapped[str] = mapped_column(sa.String(255))
    dest_host: Mapped[str | None] = mapped_column(sa.String(255))
    start_time: Mapped[datetime | None] = mapped_column(types.DateTime)
    end_time: Mapped[datetime | None] = mapped_column(types.DateTime)
    type: Mapped[str] = mapped_column(sa.String(36))
    status: Mapped[str] = mapped_column(sa.String(36))
    message: Mapped[str | None] = mapped_column(types.LongText)
    ordinal: Mapped[int] = mapped_column(sa.Integer)
    ha_enabled: Mapped[bool] = mapped_column(sa.Boolean)
    vm_state: Mapped[str] = mapped_column(sa.String(36))
    task_state: Mapped[str | None] = mapped_column(sa.String(64))
    power_state: Mapped[int] = mapped_column(sa.Integer)
    was_locked: Mapped[bool] = mapped_column(sa.Boolean)
    locked_by_us: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    requested_at: Mapped[float | None] = mapped_column(types.Epoch)
    accepted: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    migration_baseline: Mapped[int] = mapped_column(sa.Integer)
    attempts: Mapped[int] = mapped_column(sa.Integer, default=0)


class GateDecision(Timestamps, Base):
    """What a gate said about a notification, or an instance of it, last."""

    __tablename__ = "decisions"
    __table_args__ = (
        sa.UniqueConstraint("notification_uuid", "gate", "subject"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    notification_uuid: Mapped[str] = mapped_column(
        sa.String(36),
        sa.ForeignKey("notifications.notification_uuid", ondelete="CASCADE"),
    )
    gate: Mapped[str] = mapped_column(sa.String(64))
    subject: Mapped[str] = mapped_column(sa.String(36))
    verdict: Mapped[str] = mapped_column(sa.String(16))
    sentence: Mapped[str] = mapped_column(types.LongText)
    inputs: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    limit: Mapped[Any] = mapped_column(sa.JSON)


class ReservedHostUse(Timestamps, Base):
    """A reserved host that a recovery has taken, and what it did to it."""

    __tablename__ = "reserved_host_uses"
    __table_args__ = (
        sa.UniqueConstraint("notification_uuid", "attempt", "host_name"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    notification_uuid: Mapped[str] = mapped_column(
        sa.String(36),
        sa.ForeignKey("notifications.notification_uuid", ondelete="CASCADE"),
    )
    attempt: Mapped[int] = mapped_column(sa.Integer)
    host_uuid: Mapped[str] = mapped_column(sa.String(36))
    host_name: Mapped[str] = mapped_column(sa.String(255))
    status: Mapped[str] = mapped_column(sa.String(16))
    enabled_by_us: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    disabled_reason: Mapped[str | None] = mapped_column(sa.String(255))
    aggregates: Mapped[list[int]] = mapped_column(sa.JSON)
