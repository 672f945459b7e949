"""Maintenance sessions, constraints of instances, and what is to be told."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recovery_ha.db import types
from recovery_ha.db.models.base import MYSQL, Base, Timestamps
from recovery_ha.db.models.work import Leased


def _session() -> Mapped[str]:
    return mapped_column(
        sa.String(36),
        sa.ForeignKey("maintenance_sessions.uuid", ondelete="CASCADE"),
    )


class MaintenanceSession(Timestamps, Leased, Base):
    """A session; the row is also the work that an engine claims.

    ``wake_at`` is NULL while nothing is to be done: when it is done, failed,
    or paused. ``deleted_at`` is set while a deleted one is still being undone;
    then the row goes, and its transaction tells of it.
    """

    __tablename__ = "maintenance_sessions"
    __table_args__ = (
        sa.Index(
            "ix_maintenance_sessions_claim", "wake_at", "lease_expires_at"
        ),
        sa.Index("ix_maintenance_sessions_state", "state", "id"),
        sa.Index("ix_maintenance_sessions_deleted_at", "deleted_at", "id"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    state: Mapped[str] = mapped_column(sa.String(32))
    round: Mapped[int] = mapped_column(sa.Integer)
    workflow: Mapped[str] = mapped_column(sa.String(255))
    maintenance_at: Mapped[datetime] = mapped_column(types.DateTime)
    session_metadata: Mapped[dict[str, Any]] = mapped_column(
        "metadata", sa.JSON
    )
    download: Mapped[list[dict[str, str]]] = mapped_column(
        sa.JSON, default=list
    )
    all_hosts: Mapped[bool] = mapped_column(sa.Boolean)
    failed_state: Mapped[str | None] = mapped_column(sa.String(32))
    aborted: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    paused: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    requested_action: Mapped[str | None] = mapped_column(sa.String(16))
    requested_round: Mapped[int | None] = mapped_column(sa.Integer)
    seen: Mapped[int] = mapped_column(sa.Integer, default=0)
    percent_done: Mapped[int] = mapped_column(sa.Integer, default=0)
    record: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    message: Mapped[str | None] = mapped_column(types.LongText)
    project_id: Mapped[str | None] = mapped_column(sa.String(64))
    user_id: Mapped[str | None] = mapped_column(sa.String(64))
    request_id: Mapped[str | None] = mapped_column(sa.String(64))
    deleted_at: Mapped[datetime | None] = mapped_column(types.DateTime)


class MaintenanceHost(Timestamps, Base):
    """A host of a session.

    ``live_name`` is its name until the session has ended, then NULL: a host
    is in one live session only.
    """

    __tablename__ = "maintenance_hosts"
    __table_args__ = (sa.UniqueConstraint("session_uuid", "host"), MYSQL)

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    session_uuid: Mapped[str] = _session()
    ordinal: Mapped[int] = mapped_column(sa.Integer)
    host: Mapped[str] = mapped_column(sa.String(255))
    live_name: Mapped[str | None] = mapped_column(sa.String(255), unique=True)
    type: Mapped[str] = mapped_column(sa.String(16))
    status: Mapped[str] = mapped_column(sa.String(16))
    service_id: Mapped[str | None] = mapped_column(sa.String(36))
    disabled_by_us: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    reason_before: Mapped[str | None] = mapped_column(sa.String(255))
    message: Mapped[str | None] = mapped_column(types.LongText)
    started_at: Mapped[datetime | None] = mapped_column(types.DateTime)
    ended_at: Mapped[datetime | None] = mapped_column(types.DateTime)


class MaintenanceProject(Timestamps, Base):
    """A project of a session, and what it said in its last round."""

    __tablename__ = "maintenance_projects"
    __table_args__ = (sa.UniqueConstraint("session_uuid", "project_id"), MYSQL)

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    session_uuid: Mapped[str] = _session()
    project_id: Mapped[str] = mapped_column(sa.String(64))
    answer: Mapped[str] = mapped_column(sa.String(16))
    round: Mapped[int] = mapped_column(sa.Integer, default=0)
    state: Mapped[str | None] = mapped_column(sa.String(32))
    reply: Mapped[str] = mapped_column(sa.String(16))
    deadline: Mapped[float | None] = mapped_column(types.Epoch)
    allowed_actions: Mapped[list[str]] = mapped_column(sa.JSON, default=list)
    action: Mapped[str | None] = mapped_column(sa.String(16))
    message: Mapped[str | None] = mapped_column(types.LongText)
    replied_at: Mapped[datetime | None] = mapped_column(types.DateTime)


class MaintenanceInstance(Timestamps, Base):
    """An instance of a session, and how far its move is."""

    __tablename__ = "maintenance_instances"
    __table_args__ = (
        sa.UniqueConstraint("session_uuid", "instance_id"),
        sa.Index(
            "ix_maintenance_instances_project_id", "session_uuid", "project_id"
        ),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    session_uuid: Mapped[str] = _session()
    instance_id: Mapped[str] = mapped_column(sa.String(36))
    name: Mapped[str] = mapped_column(sa.String(255))
    project_id: Mapped[str] = mapped_column(sa.String(64))
    host: Mapped[str] = mapped_column(sa.String(255))
    group_id: Mapped[str | None] = mapped_column(sa.String(64))
    round: Mapped[int] = mapped_column(sa.Integer, default=0)
    listed: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    reply: Mapped[str] = mapped_column(sa.String(16))
    deadline: Mapped[float | None] = mapped_column(types.Epoch)
    allowed_actions: Mapped[list[str]] = mapped_column(sa.JSON, default=list)
    action: Mapped[str | None] = mapped_column(sa.String(16))
    action_status: Mapped[str] = mapped_column(sa.String(16))
    source_host: Mapped[str | None] = mapped_column(sa.String(255))
    kind: Mapped[str | None] = mapped_column(sa.String(16))
    requested_at: Mapped[float | None] = mapped_column(types.Epoch)
    baseline: Mapped[int] = mapped_column(sa.Integer, default=0)
    attempts: Mapped[int] = mapped_column(sa.Integer, default=0)
    message: Mapped[str | None] = mapped_column(types.LongText)
    moved_at: Mapped[float | None] = mapped_column(types.Epoch)


class MaintenanceAction(Base):
    """An action plug-in that a session runs."""

    __tablename__ = "maintenance_actions"
    __table_args__ = (sa.UniqueConstraint("session_uuid", "ordinal"), MYSQL)

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    session_uuid: Mapped[str] = _session()
    ordinal: Mapped[int] = mapped_column(sa.Integer)
    plugin: Mapped[str] = mapped_column(sa.String(255))
    type: Mapped[str] = mapped_column(sa.String(16))
    action_metadata: Mapped[dict[str, Any]] = mapped_column(
        "metadata", sa.JSON
    )


class MaintenanceActionRun(Timestamps, Base):
    """What an action plug-in did on a host; kept when it is done."""

    __tablename__ = "maintenance_action_runs"
    __table_args__ = (
        sa.UniqueConstraint("session_uuid", "ordinal", "host"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    session_uuid: Mapped[str] = _session()
    ordinal: Mapped[int] = mapped_column(sa.Integer)
    host: Mapped[str] = mapped_column(sa.String(255))
    status: Mapped[str] = mapped_column(sa.String(16))
    attempt: Mapped[int] = mapped_column(sa.Integer)
    output: Mapped[str | None] = mapped_column(types.LongText)
    flow_uuid: Mapped[str] = mapped_column(sa.String(64))
    started_at: Mapped[datetime | None] = mapped_column(types.DateTime)
    ended_at: Mapped[datetime | None] = mapped_column(types.DateTime)


class InstanceConstraints(Timestamps, Base):
    """What a project asks for an instance; survives sessions.

    Several projects may have an entry for one id: nobody is kept from his by
    whoever knows it. That of the instance's own project counts.
    """

    __tablename__ = "instance_constraints"
    __table_args__ = (
        sa.UniqueConstraint("project_id", "instance_id"),
        sa.Index("ix_instance_constraints_instance_id", "instance_id", "id"),
        sa.Index("ix_instance_constraints_project_id", "project_id", "id"),
        sa.Index("ix_instance_constraints_group_id", "group_id"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    instance_id: Mapped[str] = mapped_column(sa.String(36))
    project_id: Mapped[str] = mapped_column(sa.String(64))
    group_id: Mapped[str | None] = mapped_column(sa.String(64))
    instance_name: Mapped[str | None] = mapped_column(sa.String(255))
    max_interruption_time: Mapped[int | None] = mapped_column(sa.Integer)
    migration_type: Mapped[str | None] = mapped_column(sa.String(16))
    resource_mitigation: Mapped[bool] = mapped_column(sa.Boolean)
    lead_time: Mapped[int] = mapped_column(sa.Integer)


class GroupConstraints(Timestamps, Base):
    """What a project asks for a group of instances; survives sessions."""

    __tablename__ = "instance_groups"
    __table_args__ = (
        sa.UniqueConstraint("project_id", "group_id"),
        sa.Index("ix_instance_groups_group_id", "group_id", "id"),
        sa.Index("ix_instance_groups_project_id", "project_id", "id"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    group_id: Mapped[str] = mapped_column(sa.String(64))
    project_id: Mapped[str] = mapped_column(sa.String(64))
    group_name: Mapped[str | None] = mapped_column(sa.String(255))
    anti_affinity_group: Mapped[bool] = mapped_column(sa.Boolean)
    max_instances_per_host: Mapped[int] = mapped_column(sa.Integer)
    max_impacted_members: Mapped[int] = mapped_column(sa.Integer)
    recovery_time: Mapped[int] = mapped_column(sa.Integer)
    resource_mitigation: Mapped[bool] = mapped_column(sa.Boolean)


class Webhook(Timestamps, Base):
    """Where a project wants to be told, besides the message queue."""

    __tablename__ = "webhooks"
    __table_args__ = (sa.UniqueConstraint("project_id", "url_digest"), MYSQL)

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    project_id: Mapped[str] = mapped_column(sa.String(64))
    url: Mapped[str] = mapped_column(types.LongText)
    url_digest: Mapped[str] = mapped_column(sa.String(64))
    secret: Mapped[str] = mapped_column(types.LongText)


class OutboxMessage(Timestamps, Base):
    """What is to be told outside, written along with what it tells of.

    ``due_at`` is when it may be sent next, NULL when it was sent or given
    up; ``dedupe_key`` lets a repeated step tell nothing twice. A webhook's
    message has ``webhook_uuid``, the message queue's has none.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        sa.Index("ix_outbox_due_at", "due_at", "id"),
        sa.Index("ix_outbox_session_uuid", "session_uuid", "id"),
        sa.Index("ix_outbox_created_at", "created_at", "id"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    dedupe_key: Mapped[str] = mapped_column(sa.String(255), unique=True)
    message_id: Mapped[str] = mapped_column(sa.String(36))
    session_uuid: Mapped[str] = mapped_column(sa.String(36))
    webhook_uuid: Mapped[str | None] = mapped_column(sa.String(36))
    project_id: Mapped[str | None] = mapped_column(sa.String(64))
    event_type: Mapped[str] = mapped_column(sa.String(64))
    payload: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    due_at: Mapped[float | None] = mapped_column(types.Epoch)
    attempts: Mapped[int] = mapped_column(sa.Integer, default=0)
    sent_at: Mapped[datetime | None] = mapped_column(types.DateTime)
    message: Mapped[str | None] = mapped_column(types.LongText)


class Service(Timestamps, Base):
    """An engine that there is, or was; ``seen_at`` says which."""

    __tablename__ = "services"
    __table_args__ = (
        sa.Index("ix_services_seen_at", "seen_at"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    host: Mapped[str] = mapped_column(sa.String(255), unique=True)
    binary: Mapped[str] = mapped_column(sa.String(64))
    version: Mapped[str] = mapped_column(sa.String(64))
    owner: Mapped[str] = mapped_column(sa.String(255))
    capabilities: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    seen_at: Mapped[float] = mapped_column(types.Epoch)
    started_at: Mapped[datetime] = mapped_column(types.DateTime)
