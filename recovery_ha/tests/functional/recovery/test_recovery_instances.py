"""Which instances of a failed host are evacuated, how, and how they end."""

import pytest

from recovery_ha.domain.recovery import NotificationStatus, VMoveStatus
from recovery_ha.tests.fixtures.waiting import eventually

RUNNING, PAUSED, SHUTDOWN = 1, 3, 4


def test_every_page_of_instances_is_read(site):
    site.world.settings.page_limit = 3
    servers = site.servers("compute-1", 10)
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)


def test_marked_instances_go_first(site):
    plain = site.servers("compute-1", 3)
    marked = site.servers("compute-1", 2, metadata={"HA_Enabled": "True"})
    site.engine_here(host_failure_recovery_threads=1)

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, [*marked, *plain])
    assert site.asked("evacuate") == [*marked, *plain]


def test_only_marked_instances_go(site):
    plain = site.servers("compute-1", 2)
    marked = site.servers("compute-1", 2, metadata={"HA_Enabled": "yes"})
    site.engine_here(evacuate_all_instances=False)

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, marked)
    assert {site.world.servers[u].host for u in plain} == {"compute-1"}


def test_instances_in_error_are_left_where_they_are(site):
    (broken,) = site.servers("compute-1", vm_state="error")
    servers = site.servers("compute-1", 2)
    site.engine_here(ignore_instances_in_error_state=True)

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert site.world.servers[broken].host == "compute-1"


def test_a_host_without_instances(site):
    site.engine_here()

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is NotificationStatus.FINISHED
    assert site.world.computes.get("compute-1").disabled
    assert site.locks() == 0


@pytest.mark.parametrize(
    ("vm_state", "task_state", "power_state", "asked", "status"),
    [
        ("active", None, RUNNING, [], "ACTIVE"),
        ("active", "rebooting", RUNNING, ["error"], "ACTIVE"),
        ("stopped", None, SHUTDOWN, [], "SHUTOFF"),
        ("stopped", "powering-on", SHUTDOWN, ["error", "stop"], "SHUTOFF"),
        ("error", None, RUNNING, ["stop", "error"], "ERROR"),
        ("error", "rebooting", RUNNING, ["error", "stop", "error"], "ERROR"),
        ("resized", None, RUNNING, ["error"], "ACTIVE"),
        ("resized", None, SHUTDOWN, ["error", "stop"], "SHUTOFF"),
        ("paused", None, PAUSED, ["error", "stop"], "SHUTOFF"),
        ("suspended", None, SHUTDOWN, ["error", "stop"], "SHUTOFF"),
        ("rescued", None, RUNNING, ["error", "stop"], "SHUTOFF"),
        ("shelved", None, SHUTDOWN, ["error", "stop"], "SHUTOFF"),
        ("building", "spawning", 0, ["error", "stop"], "SHUTOFF"),
    ],
)
def test_each_state_is_treated_and_ends_as_it_should(
    site, vm_state, task_state, power_state, asked, status
):
    (server,) = site.servers(
        "compute-1",
        vm_state=vm_state,
        task_state=task_state,
        power_state=power_state,
    )
    site.engine_here()

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is NotificationStatus.FINISHED
    assert site.world.servers[server].status == status
    assert site.world.servers[server].host != "compute-1"
    assert not site.world.servers[server].locked
    assert site.evacuations() == {server: 1}
    words = {"os-resetState": "error", "os-stop": "stop"}
    assert [
        words[call.action]
        for call in site.world.journal.calls()
        if call.action in words
    ] == asked


def test_only_what_needs_it_is_locked_by_default(site):
    plain = site.servers("compute-1", 2)
    (paused,) = site.servers("compute-1", vm_state="paused")
    site.engine_here()

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is NotificationStatus.FINISHED
    assert site.evacuations() == dict.fromkeys([*plain, paused], 1)
    assert site.asked("lock") == site.asked("unlock") == [paused]


def test_an_instance_that_its_user_locked_stays_locked(site):
    (locked,) = site.servers("compute-1", locked=True)
    (open_,) = site.servers("compute-1")
    site.engine_here(lock_instances="always")

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is NotificationStatus.FINISHED
    assert site.world.servers[locked].locked
    assert not site.world.servers[open_].locked
    assert site.asked("lock") == site.asked("unlock") == [open_]


def test_users_cannot_act_on_an_instance_that_is_being_evacuated(site):
    site.world.settings.rebuild_seconds = 1
    (server,) = site.servers("compute-1")
    site.engine_here(lock_instances="always")

    uuid = site.lose("compute-1")

    eventually(site.evacuations, "it is evacuated")
    assert site.world.servers[server].locked
    site.assert_recovered(uuid, [server])


def test_an_instance_that_is_deleted_meanwhile_is_left_alone(site):
    site.world.settings.rebuild_seconds = 1
    servers = site.servers("compute-1", 3)
    site.engine_here()

    uuid = site.lose("compute-1")
    eventually(lambda: len(site.evacuations()) == 3, "all are under way")
    site.world.delete_server(site.world.servers[servers[1]])

    ended = site.ended(uuid)
    assert ended.status is NotificationStatus.FINISHED
    assert "1 were deleted meanwhile" in ended.message
    assert [m.status for m in site.moves(uuid)] == [
        VMoveStatus.SUCCEEDED,
        VMoveStatus.IGNORED,
        VMoveStatus.SUCCEEDED,
    ]


