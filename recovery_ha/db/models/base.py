"""What all tables have in common."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from recovery_ha.db import types


class Base(DeclarativeBase):
    """The registry of tables."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


#: Table options; ``utf8mb4_bin`` makes MariaDB compare names and uuids as the
#: other databases do: by character, case included.
MYSQL = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}


class Timestamps:
    """Times that people read; nothing is decided on them."""

    created_at: Mapped[datetime] = mapped_column(types.DateTime)
    updated_at: Mapped[datetime | None] = mapped_column(types.DateTime)


class SoftDelete:
    """A deleted row stays for those who refer to it until it is purged.

    ``deleted`` is 0, or the row's own id, so that a name may be used again.
    """

    deleted_at: Mapped[datetime | None] = mapped_column(types.DateTime)
    deleted: Mapped[int] = mapped_column(sa.Integer, default=0)
