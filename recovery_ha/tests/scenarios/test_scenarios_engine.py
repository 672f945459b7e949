"""F01 to F10: engines and APIs die, freeze, disagree and starve."""

import dataclasses
import datetime as dt
import os
import pathlib
import resource
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from recovery_ha.db import models, recovery
from recovery_ha.db.types import now
from recovery_ha.domain.recovery import NotificationStatus, NotificationType
from recovery_ha.tests import fixtures
from recovery_ha.tests.fixtures.mortal import Killed
from recovery_ha.tests.fixtures.rest import REPORT
from recovery_ha.tests.fixtures.site import new_report
from recovery_ha.tests.fixtures.waiting import eventually
from recovery_ha.tests.scenarios.invariants import (
    all_notifications,
    assert_invariants,
)

DISABLE = {"method": "PUT", "path": "/os-services/"}
#: What becomes of the request that is under way when its sender dies.
FATES = {
    "lost": {"when": "before", "hold": True, "drop": True},
    "late": {"when": "before", "hold": True},
    "done": {"when": "after", "hold": True},
}
SKEWED = pathlib.Path(fixtures.__file__).parent / "skewed_clock"
N = models.Notification
CONFIRMED = (
    "pre:['disable_compute_service_task'],"
    "main:['prepare_HA_enabled_instances_task','evacuate_instances_task'],"
    "post:['confirm_evacuation_task']"
)


def change(site, uuid, **values):
    """Change a notification behind everybody's back."""
    with site.database.engine.begin() as connection:
        connection.execute(
            sa.update(N).where(N.notification_uuid == uuid).values(**values)
        )


@pytest.mark.parametrize("fate", FATES)
def test_f01_killed_at_every_effect(site, engine, owner, fate):
    """F01: the owner dies before, during or after each task's effect."""
    servers = site.servers("compute-1", 3)
    faults = [
        site.fault(**asked, **FATES[fate])
        for asked in (
            DISABLE,
            {"action": "lock", "server": servers[0]},
            {"action": "evacuate", "server": servers[1]},
            {"action": "unlock", "server": servers[2]},
        )
    ]
    options = {"lease_seconds": 1, "lock_instances": "always"}
    engines = [engine("engine-0", **options)]

    uuid = site.lose("compute-1")
    for number, fault in enumerate(faults, start=1):
        site.held(fault)
        engines.append(engine(f"engine-{number}", **options))
        owner(uuid, *engines).kill()
        site.world.faults.release(fault.id)

    site.assert_recovered(uuid, servers)
    assert_invariants(site)
    assert site.notification(uuid).attempts == 1


