from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.domain.evacuation import (
    DONE_MIGRATION,
    OPEN_MIGRATION,
    Step,
    Treatment,
    is_ha_enabled,
    judge,
    latest_evacuation,
    next_step,
    select,
    treatment,
    verdict,
)
from recovery_ha.domain.ports import Flavor, Migration, Server
from recovery_ha.domain.recovery import VMove, VMoveStatus, VMoveType

WHEN = datetime(2026, 1, 2, 3, 4, 5)
SOURCE, TARGET = "compute-1", "compute-2"


def a_server(id_="i-1", **values):
    fields = {
        "name": f"name of {id_}",
        "host": SOURCE,
        "vm_state": "active",
        "task_state": None,
        "power_state": 1,
        "locked": False,
        "metadata": {},
        "fault": None,
        "project_id": "p-1",
        "user_id": "u-1",
        "flavor": Flavor("tiny", 1, 64, 1, {}),
        "image_id": "m-1",
    }
    return Server(id=id_, **{**fields, **values})


def a_record(id_, instance="i-1", status="accepted", dest=TARGET):
    return Migration(id_, instance, status, SOURCE, dest)


def a_move(**values):
    fields = {
        "id": 1,
        "uuid": "v-1",
        "notification_uuid": "n-1",
        "instance_uuid": "i-1",
        "instance_name": "web",
        "source_host": SOURCE,
        "dest_host": None,
        "start_time": None,
        "end_time": None,
        "type": VMoveType.EVACUATION,
        "status": VMoveStatus.ONGOING,
        "message": None,
        "ordinal": 0,
        "ha_enabled": False,
        "vm_state": "active",
        "task_state": None,
        "power_state": 1,
        "was_locked": False,
        "locked_by_us": False,
        "requested_at": None,
        "accepted": False,
        "migration_baseline": 0,
        "attempts": 0,
        "created_at": WHEN,
        "updated_at": None,
    }
    return VMove(**{**fields, **values})


# How an instance is treated (reference 3.3, every row)

NOTHING = Treatment()
RESET = Treatment(reset_before=True)
RESET_STOP = Treatment(reset_before=True, stop_after=True)


@pytest.mark.parametrize(
    ("vm_state", "task_state", "power_state", "wanted"),
    [
        ("active", None, 1, NOTHING),
        ("active", "rebooting", 1, RESET),
        ("active", "powering-off", 1, RESET),
        ("stopped", None, 4, NOTHING),
        ("stopped", "powering-on", 4, RESET_STOP),
        ("error", None, 0, Treatment(stop_after=True, error_after=True)),
        ("error", "rebuilding", 0, Treatment(True, True, True)),
        ("resized", None, 1, RESET),
        ("resized", "resize_reverting", 1, RESET),
        ("resized", None, 4, RESET_STOP),
        ("paused", None, 3, RESET_STOP),
        ("suspended", None, 7, RESET_STOP),
        ("rescued", None, 1, RESET_STOP),
        ("shelved", None, 4, RESET_STOP),
        ("shelved_offloaded", None, 4, RESET_STOP),
        ("building", "spawning", 0, RESET_STOP),
        ("soft-delete", None, 4, RESET_STOP),
    ],
)
def test_treatment_is_the_row_of_the_reference(
    vm_state, task_state, power_state, wanted
):
    assert treatment(vm_state, task_state, power_state) == wanted


# Which instances are evacuated


@pytest.mark.parametrize(
    ("metadata", "marked"),
    [
        *(({"HA_Enabled": w}, True) for w in ("True", "true", "1", "yes")),
        *(({"HA_Enabled": w}, True) for w in (" on ", "T", "Y")),
        *(({"HA_Enabled": w}, False) for w in ("False", "0", "", "nonsense")),
        ({}, False),
        ({"ha_enabled": "True"}, False),
    ],
)
def test_an_instance_is_marked_by_a_true_word(metadata, marked):
    assert is_ha_enabled(metadata, "HA_Enabled") is marked


