"""What taskflow's tables lack for us.

Finding the flows of a logbook and the atoms of a flow scans whole tables on
databases that make no index for a foreign key, and MariaDB's TEXT drops the
progress of a long task without a word.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    if op.get_bind().dialect.name in {"mysql", "mariadb"}:
        # InnoDB has made the indexes for the foreign keys.
        op.alter_column(
            "atomdetails",
            "meta",
            type_=mysql.LONGTEXT(),
            existing_type=sa.Text(),
            existing_nullable=True,
        )
        return
    for table in ("flowdetails", "atomdetails"):
        op.create_index(f"ix_{table}_parent_uuid", table, ["parent_uuid"])
