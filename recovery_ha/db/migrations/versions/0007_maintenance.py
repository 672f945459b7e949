"""Maintenance sessions, constraints of instances, the outbox and engines."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"


DATETIME = sa.DateTime().with_variant(
    mysql.DATETIME(fsp=6), "mysql", "mariadb"
)
LONGTEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
MYSQL: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


def upgrade() -> None:
    _create_sessions()
    _create_session_parts()
    _create_constraints()
    _create_outbox()
    _create_services()


def _create_sessions() -> None:
    op.create_table(
        "maintenance_sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("workflow", sa.String(length=255), nullable=False),
        sa.Column("maintenance_at", DATETIME, nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("download", sa.JSON(), nullable=False),
        sa.Column("all_hosts", sa.Boolean(), nullable=False),
        sa.Column("failed_state", sa.String(length=32), nullable=True),
        sa.Column("aborted", sa.Boolean(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("requested_action", sa.String(length=16), nullable=True),
        sa.Column("requested_round", sa.Integer(), nullable=True),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("percent_done", sa.Integer(), nullable=False),
        sa.Column("record", sa.JSON(), nullable=False),
        sa.Column("message", LONGTEXT, nullable=True),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("request_id", sa.String(length=64), nullable=True),
        sa.Column("deleted_at", DATETIME, nullable=True),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME, nullable=True),
        sa.Column("lease_owner", sa.String(length=255), nullable=True),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.Column("lease_expires_at", sa.Double(), nullable=True),
        sa.Column("wake_at", sa.Double(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance_sessions")),
        sa.UniqueConstraint("uuid", name=op.f("uq_maintenance_sessions_uuid")),
        **MYSQL,
    )
    op.create_index(
        "ix_maintenance_sessions_claim",
        "maintenance_sessions",
        ["wake_at", "lease_expires_at"],
    )
    op.create_index(
        "ix_maintenance_sessions_deleted_at",
        "maintenance_sessions",
        ["deleted_at", "id"],
    )
    op.create_index(
        "ix_maintenance_sessions_state",
        "maintenance_sessions",
        ["state", "id"],
    )


def _create_session_parts() -> None:
    op.create_table(
        "maintenance_action_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_uuid", sa.String(length=36), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("output", LONGTEXT, nullable=True),
        sa.Column("flow_uuid", sa.String(length=64), nullable=False),
        sa.Column("started_at", DATETIME, nullable=True),
        sa.Column("ended_at", DATETIME, nullable=True),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["session_uuid"],
            ["maintenance_sessions.uuid"],
            name=op.f("fk_maintenance_action_runs_session_uuid"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance_action_runs")),
        sa.UniqueConstraint(
            "session_uuid",
            "ordinal",
            "host",
            name=op.f("uq_maintenance_action_runs_session_uuid_ordinal_host"),
        ),
        **MYSQL,
    )
    op.create_table(
        "maintenance_actions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_uuid", sa.String(length=36), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("plugin", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_uuid"],
            ["maintenance_sessions.uuid"],
            name=op.f("fk_maintenance_actions_session_uuid"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance_actions")),
        sa.UniqueConstraint(
            "session_uuid",
            "ordinal",
            name=op.f("uq_maintenance_actions_session_uuid_ordinal"),
        ),
        **MYSQL,
    )
    op.create_table(
        "maintenance_hosts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_uuid", sa.String(length=36), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("live_name", sa.String(length=255), nullable=True),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("service_id", sa.String(length=36), nullable=True),
        sa.Column("disabled_by_us", sa.Boolean(), nullable=False),
        sa.Column("reason_before", sa.String(length=255), nullable=True),
        sa.Column("message", LONGTEXT, nullable=True),
        sa.Column("started_at", DATETIME, nullable=True),
        sa.Column("ended_at", DATETIME, nullable=True),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["session_uuid"],
            ["maintenance_sessions.uuid"],
            name=op.f("fk_maintenance_hosts_session_uuid"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance_hosts")),
        sa.UniqueConstraint(
            "live_name", name=op.f("uq_maintenance_hosts_live_name")
        ),
        sa.UniqueConstraint(
            "session_uuid",
            "host",
            name=op.f("uq_maintenance_hosts_session_uuid_host"),
        ),
        **MYSQL,
    )
    op.create_table(
        "maintenance_instances",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_uuid", sa.String(length=36), nullable=False),
        sa.Column("instance_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=True),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("listed", sa.Boolean(), nullable=False),
        sa.Column("reply", sa.String(length=16), nullable=False),
        sa.Column("deadline", sa.Double(), nullable=True),
        sa.Column("allowed_actions", sa.JSON(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=True),
        sa.Column("action_status", sa.String(length=16), nullable=False),
        sa.Column("source_host", sa.String(length=255), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=True),
        sa.Column("requested_at", sa.Double(), nullable=True),
        sa.Column("baseline", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("message", LONGTEXT, nullable=True),
        sa.Column("moved_at", sa.Double(), nullable=True),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["session_uuid"],
            ["maintenance_sessions.uuid"],
            name=op.f("fk_maintenance_instances_session_uuid"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance_instances")),
        sa.UniqueConstraint(
            "session_uuid",
            "instance_id",
            name=op.f("uq_maintenance_instances_session_uuid_instance_id"),
        ),
        **MYSQL,
    )
    op.create_index(
        "ix_maintenance_instances_project_id",
        "maintenance_instances",
        ["session_uuid", "project_id"],
    )
    op.create_table(
        "maintenance_projects",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.String(length=16), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=True),
        sa.Column("reply", sa.String(length=16), nullable=False),
        sa.Column("deadline", sa.Double(), nullable=True),
        sa.Column("allowed_actions", sa.JSON(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=True),
        sa.Column("message", LONGTEXT, nullable=True),
        sa.Column("replied_at", DATETIME, nullable=True),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["session_uuid"],
            ["maintenance_sessions.uuid"],
            name=op.f("fk_maintenance_projects_session_uuid"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_maintenance_projects")),
        sa.UniqueConstraint(
            "session_uuid",
            "project_id",
            name=op.f("uq_maintenance_projects_session_uuid_project_id"),
        ),
        **MYSQL,
    )


def _create_constraints() -> None:
    op.create_table(
        "instance_constraints",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("instance_id", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=True),
        sa.Column("instance_name", sa.String(length=255), nullable=True),
        sa.Column("max_interruption_time", sa.Integer(), nullable=True),
        sa.Column("migration_type", sa.String(length=16), nullable=True),
        sa.Column("resource_mitigation", sa.Boolean(), nullable=False),
        sa.Column("lead_time", sa.Integer(), nullable=False),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance_constraints")),
        sa.UniqueConstraint(
            "project_id",
            "instance_id",
            name=op.f("uq_instance_constraints_project_id_instance_id"),
        ),
        **MYSQL,
    )
    op.create_index(
        "ix_instance_constraints_group_id",
        "instance_constraints",
        ["group_id"],
    )
    op.create_index(
        "ix_instance_constraints_instance_id",
        "instance_constraints",
        ["instance_id", "id"],
    )
    op.create_index(
        "ix_instance_constraints_project_id",
        "instance_constraints",
        ["project_id", "id"],
    )
    op.create_table(
        "instance_groups",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("group_name", sa.String(length=255), nullable=True),
        sa.Column("anti_affinity_group", sa.Boolean(), nullable=False),
        sa.Column("max_instances_per_host", sa.Integer(), nullable=False),
        sa.Column("max_impacted_members", sa.Integer(), nullable=False),
        sa.Column("recovery_time", sa.Integer(), nullable=False),
        sa.Column("resource_mitigation", sa.Boolean(), nullable=False),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_instance_groups")),
        sa.UniqueConstraint(
            "project_id",
            "group_id",
            name=op.f("uq_instance_groups_project_id_group_id"),
        ),
        **MYSQL,
    )
    op.create_index(
        "ix_instance_groups_group_id", "instance_groups", ["group_id", "id"]
    )
    op.create_index(
        "ix_instance_groups_project_id",
        "instance_groups",
        ["project_id", "id"],
    )


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("dedupe_key", sa.String(length=255), nullable=False),
        sa.Column("message_id", sa.String(length=36), nullable=False),
        sa.Column("session_uuid", sa.String(length=36), nullable=False),
        sa.Column("webhook_uuid", sa.String(length=36), nullable=True),
        sa.Column("project_id", sa.String(length=64), nullable=True),
        sa.Column("event_type", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("sent_at", DATETIME, nullable=True),
        sa.Column("message", LONGTEXT, nullable=True),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("dedupe_key", name=op.f("uq_outbox_dedupe_key")),
        **MYSQL,
    )
    op.create_index("ix_outbox_created_at", "outbox", ["created_at", "id"])
    op.create_index("ix_outbox_due_at", "outbox", ["due_at", "id"])
    op.create_index("ix_outbox_session_uuid", "outbox", ["session_uuid", "id"])
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("url", LONGTEXT, nullable=False),
        sa.Column("url_digest", sa.String(length=64), nullable=False),
        sa.Column("secret", LONGTEXT, nullable=False),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
        sa.UniqueConstraint(
            "project_id",
            "url_digest",
            name=op.f("uq_webhooks_project_id_url_digest"),
        ),
        sa.UniqueConstraint("uuid", name=op.f("uq_webhooks_uuid")),
        **MYSQL,
    )


def _create_services() -> None:
    op.create_table(
        "services",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("binary", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("capabilities", sa.JSON(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("started_at", DATETIME, nullable=False),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_services")),
        sa.UniqueConstraint("host", name=op.f("uq_services_host")),
        sa.UniqueConstraint("uuid", name=op.f("uq_services_uuid")),
        **MYSQL,
    )
    op.create_index("ix_services_seen_at", "services", ["seen_at"])