@pytest.mark.parametrize("what", ["commit", "request"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_f01_killed_again_and_again(site, engine, what, when):
    """F01: one engine after another dies, each a few effects further on."""
    servers = site.servers("compute-1", 2)
    uuid = site.lose("compute-1")
    for number in (2, 5, 8):
        dying = engine(
            f"dying-{number}", crash=(when, what, number), lease_seconds=1
        )
        eventually(
            lambda dying=dying: dying.dead.is_set() or _over(site, uuid),
            "it dies",
        )
    engine("heir", lease_seconds=1)

    site.assert_recovered(uuid, servers)
    assert_invariants(site)


def _over(site, uuid):
    return site.notification(uuid).status is NotificationStatus.FINISHED


def test_f02_all_engines_die_and_return_after_ten_minutes(site, engine):
    """F02: nothing is lost while nobody is there."""
    site.world.settings.rebuild_seconds = 1
    engines = [engine("alpha"), engine("beta")]
    servers = site.servers("compute-1", 3)
    other = site.servers("compute-2", 1)

    first = site.lose("compute-1")
    eventually(lambda: len(site.evacuations()) == 3, "all are under way")
    for one in engines:
        one.kill()
    second = site.report("compute-2", event="STARTED", host_status="NORMAL")
    change(
        site,
        first,
        lease_expires_at=now() - 600,
        received_at=N.received_at - 600,
    )
    engine("gamma")

    site.assert_recovered(first, servers)
    assert site.ended(second).status is NotificationStatus.FINISHED
    assert site.world.servers[other[0]].host == "compute-2"
    assert_invariants(site)


def test_f03_frozen_past_its_lease(site, engine, owner):
    """F03: who wakes up after somebody took over does no harm."""
    servers = site.servers("compute-1", 3)
    engines = [engine("alpha", lease_seconds=1), engine("beta")]
    held = site.hold("before", {"action": "evacuate", "server": servers[1]})

    uuid = site.lose("compute-1")
    site.held(held)
    stale = owner(uuid, *engines)
    stale.freeze()
    change(site, uuid, lease_expires_at=now())
    eventually(lambda: owner(uuid, *engines) is not stale, "taken over")
    stale.thaw()
    site.world.faults.release(held.id)

    site.assert_recovered(uuid, servers)
    assert_invariants(site)


def test_f04_two_engines_believe_that_they_own_it(site, engine):
    """F04: the lease is given to another one; the first does not know."""
    site.world.settings.rebuild_seconds = 1
    servers = site.servers("compute-1", 4)
    options = {"lease_seconds": 9, "host_failure_recovery_threads": 2}
    for name in ("alpha", "beta"):
        engine(name, **options)

    uuid = site.lose("compute-1")
    eventually(site.evacuations, "it has begun")
    # The first renews in 3 seconds only, and works until then.
    change(site, uuid, lease_expires_at=now())
    epoch = sa.select(N.lease_epoch).where(N.notification_uuid == uuid)
    eventually(lambda: site.scalar(epoch) > 1, "there are two owners")

    site.assert_recovered(uuid, servers)
    assert sorted(site.asked("evacuate")) == servers
    assert_invariants(site)


def test_f05_api_killed_between_commit_and_send(site, engine, api):
    """F05: what was committed is recovered; asked again, it is known."""

    def dies():
        raise Killed

    servers = site.servers("compute-1", 2)
    site.world.kill("compute-1")

    with pytest.raises(Killed):
        api(dies).post("/notifications", {"notification": REPORT})
    again = api().post("/notifications", {"notification": REPORT})
    engine()

    assert again.status == 409
    (found,) = all_notifications(site)
    site.assert_recovered(found.uuid, servers)
    assert_invariants(site)


def test_f06_equal_notifications_at_once(site, engine, api):
    """F06: 100 equal reports over two APIs are one flow."""
    servers = site.servers("compute-1", 2)
    site.world.kill("compute-1")
    apis = [api(max_pool_size=5, max_overflow=5) for _ in range(2)]
    ready = threading.Barrier(100)

    def post(number):
        when = f"2026-01-01T00:00:00.{number:06}"
        ready.wait(30)
        body = {"notification": REPORT | {"generated_time": when}}
        return apis[number % 2].post("/notifications", body).status

    with ThreadPoolExecutor(100) as pool:
        answers = Counter(pool.map(post, range(100)))
    engine("alpha")
    engine("beta")

    assert answers == {202: 1, 409: 99}
    (found,) = all_notifications(site)
    site.assert_recovered(found.uuid, servers)
    assert_invariants(site)
    assert site.notification(found.uuid).attempts == 1


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe{",
        b'{"notification": ',
        {"notification": {}},
        {"notification": REPORT | {"more": 1}},
        {"notification": REPORT | {"type": "MOON"}},
        {"notification": REPORT | {"generated_time": "yesterday"}},
        {"notification": REPORT | {"payload": {"event": "STOPPED", "x": 1}}},
        {"notification": REPORT | {"payload": {"event": "x" * 300}}},
        {"notification": REPORT | {"hostname": "x" * 2_000_000}},
    ],
    ids=lambda body: str(body)[:40],
)
def test_f07_malformed_reports(site, api, body):
    """F07: they are refused with a reason, and nothing of them is kept."""
    raw = {"raw": body} if isinstance(body, bytes) else {"body": body}

    answer = api().post("/notifications", **raw)

    assert answer.status in {400, 413}
    assert answer.fault["message"]
    assert all_notifications(site) == []


@pytest.mark.parametrize("kind", list(NotificationType))
def test_f07_a_poison_row_is_given_up(site, engine, kind):
    """F07: a row that nobody can work on keeps nobody from working."""
    poison = recovery.create_notification(
        site.ctx, new_report("compute-2", kind, event="STOPPED")
    ).uuid
    change(site, poison, payload={"host_status": "NORMAL"})
    servers = site.servers("compute-1", 1)
    engine(max_attempts=2)

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    ended = site.ended(poison)
    assert ended.status is NotificationStatus.FAILED
    assert "KeyError" in ended.message
    assert_invariants(site)


@pytest.mark.parametrize("newer", ["the-heir", "the-dead"])
def test_f08_rolling_upgrade(site, engine, newer):
    """F08: an engine with other tasks goes on with a flow in flight."""
    site.world.settings.rebuild_seconds = 1
    flow = {"host_auto_failure_recovery_tasks": CONFIRMED}
    options = {"the-dead": {}, "the-heir": {}} | {newer: flow}
    servers = site.servers("compute-1", 3)
    dead = engine("alpha", lease_seconds=1, **options["the-dead"])

    uuid = site.lose("compute-1")
    eventually(lambda: len(site.evacuations()) == 3, "all are under way")
    dead.kill()
    engine("beta", **options["the-heir"])

    site.assert_recovered(uuid, servers)
    assert_invariants(site)
    assert sorted(site.asked("evacuate")) == servers


@pytest.mark.processes
def test_f09_clocks_step_and_differ(site, monkeypatch):
    """F09: one clock steps by ten minutes, again and again; none agree."""
    site.world.settings.rebuild_seconds = 3
    servers = site.servers("compute-1", 3)
    site.world.kill("compute-1")
    monkeypatch.setenv("PYTHONPATH", str(SKEWED), prepend=os.pathsep)
    monkeypatch.setenv("RECOVERY_HA_TEST_SKEW", "300 -300")
    stepping = site.engine("stepping").wait_ready()
    monkeypatch.setenv("RECOVERY_HA_TEST_SKEW", "-300")
    slow = site.engine("slow")
    slow.wait_ready()
    # Frozen while it reports itself, it would keep SQLite from all others.
    both = sa.select(sa.func.count()).select_from(models.Service)
    eventually(lambda: site.scalar(both) == 2, "both have reported themselves")
    slow.freeze()
    report = new_report("compute-1")
    yesterday = report.generated_time - dt.timedelta(days=1)

    uuid = recovery.create_notification(
        site.ctx, dataclasses.replace(report, generated_time=yesterday)
    ).uuid
    eventually(lambda: len(site.evacuations()) == 3, "all are under way")
    assert site.owner(uuid) == "stepping"
    stepping.kill9()
    slow.thaw()

    site.assert_recovered(uuid, servers)
    assert slow.said(f"{uuid} is finished")
    assert sorted(site.asked("evacuate")) == servers


@pytest.mark.processes
def test_f10_the_disk_for_logs_is_full(site):
    """F10: what cannot be logged is done all the same."""
    servers = site.servers("compute-1", 2)
    site.engine("alpha", log_file="/dev/full")

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert_invariants(site)


@pytest.mark.processes
def test_f10_no_memory_is_left(site):
    """F10: an engine that gets no more memory is replaced, or gives up."""
    servers = site.servers("compute-1", 6)
    starving = site.engine("starving").wait_ready()
    held = site.hold("after", DISABLE)

    uuid = site.lose("compute-1")
    site.held(held)
    resource.prlimit(starving.pid, resource.RLIMIT_AS, (1, 1))
    site.world.faults.release(held.id)
    site.engine("heir").wait_ready()

    ended = site.ended(uuid)
    assert_invariants(site)
    if ended.status is NotificationStatus.FINISHED:
        site.assert_recovered(uuid, servers)
