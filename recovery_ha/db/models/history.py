"""The ledger: what ran, in which parts, and what was said about it.

Each index is one that a filter of the API pages by: equal columns first, then
the id, so that a page is read and nothing else (``db.ledger.pages``). Columns
after the id are those that other filters look at on the way.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from recovery_ha.db import types
from recovery_ha.db.models.base import MYSQL, Base, Timestamps

_BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Transaction(Timestamps, Base):
    """One run of something; a recovery's has its notification's uuid.

    ``project_id`` is "" for nobody's: NULL would make the unique key let
    pass what it is there to refuse. The ``lease_`` columns are those of a
    reporter outside. The ``count_`` columns are units by the status of their
    latest attempt, so that nobody ever counts a million rows.
    """

    __tablename__ = "transactions"
    __table_args__ = (
        sa.UniqueConstraint("project_id", "reporter", "external_id"),
        sa.Index("ix_transactions_cluster_id", "cluster_id", "kind", "id"),
        sa.Index("ix_transactions_lease", "status", "lease_expires_at"),
        sa.Index("ix_transactions_deleted_at", "deleted_at", "id"),
        sa.Index("ix_transactions_origin", "origin_type", "origin_id"),
        sa.Index("ix_transactions_project_id", "project_id", "id"),
        sa.Index("ix_transactions_status", "status", "id"),
        sa.Index("ix_transactions_kind", "kind", "id"),
        sa.Index("ix_transactions_name", "name", "id"),
        sa.Index("ix_transactions_parent_id", "parent_id", "id"),
        sa.Index("ix_transactions_created_at", "created_at", "id"),
        sa.Index("ix_transactions_dry_run", "dry_run", "id"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    uuid: Mapped[str] = mapped_column(sa.String(36), unique=True)
    kind: Mapped[str] = mapped_column(sa.String(36))
    name: Mapped[str] = mapped_column(sa.String(255))
    graph_type: Mapped[str | None] = mapped_column(sa.String(255))
    project_id: Mapped[str] = mapped_column(sa.String(64), default="")
    cluster_id: Mapped[str | None] = mapped_column(sa.String(64))
    parent_id: Mapped[int | None] = mapped_column(
        sa.Integer, sa.ForeignKey("transactions.id", ondelete="CASCADE")
    )
    origin_type: Mapped[str | None] = mapped_column(sa.String(36))
    origin_id: Mapped[str | None] = mapped_column(sa.String(64))
    reporter: Mapped[str | None] = mapped_column(sa.String(255))
    external_id: Mapped[str | None] = mapped_column(sa.String(255))
    status: Mapped[str] = mapped_column(sa.String(16))
    outcome: Mapped[str | None] = mapped_column(sa.String(36))
    progress: Mapped[int] = mapped_column(sa.Integer, default=0)
    message: Mapped[str | None] = mapped_column(types.LongText)
    result: Mapped[Any | None] = mapped_column(
        sa.JSON(none_as_null=True), nullable=True
    )
    dry_run: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    lossy: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    declared: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    tasks_snapshot: Mapped[dict[str, Any] | None] = mapped_column(
        sa.JSON(none_as_null=True)
    )
    request_id: Mapped[str | None] = mapped_column(sa.String(64))
    time_start: Mapped[datetime | None] = mapped_column(types.DateTime)
    time_end: Mapped[datetime | None] = mapped_column(types.DateTime)
    lease_seconds: Mapped[float | None] = mapped_column(sa.Double)
    lease_expires_at: Mapped[float | None] = mapped_column(types.Epoch)
    deleted_at: Mapped[datetime | None] = mapped_column(types.DateTime)
    count_pending: Mapped[int] = mapped_column(sa.Integer, default=0)
    count_running: Mapped[int] = mapped_column(sa.Integer, default=0)
    count_ready: Mapped[int] = mapped_column(sa.Integer, default=0)
    count_error: Mapped[int] = mapped_column(sa.Integer, default=0)
    count_skipped: Mapped[int] = mapped_column(sa.Integer, default=0)


class Step(Timestamps, Base):
    """A part of a run, with what is counted of its units.

    ``expected`` is what was announced, ``units`` what is known, ``total`` the
    larger of the two.
    """

    __tablename__ = "steps"
    __table_args__ = (
        sa.UniqueConstraint(
            "transaction_id", "step_type", "step_name", "round"
        ),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    transaction_id: Mapped[int] = mapped_column(
        sa.Integer, sa.ForeignKey("transactions.id", ondelete="CASCADE")
    )
    seq: Mapped[int] = mapped_column(sa.Integer)
    round: Mapped[int] = mapped_column(sa.Integer)
    step_name: Mapped[str] = mapped_column(sa.String(255))
    step_type: Mapped[str] = mapped_column(sa.String(64))
    expected: Mapped[int | None] = mapped_column(sa.Integer)
    units: Mapped[int] = mapped_column(sa.Integer, default=0)
    total: Mapped[int] = mapped_column(sa.Integer, default=0)
    completed: Mapped[int] = mapped_column(sa.Integer, default=0)
    failed: Mapped[int] = mapped_column(sa.Integer, default=0)
    closed: Mapped[bool] = mapped_column(sa.Boolean, default=False)
    successful: Mapped[bool | None] = mapped_column(sa.Boolean)
    progress: Mapped[int] = mapped_column(sa.Integer, default=0)
    started_at: Mapped[datetime | None] = mapped_column(types.DateTime)
    completed_at: Mapped[datetime | None] = mapped_column(types.DateTime)
    duration: Mapped[float | None] = mapped_column(sa.Double)


class DeploymentHistory(Timestamps, Base):
    """One attempt of a task on a node.

    ``latest`` says that there is no later attempt. ``project_id`` and
    ``cluster_id`` are the transaction's: the history of all runs is paged by
    them.
    """

    __tablename__ = "deployment_history"
    __table_args__ = (
        sa.UniqueConstraint(
            "task_id",
            "node_id",
            "deployment_graph_task_name",
            "attempt",
            name="uq_deployment_history_unit",
        ),
        sa.Index(
            "ix_deployment_history_status", "task_id", "status", "id", "latest"
        ),
        sa.Index(
            "ix_deployment_history_node",
            "task_id",
            "node_id",
            "status",
            "id",
            "latest",
        ),
        sa.Index(
            "ix_deployment_history_name",
            "task_id",
            "deployment_graph_task_name",
            "id",
        ),
        sa.Index(
            "ix_deployment_history_success",
            "node_id",
            "deployment_graph_task_name",
            "status",
            "task_id",
        ),
        sa.Index("ix_deployment_history_step", "step_id", "id"),
        sa.Index(
            "ix_deployment_history_runs_unit",
            "node_id",
            "deployment_graph_task_name",
            "status",
            "id",
            "latest",
            "reported_at",
            "project_id",
            "cluster_id",
        ),
        sa.Index(
            "ix_deployment_history_runs_node",
            "node_id",
            "status",
            "id",
            "latest",
            "reported_at",
            "cluster_id",
        ),
        sa.Index(
            "ix_deployment_history_runs_project_node",
            "project_id",
            "node_id",
            "status",
            "id",
            "latest",
            "reported_at",
        ),
        sa.Index(
            "ix_deployment_history_runs_name",
            "deployment_graph_task_name",
            "status",
            "id",
            "latest",
            "reported_at",
            "project_id",
            "cluster_id",
        ),
        sa.Index(
            "ix_deployment_history_runs_status",
            "status",
            "id",
            "latest",
            "reported_at",
        ),
        sa.Index(
            "ix_deployment_history_runs_project",
            "project_id",
            "status",
            "id",
            "latest",
            "reported_at",
        ),
        sa.Index(
            "ix_deployment_history_runs_cluster",
            "cluster_id",
            "status",
            "id",
            "latest",
            "reported_at",
            "project_id",
        ),
        sa.Index("ix_deployment_history_reported_at", "reported_at", "id"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(_BigId, primary_key=True)
    task_id: Mapped[int] = mapped_column(
        sa.Integer, sa.ForeignKey("transactions.id", ondelete="CASCADE")
    )
    step_id: Mapped[int | None] = mapped_column(
        sa.Integer, sa.ForeignKey("steps.id", ondelete="CASCADE")
    )
    project_id: Mapped[str] = mapped_column(sa.String(64), default="")
    cluster_id: Mapped[str | None] = mapped_column(sa.String(64))
    node_id: Mapped[str] = mapped_column(sa.String(255))
    node_type: Mapped[str | None] = mapped_column(sa.String(64))
    deployment_graph_task_name: Mapped[str] = mapped_column(sa.String(255))
    attempt: Mapped[int] = mapped_column(sa.Integer)
    latest: Mapped[bool] = mapped_column(sa.Boolean)
    status: Mapped[str] = mapped_column(sa.String(16))
    seq: Mapped[int | None] = mapped_column(sa.BigInteger)
    time_start: Mapped[datetime | None] = mapped_column(types.DateTime)
    time_end: Mapped[datetime | None] = mapped_column(types.DateTime)
    reported_at: Mapped[datetime | None] = mapped_column(types.DateTime)
    message: Mapped[str | None] = mapped_column(types.LongText)
    summary: Mapped[Any | None] = mapped_column(
        sa.JSON(none_as_null=True), nullable=True
    )
    custom: Mapped[dict[str, Any] | None] = mapped_column(
        sa.JSON(none_as_null=True)
    )


class Event(Base):
    """One remark about a run; rows are added and never changed.

    Whoever adds one holds the transaction's row: ids rise in the order in
    which they become visible, so that no follower misses one.
    """

    __tablename__ = "events"
    __table_args__ = (
        sa.Index("ix_events_transaction_id", "transaction_id", "id"),
        sa.Index("ix_events_step_id", "step_id", "id"),
        MYSQL,
    )

    id: Mapped[int] = mapped_column(_BigId, primary_key=True)
    transaction_id: Mapped[int] = mapped_column(
        sa.Integer, sa.ForeignKey("transactions.id", ondelete="CASCADE")
    )
    step_id: Mapped[int | None] = mapped_column(
        sa.Integer, sa.ForeignKey("steps.id", ondelete="CASCADE")
    )
    history_id: Mapped[int | None] = mapped_column(sa.BigInteger)
    seq: Mapped[int | None] = mapped_column(sa.BigInteger)
    node_group_id: Mapped[str | None] = mapped_column(sa.String(64))
    instance_id: Mapped[str | None] = mapped_column(sa.String(255))
    instance_name: Mapped[str | None] = mapped_column(sa.String(255))
    successful: Mapped[bool | None] = mapped_column(sa.Boolean)
    task: Mapped[str | None] = mapped_column(sa.String(255))
    progress: Mapped[float | None] = mapped_column(sa.Double)
    event_info: Mapped[str | None] = mapped_column(types.LongText)
    error_id: Mapped[str | None] = mapped_column(sa.String(36))
    traceback: Mapped[str | None] = mapped_column(types.LongText)
    request_id: Mapped[str | None] = mapped_column(sa.String(64))
    created_at: Mapped[datetime] = mapped_column(types.DateTime)
