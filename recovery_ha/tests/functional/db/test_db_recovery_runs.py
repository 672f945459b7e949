"""What a recovery writes into the ledger, with what it writes of itself."""

import pytest
import sqlalchemy as sa

from recovery_ha.db import actions, models, owned, recovery_runs, vmoves
from recovery_ha.db.ledger import events, history, steps, transactions
from recovery_ha.db.recovery_runs import Node
from recovery_ha.db.vmoves import Change
from recovery_ha.domain import errors
from recovery_ha.domain.actions import Action
from recovery_ha.domain.history import HistoryFilter, Remark
from recovery_ha.domain.ledger import TaskStatus
from recovery_ha.domain.recovery import NotificationStatus, VMoveStatus

HOST = Node("compute-1", "host")
TASKS = {
    "DisableComputeServiceTask": "pre",
    "EvacuateInstancesTask": "main",
    "MailTask": "post",
}


@pytest.fixture
def made(accept):
    return accept()


@pytest.fixture
def claimed(made, claim):
    return claim()


@pytest.fixture
def start(ctx, claimed):
    def start(flow="flow-1", new=True):
        return recovery_runs.start_flow(
            ctx, claimed, flow, new_attempt=new, node=HOST, tasks=TASKS
        )

    return start


@pytest.fixture
def tell(ctx, claimed, made):
    def tell(places, task, status, text="Said."):
        recovery_runs.tell_task(
            ctx,
            claimed,
            made,
            HOST,
            task,
            places[task],
            [Remark(text, task)],
            status=status and TaskStatus(status),
        )

    return tell


@pytest.fixture
def finish(ctx, claimed, made):
    def finish(status, message="Over.", **more):
        owned.finish(
            ctx,
            claimed,
            made,
            NotificationStatus(status),
            message,
            duplicate_window=0,
            **more,
        )

    return finish


@pytest.fixture
def run(ctx, made):
    return lambda: transactions.get(ctx, made.uuid)


@pytest.fixture
def rows(ctx, run):
    def rows():
        wanted = HistoryFilter(attempts=True)
        return [
            (
                row.node_id,
                row.deployment_graph_task_name,
                row.attempt,
                str(row.status),
                row.message,
            )
            for row in history.list_page(ctx, run().id, wanted)
        ]

    return rows


def test_a_flow_begins_with_its_steps(ctx, start, run):
    assert run().status == "pending"
    for _again in range(2):
        start()
        found = steps.list_steps(ctx, [run().id])[run().id]
        assert [(s.step_type, s.step_name) for s in found] == [
            (type_, name) for name, type_ in TASKS.items()
        ]
        assert run().status == "running"
    assert run().time_start is not None


def test_each_task_is_a_row_and_each_attempt_a_further_one(
    start, tell, rows, run
):
    task = "DisableComputeServiceTask"
    places = start()
    for status in ("running", None, "running", "ready", "running", "ready"):
        # What a take-over says once more changes nothing.
        tell(places, task, status, "Disabled.")
    assert rows() == [("compute-1", task, 1, "ready", "Disabled.")]
    assert run().progress == 33
    places = start("flow-2")
    tell(places, task, "running")
    tell(start("flow-2"), task, "error", "Failed.")
    assert rows()[1:] == [("compute-1", task, 2, "error", "Failed.")]
    assert run().counts.error == run().counts.units == 1


def test_what_is_said_belongs_to_step_and_row(ctx, start, tell, made, run):
    tell(start(), "MailTask", "running", "Writing.")
    (event,) = events.list_events(ctx, made.uuid, 0, 10)
    (row,) = history.list_page(ctx, run().id, HistoryFilter())
    assert (event.text, event.history_id) == ("Writing.", row.id)
    assert event.step_id == row.step_id is not None