@pytest.mark.parametrize(
    ("lock", "first"), [("always", "lock"), ("when_needed", "evacuate")]
)
def test_an_instance_that_is_deleted_before_it_is_asked_for(site, lock, first):
    servers = site.servers("compute-1", 2)
    held = site.hold("before", {"action": first, "server": servers[0]})
    site.engine_here(lock_instances=lock)

    uuid = site.lose("compute-1")
    site.held(held)
    site.world.delete_server(site.world.servers[servers[0]])
    site.world.faults.release(held.id)

    assert site.ended(uuid).status is NotificationStatus.FINISHED
    assert site.moves(uuid)[0].status is VMoveStatus.IGNORED
    assert site.evacuations() == {servers[1]: 1}


def test_one_is_deleted_and_its_evacuation_never_closed(site, monkeypatch):
    site.world.settings.rebuild_seconds = 0.5
    servers = site.servers("compute-1", 2)
    finish = site.world.evacuations._finish

    def forget(evacuation):
        if evacuation.server.uuid in site.world.servers:
            finish(evacuation)

    monkeypatch.setattr(site.world.evacuations, "_finish", forget)
    site.engine_here(wait_period_after_evacuation=1)

    uuid = site.lose("compute-1")
    eventually(lambda: len(site.evacuations()) == 2, "both are under way")
    site.world.delete_server(site.world.servers[servers[0]])

    ended = site.ended(uuid)
    assert (ended.status, ended.attempts) == (NotificationStatus.FINISHED, 1)
    assert "1 were deleted meanwhile" in ended.message
    assert site.moves(uuid)[0].status is VMoveStatus.IGNORED


@pytest.mark.parametrize("action", ["os-stop", "pause"])
def test_a_user_acts_as_soon_as_nova_lets_him(site, action):
    site.world.settings.done_delay_seconds = 1
    servers = site.servers("compute-1", 2)
    site.engine_here(wait_period_after_evacuation=2, max_attempts=1)

    uuid = site.lose("compute-1")
    first = site.world.servers[servers[0]]
    eventually(
        lambda: first.host != "compute-1" and first.task_state is None,
        "it runs elsewhere",
    )
    with site.world.lock:
        site.world.actions.act(action, first)

    assert site.ended(uuid).status is NotificationStatus.FINISHED
    assert site.evacuations() == dict.fromkeys(servers, 1)
    move = site.moves(uuid)[0]
    assert move.status is VMoveStatus.SUCCEEDED
    assert move.dest_host == first.host
    assert f"it has become {first.vm_state} since" in move.message


def test_a_user_acts_between_the_intent_and_the_evacuation(site):
    servers = site.servers("compute-1", 2)
    held = site.hold("before", {"action": "evacuate", "server": servers[0]})
    site.engine_here()

    uuid = site.lose("compute-1")
    site.held(held)
    with site.world.lock:
        site.world.actions.act("os-stop", site.world.servers[servers[0]])
    site.world.faults.release(held.id)

    site.assert_recovered(uuid, servers)
    assert site.ended(uuid).attempts == 1


def test_a_state_that_nova_does_not_evacuate_is_seen_at_the_next_attempt(site):
    servers = site.servers("compute-1", 2)
    held = site.hold("before", {"action": "evacuate", "server": servers[0]})
    site.engine_here()

    uuid = site.lose("compute-1")
    site.held(held)
    site.world.set_server(servers[0], vm_state="paused", power_state=PAUSED)
    site.world.faults.release(held.id)

    ended = site.ended(uuid)
    assert (ended.status, ended.attempts) == (NotificationStatus.FINISHED, 2)
    assert site.world.servers[servers[0]].status == "SHUTOFF"
    assert site.evacuations() == dict.fromkeys(servers, 1)
    assert any(
        f"({servers[0]}) failed: Nova answered 409" in text
        for text in site.said(uuid)
    )


def test_a_refusal_is_not_asked_about_for_ever(site):
    servers = site.servers("compute-1", 2)
    site.fault(action="evacuate", server=servers[0], status=409, times=None)
    site.engine_here(max_attempts=2)

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert (ended.status, ended.attempts) == (NotificationStatus.FAILED, 2)
    assert "1 of 2 instances were not evacuated" in ended.message
    assert "409" in site.moves(uuid)[0].message
    assert site.asked("evacuate").count(servers[0]) == 2


def test_an_evacuation_that_an_operator_has_begun_is_not_repeated(site):
    site.world.settings.rebuild_seconds = 1.5
    servers = site.servers("compute-1", 3)
    site.world.kill("compute-1")
    site.world.wait(lambda: not site.world.up("compute-1"))
    with site.world.lock:
        server = site.world.servers[servers[1]]
        site.world.evacuations.evacuate(server)

    site.engine_here()
    uuid = site.report("compute-1")

    site.assert_recovered(uuid, servers)
    assert sorted(site.asked("evacuate")) == [servers[0], servers[2]]
