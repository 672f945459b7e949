"""What recoveries of every kind need: decisions, reserved hosts, events."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0003"
down_revision = "0002"


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
    with op.batch_alter_table("notifications") as table:
        table.add_column(
            sa.Column(
                "held",
                sa.Boolean(),
                nullable=False,
                server_default=sa.false(),
            )
        )
        table.add_column(
            sa.Column(
                "attempts_before",
                sa.Integer(),
                nullable=False,
                server_default="0",
            )
        )
        table.add_column(sa.Column("requested_action", sa.String(length=16)))
        table.add_column(sa.Column("record", sa.JSON()))
    with op.batch_alter_table("notifications") as table:
        table.alter_column(
            "held",
            server_default=None,
            existing_type=sa.Boolean(),
            existing_nullable=False,
        )
        table.alter_column(
            "attempts_before",
            server_default=None,
            existing_type=sa.Integer(),
            existing_nullable=False,
        )

    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("notification_uuid", sa.String(length=36), nullable=False),
        sa.Column("gate", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=36), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("sentence", LONGTEXT, nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.Column("limit", sa.JSON(), nullable=False),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME),
        sa.ForeignKeyConstraint(
            ["notification_uuid"],
            ["notifications.notification_uuid"],
            name="fk_decisions_notification_uuid",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
        sa.UniqueConstraint(
            "notification_uuid",
            "gate",
            "subject",
            name="uq_decisions_notification_uuid_gate_subject",
        ),
        **MYSQL,
    )
    op.create_table(
        "reserved_host_uses",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("notification_uuid", sa.String(length=36), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("host_uuid", sa.String(length=36), nullable=False),
        sa.Column("host_name", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("enabled_by_us", sa.Boolean(), nullable=False),
        sa.Column("disabled_reason", sa.String(length=255)),
        sa.Column("aggregates", sa.JSON(), nullable=False),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME),
        sa.ForeignKeyConstraint(
            ["notification_uuid"],
            ["notifications.notification_uuid"],
            name="fk_reserved_host_uses_notification_uuid",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_reserved_host_uses"),
        sa.UniqueConstraint(
            "notification_uuid",
            "attempt",
            "host_name",
            name="uq_reserved_host_uses_notification_uuid_attempt_host_name",
        ),
        **MYSQL,
    )
    op.create_table(
        "transactions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=36), nullable=False),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.Column("updated_at", DATETIME),
        sa.PrimaryKeyConstraint("id", name="pk_transactions"),
        sa.UniqueConstraint("uuid", name="uq_transactions_uuid"),
        **MYSQL,
    )
    op.create_table(
        "events",
        sa.Column("id", BIGINT, nullable=False),
        sa.Column("transaction_id", sa.Integer(), nullable=False),
        sa.Column("task", sa.String(length=255)),
        sa.Column("progress", sa.Double()),
        sa.Column("event_info", LONGTEXT, nullable=False),
        sa.Column("request_id", sa.String(length=64)),
        sa.Column("created_at", DATETIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["transaction_id"],
            ["transactions.id"],
            name="fk_events_transaction_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        **MYSQL,
    )
    op.create_index(
        "ix_events_transaction_id", "events", ["transaction_id", "id"]
    )
    # Reports of earlier releases get their transaction too.
    op.execute(
        "INSERT INTO transactions (uuid, kind, created_at)"
        " SELECT notification_uuid, 'recovery', created_at"
        " FROM notifications ORDER BY id"
    )
