"""What an engine writes on its notification, and how it stands back."""

import pytest
import sqlalchemy as sa

from recovery_ha.context import internal_context
from recovery_ha.db import (
    models,
    owned,
    precedence,
    recovery,
    recovery_runs,
    reserved,
    segments,
    vmoves,
    work,
)
from recovery_ha.db.ledger import events
from recovery_ha.domain import errors
from recovery_ha.domain.gates import Decision, Verdict
from recovery_ha.domain.history import Remark
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.recovery import MaintenanceCause, NotificationStatus

FINISHED, FAILED = NotificationStatus.FINISHED, NotificationStatus.FAILED
HOST_FAILURE = MaintenanceCause.HOST_FAILURE
PROCESS_FAILURE = MaintenanceCause.PROCESS_FAILURE
D = models.GateDecision
NEW_MOVE = {
    "instance_uuid": "11111111-1111-4111-8111-111111111111",
    "instance_name": "web",
    "source_host": "compute-1",
    "ordinal": 0,
    "ha_enabled": False,
    "vm_state": "active",
    "power_state": 1,
    "was_locked": False,
    "accepted": False,
    "migration_baseline": 0,
}


@pytest.fixture
def begin(ctx, host, report, claim):
    """Return a function that has a report accepted and claims it."""

    def begin(hostname=host.name, type_="COMPUTE_HOST", seconds=60.0, **more):
        made = recovery.create_notification(
            ctx, report(hostname, type_, **more)
        )
        claimed = claim(f"engine of {made.id}", seconds)
        assert claimed.uuid == made.uuid
        return claimed, made

    return begin


@pytest.fixture
def again(ctx, change):
    """Return a function that claims one that waits, as if it was time."""

    def again(uuid):
        change(uuid, wake_at=0.0)
        claimed = work.claim_next(ctx, WorkKind.RECOVERY, "again", 60)
        assert claimed.uuid == uuid
        return claimed, recovery.get_notification(ctx, uuid)

    return again


@pytest.fixture
def finish(ctx):
    def finish(claimed, made, status=FINISHED, message="Done."):
        owned.finish(ctx, claimed, made, status, message, duplicate_window=180)

    return finish


def vm(instance, event="LIFECYCLE"):
    return {"instance_uuid": instance, "event": event}


def said(ctx, uuid):
    return [e.text for e in events.list_events(ctx, uuid, 0, 100)]


# The host


def test_a_failed_host_is_on_maintenance_and_no_reserve(
    ctx, segment, make_host, begin
):
    host = make_host("reserve", reserved=True)
    claimed, made = begin("reserve")
    owned.mark_host(ctx, claimed, made, HOST_FAILURE)
    found = segments.get_host(ctx, segment.uuid, host.uuid)
    assert (found.on_maintenance, found.reserved) == (True, False)
    assert found.maintenance_cause is HOST_FAILURE
    before = {"reserved": True, "on_maintenance": False, "cause": None}
    assert owned.recall(ctx, made.uuid) == {"host": before}
    # Whoever goes on with it still knows what was before.
    owned.mark_host(ctx, claimed, made, HOST_FAILURE)
    assert owned.recall(ctx, made.uuid) == {"host": before}


def test_a_failed_process_leaves_a_reserve_reserved(
    ctx, segment, make_host, begin
):
    host = make_host("reserve", reserved=True)
    claimed, made = begin("reserve", "PROCESS")
    owned.mark_host(ctx, claimed, made, PROCESS_FAILURE)
    found = segments.get_host(ctx, segment.uuid, host.uuid)
    assert (found.on_maintenance, found.reserved) == (True, True)
    assert found.maintenance_cause is PROCESS_FAILURE


def test_a_failed_process_does_not_hide_a_failed_host(
    ctx, segment, host, begin
):
    process, host_report = begin(type_="PROCESS"), begin()
    owned.mark_host(ctx, *process, PROCESS_FAILURE)
    owned.mark_host(ctx, *host_report, HOST_FAILURE)
    owned.mark_host(ctx, *process, PROCESS_FAILURE)
    found = segments.get_host(ctx, segment.uuid, host.uuid)
    assert found.maintenance_cause is HOST_FAILURE


def test_a_host_that_was_deleted_is_not_marked(
    ctx, segment, host, begin, change
):
    claimed, made = begin()
    change(made.uuid, status="finished")  # else it cannot be deleted
    segments.delete_host(ctx, segment.uuid, host.uuid)
    change(made.uuid, status="running")
    owned.mark_host(ctx, claimed, made, HOST_FAILURE)
    assert owned.recall(ctx, made.uuid) == {"host": {}}


