"""The ledger: what transactions consist of, and clusters."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0005"
down_revision = "0004"


DATETIME = sa.DateTime().with_variant(
    mysql.DATETIME(fsp=6), "mysql", "mariadb"
)
LONGTEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
BIGINT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MYSQL: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def upgrade() -> None:
    _extend_transactions()
    _fill_transactions()
    _create_clusters()
    _create_history()
    _extend_events()


#: Columns that no row may be without, with what earlier rows get first.
NEEDED: dict[str, tuple[Any, Any]] = {
    "name": (sa.String(length=255), "recovery"),
    "project_id": (sa.String(length=64), ""),
    "status": (sa.String(length=16), "error"),
    "progress": (sa.Integer(), "0"),
    "dry_run": (sa.Boolean(), sa.false()),
    "lossy": (sa.Boolean(), sa.false()),
    "declared": (sa.Boolean(), sa.false()),
    "count_pending": (sa.Integer(), "0"),
    "count_running": (sa.Integer(), "0"),
    "count_ready": (sa.Integer(), "0"),
    "count_error": (sa.Integer(), "0"),
    "count_skipped": (sa.Integer(), "0"),
}
FURTHER: dict[str, Any] = {
    "graph_type": sa.String(length=255),
    "cluster_id": sa.String(length=64),
    "parent_id": sa.Integer(),
    "origin_type": sa.String(length=36),
    "origin_id": sa.String(length=64),
    "reporter": sa.String(length=255),
    "external_id": sa.String(length=255),
    "outcome": sa.String(length=36),
    "message": LONGTEXT,
    "result": sa.JSON(),
    "tasks_snapshot": sa.JSON(),
    "request_id": sa.String(length=64),
    "time_start": DATETIME,
    "time_end": DATETIME,
    "lease_seconds": sa.Double(),
    "lease_expires_at": sa.Double(),
    "deleted_at": DATETIME,
}
INDEXES = {
    "cluster_id": ["cluster_id", "kind", "id"],
    "lease": ["status", "lease_expires_at"],
    "deleted_at": ["deleted_at", "id"],
    "origin": ["origin_type", "origin_id"],
    "project_id": ["project_id", "id"],
    "status": ["status", "id"],
    "kind": ["kind", "id"],
    "name": ["name", "id"],
    "parent_id": ["parent_id", "id"],
    "created_at": ["created_at", "id"],
    "dry_run": ["dry_run", "id"],
}


def _extend_transactions() -> None:
    with op.batch_alter_table("transactions") as table:
        for name, (kind, default) in NEEDED.items():
            table.add_column(
                sa.Column(name, kind, nullable=False, server_default=default)
            )
        for name, further in FURTHER.items():
            table.add_column(sa.Column(name, further))
    with op.batch_alter_table("transactions") as table:
        for name, (kind, _default) in NEEDED.items():
            table.alter_column(
                name,
                server_default=None,
                existing_type=kind,
                existing_nullable=False,
            )
        table.create_unique_constraint(
            "uq_transactions_project_id_reporter_external_id",
            ["project_id", "reporter", "external_id"],
        )
    for name, columns in INDEXES.items():
        op.create_index(f"ix_transactions_{name}", "transactions", columns)
    with op.batch_alter_table("transactions") as table:
        table.create_foreign_key(
            "fk_transactions_parent_id",
            "transactions",
            ["parent_id"],
            ["id"],
            ondelete="CASCADE",
        )


def _fill_transactions() -> None:
    """Have earlier recoveries say what their notifications do."""
    runs = sa.table(
        "transactions",
        *map(
            sa.column,
            (
                "uuid",
                "name",
                "origin_type",
                "origin_id",
                "status",
                "outcome",
                "progress",
                "message",
                "request_id",
                "time_start",
                "time_end",
            ),
        ),
    )
    reports = sa.table(
        "notifications",
        *map(
            sa.column,
            (
                "notification_uuid",
                "type",
                "status",
                "message",
                "request_id",
                "failover_segment_uuid",
                "created_at",
                "updated_at",
            ),
        ),
    )
    segments = sa.table(
        "failover_segments", sa.column("uuid"), sa.column("recovery_method")
    )
    on_reserve = (
        sa.select(segments.c.recovery_method)
        .where(segments.c.uuid == reports.c.failover_segment_uuid)
        .scalar_subquery()
        .in_(["reserved_host", "rh_priority"])
    )
    ended = reports.c.status.in_(["finished", "ignored", "failed"])
    values: dict[str, Any] = {
        "name": sa.case(
            (reports.c.type == "VM", "instance_failure"),
            (reports.c.type == "PROCESS", "process_failure"),
            (on_reserve, "host_rh_failure"),
            else_="host_auto_failure",
        ),
        "status": sa.case(
            (reports.c.status == "new", "pending"),
            (reports.c.status.in_(["running", "error"]), "running"),
            (reports.c.status.in_(["finished", "ignored"]), "ready"),
            else_="error",
        ),
        "outcome": sa.case((reports.c.status == "ignored", "ignored")),
        "progress": sa.case((ended, 100), else_=0),
        "message": reports.c.message,
        "request_id": reports.c.request_id,
        "time_start": sa.case(
            (reports.c.status != "new", reports.c.created_at)
        ),
        "time_end": sa.case((ended, reports.c.updated_at)),
    }
    op.execute(
        sa.update(runs)
        .where(sa.exists().where(reports.c.notification_uuid == runs.c.uuid))
        .values(
            origin_type="notification",
            origin_id=runs.c.uuid,
            **{
                name: sa.select(value)
                .where(reports.c.notification_uuid == runs.c.uuid)
                .scalar_subquery()
                for name, value in values.items()
            },
        )
    )


def _create_clusters() -> None:
    op.create_table(
        "clusters",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("plugin_name", sa.String(length=255)),
        sa.Column("plugin_version", sa.String(length=64)),
        sa.Column("description", LONGTEXT),
        sa.Column("status", sa.String(length=64), nullable=False),
        sa.Column("status_description", LONGTEXT),
        sa.Column("extra", sa.JSON(), nullable=False),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME),
        sa.Column("deleted_at", DATETIME),
        sa.Column("deleted", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clusters"),
        sa.UniqueConstraint("uuid", name="uq_clusters_uuid"),
        sa.UniqueConstraint(
            "project_id",
            "name",
            "deleted",
            name="uq_clusters_project_id_name_deleted",
        ),
        **MYSQL,
    )
    op.create_index(
        "ix_clusters_project_id", "clusters", ["project_id", "deleted", "id"]
    )
    op.create_index(
        "ix_clusters_status", "clusters", ["deleted", "status", "id"]
    )
    op.create_table(
        "node_groups",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("cluster_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("flavor_id", sa.String(length=255)),
        sa.Column("node_processes", sa.JSON(), nullable=False),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME),
        sa.ForeignKeyConstraint(
            ["cluster_id"],
            ["clusters.uuid"],
            name="fk_node_groups_cluster_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_node_groups"),
        sa.UniqueConstraint("uuid", name="uq_node_groups_uuid"),
        sa.UniqueConstraint(
            "cluster_id", "name", name="uq_node_groups_cluster_id_name"
        ),
        **MYSQL,
    )
    op.create_table(
        "cluster_instances",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("node_group_id", sa.String(length=36), nullable=False),
        sa.Column("instance_id", sa.String(length=64), nullable=False),
        sa.Column("instance_name", sa.String(length=255), nullable=False),
        sa.Column("internal_ip", sa.String(length=64)),
        sa.Column("management_ip", sa.String(length=64)),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME),
        sa.ForeignKeyConstraint(
            ["node_group_id"],
            ["node_groups.uuid"],
            name="fk_cluster_instances_node_group_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_cluster_instances"),
        sa.UniqueConstraint(
            "node_group_id",
            "instance_id",
            name="uq_cluster_instances_node_group_id_instance_id",
        ),
        **MYSQL,
    )


def _create_history() -> None:
    op.create_table(
        "steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transaction_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("step_name", sa.String(length=255), nullable=False),
        sa.Column("step_type", sa.String(length=64), nullable=False),
        sa.Column("expected", sa.Integer()),
        sa.Column("units", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("completed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("successful", sa.Boolean()),
        sa.Column("progress", sa.Integer(), nullable=False),
        sa.Column("started_at", DATETIME),
        sa.Column("completed_at", DATETIME),
        sa.Column("duration", sa.Double()),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["transactions.id"],
            name="fk_steps_transaction_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_steps"),
        sa.UniqueConstraint(
            "transaction_id",
            "step_type",
            "step_name",
            "round",
            name="uq_steps_transaction_id_step_type_step_name_round",
        ),
        **MYSQL,
    )
    op.create_table(
        "deployment_history",
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("task_id", sa.Integer(), nullable=False),
        sa.Column("step_id", sa.Integer()),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("cluster_id", sa.String(length=64)),
        sa.Column("node_id", sa.String(length=255), nullable=False),
        sa.Column("node_type", sa.String(length=64)),
        sa.Column(
            "deployment_graph_task_name",
            sa.String(length=255),
            nullable=False,
        ),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("latest", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("seq", sa.BigInteger()),
        sa.Column("time_start", DATETIME),
        sa.Column("time_end", DATETIME),
        sa.Column("reported_at", DATETIME),
        sa.Column("message", LONGTEXT),
        sa.Column("summary", sa.JSON()),
        sa.Column("custom", sa.JSON()),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["transactions.id"],
            name="fk_deployment_history_task_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["step_id"],
            ["steps.id"],
            name="fk_deployment_history_step_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_deployment_history"),
        sa.UniqueConstraint(
            "task_id",
            "node_id",
            "deployment_graph_task_name",
            "attempt",
            name="uq_deployment_history_unit",
        ),
        **MYSQL,
    )
    name = "deployment_graph_task_name"
    for index, columns in {
        "status": ["task_id", "status", "id", "latest"],
        "node": ["task_id", "node_id", "status", "id", "latest"],
        "name": ["task_id", name, "id"],
        "success": ["node_id", name, "status", "task_id"],
        "step": ["step_id", "id"],
        "runs_unit": [
            "node_id",
            name,
            "status",
            "id",
            "latest",
            "reported_at",
            "project_id",
            "cluster_id",
        ],
        "runs_node": [
            "node_id",
            "status",
            "id",
            "latest",
            "reported_at",
            "cluster_id",
        ],
        "runs_project_node": [
            "project_id",
            "node_id",
            "status",
            "id",
            "latest",
            "reported_at",
        ],
        "runs_name": [
            name,
            "status",
            "id",
            "latest",
            "reported_at",
            "project_id",
            "cluster_id",
        ],
        "runs_status": ["status", "id", "latest", "reported_at"],
        "runs_project": [
            "project_id",
            "status",
            "id",
            "latest",
            "reported_at",
        ],
        "runs_cluster": [
            "cluster_id",
            "status",
            "id",
            "latest",
            "reported_at",
            "project_id",
        ],
        "reported_at": ["reported_at", "id"],
    }.items():
        op.create_index(
            f"ix_deployment_history_{index}", "deployment_history", columns
        )


def _extend_events() -> None:
    with op.batch_alter_table("events") as table:
        table.alter_column("event_info", existing_type=LONGTEXT, nullable=True)
        table.add_column(sa.Column("step_id", sa.Integer()))
        table.add_column(sa.Column("history_id", sa.BigInteger()))
        table.add_column(sa.Column("seq", sa.BigInteger()))
        table.add_column(sa.Column("node_group_id", sa.String(length=64)))
        table.add_column(sa.Column("instance_id", sa.String(length=255)))
        table.add_column(sa.Column("instance_name", sa.String(length=255)))
        table.add_column(sa.Column("successful", sa.Boolean()))
        table.add_column(sa.Column("error_id", sa.String(length=36)))
        table.add_column(sa.Column("traceback", LONGTEXT))
    op.create_index("ix_events_step_id", "events", ["step_id", "id"])
    with op.batch_alter_table("events") as table:
        table.create_foreign_key(
            "fk_events_step_id",
            "steps",
            ["step_id"],
            ["id"],
            ondelete="CASCADE",
        )
