"""F17 to F28: Nova and its friends refuse, fail, lie, or say nothing."""

import pytest

from recovery_ha.domain.recovery import NotificationStatus, VMoveStatus
from recovery_ha.tests.scenarios.invariants import assert_invariants

FINISHED, FAILED = NotificationStatus.FINISHED, NotificationStatus.FAILED


def test_f17_the_answer_to_an_evacuation_is_lost(site, engine):
    """F17: Nova evacuates, and nobody hears that it does."""
    servers = site.servers("compute-1", 3)
    site.fault(action="evacuate", when="after", disconnect=True, times=3)
    engine()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert sorted(site.asked("evacuate")) == servers
    assert_invariants(site)


def test_f18_nova_still_sees_the_host_up(site, engine):
    """F18: it is waited for what Nova sees, and not asked before."""
    site.world.settings.down_time_seconds = 1.5
    servers = site.servers("compute-1", 2)
    engine()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert {c.status for c in site.world.journal.calls(action="evacuate")} == {
        200
    }
    assert_invariants(site)


def test_f18_compute_service_in_use(site, engine):
    """F18: Nova refuses although it has just said down; asked again later."""
    servers = site.servers("compute-1", 2)
    site.fault(
        action="evacuate",
        server=servers[0],
        status=409,
        message="Compute service of compute-1 is still in use.",
    )
    engine()

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is FINISHED
    assert site.ended(uuid).attempts == 2
    assert site.evacuations() == dict.fromkeys(servers, 1)
    assert_invariants(site)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_f19_a_storm_of_errors(site, engine, status):
    """F19: retries are bounded, and one of them is heard."""
    servers = site.servers("compute-1", 3)
    for method in ("GET", "PUT", "POST"):
        site.fault(service="compute", method=method, status=status, times=2)
    engine()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert_invariants(site)


def test_f19_a_storm_without_end(site, engine):
    """F19: then it waits, with Nova's own reason, and asks seldom."""
    site.servers("compute-1", 1)
    site.fault(service="compute", status=503, times=None)
    engine(read_retries=1, retry_delay=60)

    uuid = site.lose("compute-1")

    waiting = site.waits(uuid)
    assert "503" in waiting.message
    asked = sum(site.world.journal.counts()["compute"].values())
    assert asked <= 10
    assert_invariants(site)


def test_f20_tokens_expire_in_mid_flow(site, engine):
    """F20: every token ends, before and after each step; new ones are got."""
    site.world.settings.rebuild_seconds = 1
    servers = site.servers("compute-1", 3)
    steps = [
        site.hold("after", {"action": "lock", "server": servers[0]}),
        site.hold("after", {"action": "evacuate", "server": servers[1]}),
        site.hold("before", {"action": "unlock", "server": servers[2]}),
    ]
    engine(lock_instances="always")

    uuid = site.lose("compute-1")
    for held in steps:
        site.held(held)
        site.world.identity.expire_all()
        site.world.faults.release(held.id)

    site.assert_recovered(uuid, servers)
    assert_invariants(site)


def test_f20_tokens_expire_between_two_attempts(site, engine):
    """F20: the second attempt begins with a token that is no good."""
    servers = site.servers("compute-1", 2)
    site.fault(kind="rebuild", server=servers[0])
    engine(retry_delay=1)

    uuid = site.lose("compute-1")
    site.waits(uuid)
    with site.world.lock:
        assert site.world.identity.expire_all()

    assert site.ended(uuid).status is FINISHED
    assert site.ended(uuid).attempts == 2
    assert site.evacuations() == {servers[0]: 2, servers[1]: 1}
    assert_invariants(site)


def test_f21_no_valid_host_until_one_comes(site, engine):
    """F21: a later attempt goes where there is room by then."""
    servers = site.servers("compute-1", 2)
    site.place_nothing_on("compute-2", "compute-3", "compute-4")
    engine(retry_delay=1)

    uuid = site.lose("compute-1")
    assert "No valid host" in site.waits(uuid).message
    site.place_nothing_on("compute-3", placing=True)

    assert site.ended(uuid).status is FINISHED
    assert [m.dest_host for m in site.moves(uuid)] == ["compute-3"] * 2
    assert site.servers_on("compute-3") == servers
    assert_invariants(site)


