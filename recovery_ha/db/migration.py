"""Creating and upgrading the tables, and knowing whether they are right.

taskflow's tables live in the same database: its own scripts run first, under
its own version table, and ours may then add what they lack.

Every process asks whether the tables are right, few ever change them: alembic
and taskflow are imported (11 MiB) by those that do.
"""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc

from recovery_ha.db.session import Database
from recovery_ha.domain import errors

VERSION_TABLE = "recovery_ha_alembic_version"

#: taskflow's tables and its version table: not ours to compare or drop.
TASKFLOW_TABLES = frozenset(
    {
        "alembic_version",
        "atomdetails",
        "flowdetails",
        "logbooks",
    }
)
_SYNC = "Run: recovery-ha-manage db sync"
#: Of the lock that whoever upgrades a PostgreSQL database holds.
_LOCK_KEY = 0x72656368


_MIGRATIONS = Path(__file__).with_name("migrations")
_VERSION = sa.table(VERSION_TABLE, sa.column("version_num", sa.String))


def _revisions() -> list[str]:
    """Return all revisions in order; they are what file names begin with."""
    files = (_MIGRATIONS / "versions").glob("[0-9]*_*.py")
    return sorted(path.name.partition("_")[0] for path in files)


def head() -> str:
    """Return the revision that this release needs."""
    return _revisions()[-1]


def current(database: Database) -> str | None:
    """Return the revision of a database, None if it was never synced.

    :raises errors.DatabaseNotReady: it cannot be reached.
    """
    with _reached(database):
        return _current(database)


def _current(database: Database) -> str | None:
    with database.engine.connect() as connection:
        if not sa.inspect(connection).has_table(VERSION_TABLE):
            return None
        return connection.scalar(sa.select(_VERSION.c.version_num))


@contextlib.contextmanager
def _reached(database: Database) -> Iterator[None]:
    try:
        yield
    except (db_exc.DBError, sa.exc.DBAPIError) as exc:
        cause = str(getattr(exc, "inner_exception", None) or exc)
        url = database.engine.url.render_as_string(hide_password=True)
        raise errors.DatabaseNotReady(
            f"The database {url} cannot be used: {cause.splitlines()[0]}"
        ) from exc


def check_ready(database: Database) -> None:
    """Refuse to work with a database that this release cannot use.

    :raises errors.DatabaseNotReady: it is absent, was never synced, is older
        or newer than this release; the text says what to do.
    """
    found, wanted = current(database), head()
    if found == wanted:
        return
    if found is None:
        raise errors.DatabaseNotReady(
            f"The database has no tables of this service. {_SYNC}"
        )
    _refuse_unknown(found)
    raise errors.DatabaseNotReady(
        f"The database is at revision {found}, this release needs"
        f" {wanted}. {_SYNC}"
    )


def _refuse_unknown(found: str) -> None:
    if found not in _revisions():
        raise errors.DatabaseNotReady(
            f"The database is at revision {found}, which this release does"
            f" not know (its own is {head()}): a newer release has upgraded"
            " it. Install that release."
        )


def upgrade(database: Database, revision: str = "head") -> None:
    """Create or upgrade all tables; harmless when there is nothing to do.

    :param revision: how far; anything but "head" is no database to work with.
    :raises errors.DatabaseNotReady: the database cannot be reached, or is
        newer than this release.
    """
    with _reached(database), _alone(database):
        found = _current(database)
        if found == head():
            return
        if found is not None:
            _refuse_unknown(found)
        _upgrade_taskflow(database)
        _upgrade_own(database, revision)
    if revision == "head":
        check_ready(database)


@contextlib.contextmanager
def _alone(database: Database) -> Iterator[None]:
    """Have others that upgrade the same database wait.

    SQLite needs no lock, its transactions are alone; Galera has none.
    """
    if database.engine.dialect.name == "sqlite":
        yield
        return
    with database.engine.connect() as connection:
        connection.detach()  # the lock ends with this very connection
        if database.engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_lock(_LOCK_KEY)))
        else:
            name = sa.func.concat(
                "recovery_ha.", sa.func.md5(sa.text("database()"))
            )
            with contextlib.suppress(db_exc.DBError):
                connection.execute(sa.select(sa.func.get_lock(name, 600)))
        yield


def _upgrade_own(database: Database, revision: str) -> None:
    from alembic import command  # noqa: PLC0415 - see the module
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with (
        database.engine.connect() as connection,
        _unlinked(connection),
        connection.begin(),
    ):
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        if connection.dialect.name == "sqlite":
            _check_links(connection)


@contextlib.contextmanager
def _unlinked(connection: sa.Connection) -> Iterator[None]:
    """Have SQLite delete no rows that refer to a table which is made anew.

    It cannot alter most things of a table, so alembic copies the table and
    drops the old one, and dropping it deletes what refers to its rows. The
    setting has no effect inside a transaction.
    """
    if connection.dialect.name != "sqlite":
        yield
        return
    dbapi: Any = connection.connection.driver_connection
    dbapi.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        dbapi.execute("PRAGMA foreign_keys=ON")


def _check_links(connection: sa.Connection) -> None:
    """Refuse to commit rows that refer to nothing."""
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise errors.DatabaseNotReady(
            f"A row of table {broken[0]} refers to a row of {broken[2]} that"
            " is not there; the database is left as it was."
        )


def _upgrade_taskflow(database: Database) -> None:
    from taskflow.persistence.backends import (  # noqa: PLC0415
        impl_sqlalchemy,
    )

    backend = impl_sqlalchemy.SQLAlchemyBackend(
        {"connection": str(database.engine.url)}, engine=database.engine
    )
    with warnings.catch_warnings():
        # taskflow's own use of alembic is not ours to judge.
        warnings.simplefilter("ignore")
        with contextlib.closing(backend.get_connection()) as connection:
            connection.upgrade()