# Attempts and what is remembered


def test_attempts_are_counted(ctx, begin):
    claimed, made = begin()
    recovery_runs.start_flow(ctx, claimed, "flow-1", new_attempt=True)
    recovery_runs.start_flow(ctx, claimed, "flow-2", new_attempt=False)
    owned.count_attempt(ctx, claimed)
    found = recovery.get_notification(ctx, made.uuid)
    assert (found.attempts, found.flow_uuid) == (2, "flow-2")
    owned.put_back(
        ctx,
        claimed,
        made,
        NotificationStatus.ERROR,
        "Nova is away.",
        wake_in=0,
        uncount=True,
    )
    found = recovery.get_notification(ctx, made.uuid)
    assert (found.attempts, found.attempts_before) == (2, 1)
    assert (found.status, found.message) == ("error", "Nova is away.")
    assert said(ctx, made.uuid) == ["Nova is away."]


def test_what_is_remembered_keeps_its_first_value(ctx, begin):
    claimed, made = begin()
    assert owned.recall(ctx, made.uuid) == {}
    owned.remember(ctx, claimed, one={"a": 1}, two=None)
    owned.remember(ctx, claimed, one={"a": 2}, two=3, three="\U0001f600")
    assert owned.recall(ctx, made.uuid) == {
        "one": {"a": 1},
        "two": None,
        "three": "\U0001f600",
    }


# What is in the way: a recovery of the same host, or one that uses it


def test_a_second_report_joins_the_first_and_ends_with_it(
    ctx, begin, finish, row
):
    owner, second = begin(event="STOPPED"), begin(event="DIED")
    assert precedence.lock_host(ctx, *owner) is None
    assert precedence.lock_host(ctx, *owner) is None

    awaited = precedence.lock_host(ctx, *second)

    first, uuid = owner[1].uuid, second[1].uuid
    assert awaited == precedence.Awaited(first, joined=True)
    waiting = recovery.get_notification(ctx, uuid)
    assert (waiting.status, waiting.joined_to) == ("new", first)
    assert waiting.message == (
        f"Joined to notification {first}, which recovers compute-1; ends"
        " with it."
    )
    assert said(ctx, uuid) == [waiting.message]
    assert work.claim_next(ctx, WorkKind.RECOVERY, "x", 10) is None
    finish(*owner, FAILED, "Nova said no.")
    ended = recovery.get_notification(ctx, uuid)
    assert ended.status is FAILED
    assert ended.message == f"Ended with notification {first}: Nova said no."
    assert row(uuid).wake_at is None
    assert row(uuid).dedupe_until is not None
    assert work.claim_next(ctx, WorkKind.RECOVERY, "x", 10) is None


def test_a_joined_one_that_was_claimed_meanwhile_goes_its_own_way(
    ctx, begin, again, finish
):
    owner, second = begin(event="STOPPED"), begin(event="DIED")
    precedence.lock_host(ctx, *owner)
    precedence.lock_host(ctx, *second)
    taken = again(second[1].uuid)
    finish(*owner)
    found = recovery.get_notification(ctx, taken[1].uuid)
    assert found.status is NotificationStatus.RUNNING
    # The host is free now: this one is the next to have it.
    assert precedence.lock_host(ctx, *taken) is None


def test_one_of_a_host_that_serves_another_as_reserve_waits(
    ctx, make_host, begin, again, finish
):
    make_host("reserve", reserved=True)
    owner = begin()
    assert precedence.lock_host(ctx, *owner) is None
    assert reserved.take(ctx, owner[0], 1, "reserve")
    failed = begin("reserve")

    awaited = precedence.lock_host(ctx, *failed)

    assert awaited == precedence.Awaited(owner[1].uuid, joined=False)
    waiting = recovery.get_notification(ctx, failed[1].uuid)
    assert (waiting.status, waiting.joined_to) == ("new", None)
    assert waiting.message == (
        f"Waiting for notification {owner[1].uuid}, which uses reserve as its"
        " reserved host."
    )
    # It says so once, however often it looks.
    assert precedence.lock_host(ctx, *again(failed[1].uuid)) is not None
    assert said(ctx, failed[1].uuid) == [waiting.message]
    finish(*owner)
    found = recovery.get_notification(ctx, failed[1].uuid)
    assert found.status is NotificationStatus.NEW
    assert precedence.lock_host(ctx, *again(failed[1].uuid)) is None