def test_f21_the_target_dies_during_a_rebuild(site, engine):
    """F21: the others go on; what lay on it goes on when it is back."""
    site.world.settings.rebuild_seconds = 1
    servers = site.servers("compute-1", 4)
    engine(wait_period_after_evacuation=1, retry_delay=1)

    uuid = site.lose("compute-1")
    site.world.wait(lambda: len(site.evacuations()) == 4)
    site.world.kill("compute-2")
    assert "No progress in time" in site.waits(uuid).message
    site.world.start("compute-2")

    site.assert_recovered(uuid, servers)
    assert_invariants(site)


@pytest.mark.parametrize(
    ("vm_state", "task_state", "ends"),
    [
        ("error", None, "ERROR"),
        ("rescued", None, "SHUTOFF"),
        ("paused", None, "SHUTOFF"),
        ("resized", None, "ACTIVE"),
        ("active", "rebooting", "ACTIVE"),
        ("stopped", None, "SHUTOFF"),
    ],
)
def test_f22_instances_in_odd_states(site, engine, vm_state, task_state, ends):
    """F22: each state has a rule, and none keeps the others waiting."""
    (odd,) = site.servers(
        "compute-1", vm_state=vm_state, task_state=task_state
    )
    site.servers("compute-1", 1)
    engine()

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is FINISHED
    assert site.world.servers[odd].status == ends
    assert site.servers_on("compute-1") == []
    assert_invariants(site)


def test_f22_an_instance_that_is_being_deleted(site, engine):
    """F22: it is left out, and the task says so."""
    (leaving,) = site.servers("compute-1", task_state="deleting")
    servers = site.servers("compute-1", 1)
    engine()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert leaving not in site.asked("evacuate")
    assert_invariants(site)


@pytest.mark.parametrize("lock", ["always", "when_needed"])
@pytest.mark.parametrize("what", ["deleted", "locked", "rebuilt"])
def test_f23_its_user_acts_in_mid_recovery(site, engine, what, lock):
    """F23: the instance is skipped, or goes on, and that is on record."""
    site.world.settings.rebuild_seconds = 1
    servers = site.servers("compute-1", 3)
    held = site.hold("before", {"action": "evacuate", "server": servers[1]})
    engine(lock_instances=lock)

    uuid = site.lose("compute-1")
    site.held(held)
    with site.world.lock:
        server = site.world.servers[servers[1]]
        if what == "deleted":
            site.world.delete_server(server)
        elif what == "locked":
            server.locked, server.locked_reason = True, "mine"
        else:
            site.world.evacuations.evacuate(server)
            site.world.faults.get(held.id).drop = True
    site.world.faults.release(held.id)

    assert site.ended(uuid).status is FINISHED
    moved = [m.status is VMoveStatus.SUCCEEDED for m in site.moves(uuid)]
    assert moved == [True, what != "deleted", True]
    if what == "deleted":
        assert "1 were deleted meanwhile" in site.ended(uuid).message
    assert_invariants(site)


def test_f24_evacuated_but_never_active(site, engine, monkeypatch):
    """F24: what does not run at its end is no success."""
    servers = site.servers("compute-1", 2)
    succeed = site.world.evacuations._succeed

    def never_active(evacuation):
        succeed(evacuation)
        if evacuation.server.uuid == servers[0]:
            evacuation.server.vm_state = "building"

    monkeypatch.setattr(site.world.evacuations, "_succeed", never_active)
    engine(wait_period_after_evacuation=1, max_attempts=2)

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is FAILED
    assert "building and not yet active" in ended.message
    moved = [m.status is VMoveStatus.SUCCEEDED for m in site.moves(uuid)]
    assert moved == [False, True]
    assert site.evacuations() == dict.fromkeys(servers, 1)
    assert_invariants(site)


@pytest.mark.parametrize(
    "fault",
    [
        "Barbican answered 403: the secret is not yours",
        "No space left on device",
        "Insufficient compute resources: Claim pci failed",
        "vTPM secret not found",
    ],
)
def test_f25_a_rebuild_that_cannot_succeed(site, engine, fault):
    """F25: Nova's reason is the message; the attempts are counted."""
    servers = site.servers("compute-1", 3)
    site.fault(kind="rebuild", server=servers[1], message=fault, times=None)
    engine(max_attempts=2)

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is FAILED
    assert fault in ended.message
    assert fault in site.moves(uuid)[1].message
    assert site.evacuations()[servers[1]] == 2
    assert_invariants(site)


