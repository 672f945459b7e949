"""Nova refuses, fails, or says nothing: what was done is done only once."""

import pytest

from recovery_ha.domain.recovery import NotificationStatus, VMoveStatus


def test_one_that_fails_does_not_keep_the_others(site):
    servers = site.servers("compute-1", 4)
    reason = "Build of instance aborted: no space left on device"
    site.fault(kind="rebuild", server=servers[1], message=reason)
    site.engine_here(max_attempts=1)

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is NotificationStatus.FAILED
    assert "1 of 4 instances were not evacuated" in ended.message
    assert reason in ended.message
    moves = site.moves(uuid)
    assert [m.status is VMoveStatus.SUCCEEDED for m in moves] == [1, 0, 1, 1]
    assert reason in moves[1].message
    assert not any(s.locked for s in site.world.servers.values())
    assert site.locks() == 0


def test_the_next_attempt_takes_only_those_that_failed(site):
    servers = site.servers("compute-1", 4)
    site.fault(kind="rebuild", server=servers[1])
    site.engine_here()

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is NotificationStatus.FINISHED
    assert site.ended(uuid).attempts == 2
    assert {m.status for m in site.moves(uuid)} == {VMoveStatus.SUCCEEDED}
    assert site.evacuations() == {u: 1 + (u == servers[1]) for u in servers}
    assert not any(s.locked for s in site.world.servers.values())


def test_no_host_has_room(site):
    servers = site.servers("compute-1", 2)
    site.place_nothing_on("compute-2", "compute-3", "compute-4")
    site.engine_here(max_attempts=1)

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is NotificationStatus.FAILED
    assert "No valid host was found" in ended.message
    assert all("No valid host" in m.message for m in site.moves(uuid))
    assert len(site.moves(uuid)) == len(servers)


def test_a_host_that_has_room_later_is_used_by_a_later_attempt(site):
    servers = site.servers("compute-1", 2)
    site.place_nothing_on("compute-2", "compute-3", "compute-4")
    site.engine_here(retry_delay=1)

    uuid = site.lose("compute-1")
    site.waits(uuid)
    site.place_nothing_on("compute-2", placing=True)

    assert site.ended(uuid).status is NotificationStatus.FINISHED
    assert {m.dest_host for m in site.moves(uuid)} == {"compute-2"}
    assert [m.instance_uuid for m in site.moves(uuid)] == servers


def test_an_evacuation_whose_answer_was_lost_is_not_asked_for_again(site):
    servers = site.servers("compute-1", 3)
    site.fault(action="evacuate", when="after", disconnect=True, times=3)
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert sorted(site.asked("evacuate")) == servers


def test_an_evacuation_that_did_not_arrive_is_asked_for_again(site):
    servers = site.servers("compute-1", 3)
    site.fault(
        action="evacuate", server=servers[1], when="before", disconnect=True
    )
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert site.asked("evacuate").count(servers[1]) == 2


def test_what_takes_too_long_ends_although_nova_tells_nothing_of_it(site):
    servers = site.servers("compute-1", 2)
    site.fault(kind="rebuild", server=servers[0], result="stuck")
    path = f"/servers/{servers[0]}"
    site.fault(method="GET", path=path, status=503, times=None)
    site.engine_here(
        wait_period_after_evacuation=1, max_attempts=1, read_retries=0
    )

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is NotificationStatus.FAILED
    moves = site.moves(uuid)
    assert [m.status is VMoveStatus.SUCCEEDED for m in moves] == [False, True]
    assert "No progress in time." in moves[0].message
    assert "Nova answered 503" in moves[0].message


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize(
    "request_",
    [
        {"action": "evacuate"},
        {"action": "lock"},
        {"action": "unlock"},
        {"method": "GET", "path": "/servers/detail"},
        {"method": "GET", "path": "/os-migrations"},
        {"method": "GET", "path": "/os-services"},
        {"method": "PUT", "path": "/os-services"},
    ],
    ids=lambda request: "-".join(request.values()),
)
def test_a_storm_of_errors_that_ends(site, request_, status):
    servers = site.servers("compute-1", 3)
    site.fault(**request_, status=status, times=3)
    site.engine_here(lock_instances="always")

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)


