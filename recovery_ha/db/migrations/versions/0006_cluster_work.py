"""Clusters are work that engines claim, if a plug-in provisions them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    with op.batch_alter_table("clusters") as table:
        table.add_column(sa.Column("requested_action", sa.String(length=16)))
        table.add_column(sa.Column("lease_owner", sa.String(length=255)))
        table.add_column(
            sa.Column(
                "lease_epoch",
                sa.Integer(),
                nullable=False,
                server_default="0",
            )
        )
        table.add_column(sa.Column("lease_expires_at", sa.Double()))
        table.add_column(sa.Column("wake_at", sa.Double()))
        table.add_column(
            sa.Column(
                "attempts",
                sa.Integer(),
                nullable=False,
                server_default="0",
            )
        )
    with op.batch_alter_table("clusters") as table:
        for name in ("lease_epoch", "attempts"):
            table.alter_column(
                name,
                existing_type=sa.Integer(),
                existing_nullable=False,
                server_default=None,
            )
    op.create_index(
        "ix_clusters_claim", "clusters", ["wake_at", "lease_expires_at"]
    )
