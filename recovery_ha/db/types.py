"""Column types and the database's clock."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

#: Naive UTC; MariaDB would drop the fraction without being told.
DateTime = sa.DateTime().with_variant(
    mysql.DATETIME(fsp=6), "mysql", "mariadb"
)

#: Text of any length that the API lets in (MariaDB's TEXT ends at 64 KiB).
LongText = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")

#: Seconds since the epoch with a fraction, by the database's clock.
Epoch: sa.Double[float] = sa.Double()


class now(FunctionElement[float]):  # noqa: N801 - an SQL function's name
    """The database's clock in epoch seconds; each owner measures by it."""

    type = sa.Double()
    inherit_cache = True


@compiles(now, "sqlite")
def _now_sqlite(_element: Any, _compiler: Any, **_kw: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(now, "mysql")
@compiles(now, "mariadb")
def _now_mysql(_element: Any, _compiler: Any, **_kw: Any) -> str:
    # Not UNIX_TIMESTAMP(NOW()): that repeats an hour when summer time ends.
    return (
        "(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"
        " / 1000000e0)"
    )


@compiles(now, "postgresql")
def _now_postgresql(_element: Any, _compiler: Any, **_kw: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


def utcnow() -> datetime:
    """Return this process's time for columns that only people read.

    Whole seconds, as Masakari's ``created_at`` and ``updated_at``.
    """
    return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