def choose(servers, records=(), **options):
    fields = {
        "excluded": {},
        "ha_key": "HA_Enabled",
        "evacuate_all": True,
        "ignore_error": False,
    }
    return select(servers, records, **{**fields, **options})


HA = {"HA_Enabled": "True"}


def test_the_marked_come_first_then_by_id():
    servers = [a_server(i) for i in "dba"]
    servers.insert(1, a_server("e", metadata=HA))
    servers.insert(0, a_server("c", metadata=HA))
    chosen = choose(servers).chosen
    assert [c.server.id for c in chosen] == ["c", "e", "a", "b", "d"]
    assert [c.ha_enabled for c in chosen] == [True, True, False, False, False]


def test_what_is_left_out_is_said():
    servers = [
        a_server("a", task_state="deleting", metadata=HA),
        a_server("b", task_state="soft-deleting"),
        a_server("c", vm_state="error", metadata=HA),
        a_server("d"),
        a_server("e", metadata=HA),
    ]
    found = choose(servers, evacuate_all=False, ignore_error=True)
    assert [c.server.id for c in found.chosen] == ["e"]
    reasons = {server.id: reason for server, reason in found.left_out}
    assert "being deleted (task state deleting)" in reasons["a"]
    assert "soft-deleting" in reasons["b"]
    assert "in vm_state error" in reasons["c"]
    assert "not HA-enabled" in reasons["d"]


def test_what_is_excluded_is_left_out_with_its_sentence():
    servers = [a_server("a", metadata=HA), a_server("b")]
    found = choose(servers, excluded={"a": "somebody's own", "z": "-"})
    assert [c.server.id for c in found.chosen] == ["b"]
    assert found.left_out == ((servers[0], "somebody's own"),)


def test_everything_is_taken_by_default():
    servers = [a_server("a", vm_state="error"), a_server("b")]
    found = choose(servers)
    assert len(found.chosen) == 2
    assert found.left_out == ()


def test_an_open_evacuation_is_adopted():
    servers = [a_server(i) for i in ("i-1", "i-2", "i-3")]
    records = [
        a_record(9, "i-1", "migrating"),
        a_record(7, "i-1", "failed"),
        a_record(4, "i-2", "done"),
        a_record(12, "i-9", "error"),
    ]
    one, two, three = choose(servers, records).chosen
    assert (one.adopted, one.migration_baseline) == (True, 8)
    assert (two.adopted, two.migration_baseline) == (False, 12)
    assert (three.adopted, three.migration_baseline) == (False, 12)


statuses = st.sampled_from(
    [*sorted(OPEN_MIGRATION | DONE_MIGRATION), "failed", "error", "cancelled"]
)
ids = st.sampled_from([f"i-{n}" for n in range(6)])
servers_ = st.lists(
    st.builds(
        a_server,
        ids,
        vm_state=st.sampled_from(["active", "stopped", "error", "paused"]),
        task_state=st.sampled_from([None, "deleting", "rebuilding"]),
        metadata=st.sampled_from([{}, HA, {"HA_Enabled": "no"}]),
    ),
    unique_by=lambda server: server.id,
)
records_ = st.lists(
    st.builds(a_record, st.integers(1, 30), ids, statuses),
    unique_by=lambda record: record.id,
)


@given(servers_, records_, st.booleans(), st.booleans(), st.randoms())
def test_selecting_loses_nobody_and_depends_on_no_order(
    servers, records, everything, ignore, random
):
    options = {"evacuate_all": everything, "ignore_error": ignore}
    found = choose(servers, records, **options)
    ids_ = [c.server.id for c in found.chosen]
    ids_ += [server.id for server, _ in found.left_out]
    assert sorted(ids_) == sorted(server.id for server in servers)
    assert len(set(ids_)) == len(ids_)
    marks = [c.ha_enabled for c in found.chosen]
    assert marks == sorted(marks, reverse=True)
    assert everything or all(marks)
    for candidate in found.chosen:
        move = a_move(
            instance_uuid=candidate.server.id,
            migration_baseline=candidate.migration_baseline,
        )
        record = latest_evacuation(move, records)
        # Only an adopted one has a record of its own from the start.
        assert (record is not None) >= candidate.adopted
        if candidate.adopted:
            assert candidate.migration_baseline < record.id
        else:
            assert record is None
    random.shuffle(servers)
    random.shuffle(records)
    assert choose(servers, records, **options).chosen == found.chosen


