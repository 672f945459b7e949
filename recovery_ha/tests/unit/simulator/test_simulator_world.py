"""The rules of states, hosts, moves and settings, without HTTP."""

import dataclasses

import pytest
from oslo_config import cfg

from recovery_ha.simulator import actions
from recovery_ha.simulator import settings as simulator_settings
from recovery_ha.simulator.errors import BadRequest, Conflict, NotFound
from recovery_ha.simulator.journal import masked
from recovery_ha.simulator.records import status_of
from recovery_ha.simulator.settings import Settings


@pytest.mark.parametrize(
    ("vm_state", "task_state", "status"),
    [
        ("active", None, "ACTIVE"),
        ("active", "powering-off", "ACTIVE"),
        ("active", "rebooting", "REBOOT"),
        ("active", "rebooting_hard", "HARD_REBOOT"),
        ("active", "migrating", "MIGRATING"),
        ("active", "rebuild_spawning", "REBUILD"),
        ("active", "resize_prep", "RESIZE"),
        ("stopped", None, "SHUTOFF"),
        ("stopped", "rebuilding", "REBUILD"),
        ("error", None, "ERROR"),
        ("error", "rebuilding", "REBUILD"),
        ("paused", None, "PAUSED"),
        ("resized", None, "VERIFY_RESIZE"),
        ("building", "spawning", "BUILD"),
        ("shelved_offloaded", None, "SHELVED_OFFLOADED"),
        ("nonsense", None, "UNKNOWN"),
    ],
)
def test_status(vm_state, task_state, status):
    assert status_of(vm_state, task_state) == status


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        ("os-start", {"stopped"}),
        ("os-stop", {"active", "error"}),
        ("reboot", {"active"}),
        (
            "reboot-hard",
            {"active", "stopped", "paused", "suspended", "error"},
        ),
        ("pause", {"active"}),
        ("unpause", {"paused"}),
        ("suspend", {"active"}),
        ("resume", {"suspended"}),
        ("rescue", {"active", "stopped", "error"}),
        ("unrescue", {"rescued"}),
        ("os-migrateLive", {"active", "paused"}),
        ("migrate", {"active", "stopped"}),
        ("confirmResize", {"resized"}),
        ("revertResize", {"resized"}),
        ("shelve", {"active", "stopped", "paused", "suspended"}),
        ("unshelve", {"shelved", "shelved_offloaded"}),
    ],
)
def test_states_that_allow_an_action(world, action, allowed):
    [uuid] = world.create_servers("compute-1")
    name = actions.RULES[action].name
    for vm_state in (
        "active",
        "stopped",
        "error",
        "paused",
        "suspended",
        "rescued",
        "resized",
        "shelved",
        "shelved_offloaded",
    ):
        server = world.set_server(uuid, vm_state=vm_state)
        if vm_state in allowed:
            actions.check(action, server, admin=True)
            continue
        with pytest.raises(Conflict) as error:
            actions.check(action, server, admin=True)
        assert error.value.message == (
            f"Cannot '{name}' instance {uuid} while it is in vm_state "
            f"{vm_state}"
        )


def test_a_task_is_in_the_way(world):
    [uuid] = world.create_servers("compute-1", task_state="migrating")
    server = world.servers[uuid]
    with pytest.raises(Conflict, match="in task_state migrating"):
        actions.check("os-stop", server, admin=True)


def test_a_lock_stops_all_but_admins(world):
    [uuid] = world.create_servers("compute-1", locked=True)
    server = world.servers[uuid]
    actions.check("os-stop", server, admin=True)
    with pytest.raises(Conflict, match=f"Instance {uuid} is locked"):
        actions.check("os-stop", server, admin=False)


