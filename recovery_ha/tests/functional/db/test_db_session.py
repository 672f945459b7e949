import contextlib
import threading
import time
from concurrent import futures
from contextlib import nullcontext

import pytest
import sqlalchemy as sa
from oslo_db import exception as db_exc

from recovery_ha.context import internal_context
from recovery_ha.db import models, segments
from recovery_ha.db.paging import Page
from recovery_ha.db.session import Database, connection, reader, writer
from recovery_ha.domain import errors
from recovery_ha.domain.recovery import RecoveryMethod
from recovery_ha.tests.fixtures.connections import cut_connections
from recovery_ha.tests.fixtures.databases import configure, open_database

SERVERS = pytest.mark.parametrize(
    "backend", ["mysql", "postgresql"], indirect=True
)
SQLITE = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def _names(ctx):
    page = Page(sort=(("id", "asc"),))
    return [segment.name for segment in segments.list_segments(ctx, page)]


def _add(ctx, name):
    return segments.create_segment(
        ctx,
        name=name,
        recovery_method=RecoveryMethod.AUTO,
        service_type="COMPUTE",
    )


@writer
def _add_both(ctx, *names, then=None):
    for name in names:
        _add(ctx, name)
    if then is not None:
        raise then


def test_nested_writers_are_one_transaction(ctx):
    _add_both(ctx, "a", "b")
    assert _names(ctx) == ["a", "b"]
    with pytest.raises(ZeroDivisionError):
        _add_both(ctx, "c", "d", then=ZeroDivisionError())
    assert _names(ctx) == ["a", "b"]
    assert ctx.connection is None


def test_a_nested_reader_sees_what_its_writer_wrote(ctx):
    @writer
    def add_and_list(ctx):
        _add(ctx, "a")
        return _names(ctx)

    assert add_and_list(ctx) == ["a"]


def test_another_thread_has_a_transaction_of_its_own(ctx):
    seen = []

    @reader
    def outer(ctx):
        mine = connection(ctx)

        @reader
        def inner(ctx):
            seen.append(connection(ctx) is mine)

        inner(ctx)
        thread = threading.Thread(target=inner, args=(ctx,))
        thread.start()
        thread.join()

    outer(ctx)
    assert seen == [True, False]


def test_there_is_no_connection_outside(ctx):
    with pytest.raises(RuntimeError, match="outside a reader or writer"):
        connection(ctx)


def test_a_writer_is_repeated_as_a_whole(ctx):
    calls = []

    @writer
    def flaky(ctx):
        calls.append(_add(ctx, "a").name)
        if len(calls) < 3:
            raise db_exc.DBDeadlock

    flaky(ctx)
    assert calls == ["a", "a", "a"]
    assert _names(ctx) == ["a"]


def test_only_the_outermost_call_is_repeated(ctx):
    inner_calls, outer_calls = [], []

    @writer
    def inner(_ctx):
        inner_calls.append(1)
        if len(inner_calls) == 1:
            raise db_exc.DBDeadlock

    @writer
    def outer(ctx):
        outer_calls.append(1)
        inner(ctx)

    outer(ctx)
    assert (len(outer_calls), len(inner_calls)) == (2, 2)


def test_an_error_of_ours_is_not_repeated(ctx):
    calls = []

    @writer
    def refused(_ctx):
        calls.append(1)
        raise errors.NameExists("taken")

    with pytest.raises(errors.NameExists):
        refused(ctx)
    assert calls == [1]


@SERVERS
@pytest.mark.parametrize("nested", [False, True])
def test_a_real_deadlock_is_survived(ctx, together, nested):
    ids = [_add(ctx, name).id for name in ("one", "two")]
    meeting = threading.Barrier(2)
    attempts = []

    def write_in(order):
        met = []

        @writer
        def write(ctx):
            attempts.append(order)
            conn = connection(ctx)
            for id_ in order:
                # The second write in a savepoint, which MariaDB then forgets.
                savepoint = (
                    conn.begin_nested if nested and met else nullcontext
                )
                with savepoint():
                    conn.execute(
                        sa.update(models.Segment)
                        .where(models.Segment.id == id_)
                        .values(description=models.Segment.name)
                    )
                if not met:  # both have their first row: now they collide
                    met.append(meeting.wait(10))

        return lambda: write(internal_context(ctx.database))

    assert together(write_in(ids), write_in(ids[::-1])) == [None, None]
    assert len(attempts) == 3
    found = segments.list_segments(ctx, Page())
    assert {s.description for s in found} == {"one", "two"}


@SQLITE
def test_a_reader_on_sqlite_never_waits_for_a_writer(database, ctx):
    _add(ctx, "a")
    writing, done = threading.Event(), threading.Event()

    @writer
    def write(ctx):
        _add(ctx, "b")
        writing.set()
        assert done.wait(30)

    with futures.ThreadPoolExecutor() as pool:
        job = pool.submit(write, internal_context(database))
        assert writing.wait(10)
        before = time.monotonic()
        for _ in range(20):
            assert _names(ctx) == ["a"]
        assert time.monotonic() - before < 1
        done.set()
        job.result(30)
    assert _names(ctx) == ["a", "b"]


@SQLITE
def test_a_reader_on_sqlite_cannot_write(ctx):
    @reader
    def sneak(ctx):
        connection(ctx).execute(sa.delete(models.Segment))

    with pytest.raises(db_exc.DBError, match="readonly"):
        sneak(ctx)


