"""Creating and upgrading the tables, and knowing whether they are right.

taskflow's tables live in the same database: its own scripts run first, under
its own version table, and ours may then add what they lack.
"""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from oslo_db import exception as db_exc
from sqlalchemy.engine import Connection
from taskflow.persistence.backends import impl_sqlalchemy

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


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option(
        "script_location", str(Path(__file__).with_name("migrations"))
    )
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """Return the revision that this release needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    if revision is None:  # pragma: no cover - the package has migrations
        raise RuntimeError("the package has no migrations")
    return revision


def current(database: Database) -> str | None:
    """Return the revision of a database, None if it was never synced.

    :raises errors.DatabaseNotReady: it cannot be reached.
    """
    with _reached(database):
        return _current(database)


def _current(database: Database) -> str | None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE}
        )
        return context.get_current_revision()


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
    script = ScriptDirectory.from_config(_config())
    if found not in {item.revision for item in script.walk_revisions()}:
        raise errors.DatabaseNotReady(
            f"The database is at revision {found}, which this release does"
            f" not know (its own is {head()}): a newer release has upgraded"
            " it. Install that release."
        )


def upgrade(database: Database) -> None:
    """Create or upgrade all tables; harmless when there is nothing to do.

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
        with database.engine.begin() as connection:
            command.upgrade(_config(connection), "head")
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


def _upgrade_taskflow(database: Database) -> None:
    backend = impl_sqlalchemy.SQLAlchemyBackend(
        {"connection": str(database.engine.url)}, engine=database.engine
    )
    with warnings.catch_warnings():
        # taskflow's own use of alembic is not ours to judge.
        warnings.simplefilter("ignore")
        with contextlib.closing(backend.get_connection()) as connection:
            connection.upgrade()