@pytest.mark.parametrize(
    ("before", "action", "during", "after", "power"),
    [
        ("active", "os-stop", "powering-off", "SHUTOFF", 4),
        ("stopped", "os-start", "powering-on", "ACTIVE", 1),
        ("active", "reboot", "rebooting", "ACTIVE", 1),
        ("error", "reboot-hard", "rebooting_hard", "ACTIVE", 1),
        ("active", "pause", "pausing", "PAUSED", 3),
        ("paused", "unpause", "unpausing", "ACTIVE", 1),
        ("active", "suspend", "suspending", "SUSPENDED", 7),
        ("suspended", "resume", "resuming", "ACTIVE", 1),
        ("active", "rescue", "rescuing", "RESCUE", 1),
    ],
)
def test_actions(world, before, action, during, after, power):
    [uuid] = world.create_servers("compute-1", vm_state=before)
    server = world.servers[uuid]
    with world.lock:
        world.computes.get("compute-1").guests.add(uuid)
        world.actions.act(action, server)
        assert server.task_state == during
    world.wait(lambda: server.task_state is None)
    assert (server.status, server.power_state) == (after, power)


def test_a_host_that_lost_its_guests(world, down):
    [uuid] = world.create_servers("compute-1")
    server = world.servers[uuid]
    down("compute-1")
    world.start("compute-1")
    world.wait(lambda: world.up("compute-1"))
    assert server.status == "ACTIVE"
    with world.lock:
        world.actions.act("os-stop", server)
    world.wait(lambda: server.task_state is None)
    assert server.status == "ACTIVE", "there was no guest to stop"
    with world.lock:
        world.actions.act("reboot-hard", server)
    world.wait(lambda: server.task_state is None)
    assert world.computes.get("compute-1").guests == {uuid}
    with world.lock:
        world.actions.act("os-stop", server)
    world.wait(lambda: server.status == "SHUTOFF")


def test_a_dead_host_acts_when_it_returns(world, down):
    [uuid] = world.create_servers("compute-1", vm_state="stopped")
    server = world.servers[uuid]
    down("compute-1")
    with world.lock:
        world.actions.act("os-start", server)
    assert server.task_state == "powering-on"
    world.start("compute-1")
    world.wait(lambda: server.status == "ACTIVE")


def test_services_go_down_and_up(world, settings):
    settings.down_time_seconds = 0.1
    world.kill("compute-1")
    assert world.up("compute-1"), "its last heartbeat is still young"
    world.wait(lambda: not world.up("compute-1"))
    world.start("compute-1")
    assert not world.up("compute-1")
    world.wait(lambda: world.up("compute-1"))
    world.freeze("compute-1")
    world.wait(lambda: not world.up("compute-1"))
    world.thaw("compute-1")
    assert world.up("compute-1")


def test_controls_that_make_no_sense(world):
    with pytest.raises(Conflict):
        world.thaw("compute-1")
    world.kill("compute-1")
    with pytest.raises(Conflict):
        world.freeze("compute-1")
    with pytest.raises(NotFound):
        world.kill("compute-99")
    with pytest.raises(Conflict):
        world.add_compute("compute-2")
    assert world.add_compute().host == "compute-5"


def test_killed_while_starting_stays_dead(world):
    world.kill("compute-1")
    world.start("compute-1")
    world.kill("compute-1")
    [uuid] = world.create_servers("compute-2")
    with world.lock:
        world.actions.act("os-stop", world.servers[uuid])
    world.start("compute-3")
    world.wait(lambda: world.computes.get("compute-3").process == "running")
    assert world.computes.get("compute-1").process == "dead"


def test_live_migration(world):
    [uuid] = world.create_servers("compute-1")
    server = world.servers[uuid]
    with world.lock:
        world.moves.live_migrate(server, None)
    assert server.status == "MIGRATING"
    world.wait(lambda: server.status == "ACTIVE")
    assert server.host == "compute-2"
    [record] = world.migrations
    assert record.status == "completed"
    assert list(world.allocations.of(uuid)) == ["compute-2"]