@pytest.mark.parametrize(
    ("status", "ended", "outcome", "more"),
    [
        ("finished", "ready", None, {}),
        ("ignored", "ready", "ignored", {}),
        ("failed", "error", None, {}),
        ("failed", "error", "aborted", {"done": "cancel"}),
    ],
)
def test_it_ends_with_its_notification(
    start, tell, rows, run, finish, status, ended, outcome, more
):
    tell(start(), "MailTask", "running")
    finish(status, "Over.", **more)
    assert (run().status, run().outcome) == (ended, outcome)
    assert (run().message, run().counts.running) == ("Over.", 0)
    assert rows()[0][3:] == ("error", "Over.")
    assert run().time_end is not None


def test_what_is_joined_ends_with_it(
    ctx, accept, change, claimed, finish, made
):
    other = accept(event="other")
    change(other.uuid, joined_to=made.uuid)
    finish("finished")
    found = transactions.get(ctx, other.uuid)
    assert (found.status, found.progress) == ("ready", 100)
    assert found.message == f"Ended with notification {made.uuid}: Over."


def test_a_retry_opens_it_and_counts_on(
    ctx, start, tell, rows, run, finish, made, claim
):
    tell(start(), "MailTask", "running")
    finish("failed")
    actions.act(ctx, made.uuid, Action.RETRY, duplicate_window=0)
    assert (run().status, run().time_end) == ("pending", None)
    again = recovery_runs.start_flow(
        ctx, claim(), "flow-2", new_attempt=True, node=HOST, tasks=TASKS
    )
    assert run().status == "running"
    assert again["MailTask"].attempt == 2
    assert len(rows()) == 1


def test_a_cancelled_one_is_aborted(ctx, accept):
    made = accept()
    actions.act(ctx, made.uuid, Action.CANCEL, duplicate_window=0)
    found = transactions.get(ctx, made.uuid)
    assert (found.status, found.outcome) == ("error", "aborted")


def test_what_is_given_up_before_it_was_asked_for_is_a_row(
    ctx, start, claimed, move_row, rows
):
    start()
    vmoves.create_vmoves(ctx, claimed, [move_row(n) for n in range(2)])
    asked, _never = vmoves.list_vmoves(ctx, claimed.uuid)
    vmoves.transition_vmove(ctx, claimed, asked, VMoveStatus.ONGOING)
    for _again in range(2):
        vmoves.give_up(ctx, claimed, "No host.")
    assert [row[2:] for row in rows()] == [(1, "error", "No host.")] * 2


def test_each_evacuation_is_a_row(ctx, start, claimed, move_row, rows, run):
    start()
    vmoves.create_vmoves(ctx, claimed, [move_row(n) for n in range(3)])
    moves = vmoves.list_vmoves(ctx, claimed.uuid)

    def change(move, status, **values):
        wanted = [Change(move, VMoveStatus(status), values)]
        for _again in range(2):
            (found,) = vmoves.transition_vmoves(ctx, claimed, wanted)
        return found

    assert rows() == []
    one, two, three = (change(move, "ongoing") for move in moves)
    assert [row[2:4] for row in rows()] == [(1, "running")] * 3
    change(one, "succeeded", dest_host="compute-2", message="Fine.")
    change(three, "ignored", message="Gone.")
    two = change(two, "failed", message="No host.")
    change(two, "ongoing", message=None)
    assert sorted(row[2:] for row in rows()) == [
        (1, "error", "No host."),
        (1, "ready", "Fine."),
        (1, "ready", "Gone."),
        (2, "running", None),
    ]
    found = history.list_page(ctx, run().id, HistoryFilter())
    summary = next(r for r in found if r.node_id == one.instance_uuid).summary
    assert summary["dest_host"] == "compute-2"
    assert run().counts.running == 1
    step = steps.list_steps(ctx, [run().id])[run().id][1]
    assert (step.total, step.completed) == (4, 2)


def test_who_has_lost_the_work_writes_nothing(
    ctx, start, tell, rows, database
):
    places = start()
    with database.engine.begin() as connection:
        connection.execute(
            sa.update(models.Notification).values(lease_epoch=9)
        )
    with pytest.raises(errors.LeaseLost):
        tell(places, "MailTask", "running")
    with pytest.raises(errors.LeaseLost):
        start("flow-2")
    assert rows() == []
