import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from recovery_ha.context import internal_context
from recovery_ha.db import migration, recovery
from recovery_ha.db.models import Base
from recovery_ha.db.paging import Page
from recovery_ha.db.session import Database
from recovery_ha.domain import errors
from recovery_ha.tests.fixtures.databases import configure, open_database


@pytest.fixture
def fresh_url(backend, databases):
    return databases.create(backend)


@pytest.fixture
def fresh(fresh_url):
    """Give an empty database that was never synced."""
    database = open_database(fresh_url)
    yield database
    database.dispose()


def _tables(database):
    with database.engine.connect() as connection:
        return set(sa.inspect(connection).get_table_names())


def test_a_new_database_gets_all_tables(fresh):
    migration.upgrade(fresh)
    assert migration.current(fresh) == migration.head()
    assert _tables(fresh) == {
        *Base.metadata.tables,
        *migration.TASKFLOW_TABLES - {"alembic_version"},
        *(_tables(fresh) & {"alembic_version"}),
        migration.VERSION_TABLE,
    }
    migration.check_ready(fresh)


def test_upgrading_again_is_harmless(database):
    before = _tables(database)
    migration.upgrade(database)
    assert _tables(database) == before


def test_models_and_migrations_agree(database):
    def is_ours(_object, name, type_, _reflected, _other):
        return not (type_ == "table" and name in migration.TASKFLOW_TABLES)

    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "version_table": migration.VERSION_TABLE,
                "include_object": is_ours,
                "compare_type": True,
            },
        )
        assert compare_metadata(context, Base.metadata) == []


@pytest.mark.parametrize("table", ["flowdetails", "atomdetails"])
def test_taskflow_s_tables_have_an_index_on_their_parent(database, table):
    with database.engine.connect() as connection:
        indexes = sa.inspect(connection).get_indexes(table)
    assert ["parent_uuid"] in [index["column_names"] for index in indexes]


@pytest.mark.parametrize("backend", ["mysql"], indirect=True)
def test_a_task_s_progress_has_room_on_mariadb(database):
    with database.engine.connect() as connection:
        columns = sa.inspect(connection).get_columns("atomdetails")
        tables = connection.execute(
            sa.text(
                "SELECT DISTINCT engine, table_collation FROM"
                " information_schema.tables WHERE table_schema = database()"
                " AND table_name IN ('notifications', 'hosts', 'vmoves',"
                " 'failover_segments', 'resource_locks')"
            )
        ).all()
    types = {column["name"]: column["type"] for column in columns}
    assert type(types["meta"]).__name__ == "LONGTEXT"
    assert tables == [("InnoDB", "utf8mb4_bin")]


def test_a_database_that_was_never_synced_is_refused(fresh):
    with pytest.raises(errors.DatabaseNotReady) as caught:
        migration.check_ready(fresh)
    assert str(caught.value) == (
        "The database has no tables of this service."
        " Run: recovery-ha-manage db sync"
    )


def _set_revision(database, revision):
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE {migration.VERSION_TABLE}"  # noqa: S608 - our own words
            f" SET version_num = '{revision}'"
        )


def test_an_older_database_is_refused_until_it_is_upgraded(fresh):
    migration.upgrade(fresh, "0001")
    with pytest.raises(errors.DatabaseNotReady) as caught:
        migration.check_ready(fresh)
    assert str(caught.value) == (
        f"The database is at revision 0001, this release needs"
        f" {migration.head()}. Run: recovery-ha-manage db sync"
    )
    migration.upgrade(fresh)
    migration.check_ready(fresh)


def test_what_an_older_release_accepted_is_kept(fresh):
    migration.upgrade(fresh, "0002")
    with fresh.engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO notifications (notification_uuid,"
                " generated_time, source_host_uuid, source_host_name, type,"
                " payload, status, failover_segment_uuid, received_at,"
                " created_at, lease_epoch, attempts) VALUES ('n',"
                " '2026-01-01', 'h', 'host', 'VM', '{}', 'new', 's', 1,"
                " '2026-01-01', 0, 0)"
            )
        )

    migration.upgrade(fresh)

    (found,) = recovery.list_notifications(internal_context(fresh), Page())
    assert (found.uuid, found.held, found.attempts_before) == ("n", False, 0)
    with fresh.engine.connect() as connection:
        uuids = connection.scalars(sa.text("SELECT uuid FROM transactions"))
        assert uuids.all() == ["n"]