def test_live_migration_that_is_refused_and_one_that_never_ends(world):
    refused, endless = world.create_servers("compute-1", 2)
    world.faults.add(kind="migration", server=refused)
    world.faults.add(kind="migration", server=endless, result="stuck")
    with world.lock:
        for uuid in (refused, endless):
            world.moves.live_migrate(world.servers[uuid], None)
    first, second = world.migrations
    world.wait(lambda: first.status == "error")
    assert world.servers[refused].host == "compute-1"
    assert world.servers[refused].status == "ACTIVE"
    assert second.status == "running"
    with world.lock:
        world.moves.abort(world.servers[endless], second.id)
    assert second.status == "cancelled"
    assert world.servers[endless].status == "ACTIVE"
    assert list(world.allocations.of(endless)) == ["compute-1"]


@pytest.mark.parametrize("confirm", [True, False])
def test_cold_migration(world, confirm):
    [uuid] = world.create_servers("compute-1")
    server = world.servers[uuid]
    with world.lock:
        world.moves.cold_migrate(server, "compute-3")
    world.wait(lambda: server.status == "VERIFY_RESIZE")
    assert server.host == "compute-3"
    with world.lock:
        (world.moves.confirm if confirm else world.moves.revert)(server)
    host = "compute-3" if confirm else "compute-1"
    assert (server.status, server.host) == ("ACTIVE", host)
    assert list(world.allocations.of(uuid)) == [host]


@pytest.mark.parametrize(
    ("result", "status"), [("error", "ERROR"), ("refused", "ACTIVE")]
)
def test_cold_migration_that_fails(world, result, status):
    [uuid] = world.create_servers("compute-1")
    server = world.servers[uuid]
    world.faults.add(kind="cold-migration", result=result, message="Full")
    with world.lock:
        world.moves.cold_migrate(server, None)
    [record] = world.migrations
    world.wait(lambda: record.status == "error")
    assert (server.status, server.host) == (status, "compute-1")
    assert (server.task_state, server.failures) == (None, {"migrate": "Full"})
    assert list(world.allocations.of(uuid)) == ["compute-1"]


def test_a_stopped_server_has_no_guest_after_its_move(world):
    [uuid] = world.create_servers("compute-1", vm_state="stopped")
    server = world.servers[uuid]
    with world.lock:
        world.moves.cold_migrate(server, "compute-3")
    world.wait(lambda: server.status == "VERIFY_RESIZE")
    with world.lock:
        world.moves.confirm(server)
    assert server.status == "SHUTOFF"
    assert uuid not in world.computes.get("compute-3").guests


def test_what_cannot_be_set(world):
    [uuid] = world.create_servers("compute-1")
    for fields in (
        {"colour": "red"},
        {"vm_state": "happy"},
        {"locked": "yes"},
    ):
        with pytest.raises(BadRequest):
            world.set_server(uuid, **fields)
    with pytest.raises(BadRequest):
        world.create_servers("compute-1", colour="red")
    assert list(world.servers) == [uuid]


def test_settings_and_options_are_the_same():
    conf = cfg.ConfigOpts()
    simulator_settings.register_opts(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    expected = dataclasses.replace(Settings(), port=15900)
    assert simulator_settings.from_conf(conf) == expected
    names = {field.name for field in dataclasses.fields(Settings)}
    assert names == {o.name for o in simulator_settings.OPTIONS}
    assert all(o.help.endswith(".") for o in simulator_settings.OPTIONS)


def test_changing_settings_is_all_or_nothing():
    settings = Settings()
    with pytest.raises(ValueError, match="port cannot be set"):
        settings.change({"rebuild_seconds": 1, "port": 5})
    with pytest.raises(ValueError, match="greater"):
        settings.change({"rebuild_seconds": -1})
    assert settings == Settings()
    settings.change({"rebuild_seconds": "0.5"})
    assert settings.rebuild_seconds == 0.5


def test_secrets_are_masked():
    body = {"evacuate": {"adminPass": "x", "host": "h"}, "l": [{"token": 1}]}
    assert masked(body) == {
        "evacuate": {"adminPass": "***", "host": "h"},
        "l": [{"token": "***"}],
    }