def test_f26_nova_lists_stale_data(site, engine):
    """F26: what lives elsewhere by now is not evacuated from there."""
    servers = site.servers("compute-1", 2)
    (living,) = site.servers("compute-2", 1)
    engine(max_attempts=1)
    with site.world.lock:
        site.world.servers[living].host = "compute-1"
    held = site.hold("after", {"method": "GET", "path": "/servers/detail"})

    uuid = site.lose("compute-1")
    site.held(held)
    with site.world.lock:
        site.world.servers[living].host = "compute-2"
    site.world.faults.release(held.id)

    site.ended(uuid)
    assert site.evacuations() == dict.fromkeys(servers, 1)
    assert site.world.servers[living].host == "compute-2"
    assert site.world.servers[living].status == "ACTIVE"
    assert not site.world.servers[living].locked


def empty_list(site, **fields):
    """Have Nova list no server on any host."""
    return site.fault(
        method="GET",
        path="/servers/detail",
        status=200,
        body={"servers": []},
        **fields,
    )


def test_f26_nova_lists_nothing(site, engine):
    """F26: an empty list is not believed while there are instances."""
    servers = site.servers("compute-1", 2)
    empty = empty_list(site, times=None)
    engine(max_attempts=1, retry_delay=1)

    uuid = site.lose("compute-1")
    waiting = site.waits(uuid)
    assert "the list is not believed" in waiting.message
    assert site.servers_on("compute-1") == servers
    assert not site.asked("evacuate")
    empty.times = 0

    site.assert_recovered(uuid, servers)
    assert_invariants(site)


def test_f26_the_host_is_really_empty(site, engine):
    """F26: it ends at the first look, and says why that is believed."""
    engine()

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is FINISHED
    assert ended.attempts == 1
    assert (
        "0 of 0 instances of compute-1 evacuated. Nova lists no instances on"
        " compute-1, and Placement knows of no resources that are used there."
    ) in ended.message
    assert_invariants(site)


def test_f26_the_host_was_evacuated_before(site, engine):
    """F26: what Placement has not yet cleared away is no doubt for ever."""
    servers = site.servers("compute-1", 2)
    for server in servers:
        with site.world.lock:
            site.world.allocations.claim(
                site.world.servers[server], "compute-2"
            )
    engine()

    uuid = site.lose("compute-2")

    ended = site.ended(uuid)
    assert ended.status is FINISHED
    assert "those 2 for which Placement has resources" in ended.message
    assert site.servers_on("compute-1") == servers
    assert_invariants(site)


def test_f26_every_service_is_stale(site, engine):
    """F26: a Nova that sees nobody up is not believed; it is waited."""
    servers = site.servers("compute-1", 2)
    for compute in list(site.world.computes):
        site.world.kill(compute.host)
    engine(max_attempts=1, retry_delay=1)

    uuid = site.report("compute-1")
    waiting = site.waits(uuid)
    assert "none of the 3 other compute services up" in waiting.message
    assert site.world.journal.calls() == []
    for host in ("compute-2", "compute-3", "compute-4"):
        site.world.start(host)

    site.assert_recovered(uuid, servers)
    assert_invariants(site)


def test_f27_the_scheduler_is_down(site, engine):
    """F27: a bounded number of attempts, with Nova's reason."""
    servers = site.servers("compute-1", 2)
    reason = "MessagingTimeout: Timed out waiting for a reply"
    site.fault(kind="rebuild", message=reason, times=None)
    engine(max_attempts=2)

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is FAILED
    assert reason in ended.message
    assert site.evacuations() == dict.fromkeys(servers, 2)
    assert_invariants(site)


def test_f28_an_amphora_is_octavias(site, engine):
    """F28: what another service owns is left to it."""
    (amphora,) = site.servers("compute-1")
    site.world.set_server(amphora, name=f"amphora-{amphora}")
    servers = site.servers("compute-1", 2)
    engine()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, [s for s in servers if s != amphora])
    assert site.world.servers[amphora].host == "compute-1"
    assert amphora not in site.asked("evacuate") + site.asked("lock")
    assert_invariants(site)