@pytest.mark.parametrize("use", [migration.check_ready, migration.upgrade])
def test_a_newer_database_is_refused(fresh, use):
    migration.upgrade(fresh)
    _set_revision(fresh, "9999")
    before = _tables(fresh)
    with pytest.raises(errors.DatabaseNotReady) as caught:
        use(fresh)
    assert str(caught.value) == (
        "The database is at revision 9999, which this release does not know"
        f" (its own is {migration.head()}): a newer release has upgraded it."
        " Install that release."
    )
    assert _tables(fresh) == before


UNREACHABLE = [
    "sqlite:////nowhere/at/all.sqlite",
    "mysql+pymysql://user:hidden@127.0.0.1:1/name",
    "postgresql+psycopg2://user:hidden@127.0.0.1:1/name",
]


@pytest.mark.parametrize("url", UNREACHABLE)
@pytest.mark.parametrize(
    "use", [migration.current, migration.check_ready, migration.upgrade]
)
def test_an_unreachable_database_is_one_clear_line(url, use):
    database = open_database(url)
    with pytest.raises(errors.DatabaseNotReady) as caught:
        use(database)
    line = str(caught.value)
    assert line.startswith("The database ")
    assert url.partition("://")[0] in line
    assert "\n" not in line
    assert "hidden" not in line


@pytest.mark.parametrize("backend", ["mysql", "postgresql"], indirect=True)
def test_a_wrong_password_is_not_shown(fresh_url):
    wrong = sa.make_url(fresh_url).set(username="nobody", password="hidden")
    database = open_database(wrong.render_as_string(hide_password=False))
    with pytest.raises(errors.DatabaseNotReady) as caught:
        migration.check_ready(database)
    assert "hidden" not in str(caught.value)


def test_syncing_at_the_same_time_is_harmless(fresh_url, together):
    made = [open_database(fresh_url) for _ in range(3)]
    results = together(*(lambda d=d: migration.upgrade(d) for d in made))
    assert results == [None, None, None]
    migration.check_ready(made[0])
    for database in made:
        database.dispose()


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "nonsense",
        "nosuch://host/name",
        "oracle+cx_oracle://user:hidden@host/name",
        "postgresql+psycopg2://user:x@y:hidden@host/name",
    ],
)
def test_a_url_that_is_none_names_the_option(url):
    with pytest.raises(errors.InvalidConfiguration) as caught:
        open_database(url)
    assert str(caught.value).startswith("[database] connection is not ")
    assert "hidden" not in str(caught.value)


def test_options_of_the_pool_are_kept():
    conf = configure(
        "postgresql+psycopg2://user@127.0.0.1/name",
        max_pool_size=3,
        max_overflow=2,
        pool_timeout=7,
        connection_recycle_time=99,
    )
    pool = Database(conf).engine.pool
    assert (pool.size(), pool._max_overflow) == (3, 2)
    assert (pool.timeout(), pool._recycle) == (7, 99)


VMOVE = sa.text(
    "INSERT INTO vmoves (uuid, notification_uuid, instance_uuid,"
    " instance_name, source_host, type, status, ordinal, ha_enabled,"
    " vm_state, power_state, was_locked, locked_by_us, accepted,"
    " migration_baseline, attempts, created_at) VALUES ('v', 'n', 'i', 'i',"
    " 'h', 'evacuation', 'ongoing', 0, '0', 'active', 1, '0', '0', '0', 0, 0,"
    " '2026-01-02')"
)
NOTIFICATION = sa.text(
    "INSERT INTO notifications (notification_uuid, generated_time,"
    " source_host_uuid, source_host_name, type, payload, status,"
    " failover_segment_uuid, received_at, created_at, lease_epoch, attempts)"
    " VALUES ('n', '2026-01-01', 'h', 'host', 'COMPUTE_HOST', '{}',"
    " 'running', 's', 1, '2026-01-02', 0, 0)"
)


def test_what_refers_to_a_table_made_anew_is_kept(backend, databases):
    """SQLite drops tables to alter them; moves went with them once."""
    database = open_database(databases.create(backend))
    migration.upgrade(database, "0002")
    with database.engine.begin() as connection:
        connection.execute(NOTIFICATION)
        connection.execute(VMOVE)
    migration.upgrade(database)
    with database.engine.connect() as connection:
        rows = connection.execute(sa.text("SELECT uuid FROM vmoves")).all()
        assert rows == [("v",)]
        if backend == "sqlite":
            on = connection.exec_driver_sql("PRAGMA foreign_keys").scalar()
            assert on == 1
    database.dispose()
