"""Limits that are never exceeded, and how little is asked of the others."""

import pytest
import sqlalchemy as sa

from recovery_ha.tests.fixtures.waiting import eventually


def most_at_once(records):
    """Return how many evacuations were open at the same time."""
    changes = sorted(
        [(r.created_at, 1) for r in records]
        + [(r.updated_at, -1) for r in records]
    )
    open_ = most = 0
    for _time, change in changes:
        open_ += change
        most = max(most, open_)
    return most


def test_the_limit_over_all_hosts(site):
    first = site.servers("compute-1", 6)
    second = site.servers("compute-2", 6)
    site.engine_here(max_evacuations=4)

    one, two = site.lose("compute-1"), site.lose("compute-2")

    site.ended(one)
    site.ended(two)
    assert most_at_once(site.world.migrations) == 4
    assert site.evacuations() == dict.fromkeys(first + second, 1)


def test_the_limit_per_host(site):
    servers = site.servers("compute-1", 6)
    site.engine_here(host_failure_recovery_threads=2)

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert most_at_once(site.world.migrations) == 2


def test_more_hosts_than_workers(site):
    lost = {
        host: site.servers(host, 2)
        for host in ("compute-1", "compute-2", "compute-3")
    }
    reports = {host: site.lose(host) for host in lost}
    site.engine_here(workers=1)

    for host, servers in lost.items():
        # What was evacuated to a host that was lost later goes on with it.
        assert site.ended(reports[host])
        assert all(site.world.servers[u].host == "compute-4" for u in servers)


@pytest.mark.parametrize(
    ("lock_instances", "each"), [("when_needed", 1), ("always", 3)]
)
def test_few_requests_per_instance(site, lock_instances, each):
    site.world.settings.rebuild_seconds = 1
    servers = site.servers("compute-1", 20)
    site.engine_here(verify_interval=1, lock_instances=lock_instances)

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    asked = sum(site.world.journal.counts()["compute"].values())
    changes = len(site.world.journal.calls())
    assert changes == each * len(servers) + 1
    assert asked - changes <= 20


def test_few_statements_per_instance(site):
    def statements(host, count):
        site.servers(host, count)
        seen.clear()
        site.ended(site.lose(host))
        return len(seen)

    def see(_connection, _cursor, statement, *_args):
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    seen = []
    sa.event.listen(site.database.engine, "before_cursor_execute", see)
    site.engine_here(verify_interval=1)

    few, many = statements("compute-1", 5), statements("compute-2", 25)

    assert (many - few) / 20 <= 12


def test_a_finished_recovery_asks_for_nothing_more(site):
    servers = site.servers("compute-1", 2)
    site.engine_here()
    uuid = site.lose("compute-1")
    site.assert_recovered(uuid, servers)

    before = site.world.journal.counts()
    other = site.report("compute-2", event="STARTED", host_status="NORMAL")
    eventually(lambda: site.ended(other), "the engine has looked again")

    assert site.world.journal.counts() == before