def test_the_newest_record_of_a_move_counts():
    move = a_move(migration_baseline=5)
    records = [
        a_record(5),
        a_record(8, "i-2"),
        a_record(6, status="failed"),
        a_record(7),
    ]
    assert latest_evacuation(move, records).id == 7
    assert latest_evacuation(move, records[:2]) is None
    assert latest_evacuation(move, []) is None


# What comes next


def step(move, record=None, *, now=100.0, settle=10.0):
    return next_step(move, record, now=now, settle_seconds=settle).step


@pytest.mark.parametrize("asked", [None, 1.0])
@pytest.mark.parametrize("accepted", [True, False])
@pytest.mark.parametrize("status", sorted(OPEN_MIGRATION))
def test_an_open_record_is_waited_for(status, accepted, asked):
    move = a_move(accepted=accepted, requested_at=asked)
    assert step(move, a_record(1, status=status)) is Step.WAIT


@pytest.mark.parametrize(
    "status", [*sorted(DONE_MIGRATION), "failed", "error", "nonsense"]
)
def test_a_record_that_ended_has_the_server_looked_at(status):
    record = a_record(1, status=status)
    assert step(a_move(accepted=True), record) is Step.LOOK


def test_without_a_record_the_row_decides():
    assert step(a_move()) is Step.ASK
    assert step(a_move(accepted=True)) is Step.WAIT
    assert step(a_move(requested_at=95.0)) is Step.WAIT
    assert step(a_move(requested_at=90.0)) is Step.LOOK
    assert step(a_move(requested_at=0.0)) is Step.LOOK


def judged(move=None, record=None, **server):
    decision = judge(move or a_move(), record, a_server(**server))
    assert decision.sentence.endswith(".") or decision.step is Step.FAIL
    return decision


def test_a_server_that_is_gone_is_ignored():
    assert judge(a_move(), a_record(1), None).step is Step.IGNORE


AT_SOURCE = [
    # record, task_state, step
    (None, None, Step.ASK),
    (None, "rebuilding", Step.WAIT),
    ("done", None, Step.WAIT),
    ("completed", "rebuilding", Step.WAIT),
    ("failed", None, Step.FAIL),
    ("error", None, Step.FAIL),
]


@pytest.mark.parametrize(("status", "task_state", "wanted"), AT_SOURCE)
def test_a_server_that_is_still_at_its_source(status, task_state, wanted):
    record = status and a_record(1, status=status)
    decision = judged(record=record, task_state=task_state)
    assert decision.step is wanted


@pytest.mark.parametrize(
    ("found", "now", "wanted"),
    [
        # A reboot on a dead host never ends: it is no trace of us.
        ("rebooting", "rebooting", Step.ASK),
        ("rebooting", "rebuilding", Step.WAIT),
        ("rebooting", None, Step.ASK),
        ("rebuilding", "rebuilding", Step.WAIT),
        # And so is one that its user has asked for since.
        (None, "rebooting", Step.ASK),
        (None, "powering-off", Step.ASK),
        (None, "deleting", Step.WAIT),
    ],
)
def test_what_a_server_was_doing_before_is_no_trace(found, now, wanted):
    assert judged(a_move(task_state=found), task_state=now).step is wanted


def test_nova_s_own_words_are_kept():
    record = a_record(1, status="error")
    said = judged(record=record, fault="No valid host was found.").sentence
    assert said == "Evacuation failed: No valid host was found."
    said = judged(record=record).sentence
    assert said == "Evacuation failed: Nova's evacuation record is error"
    said = judged(host=TARGET, vm_state="error", fault="disk full").sentence
    assert said == "In error on compute-2: disk full"


