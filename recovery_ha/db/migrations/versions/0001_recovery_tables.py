"""Recovery tables."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0001"
down_revision = None


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
    op.create_table(
        "failover_segments",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("service_type", sa.String(length=255), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("description", LONGTEXT),
        sa.Column("recovery_method", sa.String(length=36), nullable=False),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME),
        sa.Column("deleted_at", DATETIME),
        sa.Column("deleted", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_failover_segments"),
        sa.UniqueConstraint(
            "name", "deleted", name="uq_failover_segments_name_deleted"
        ),
        sa.UniqueConstraint("uuid", name="uq_failover_segments_uuid"),
        **MYSQL,
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("notification_uuid", sa.String(length=36), nullable=False),
        sa.Column("generated_time", DATETIME, nullable=False),
        sa.Column("source_host_uuid", sa.String(length=36), nullable=False),
        sa.Column("source_host_name", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=36), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=36), nullable=False),
        sa.Column(
            "failover_segment_uuid", sa.String(length=36), nullable=False
        ),
        sa.Column("message", LONGTEXT),
        sa.Column("request_id", sa.String(length=64)),
        sa.Column("received_at", sa.Double(), nullable=False),
        sa.Column("dedupe_key", sa.String(length=64)),
        sa.Column("dedupe_until", sa.Double()),
        sa.Column("flow_uuid", sa.String(length=64)),
        sa.Column("joined_to", sa.String(length=36)),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME),
        sa.Column("lease_owner", sa.String(length=255)),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.Column("lease_expires_at", sa.Double()),
        sa.Column("wake_at", sa.Double()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
        sa.UniqueConstraint("dedupe_key", name="uq_notifications_dedupe_key"),
        sa.UniqueConstraint(
            "notification_uuid", name="uq_notifications_notification_uuid"
        ),
        **MYSQL,
    )
    op.create_index(
        "ix_notifications_claim",
        "notifications",
        ["wake_at", "lease_expires_at"],
    )
    op.create_index(
        "ix_notifications_created", "notifications", ["created_at", "id"]
    )
    op.create_index(
        "ix_notifications_dedupe_until", "notifications", ["dedupe_until"]
    )
    op.create_index(
        "ix_notifications_generated", "notifications", ["generated_time"]
    )
    op.create_index(
        "ix_notifications_host",
        "notifications",
        ["source_host_uuid", "status"],
    )
    op.create_index(
        "ix_notifications_joined_to", "notifications", ["joined_to"]
    )
    op.create_index("ix_notifications_owner", "notifications", ["lease_owner"])
    op.create_index(
        "ix_notifications_status", "notifications", ["status", "id"]
    )
    op.create_index("ix_notifications_type", "notifications", ["type", "id"])

    op.create_table(
        "resource_locks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("owner_kind", sa.String(length=36), nullable=False),
        sa.Column("owner_uuid", sa.String(length=36), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_resource_locks"),
        sa.UniqueConstraint("type", "key", name="uq_resource_locks_type_key"),
        **MYSQL,
    )
    op.create_index(
        "ix_resource_locks_owner", "resource_locks", ["owner_uuid"]
    )

    op.create_table(
        "hosts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("type", sa.String(length=255), nullable=False),
        sa.Column("reserved", sa.Boolean(), nullable=False),
        sa.Column("control_attributes", LONGTEXT, nullable=False),
        sa.Column("on_maintenance", sa.Boolean(), nullable=False),
        sa.Column("maintenance_cause", sa.String(length=36)),
        sa.Column("failover_segment_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME),
        sa.Column("deleted_at", DATETIME),
        sa.Column("deleted", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["failover_segment_id"],
            ["failover_segments.uuid"],
            name="fk_hosts_failover_segment_id",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_hosts"),
        sa.UniqueConstraint("name", "deleted", name="uq_hosts_name_deleted"),
        sa.UniqueConstraint("uuid", name="uq_hosts_uuid"),
        **MYSQL,
    )
    op.create_index(
        "ix_hosts_failover_segment_id", "hosts", ["failover_segment_id"]
    )

    op.create_table(
        "vmoves",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("notification_uuid", sa.String(length=36), nullable=False),
        sa.Column("instance_uuid", sa.String(length=36), nullable=False),
        sa.Column("instance_name", sa.String(length=255), nullable=False),
        sa.Column("source_host", sa.String(length=255), nullable=False),
        sa.Column("dest_host", sa.String(length=255)),
        sa.Column("start_time", DATETIME),
        sa.Column("end_time", DATETIME),
        sa.Column("type", sa.String(length=36), nullable=False),
        sa.Column("status", sa.String(length=36), nullable=False),
        sa.Column("message", LONGTEXT),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("ha_enabled", sa.Boolean(), nullable=False),
        sa.Column("vm_state", sa.String(length=36), nullable=False),
        sa.Column("task_state", sa.String(length=64)),
        sa.Column("power_state", sa.Integer(), nullable=False),
        sa.Column("was_locked", sa.Boolean(), nullable=False),
        sa.Column("locked_by_us", sa.Boolean(), nullable=False),
        sa.Column("requested_at", sa.Double()),
        sa.Column("accepted", sa.Boolean(), nullable=False),
        sa.Column("migration_baseline", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME),
        sa.ForeignKeyConstraint(
            ["notification_uuid"],
            ["notifications.notification_uuid"],
            name="fk_vmoves_notification_uuid",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_vmoves"),
        sa.UniqueConstraint(
            "notification_uuid",
            "instance_uuid",
            name="uq_vmoves_notification_uuid_instance_uuid",
        ),
        sa.UniqueConstraint("uuid", name="uq_vmoves_uuid"),
        **MYSQL,
    )
    op.create_index("ix_vmoves_instance_uuid", "vmoves", ["instance_uuid"])
