"""SIGSTOP of the owner past its lease while its requests are under way.

What it has sent takes effect without it; what it has not sent never leaves.
"""

import itertools

import pytest

from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = pytest.mark.processes

DISABLE = {"method": "PUT", "path": "/os-services/"}
SEND = "recovery_ha.clients.session:_GuardedConnection.send"


def hold_each(site, action, servers):
    """Hold an action of every server, in turn before and after its effect."""
    return [
        site.hold(when, {"action": action, "server": server})
        for when, server in zip(
            itertools.cycle(("before", "after")), servers, strict=False
        )
    ]


def freeze_past_lease(site, uuid, faults=()):
    """Freeze the owner until another one works; let its requests go then."""
    stale = site.owning_daemon(uuid)
    site.freeze(stale)
    for fault in faults:
        site.world.faults.release(fault.id)
    site.taken_over(uuid, stale)
    stale.thaw()


@pytest.mark.parametrize("backend", BACKENDS)
def test_frozen_at_each_change_of_all_at_once(site):
    site.world.settings.rebuild_seconds = 3  # longer than a lease
    servers = site.servers("compute-1", 4)
    stages = [
        [site.hold("after", DISABLE)],
        *(
            hold_each(site, action, servers)
            for action in ("lock", "evacuate", "unlock")
        ),
    ]
    for name in ("alpha", "beta"):
        site.engine(name, lock_instances="always").wait_ready()

    uuid = site.lose("compute-1")
    for faults in stages:
        for fault in faults:
            site.held(fault)
        freeze_past_lease(site, uuid, faults)

    site.assert_recovered(uuid, servers)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("lock", "changes"),
    [("always", (2, 7, 12, 17, 22)), ("when_needed", (1, 3, 5, 7, 9))],
)
def test_frozen_again_and_again_at_any_moment(site, lock, changes):
    site.world.settings.latency_seconds = 0.02
    options = {"host_failure_recovery_threads": 3, "lock_instances": lock}
    for name in ("alpha", "beta"):
        site.engine(name, **options).wait_ready()
    servers = site.servers("compute-1", 10)

    uuid = site.lose("compute-1")
    for calls in changes:
        eventually(
            lambda calls=calls: len(site.world.journal.calls()) >= calls,
            f"{calls} changes were asked for",
        )
        freeze_past_lease(site, uuid)

    site.assert_recovered(uuid, servers)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("piece", [6, 8], ids=["lock", "evacuate"])
def test_frozen_between_head_and_body_of_a_request(site, piece):
    crash = ("STOP", "after", SEND, str(piece))
    options = {"host_failure_recovery_threads": 1, "lock_instances": "always"}
    stale = site.engine("stale", crash, **options)
    stale.wait_ready()
    stale.wait_said("Nova is at")  # what it sends from now on is known
    servers = site.servers("compute-1", 3)

    uuid = site.lose("compute-1")
    assert site.owner(uuid) == "stale"
    site.engine("heir")
    stale.wait_frozen()
    site.freeze(stale)
    site.ended(uuid)
    stale.thaw()

    stale.wait_said("It goes on elsewhere.")
    site.assert_recovered(uuid, servers)
    assert sorted(site.asked("evacuate")) == servers
