import functools
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_domain_evacuation import a_server

from recovery_ha.domain.instance import (
    InstanceStep,
    confirmed,
    examine,
    stopped_by_user,
    to_start,
    to_stop,
)
from recovery_ha.domain.ports import InstanceAction

WHEN = datetime(2026, 1, 2, 3, 4, 5)
HA = {"HA_Enabled": "True"}

# Who stopped it


def actions(*said):
    """Return Nova's records, the newest first, from "name" or "name by"."""
    return [
        InstanceAction(name, user or None, "req-1", WHEN)
        for name, _, user in (words.partition(" ") for words in said)
    ]


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        (["stop u-1", "create u-1"], True),
        (["stop", "create u-1"], False),
        (["lock u-1", "stop", "create u-1"], False),
        (["unlock u-1", "stop u-1", "start u-1"], True),
        # what was before it was started again says nothing
        (["start u-1", "stop"], True),
        (["reboot u-1", "stop"], True),
        (["rebuild u-1", "stop"], True),
        (["evacuate u-1", "stop"], True),
        (["create u-1"], True),
        # what cannot be told is taken for wanted
        ([], True),
        (["lock u-1"], True),
    ],
)
def test_a_stop_is_the_user_s_unless_nova_did_it(records, wanted):
    assert stopped_by_user(actions(*records)) is wanted


names = st.sampled_from(
    ["stop", "start", "create", "reboot", "lock", "resize", "evacuate"]
)


@given(st.lists(st.tuples(names, st.none() | st.just("u-1")), max_size=5))
def test_only_a_last_stop_in_nobody_s_name_is_a_crash(records):
    found = [InstanceAction(n, u, "r", WHEN) for n, u in records]
    telling = [a for a in found if a.action not in {"lock", "resize"}]
    crashed = (
        telling != []
        and telling[0].action == "stop"
        and telling[0].user_id is None
    )
    assert stopped_by_user(found) is not crashed


# Whether it is recovered


def look(server, *, process_all=False, by_user=False):
    return examine(
        server,
        host="compute-1",
        ha_key="HA_Enabled",
        process_all=process_all,
        stopped_by_user=by_user,
    )


@pytest.mark.parametrize(
    ("fields", "step", "words"),
    [
        ({}, "done", "to be recovered"),
        ({"host": "compute-2"}, "ignore", "is on compute-2 now"),
        ({"metadata": {}}, "skip", "is not HA-enabled"),
        ({"metadata": {"HA_Enabled": "no"}}, "skip", "is not HA-enabled"),
        ({"vm_state": "paused"}, "ignore", "is paused; such"),
        ({"vm_state": "rescued"}, "ignore", "is rescued; such"),
        ({"vm_state": "paused", "metadata": {}}, "skip", "not HA-enabled"),
        ({"vm_state": "deleted", "metadata": {}}, "ignore", "was deleted"),
        ({"vm_state": "soft-delete"}, "ignore", "was deleted"),
        ({"task_state": "deleting", "metadata": {}}, "ignore", "is being"),
        ({"task_state": "soft-deleting"}, "ignore", "is being deleted"),
        ({"vm_state": "error"}, "done", "to be recovered"),
        ({"vm_state": "resized"}, "done", "to be recovered"),
        ({"vm_state": "suspended"}, "done", "to be recovered"),
        ({"task_state": "powering-off"}, "done", "to be recovered"),
    ],
)
def test_which_instances_are_recovered(fields, step, words):
    decided = look(a_server(**{"metadata": HA, **fields}))
    assert decided.step == step
    assert words in decided.sentence
    assert decided.sentence.endswith(".")


def test_one_that_is_gone_is_ignored():
    assert look(None).step is InstanceStep.IGNORE


def test_all_are_recovered_if_the_operator_says_so():
    assert look(a_server(), process_all=True).step is InstanceStep.DONE


@pytest.mark.parametrize(
    ("by_user", "step"), [(True, "ignore"), (False, "done")]
)
def test_what_its_user_has_stopped_stays_stopped(by_user, step):
    stopped = a_server(vm_state="stopped", metadata=HA)
    assert look(stopped, by_user=by_user).step == step
    # and only a stopped one is
    assert look(a_server(metadata=HA), by_user=by_user).step == "done"


# Each next step