ELSEWHERE = [
    # found in (vm_state, task_state, power_state), now in vm_state, step
    (("active", None, 1), "active", Step.SUCCEED),
    (("active", "rebooting", 1), "active", Step.SUCCEED),
    # What was not locked may not be any more as it was evacuated.
    (("active", None, 1), "stopped", Step.SUCCEED),
    (("active", None, 1), "paused", Step.SUCCEED),
    (("active", None, 1), "building", Step.WAIT),
    (("active", None, 1), "soft-delete", Step.IGNORE),
    (("active", None, 1), "error", Step.FAIL),
    (("stopped", None, 4), "stopped", Step.SUCCEED),
    (("stopped", None, 4), "active", Step.SUCCEED),
    (("stopped", "powering-on", 4), "active", Step.STOP),
    (("stopped", "powering-on", 4), "stopped", Step.SUCCEED),
    (("error", None, 0), "active", Step.STOP),
    (("error", None, 0), "stopped", Step.SET_ERROR),
    (("error", None, 0), "error", Step.SUCCEED),
    (("resized", None, 1), "active", Step.SUCCEED),
    (("resized", None, 4), "active", Step.STOP),
    (("paused", None, 3), "active", Step.STOP),
    (("paused", None, 3), "stopped", Step.SUCCEED),
    (("paused", None, 3), "error", Step.FAIL),
]


@pytest.mark.parametrize(("found", "vm_state", "wanted"), ELSEWHERE)
def test_a_server_that_is_elsewhere(found, vm_state, wanted):
    names = ("vm_state", "task_state", "power_state")
    move = a_move(**dict(zip(names, found, strict=True)))
    record = a_record(1, status="done")
    decision = judged(move, record, host=TARGET, vm_state=vm_state)
    assert decision.step is wanted
    if wanted is Step.SUCCEED:
        assert decision.dest_host == TARGET


@pytest.mark.parametrize(
    ("found", "vm_state"), [("active", "stopped"), ("stopped", "active")]
)
def test_one_that_nobody_could_act_on_is_waited_for(found, vm_state):
    move = a_move(vm_state=found, locked_by_us=True)
    now = {"host": TARGET, "vm_state": vm_state}
    assert judged(move, a_record(1, status="done"), **now).step is Step.WAIT
    # Nor is Nova done without a record that says so.
    assert judged(a_move(vm_state=found), **now).step is Step.WAIT


@pytest.mark.parametrize(
    ("found", "vm_state", "_wanted"),
    [row for row in ELSEWHERE if row[2] is not Step.IGNORE],
)
def test_a_busy_server_is_waited_for(found, vm_state, _wanted):
    names = ("vm_state", "task_state", "power_state")
    move = a_move(**dict(zip(names, found, strict=True)))
    busy = {"host": TARGET, "vm_state": vm_state, "task_state": "spawning"}
    assert judged(move, **busy).step is Step.WAIT


# The verdict


def ended(status, number=1, message="No valid host was found."):
    return a_move(
        status=VMoveStatus(status),
        instance_name=f"web-{number}",
        instance_uuid=f"i-{number}",
        message=message,
    )


def test_a_recovery_without_failed_moves_has_not_failed():
    assert verdict([]) is None
    assert verdict([ended("succeeded"), ended("ignored")]) is None


def test_a_verdict_names_what_failed_and_why():
    moves = [ended("succeeded", 1), ended("failed", 2), ended("failed", 3)]
    assert verdict(moves) == (
        "2 of 3 instances were not evacuated: web-2 (i-2): No valid host was"
        " found.; web-3 (i-3): No valid host was found."
    )


def test_a_verdict_is_not_longer_than_people_read():
    text = verdict(ended("failed", n) for n in range(1000))
    assert text.startswith("1000 of 1000 instances were not evacuated: ")
    assert text.endswith("; and 990 more")
    assert text.count("web-") == 10
