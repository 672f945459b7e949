"""Commits that fail, and commits that succeed although they seem to fail."""

import itertools

import pytest

DEADLOCK = (1213, "Deadlock found when trying to get lock")
LOST = (2013, "Lost connection to MySQL server during query")


@pytest.fixture
def backend():
    return "mysql"


def strike(site, monkeypatch, *, deadlock=None, lost=None):
    """Let every so manieth commit fail, or seem to fail."""
    dialect = site.database.engine.dialect
    commit, numbers = dialect.do_commit, itertools.count(1)

    def do_commit(connection):
        number = next(numbers)
        if deadlock and number % deadlock == 0:
            connection.rollback()
            raise dialect.dbapi.OperationalError(*DEADLOCK)
        commit(connection)
        if lost and number % lost == 0:
            raise dialect.dbapi.OperationalError(*LOST)

    monkeypatch.setattr(dialect, "do_commit", do_commit)


def test_deadlocks(site, monkeypatch):
    servers = site.servers("compute-1", 6)
    strike(site, monkeypatch, deadlock=4)
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert site.notification(uuid).attempts == 1


@pytest.mark.parametrize("every", [5, 8])
def test_commits_whose_success_is_not_heard_of(site, monkeypatch, every):
    servers = site.servers("compute-1", 4)
    strike(site, monkeypatch, lost=every)
    site.engine_here(max_attempts=1, lease_seconds=5)

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
