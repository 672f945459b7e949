"""SIGSTOP of the owner past its lease, and SIGCONT while or after another
engine has taken its work over: the stale one does no harm and works again.
"""

import pytest

from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = pytest.mark.processes


@pytest.fixture
def engines(site):
    return [site.engine(name).wait_ready() for name in ("alpha", "beta")]


def freeze_owner_at(site, uuid, fault):
    """Freeze the owner while a fault holds its request; let that go then.

    That request is the only one: nothing else is halfway out of the process.

    :returns: the frozen engine.
    """
    site.held(fault)
    eventually(
        lambda: all(
            move.accepted
            for move in site.moves(uuid)
            if move.instance_uuid != fault.server
        ),
        "all but the one that is held are under way",
    )
    owner = site.owning_daemon(uuid)
    site.freeze(owner)
    site.world.faults.release(fault.id)
    return owner


def assert_works_alone(site, engine):
    """Show that an engine takes new work when it is the only one."""
    for other in site.daemons:
        if other is not engine:
            other.kill9()
    site.servers("compute-2", 2)
    servers = site.servers_on("compute-2")
    site.world.migrations.clear()
    uuid = site.lose("compute-2")
    site.assert_recovered(uuid, servers, "compute-2")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.usefixtures("engines")
def test_continued_after_the_other_has_finished(site):
    servers = site.servers("compute-1", 4)
    held = site.hold("before", {"action": "evacuate", "server": servers[1]})

    uuid = site.lose("compute-1")
    stale = freeze_owner_at(site, uuid, held)
    site.ended(uuid)
    stale.thaw()

    stale.wait_said("It goes on elsewhere.")
    site.assert_recovered(uuid, servers)
    assert_works_alone(site, stale)


@pytest.mark.parametrize("backend", BACKENDS)
def test_continued_while_the_other_is_in_the_middle(site):
    for name in ("alpha", "beta"):
        site.engine(name, lock_instances="always").wait_ready()
    site.world.settings.rebuild_seconds = 1
    servers = site.servers("compute-1", 4)
    first = site.hold("before", {"action": "evacuate", "server": servers[1]})

    uuid = site.lose("compute-1")
    stale = freeze_owner_at(site, uuid, first)
    second = site.hold("after", {"action": "unlock"})
    site.held(second)
    assert site.owner(uuid) != stale.name
    stale.thaw()
    stale.wait_said("It goes on elsewhere.")
    site.world.faults.release(second.id)

    site.assert_recovered(uuid, servers)


@pytest.mark.usefixtures("engines")
def test_frozen_between_two_looks(site):
    site.world.settings.rebuild_seconds = 4
    servers = site.servers("compute-1", 3)

    uuid = site.lose("compute-1")
    eventually(lambda: len(site.evacuations()) == 3, "all are under way")
    stale = site.owning_daemon(uuid)
    site.freeze(stale)
    site.taken_over(uuid, stale)
    stale.thaw()
    stale.wait_said("It goes on elsewhere.")

    site.assert_recovered(uuid, servers)


@pytest.mark.usefixtures("engines")
def test_frozen_shorter_than_its_lease_goes_on_itself(site):
    servers = site.servers("compute-1", 3)
    held = site.hold("before", {"action": "evacuate", "server": servers[0]})

    uuid = site.lose("compute-1")
    owner = freeze_owner_at(site, uuid, held)
    owner.thaw()

    site.assert_recovered(uuid, servers)
    assert owner.said(f"{uuid} is finished")


@pytest.mark.parametrize("backend", BACKENDS)
def test_both_frozen_and_continued_at_once(site, engines):
    site.world.settings.rebuild_seconds = 3
    servers = site.servers("compute-1", 4)
    held = site.hold("after", {"action": "evacuate", "server": servers[3]})

    uuid = site.lose("compute-1")
    site.held(held)
    for engine in engines:
        site.freeze(engine)
    site.world.faults.release(held.id)
    eventually(
        lambda: all(
            record.status == "done" for record in site.world.migrations
        ),
        "Nova has evacuated all that were asked for",
    )
    for engine in engines:
        engine.thaw()

    site.assert_recovered(uuid, servers)


@pytest.mark.parametrize("backend", ["mysql", "postgresql"])
@pytest.mark.parametrize("call", [3, 12])
def test_frozen_inside_a_transaction(site, backend, call):
    # As when the machine of an engine loses its power: nobody tells the
    # database, and the transaction's locks stay.
    commit = "sqlalchemy.engine.default:DefaultDialect.do_commit"
    crash = ("STOP", "before", commit, str(call))
    stale = site.engine("stale", crash=crash).wait_ready()
    site.engine("heir")
    servers = site.servers("compute-1", 3)

    uuid = site.lose("compute-1")
    stale.wait_frozen()

    site.assert_recovered(uuid, servers)
    stale.thaw()
    assert_works_alone(site, stale)
