"""Who posted a notification."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("notifications") as table:
        table.add_column(sa.Column("reporter", sa.String(length=64)))
    op.create_index(
        "ix_notifications_reporter", "notifications", ["reporter", "id"]
    )
