"""F11 to F16: the database and the queue fail, are slow, or lie."""

import contextlib
import random
import sqlite3
import threading
import time

import pytest
import sqlalchemy as sa

from recovery_ha.db import recovery_runs, work
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.recovery import NotificationStatus
from recovery_ha.tests.fixtures.proxy import Proxy
from recovery_ha.tests.fixtures.rest import REPORT
from recovery_ha.tests.fixtures.waiting import eventually
from recovery_ha.tests.scenarios.invariants import assert_invariants

#: What the drivers raise, an OperationalError of theirs.
DEADLOCKS = {
    "mysql": (1213, "Deadlock found when trying to get lock"),
    "postgresql": ("deadlock detected",),
}
#: p of a deadlock, from the fault's description.
PROBABILITY = 0.2
WRITES = ("INSERT", "UPDATE", "DELETE")
_DEFAULT_PORTS = {"mysql": 3306, "postgresql": 5432}


@pytest.fixture
def network(site, backend):
    """Return the network to the database, and the URL that goes over it."""
    if backend == "sqlite":
        pytest.skip("SQLite is no server")
    url = site.database.engine.url
    port = url.port or _DEFAULT_PORTS[backend]
    with Proxy(url.host or "127.0.0.1", port) as proxy:
        bad = url.set(host="127.0.0.1", port=proxy.port)
        yield proxy, bad.render_as_string(hide_password=False)


@contextlib.contextmanager
def locked(site):
    """Have SQLite's one lock for writing, and do not give it back."""
    path = site.database.engine.url.database
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as blocking:
        blocking.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.only_on("mysql", "postgresql")
def test_f11_the_database_restarts(site, engine, network):
    """F11: all connections are cut, none is accepted for some seconds."""
    site.world.settings.rebuild_seconds = 1
    proxy, url = network
    servers = site.servers("compute-1", 4)
    engine("alpha", connection=url)
    engine("beta", connection=url)

    uuid = site.lose("compute-1")
    eventually(lambda: len(site.evacuations()) >= 1, "it has begun")
    for seconds in (0.2, 3):
        proxy.down()
        time.sleep(seconds)
        proxy.up()
        time.sleep(0.3)

    site.assert_recovered(uuid, servers)
    assert_invariants(site)


@pytest.mark.only_on("sqlite")
def test_f11_the_database_is_locked(site, engine):
    """F11: SQLite's lock for writing is taken for longer than a lease."""
    site.world.settings.rebuild_seconds = 1
    servers = site.servers("compute-1", 4)
    engine("alpha", lease_seconds=1)

    uuid = site.lose("compute-1")
    eventually(lambda: len(site.evacuations()) == 4, "all are under way")
    with locked(site):
        time.sleep(2)

    site.assert_recovered(uuid, servers)
    assert_invariants(site)


@pytest.mark.only_on("mysql", "postgresql")
def test_f12_deadlocks_on_every_write(site, backend, engine):
    """F12: each write is the victim of a deadlock with p = 0.2."""
    servers = site.servers("compute-1", 4)
    dice, struck = random.Random(12), []

    def strike(cursor, statement, *_rest):
        if statement.startswith(WRITES) and dice.random() < PROBABILITY:
            struck.append(statement)
            cursor.connection.rollback()
            raise dbapi.OperationalError(*DEADLOCKS[backend])

    one = engine("alpha", retry_delay=0)
    dbapi = one.database.engine.dialect.dbapi
    for event in ("do_execute", "do_executemany"):
        sa.event.listen(one.database.engine, event, strike)

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert struck
    assert_invariants(site)


@pytest.mark.only_on("mysql", "postgresql")
def test_f13_answers_to_commits_are_lost(site, engine, network):
    """F13: the database has committed, and the engine hears an error."""
    proxy, url = network
    proxy.lose_answers(b"COMMIT", 0.1)
    servers = site.servers("compute-1", 4)
    engine("alpha", connection=url)

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert proxy.lost
    assert_invariants(site)
    assert sorted(site.asked("evacuate")) == servers


def test_f13_an_attempt_is_counted_once(site):
    """F13: said again because its commit seemed to fail, it is the same."""
    uuid = site.report("compute-1")
    claim = work.claim_next(site.ctx, WorkKind.RECOVERY, "me", 60)

    for flow in ("one", "one", "two", "two"):
        recovery_runs.start_flow(site.ctx, claim, flow, new_attempt=True)

    assert site.notification(uuid).attempts == 2


def test_f14_the_database_is_slow(site, engine):
    """F14: each statement takes its time; leases are renewed all the same."""
    servers = site.servers("compute-1", 3)
    one = engine("alpha", lease_seconds=6)
    sa.event.listen(
        one.database.engine,
        "before_cursor_execute",
        lambda *_args: time.sleep(0.03),
    )

    uuid = site.lose("compute-1")
    begun = time.monotonic()
    assert site.notification(uuid).status in set(NotificationStatus)
    assert time.monotonic() - begun < 5

    site.assert_recovered(uuid, servers)
    assert_invariants(site)


def test_f14_reads_of_a_very_slow_database(site, api):
    """F14: with 2 s per statement, what is read is still right."""
    asking = api()
    uuid = site.report("compute-1")
    slow = []

    def delay(*_args):
        slow.append(time.sleep(2))

    sa.event.listen(
        asking.database.read_engine, "before_cursor_execute", delay
    )
    answer = asking.get(f"/notifications/{uuid}")

    assert slow
    assert answer.status == 200
    assert answer.json["notification"]["notification_uuid"] == uuid


@pytest.mark.only_on("mysql", "postgresql")
def test_f14_the_pool_is_exhausted(site, api):
    """F14: whoever gets no connection is told so, and when to come back."""
    tight = api(max_pool_size=1, max_overflow=0, pool_timeout=1)
    with tight.database.engine.connect():
        answer = tight.get("/notifications")

    assert answer.status == 503
    assert answer.headers["retry-after"]
    assert tight.get("/notifications").status == 200


def test_f15_wake_ups_are_lost_doubled_and_disordered(site, engine):
    """F15: wake-ups carry nothing, so nothing goes wrong with them."""
    engines = [engine("alpha"), engine("beta")]
    servers = site.servers("compute-1", 3)
    stopped = threading.Event()

    def wake():
        while not stopped.wait(0.01):
            for one in engines:
                one.wake()

    lost = site.lose("compute-1")  # nobody is told
    waker = threading.Thread(target=wake)
    waker.start()
    try:
        site.assert_recovered(lost, servers)
    finally:
        stopped.set()
        waker.join()
    assert_invariants(site)
    assert site.notification(lost).attempts == 1


def test_f16_the_queue_is_down_while_failures_arrive(site, engine, api):
    """F15, F16: without a queue all is accepted, and found by the sweep."""
    engine(host_failure_recovery_threads=4)
    lost = {host: site.servers(host, 2) for host in ("compute-1", "compute-2")}
    asking = api()  # whose wake-ups go nowhere

    for host in lost:
        site.world.kill(host)
    reports = {}
    for host in lost:
        body = {"notification": REPORT | {"hostname": host}}
        answer = asking.post("/notifications", body)
        assert answer.status == 202
        reports[host] = answer.json["notification"]["notification_uuid"]

    for uuid in reports.values():
        site.ended(uuid)
    for host, servers in lost.items():
        site.assert_recovered(reports[host], servers, host)
    assert_invariants(site)
