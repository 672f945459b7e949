"""Engines that die, stop or are told to stop while they move instances."""

import dataclasses
from collections import Counter

import pytest

from recovery_ha.db.maintenance import instance_work
from recovery_ha.domain import errors
from recovery_ha.domain.leaving import MovesStatus
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.mortal import Killed
from recovery_ha.tests.fixtures.owned_session import OwnedSession

LIVE, COLD = "LIVE_MIGRATE", "MIGRATE"
every_backend = pytest.mark.parametrize("backend", BACKENDS)


@pytest.fixture(autouse=True)
def quick(site):
    site.world.settings.migrate_seconds = 0.2


class Dying:
    """Nova, for an engine that dies at one of its requests."""

    def __init__(self, compute, name, when, number=1):
        self._compute, self._name, self._when = compute, name, when
        self._left = number

    def __getattr__(self, name):
        found = getattr(self._compute, name)
        if name != self._name:
            return found

        def request(*args):
            self._left -= 1
            if self._left == 0 and self._when == "before":
                raise Killed
            found(*args)
            if self._left == 0:
                raise Killed

        return request


def moves(site):
    """Return how many moves Nova has begun, by server and type."""
    with site.world.lock:
        return Counter(
            (one.server.uuid, one.migration_type)
            for one in site.world.migrations
        )


def run_to_death(session, **options):
    with pytest.raises(Killed):
        session.settle(**options)


@every_backend
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("action", "request_"),
    [
        (LIVE, "live_migrate_server"),
        (COLD, "migrate_server"),
        (COLD, "confirm_migration"),
        (LIVE, "abort_live_migration"),
    ],
)
def test_killed_at_a_request_another_engine_goes_on(
    site, action, request_, when
):
    servers = site.servers("compute-1", 3, project_id="p-1")
    session = OwnedSession(site, "compute-1", live_migration_timeout=2)
    session.ask(action, *servers)
    aborts = request_ == "abort_live_migration"
    if aborts:
        site.fault(kind="migration", result="stuck", server=servers[1])
    number = 1 if aborts else 2
    dying = Dying(session.env.compute, request_, when, number)
    session.env = dataclasses.replace(session.env, compute=dying)
    run_to_death(session)
    session.take_over()

    assert session.settle().status is MovesStatus.SETTLED

    assert site.servers_on("compute-1") == []
    kind = "live-migration" if action == LIVE else "migration"
    expected = Counter({(one, kind): 1 for one in servers})
    if aborts:
        expected[servers[1], "migration"] = 1
    assert moves(site) == expected
    with site.world.lock:
        for one in servers:
            assert site.world.servers[one].status == "ACTIVE"
    assert sorted(session.done_told()) == servers


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, 8))
@pytest.mark.parametrize("action", [LIVE, COLD])
def test_killed_at_any_commit_another_engine_goes_on(
    site, monkeypatch, action, number, when
):
    servers = site.servers("compute-1", 2, project_id="p-1")
    session = OwnedSession(site, "compute-1")
    session.ask(action, *servers)
    change, left = instance_work.change, [number]

    def dying(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0 and when == "before":
            raise Killed
        result = change(*args, **kwargs)
        if left[0] == 0:
            raise Killed
        return result

    with monkeypatch.context() as patch:
        patch.setattr(instance_work, "change", dying)
        try:
            session.settle()
        except Killed:
            session.take_over()
    assert session.settle().status is MovesStatus.SETTLED
    kind = "live-migration" if action == LIVE else "migration"
    assert moves(site) == Counter({(one, kind): 1 for one in servers})
    assert sorted(session.done_told()) == servers


@pytest.mark.parametrize(
    ("end", "raised"),
    [
        (lambda lease: lease.stop(), errors.EngineStopping),
        (lambda lease: lease.interrupt("abort"), errors.RecoveryInterrupted),
    ],
)
@pytest.mark.parametrize("action", [LIVE, COLD])
def test_nothing_is_sent_any_more_and_nothing_has_to_be_looked_for(
    site, action, end, raised
):
    first, second = site.servers("compute-1", 2, project_id="p-1")
    session = OwnedSession(site, "compute-1")
    session.ask(action, first, second)
    name = "live_migrate_server" if action == LIVE else "migrate_server"
    ask = getattr(session.env.compute, name)

    class Ending:
        def __getattr__(self, wanted):
            found = getattr(type(self).compute, wanted)
            if wanted != name:
                return found

            def request(*args):
                ask(*args)
                end(session.env.lease)

            return request

    Ending.compute = session.env.compute
    session.env = dataclasses.replace(session.env, compute=Ending())
    with pytest.raises(raised):
        session.tick()

    assert sum(moves(site).values()) == 1
    asked = {server for server, _type in moves(site)}
    (other,) = {first, second} - asked
    row = session.row(other)
    assert (row.action_status, row.requested_at, row.attempts) in {
        ("running", None, 0),
        ("pending", None, 0),
    }
    # so that another engine need not wait for it
    session.take_over()
    assert session.settle().status is MovesStatus.SETTLED
    assert sum(moves(site).values()) == 2


def test_whoever_lost_the_session_asks_for_nothing(site):
    servers = site.servers("compute-1", 2, project_id="p-1")
    session = OwnedSession(site, "compute-1")
    session.ask(LIVE, *servers)
    stale, fresh = session.env, session.take_over()
    session.env = stale
    with pytest.raises(errors.LeaseLost):
        session.tick()
    assert moves(site) == Counter()
    session.env = fresh
    assert session.settle().status is MovesStatus.SETTLED


def test_what_is_under_way_is_brought_to_its_end(site):
    servers = site.servers("compute-1", 3, project_id="p-1")
    session = OwnedSession(site, "compute-1", max_parallel_moves=1)
    session.ask(COLD, *servers)
    assert session.tick().status is MovesStatus.BUSY
    (begun, _type) = next(iter(moves(site)))

    state = session.settle(begin=False)

    assert state.status is MovesStatus.SETTLED
    assert state.sentence == "1 of 3 instances have left compute-1."
    assert session.done_told() == [begun]
    assert sum(moves(site).values()) == 1
    assert {
        session.row(one).action_status for one in servers if one != begun
    } == {"pending"}


def test_how_much_is_asked_of_nova_does_not_depend_on_how_many(site):
    counts = []
    for number in (2, 12):
        servers = site.servers("compute-1", number, project_id="p-1")
        session = OwnedSession(site, "compute-1", max_parallel_moves=50)
        session.ask(LIVE, *servers)
        site.world.settings.migrate_seconds = 5.0
        session.tick()
        site.world.journal.clear_counts()
        session.tick()
        counts.append(
            {
                route: count
                for route, count in site.world.journal.counts()[
                    "compute"
                ].items()
                if route.startswith("GET")
            }
        )
        site.world.settings.migrate_seconds = 0.0
        with site.world.lock:
            for one in servers:
                site.world.delete_server(site.world.servers[one])
    assert counts[0] == counts[1]
    assert sum(counts[0].values()) == 2