@pytest.mark.parametrize("action", ["lock", "evacuate", "os-stop"])
def test_nova_fails_at_one_instance(site, action):
    (odd,) = site.servers("compute-1", vm_state="paused")
    site.servers("compute-1", 2)
    site.fault(
        action=action, server=odd, status=500, message="Boom", times=None
    )
    site.engine_here(max_attempts=2, settle_seconds=0, lease_seconds=1)

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is NotificationStatus.FAILED
    assert "1 of 3 instances were not evacuated" in ended.message
    assert "Nova answered 500: Boom" in ended.message
    moves = {move.instance_uuid: move for move in site.moves(uuid)}
    assert "Nova answered 500: Boom" in moves.pop(odd).message
    assert {m.status for m in moves.values()} == {VMoveStatus.SUCCEEDED}
    assert site.asked(action).count(odd) == 2
    assert ended.attempts == 2


def test_nova_fails_and_has_evacuated_all_the_same(site):
    servers = site.servers("compute-1", 2)
    site.fault(action="evacuate", server=servers[0], when="after", status=500)
    site.engine_here(max_attempts=1)

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert sorted(site.asked("evacuate")) == servers


def test_an_outage_of_nova_is_waited_for_and_not_counted(site):
    servers = site.servers("compute-1", 2)
    site.world.outages.begin("compute")
    site.engine_here(read_retries=1, max_attempts=1, retry_delay=1)

    uuid = site.lose("compute-1")
    waiting = site.waits(uuid)
    assert "Nova answered 503" in waiting.message
    site.world.outages.end("compute")

    site.assert_recovered(uuid, servers)


def test_an_outage_of_keystone_is_waited_for(site):
    servers = site.servers("compute-1", 2)
    site.world.outages.begin("identity")
    site.engine_here(read_retries=0, max_attempts=1, retry_delay=1)

    uuid = site.lose("compute-1")
    assert "503" in site.waits(uuid).message
    site.world.outages.end("identity")

    site.assert_recovered(uuid, servers)


def test_an_outage_while_nova_rebuilds(site):
    site.world.settings.rebuild_seconds = 1
    servers = site.servers("compute-1", 3)
    held = site.hold("after", {"action": "evacuate", "server": servers[2]})
    site.engine_here(read_retries=1, retry_delay=1)

    uuid = site.lose("compute-1")
    site.held(held)
    site.world.outages.begin("compute", seconds=3)
    site.world.faults.release(held.id)

    site.assert_recovered(uuid, servers)


def test_tokens_that_expire_in_the_middle(site):
    site.world.settings.rebuild_seconds = 1
    servers = site.servers("compute-1", 3)
    held = site.hold("after", {"action": "evacuate", "server": servers[2]})
    site.engine_here()

    uuid = site.lose("compute-1")
    site.held(held)
    site.world.identity.expire_all()
    site.world.faults.release(held.id)

    site.assert_recovered(uuid, servers)


def test_a_rebuild_that_never_ends_is_reported_and_not_repeated(site):
    servers = site.servers("compute-1", 3)
    site.fault(kind="rebuild", server=servers[0], result="stuck", times=None)
    site.engine_here(wait_period_after_evacuation=1, max_attempts=2)

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is NotificationStatus.FAILED
    assert "No progress in time" in site.moves(uuid)[0].message
    assert site.evacuations() == dict.fromkeys(servers, 1)
    assert not site.world.servers[servers[0]].locked


def test_a_destination_that_dies_and_comes_back(site):
    # The message waits in its queue: when it is back, it rebuilds.
    site.world.settings.rebuild_seconds = 1
    servers = site.servers("compute-1", 4)
    site.engine_here(wait_period_after_evacuation=1, retry_delay=1)

    uuid = site.lose("compute-1")
    site.world.wait(lambda: len(site.evacuations()) == 4)
    site.world.kill("compute-2")
    site.waits(uuid)
    site.world.start("compute-2")

    site.assert_recovered(uuid, servers)