def test_instances_are_recovered_side_by_side_each_by_one(ctx, begin, finish):
    one = begin(type_="VM", **vm("i-1"))
    two = begin(type_="VM", **vm("i-2"))
    other = begin(type_="VM", **vm("i-1", "IO_ERROR"))
    assert precedence.lock_instance(ctx, *one, "i-1") is None
    assert precedence.lock_instance(ctx, *two, "i-2") is None
    assert precedence.lock_instance(ctx, *one, "i-1") is None
    awaited = precedence.lock_instance(ctx, *other, "i-1")
    assert awaited == precedence.Awaited(one[1].uuid, joined=True)
    finish(*one)
    ended = recovery.get_notification(ctx, other[1].uuid)
    assert ended.status is FINISHED
    assert ended.message == f"Ended with notification {one[1].uuid}: Done."


def test_a_recovery_of_the_host_takes_over_its_instances(ctx, begin, finish):
    host, instance = begin(), begin(type_="VM", **vm("i-1"))
    assert precedence.lock_instance(ctx, *instance, "i-1") is None
    assert precedence.host_owner(ctx, "compute-1") is None
    assert precedence.lock_host(ctx, *host) is None
    assert precedence.host_owner(ctx, "compute-1") == host[1].uuid

    awaited = precedence.lock_instance(ctx, *instance, "i-1")

    assert awaited == precedence.Awaited(host[1].uuid, joined=True)
    waiting = recovery.get_notification(ctx, instance[1].uuid)
    assert "recovers compute-1 with its instances" in waiting.message
    assert work.lock_resource(ctx, host[0], "instance", "i-1") is None
    finish(*host)
    ended = recovery.get_notification(ctx, instance[1].uuid)
    assert ended.status is FINISHED


def test_a_host_that_is_only_a_reserve_keeps_its_instance_recoveries(
    ctx, make_host, begin
):
    make_host("reserve", reserved=True)
    owner = begin()
    precedence.lock_host(ctx, *owner)
    reserved.take(ctx, owner[0], 1, "reserve")
    instance = begin("reserve", "VM", **vm("i-1"))
    assert precedence.host_owner(ctx, "reserve") is None
    assert precedence.lock_instance(ctx, *instance, "i-1") is None


@pytest.mark.parametrize("how", ["waits", "was left", "other host", "none"])
def test_a_host_waits_only_for_instances_that_are_worked_on(
    ctx, make_host, begin, change, how
):
    make_host("compute-2")
    host = begin()
    if how != "none":
        where = "compute-2" if how == "other host" else "compute-1"
        claimed, made = begin(where, "VM", **vm("i-1"))
        if how == "waits":
            owned.put_back(
                ctx, claimed, made, NotificationStatus.ERROR, "-", wake_in=99
            )
        elif how == "was left":
            change(made.uuid, lease_expires_at=work.clock(ctx) - 1)
    precedence.lock_host(ctx, *host)
    assert not precedence.await_instances(ctx, *host)
    work.fence(ctx, host[0])


def test_a_host_waits_for_its_instances_next_safe_point(
    ctx, begin, again, finish
):
    instance, host = begin(type_="VM", **vm("i-1")), begin()
    precedence.lock_host(ctx, *host)
    assert precedence.await_instances(ctx, *host)
    waiting = recovery.get_notification(ctx, host[1].uuid)
    assert waiting.status is NotificationStatus.NEW
    assert f"over from notification {instance[1].uuid}" in waiting.message
    # The host stays locked meanwhile: no other instance begins.
    assert precedence.host_owner(ctx, "compute-1") == host[1].uuid
    finish(*instance)
    assert not precedence.await_instances(ctx, *again(host[1].uuid))


def test_of_two_recoveries_that_lock_at_once_one_has_it(ctx, begin, together):
    one = begin(type_="VM", **vm("i-1"))
    two = begin(type_="VM", **vm("i-1", "IO_ERROR"))
    results = together(
        *(
            lambda c=c: precedence.lock_instance(
                internal_context(ctx.database), *c, "i-1"
            )
            for c in (one, two)
        )
    )
    assert results.count(None) == 1, results
    (awaited,) = [r for r in results if r is not None]
    winner = (one, two)[results.index(None)]
    assert awaited == precedence.Awaited(winner[1].uuid, joined=True)


# Gates


def decisions(database):
    with database.read_engine.connect() as connection:
        return connection.execute(sa.select(D.__table__).order_by(D.id)).all()