stopping = functools.partial(to_stop, asked=False)
starting = functools.partial(to_start, stop_failed=False)


@pytest.mark.parametrize(
    ("vm_state", "task_state", "step"),
    [
        ("active", None, "stop"),
        ("active", "rebooting", "stop"),
        ("active", "powering-off", "wait"),
        ("stopped", None, "done"),
        ("stopped", "powering-on", "done"),
        ("error", None, "done"),
        ("resized", None, "reset"),
        ("resized", "powering-off", "wait"),
        ("suspended", None, "stop"),
    ],
)
def test_the_way_to_a_stopped_instance(vm_state, task_state, step):
    server = a_server(vm_state=vm_state, task_state=task_state)
    assert stopping(server).step == step


@pytest.mark.parametrize(
    ("vm_state", "task_state", "step"),
    [
        ("stopped", None, "start"),
        ("stopped", "powering-on", "done"),
        ("active", None, "done"),
        ("active", "powering-off", "done"),
        ("error", None, "reboot"),
        ("error", "rebooting_hard", "done"),
        ("suspended", None, "fail"),
        ("resized", None, "fail"),
    ],
)
def test_the_way_to_an_instance_that_starts(vm_state, task_state, step):
    server = a_server(vm_state=vm_state, task_state=task_state)
    assert starting(server).step == step


@pytest.mark.parametrize(
    ("vm_state", "task_state", "step"),
    [
        ("active", "powering-off", "wait"),
        ("active", None, "done"),  # Nova has given up
        ("suspended", None, "wait"),
        ("stopped", None, "done"),
    ],
)
def test_a_stop_that_was_accepted(vm_state, task_state, step):
    server = a_server(vm_state=vm_state, task_state=task_state)
    assert to_stop(server, asked=True).step == step


def test_an_instance_that_could_not_be_stopped_is_rebooted():
    active = a_server(vm_state="active")
    assert to_start(active, stop_failed=True).step == "reboot"
    busy = a_server(vm_state="active", task_state="rebooting_hard")
    assert to_start(busy, stop_failed=True).step == "done"


@pytest.mark.parametrize(
    ("vm_state", "task_state", "step"),
    [
        ("active", None, "done"),
        ("active", "rebooting", "wait"),
        ("stopped", None, "wait"),
        ("stopped", "powering-on", "wait"),
        ("error", None, "fail"),
        ("error", "rebooting_hard", "wait"),
    ],
)
def test_when_an_instance_is_active_again(vm_state, task_state, step):
    server = a_server(vm_state=vm_state, task_state=task_state)
    assert confirmed(server).step == step


@pytest.mark.parametrize("decide", [stopping, starting, confirmed])
def test_nova_s_reason_is_kept(decide):
    known = a_server(vm_state="error", fault="No space left")
    assert "No space left" in decide(known).sentence
    unknown = a_server(vm_state="error")
    assert "Nova says no why" in decide(unknown).sentence


vm_states = st.sampled_from(
    ["active", "stopped", "error", "resized", "suspended", "building"]
)
task_states = st.none() | st.sampled_from(
    ["powering-on", "powering-off", "rebooting_hard"]
)


@given(vm_states, task_states)
def test_what_nova_works_on_is_not_asked_for_again(vm_state, task_state):
    server = a_server(vm_state=vm_state, task_state=task_state)
    if task_state is not None:
        assert starting(server).step is InstanceStep.DONE
    if task_state == "powering-off":
        assert stopping(server).step in {InstanceStep.WAIT, InstanceStep.DONE}
    if confirmed(server).step is InstanceStep.DONE:
        assert (vm_state, task_state) == ("active", None)


def _after(server, step):
    """Return what Nova makes of an instance."""
    states = {
        "stop": "stopped",
        "reset": "active",
        "start": "active",
        "reboot": "active",
    }
    return a_server(vm_state=states.get(step, server.vm_state))


@given(st.sampled_from(["active", "stopped", "error", "resized"]))
def test_the_steps_lead_to_an_active_instance(vm_state):
    server = a_server(vm_state=vm_state)
    for decide in (stopping, starting, confirmed):
        for _ in range(3):
            step = decide(server).step
            server = _after(server, step)
            if step is InstanceStep.DONE:
                break
    assert confirmed(server).step is InstanceStep.DONE