@SQLITE
def test_writers_on_sqlite_queue_instead_of_failing(database, ctx):
    def write(number):
        for part in range(5):
            _add_both(
                internal_context(database),
                f"{number}-{part}",
                f"x{number}{part}",
            )

    with futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    assert len(_names(ctx)) == 80


@SQLITE
def test_two_processes_engines_share_a_sqlite_file(migrated_url, ctx):
    other = open_database(migrated_url("sqlite"))
    with futures.ThreadPoolExecutor(2) as pool:
        list(
            pool.map(
                lambda pair: [
                    _add(internal_context(pair[0]), f"{pair[1]}{n}")
                    for n in range(20)
                ],
                [(ctx.database, "a"), (other, "b")],
            )
        )
    assert len(_names(ctx)) == 40
    other.dispose()


@pytest.mark.parametrize(("word", "number"), [("FULL", 2), ("NORMAL", 1)])
def test_sqlite_keeps_what_it_committed(migrated_url, word, number):
    database = open_database(
        migrated_url("sqlite"), sqlite_journal_synchronous=word
    )

    def pragma(connection, name):
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar()

    with database.engine.connect() as connection:
        assert pragma(connection, "journal_mode") == "wal"
        assert pragma(connection, "synchronous") == number
        assert pragma(connection, "foreign_keys") == 1
    with database.read_engine.connect() as connection:
        assert pragma(connection, "query_only") == 1
    database.dispose()


@SERVERS
def test_cut_connections_are_survived_by_readers_and_writers(
    database, ctx, migrated_url, backend
):
    _add(ctx, "a")
    url = migrated_url(backend)
    # Several connections lie in the pool, and all of them are dead.
    with contextlib.ExitStack() as held:
        for _ in range(4):
            held.enter_context(database.engine.connect())
    assert cut_connections(url) >= 4
    assert _names(ctx) == ["a"]
    assert cut_connections(url) >= 1
    _add(ctx, "b")
    assert _names(ctx) == ["a", "b"]


@SERVERS
def test_a_connection_cut_inside_a_transaction_is_survived(
    ctx, migrated_url, backend
):
    calls = []

    @writer
    def write(ctx):
        calls.append(1)
        _add(ctx, "a")
        if len(calls) == 1:
            cut_connections(migrated_url(backend))
        _add(ctx, "b")

    write(ctx)
    assert len(calls) == 2
    assert _names(ctx) == ["a", "b"]


@SERVERS
def test_a_connection_cut_before_the_commit_is_survived(
    ctx, migrated_url, backend
):
    calls = []

    @writer
    def write(ctx):
        calls.append(1)
        _add(ctx, "a")
        if len(calls) == 1:
            cut_connections(migrated_url(backend))

    write(ctx)
    assert len(calls) == 2
    assert _names(ctx) == ["a"]


def test_a_pool_that_stays_full_is_a_typed_error(migrated_url, backend):
    database = open_database(
        migrated_url(backend), max_pool_size=1, max_overflow=0, pool_timeout=1
    )
    database.engine.pool._timeout = 0.2
    database.read_engine.pool._timeout = 0.2
    ctx = internal_context(database)
    with (
        database.engine.connect(),
        pytest.raises(errors.DatabaseUnavailable, match="became free in time"),
    ):
        _add(ctx, "a")
    with (
        database.read_engine.connect(),
        pytest.raises(errors.DatabaseUnavailable, match="became free in time"),
    ):
        _names(ctx)
    database.dispose()


@SERVERS
def test_one_statement_may_not_take_for_ever(migrated_url, backend):
    sleep = {"mysql": "SELECT sleep(10)", "postgresql": "SELECT pg_sleep(10)"}
    conf = configure(migrated_url(backend))
    database = Database(conf, statement_seconds=1)
    before = time.monotonic()
    with (
        database.engine.connect() as connection,
        pytest.raises((db_exc.DBError, sa.exc.OperationalError)),
    ):
        connection.exec_driver_sql(sleep[backend])
    assert time.monotonic() - before < 5
    database.dispose()


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
def test_what_oslo_db_has_no_class_for_is_a_database_error(ctx):
    calls = []

    @writer
    def be_slow(ctx):
        calls.append(1)
        connection(ctx).exec_driver_sql("SET LOCAL statement_timeout = '50ms'")
        connection(ctx).exec_driver_sql("SELECT pg_sleep(5)")

    with pytest.raises(db_exc.DBError, match="statement timeout"):
        be_slow(ctx)
    assert calls == [1]


@pytest.mark.parametrize(
    "url",
    [
        "mysql+pymysql://user@127.0.0.1:1/name",
        "postgresql+psycopg2://user@127.0.0.1:1/name",
    ],
)
def test_a_server_that_refuses_is_a_lost_connection(url, monkeypatch):
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    database = open_database(url)
    with pytest.raises(db_exc.DBConnectionError):
        _names(internal_context(database))
    assert len(pauses) == 8


@SERVERS
def test_reads_go_to_the_replica_that_is_named(migrated_url, backend):
    url = migrated_url(backend)
    database = open_database(url, slave_connection=url)
    assert database.read_engine is not database.engine
    alone = open_database(url)
    assert alone.read_engine is alone.engine