def test_a_decision_is_kept_and_replaced_only_when_it_changes(
    ctx, database, begin
):
    claimed, made = begin()
    hold = Decision("gate", Verdict.HOLD, "No.", {"a": 1}, {"b": [2]})
    left = Decision("gate", Verdict.LEAVE_OUT, "Not it.", {}, None, "i-1")
    owned.decide(ctx, claimed, made, [hold, left])
    first, second = decisions(database)
    assert (first.gate, first.subject, first.verdict) == ("gate", "", "hold")
    assert (first.sentence, first.inputs) == ("No.", {"a": 1})
    assert (first.limit, first.updated_at) == ({"b": [2]}, None)
    assert (second.subject, second.limit) == ("i-1", None)

    owned.decide(ctx, claimed, made, [hold, left])
    assert decisions(database) == [first, second]

    passed = Decision("gate", Verdict.PASS, "Yes.", {"a": 2})
    owned.decide(ctx, claimed, made, [passed])
    changed, kept = decisions(database)
    assert (changed.id, changed.verdict) == (first.id, "pass")
    assert (changed.inputs, changed.limit) == ({"a": 2}, None)
    assert changed.updated_at is not None
    assert kept == second


def test_what_is_held_is_asked_again_in_time(ctx, begin, again, row):
    claimed, made = begin()
    owned.hold(ctx, claimed, made, "It is disabled.", wake_in=30)
    found = row(made.uuid)
    assert (found.status, found.held) == ("new", True)
    assert found.message == "It is disabled."
    assert found.wake_at == pytest.approx(work.clock(ctx) + 30, abs=5)
    claimed, made = again(made.uuid)
    owned.hold(ctx, claimed, made, "It is disabled.", wake_in=30)
    assert said(ctx, made.uuid) == ["It is disabled."]


def test_what_ends_is_held_no_more(ctx, begin, again, finish, row):
    claimed, made = begin()
    owned.hold(ctx, claimed, made, "It is disabled.", wake_in=30)
    finish(*again(made.uuid))
    assert not row(made.uuid).held


# The ledger


def test_events_are_read_in_order_after_a_cursor(ctx, begin, finish):
    claimed, made = begin()
    owned.say(
        ctx,
        claimed,
        made,
        [Remark("One.", "Task", 0.5), Remark("Two.", "Task", 1.0)],
    )
    owned.say(ctx, claimed, made, [])
    finish(claimed, made, message="\U0001f600 " * 2000)
    one, two, three = events.list_events(ctx, made.uuid, 0, 10)
    assert (one.task, one.progress, one.text) == ("Task", 0.5, "One.")
    assert (three.task, three.progress) == (None, None)
    assert three.text == "\U0001f600 " * 2000
    assert {e.request_id for e in (one, two, three)} == {"req-1"}
    assert one.id < two.id < three.id
    assert events.list_events(ctx, made.uuid, one.id, 1) == [two]
    assert events.list_events(ctx, made.uuid, two.id, 10) == [three]
    assert events.list_events(ctx, made.uuid, three.id, 10) == []
    assert events.list_events(ctx, "nobody", 0, 10) == []


def test_events_of_others_are_not_mixed_in(ctx, begin, together):
    works = [begin(event=str(n)) for n in range(3)]

    def speak(claimed, made):
        ours = internal_context(ctx.database)
        for number in range(5):
            owned.say(ours, claimed, made, [Remark(f"{made.uuid} {number}")])

    results = together(*(lambda w=w: speak(*w) for w in works))
    assert results == [None] * 3
    for _claimed, made in works:
        assert said(ctx, made.uuid) == [f"{made.uuid} {n}" for n in range(5)]


def test_an_event_of_nothing_is_not_kept(ctx, database, begin):
    begin()
    events.add_events(ctx, "nobody", [Remark("Hello?")])
    with database.read_engine.connect() as connection:
        rows = sa.select(sa.func.count()).select_from(models.Event)
        assert connection.scalar(rows) == 0


@pytest.mark.parametrize("status", [FINISHED, NotificationStatus.IGNORED])
@pytest.mark.parametrize("state", ["pending", "ongoing"])
def test_no_success_while_moves_are_open(
    ctx, begin, finish, row, status, state
):
    claimed, made = begin()
    vmoves.create_vmoves(ctx, claimed, [NEW_MOVE | {"status": state}])

    with pytest.raises(errors.MovesOpen, match="1 moves"):
        finish(claimed, made, status)

    assert row(made.uuid).status == "running"
    finish(claimed, made, FAILED)
    assert row(made.uuid).status == "failed"


def test_a_success_when_all_moves_have_ended(ctx, begin, finish, row):
    claimed, made = begin()
    vmoves.create_vmoves(ctx, claimed, [NEW_MOVE | {"status": "failed"}])
    finish(claimed, made)
    assert row(made.uuid).status == "finished"
