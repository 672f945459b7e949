"""The database goes away and comes back in the middle of a recovery."""

import contextlib
import sqlite3
import time

import pytest

from recovery_ha.tests.fixtures.connections import cut_again_and_again
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = pytest.mark.processes


@pytest.mark.parametrize("backend", ["mysql", "postgresql"])
@pytest.mark.parametrize("interval", [0.1, 0.7])
def test_connections_are_cut_again_and_again(site, backend, interval):
    site.world.settings.rebuild_seconds = 2
    url = site.database.engine.url.render_as_string(hide_password=False)
    for name in ("alpha", "beta"):
        site.engine(name).wait_ready()
    servers = site.servers("compute-1", 6)

    uuid = site.lose("compute-1")
    with cut_again_and_again(url, interval) as cut:
        eventually(lambda: sum(cut) > 20 or len(cut) > 8, "many were cut")

    site.assert_recovered(uuid, servers)


def test_somebody_locks_the_database_for_longer_than_a_lease(site):
    site.world.settings.rebuild_seconds = 1
    site.engine("alpha").wait_ready()
    servers = site.servers("compute-1", 3)

    uuid = site.lose("compute-1")
    eventually(lambda: len(site.evacuations()) == 3, "all are under way")
    path = site.database.engine.url.database
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as blocking:
        blocking.execute("BEGIN IMMEDIATE")
        time.sleep(4)

    site.assert_recovered(uuid, servers)
