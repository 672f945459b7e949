"""The ledger on each database: transactions, reports, history."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from recovery_ha.db import models
from recovery_ha.db.ledger import (
    events,
    history,
    reports,
    runs,
    transactions,
)
from recovery_ha.db.paging import Page
from recovery_ha.domain import errors
from recovery_ha.domain.history import (
    HistoryFilter,
    NewTransaction,
    Remark,
    TransactionFilter,
)
from recovery_ha.domain.ledger import (
    Counts,
    Kind,
    Outcome,
    ReportVerdict,
    TaskStatus,
    TransactionStatus,
)
from recovery_ha.tests.fixtures.ledger import begin, ended, said, tell

__all__ = ["begin"]

T0 = datetime(2026, 1, 2, 3, 4, 5)
PENDING, RUNNING, READY, ERROR = TransactionStatus
APPLIED, DUPLICATE, STALE, ILLEGAL, UNKNOWN = ReportVerdict
EVERYTHING = HistoryFilter(attempts=True)


def rows(ctx, run, **wanted):
    return [
        (r.node_id, r.deployment_graph_task_name, str(r.status), r.attempt)
        for r in history.list_page(ctx, run.id, HistoryFilter(**wanted))
    ]


# Transactions


def test_a_transaction_is_what_was_said(ctx, begin):
    made = begin(
        project_id="p",
        cluster_id="7",
        graph_type="default",
        reporter="me",
        external_id="e",
        message="With password=secret",
        dry_run=True,
        lossy=True,
        request_id="req",
    )
    assert transactions.get(ctx, made.uuid) == made
    assert transactions.get(ctx, str(made.id), project_id="p") == made
    assert (made.status, made.progress, made.counts) == (PENDING, 0, Counts())
    assert (made.project_id, made.cluster_id) == ("p", "7")
    assert (made.dry_run, made.lossy, made.declared) == (True, True, False)
    assert "secret" not in made.message
    with pytest.raises(errors.TransactionNotFound):
        transactions.get(ctx, made.uuid, project_id="other")
    with pytest.raises(errors.TransactionNotFound):
        transactions.get(ctx, "999999")


def test_creating_it_again_returns_the_first(ctx, begin):
    first = begin(project_id="p", reporter="me", external_id="e")
    new = NewTransaction(
        kind=Kind.DEPLOYMENT,
        name="other",
        project_id="p",
        reporter="me",
        external_id="e",
        graph={"n": ["t"]},
    )
    assert transactions.create(ctx, new) == (first, False)
    assert rows(ctx, first) == []
    begin(project_id="q", reporter="me", external_id="e")
    one = begin(reporter="me", external_id="e")
    again = NewTransaction(
        kind=Kind.DEPLOYMENT, name="x", reporter="me", external_id="e"
    )
    assert transactions.create(ctx, again) == (one, False)


def test_one_of_many_that_create_it_at_once_does(ctx, together):
    new = NewTransaction(
        kind=Kind.DEPLOYMENT,
        name="deploy",
        reporter="me",
        external_id="e",
        graph={"n": ["t"]},
    )
    results = together(*[lambda: transactions.create(ctx, new)] * 4)
    assert sorted(is_new for _run, is_new in results) == [False] * 3 + [True]
    assert len({run.id for run, _is_new in results}) == 1
    assert rows(ctx, results[0][0]) == [("n", "t", "pending", 1)]


def test_a_parent_must_be_there(ctx, begin):
    parent = begin()
    assert begin(parent_id=parent.id).parent_id == parent.id
    with pytest.raises(errors.TransactionNotFound):
        begin(parent_id=999999)


def test_a_graph_gives_rows_and_those_that_ran_nowhere(ctx, begin):
    snapshot = {"a": {"type": "puppet"}, "b": {}, "c": {"id": "c"}}
    run = begin(
        graph={"1": ["a", "b"], "master": ["a"]}, tasks_snapshot=snapshot
    )
    assert rows(ctx, run) == [
        ("1", "a", "pending", 1),
        ("1", "b", "pending", 1),
        ("master", "a", "pending", 1),
        ("-", "c", "skipped", 1),
    ]
    (nowhere,) = history.list_page(ctx, run.id, HistoryFilter(nodes=["-"]))
    assert (nowhere.time_start, nowhere.time_end) == (None, None)
    assert run.declared
    assert run.counts == Counts(pending=3, skipped=1)
    assert transactions.get_snapshot(ctx, run.id) == snapshot
    assert tell(ctx, run, *ended("9", "a")) == [UNKNOWN, UNKNOWN]
    with pytest.raises(errors.BadRequest):
        begin(graph={"-": ["a"]})


def test_running_and_ending(ctx, begin):
    run = begin(graph={"1": ["a", "b"], "2": ["a"]})
    assert runs.start(ctx, run.uuid).status is RUNNING
    assert runs.start(ctx, run.uuid).time_start is not None
    tell(ctx, run, *ended("1", "a"), said("1", "b", "running"))
    over = runs.end(ctx, run.id, READY, message="Done.", result={"x": [1]})
    assert (over.status, over.progress) == (READY, 100)
    assert (over.message, over.result) == ("Done.", {"x": [1]})
    assert over.counts == Counts(ready=1, error=1, skipped=1)
    assert rows(ctx, run) == [
        ("1", "a", "ready", 1),
        ("1", "b", "error", 1),
        ("2", "a", "skipped", 1),
    ]
    left = history.list_page(ctx, run.id, HistoryFilter(nodes=["1", "2"]))
    assert [r.message for r in left] == [None, "no result", None]
    assert all(r.time_start and r.time_end for r in left)
    # Nothing of it ever changes again.
    assert runs.end(ctx, run.id, READY, message="Again.") == over
    with pytest.raises(errors.TransactionEnded):
        runs.end(ctx, run.id, ERROR)
    with pytest.raises(errors.TransactionEnded):
        runs.start(ctx, run.id)
    with pytest.raises(errors.TransactionEnded):
        runs.renew_lease(ctx, run.id)
    assert tell(ctx, run, said("1", "a", "ready"), *ended("2", "a")) == [
        DUPLICATE,
        STALE,
        STALE,
    ]
    assert transactions.get(ctx, run.id) == over


@pytest.mark.parametrize("status", [PENDING, RUNNING])
def test_an_end_is_ready_or_error(ctx, begin, status):
    run = begin(status=RUNNING)
    with pytest.raises(errors.IllegalTransition):
        runs.end(ctx, run.id, status)


def test_the_transaction_of_a_notification(ctx, accept, host):
    made = accept()
    run = transactions.get(ctx, made.uuid)
    assert (run.kind, run.name) == (Kind.RECOVERY, "host_auto_failure")
    assert (run.status, run.origin_id) == (PENDING, made.uuid)
    assert (run.origin_type, run.request_id) == ("notification", "req-1")
    over = runs.end(ctx, made.uuid, READY, outcome=Outcome.IGNORED)
    assert over.outcome is Outcome.IGNORED
    runs.reopen(ctx, made.uuid)
    again = transactions.get(ctx, made.uuid)
    assert (again.status, again.outcome, again.time_end) == (
        PENDING,
        None,
        None,
    )


def test_only_recoveries_are_opened_again(ctx, begin):
    run = begin()
    over = runs.end(ctx, run.id, ERROR)
    runs.reopen(ctx, run.uuid)
    assert transactions.get(ctx, run.id) == over


# Reporters outside


def test_a_silent_reporter_is_lost(ctx, database, begin):
    run = begin(lease_seconds=60.0, graph={"1": ["a"]})
    patient = begin(graph={"1": ["a"]})
    assert runs.close_lost(ctx) == []
    expire(database, run)
    (lost,) = runs.close_lost(ctx)
    assert (lost.id, lost.status, lost.outcome) == (
        run.id,
        ERROR,
        Outcome.LOST,
    )
    assert lost.message == "The reporter was silent for longer than its lease."
    assert rows(ctx, run) == [("1", "a", "skipped", 1)]
    assert runs.close_lost(ctx) == []
    assert transactions.get(ctx, patient.id).status is PENDING


@pytest.mark.parametrize("sign", ["report", "nothing new", "heartbeat"])
def test_any_sign_of_life_renews_the_lease(ctx, database, begin, sign):
    run = begin(lease_seconds=60.0, graph={"1": ["a"]})
    expire(database, run)
    if sign == "heartbeat":
        runs.renew_lease(ctx, run.id)
    else:
        status = "running" if sign == "report" else "pending"
        tell(ctx, run, said("1", "a", status))
    assert runs.close_lost(ctx) == []


def expire(database, run):
    with database.engine.begin() as connection:
        connection.execute(
            sa.update(models.Transaction)
            .where(models.Transaction.id == run.id)
            .values(lease_expires_at=1.0)
        )


# Deleting and listing


def test_deleting_hides_the_tree(ctx, begin):
    root = begin()
    child = begin(parent_id=root.id)
    leaf = begin(parent_id=child.id)
    other = begin()
    with pytest.raises(errors.TransactionRunning):
        transactions.delete(ctx, root.id)
    for run in (root, child):
        runs.end(ctx, run.id, READY)
    with pytest.raises(errors.TransactionRunning):
        transactions.delete(ctx, root.id)
    runs.end(ctx, leaf.id, ERROR)
    transactions.delete(ctx, root.uuid)
    kept = TransactionFilter(deleted=False)
    assert ids(ctx, kept) == [other.id]
    gone = TransactionFilter(deleted=True)
    assert ids(ctx, gone) == [leaf.id, child.id, root.id]
    assert ids(ctx, TransactionFilter()) == [
        other.id,
        leaf.id,
        child.id,
        root.id,
    ]
    when = transactions.get(ctx, leaf.id).deleted_at
    transactions.delete(ctx, child.id)
    assert transactions.get(ctx, leaf.id).deleted_at == when
    transactions.delete(ctx, other.id, force=True)
    assert ids(ctx, kept) == []


def ids(ctx, wanted, page=None):
    found = transactions.list_page(ctx, wanted, page or Page())
    return [run.id for run in found]


def test_listing_by_each_filter(ctx, begin):
    one = begin(project_id="p", cluster_id="1", graph={"n": ["t"]})
    two = begin(project_id="q", name="provision", kind=Kind.CLUSTER)
    three = begin(project_id="q", parent_id=one.id, reporter="r")
    runs.end(ctx, two.id, ERROR)
    every = [three.id, two.id, one.id]
    for wanted, expected in (
        ({}, every),
        ({"project_id": "q"}, every[:2]),
        ({"cluster_id": "1"}, [one.id]),
        ({"statuses": [ERROR]}, [two.id]),
        ({"statuses": [ERROR, PENDING]}, every),
        ({"names": ["provision", "nothing"]}, [two.id]),
        ({"kinds": [Kind.DEPLOYMENT]}, [three.id, one.id]),
        ({"node": "n"}, [one.id]),
        ({"node": "m"}, []),
        ({"parent_id": one.id}, [three.id]),
        ({"parent_id": 0}, every[1:]),
        ({"reporter": "r"}, [three.id]),
        ({"since": two.created_at}, every[:2]),
        ({"until": two.created_at}, [one.id]),
    ):
        assert ids(ctx, TransactionFilter(**wanted)) == expected, wanted


def test_paging_transactions(ctx, begin):
    made = [begin().id for _number in range(5)][::-1]
    marker, seen = None, []
    while page := ids(ctx, TransactionFilter(), Page(limit=2, marker=marker)):
        seen += page
        marker = str(page[-1])
    assert seen == made
    up = Page(sort=(("id", "asc"),), limit=3)
    assert ids(ctx, TransactionFilter(), up) == made[::-1][:3]


# Reports


def test_each_item_is_answered_in_order(ctx, begin):
    run = begin(graph={"1": ["a", "b"], "2": ["a"]})
    assert tell(
        ctx,
        run,
        said("1", "a", "running", seq=1),
        said("1", "a", "ready", seq=2),
        said("1", "a", "ready", seq=2),
        said("1", "b", "ready", seq=3),
        said("9", "a", "running", seq=4),
        said("2", "a", "running", seq=6),
        said("2", "a", "ready", seq=5),
    ) == [APPLIED, APPLIED, DUPLICATE, ILLEGAL, UNKNOWN, APPLIED, STALE]
    found = transactions.get(ctx, run.id)
    assert (found.status, found.progress) == (RUNNING, 33)
    assert found.counts == Counts(pending=1, running=1, ready=1)


def test_a_batch_sent_twice_changes_nothing(ctx, begin):
    run = begin()
    batch = [
        said("1", "a", "running", seq=1),
        said("1", "a", "error", seq=2, message="No disk."),
        said("1", "a", "running", seq=3),
        said("1", "a", "ready", seq=4),
        said("2", "b", "running", seq=5),
    ]
    assert tell(ctx, run, *batch) == [APPLIED] * 5
    before = history.list_page(ctx, run.id, EVERYTHING)
    seen = events.list_events(ctx, run.uuid, 0, 100)
    assert APPLIED not in tell(ctx, run, *batch)
    assert history.list_page(ctx, run.id, EVERYTHING) == before
    assert events.list_events(ctx, run.uuid, 0, 100) == seen


def test_a_retry_is_a_new_attempt(ctx, begin):
    run = begin()
    for status in ("error", "error", "ready"):
        tell(ctx, run, *ended("1", "a", status, message=status))
    assert rows(ctx, run) == [("1", "a", "ready", 3)]
    assert rows(ctx, run, attempts=True) == [
        ("1", "a", "error", 1),
        ("1", "a", "error", 2),
        ("1", "a", "ready", 3),
    ]
    assert transactions.get(ctx, run.id).counts == Counts(ready=1)
    # All three in one batch too.
    more = [i for s in ("error", "ready") for i in ended("2", "a", s)]
    assert tell(ctx, run, *more) == [APPLIED] * 4
    assert rows(ctx, run, nodes=["2"], attempts=True) == [
        ("2", "a", "error", 1),
        ("2", "a", "ready", 2),
    ]


def test_what_a_report_says_is_kept_apart(ctx, begin):
    run = begin(project_id="p", cluster_id="7")
    custom = {"status": "ready", "node_id": "9", "admin_password": "secret"}
    tell(
        ctx,
        run,
        said("1", "a", "running", time=T0, custom=custom, node_type="host"),
        said(
            "1",
            "a",
            "error",
            time=T0 + timedelta(seconds=9),
            message="password=secret",
            summary={"changed": 3},
            custom={"more": 1},
        ),
    )
    (row,) = history.list_page(ctx, run.id, HistoryFilter())
    assert (row.node_id, row.status) == ("1", TaskStatus.ERROR)
    assert row.custom["status"] == "ready"
    assert row.custom["more"] == 1
    assert row.summary == {"changed": 3}
    assert (row.time_start, row.time_end) == (T0, T0 + timedelta(seconds=9))
    assert (row.project_id, row.cluster_id) == ("p", "7")
    assert row.node_type == "host"
    assert "secret" not in f"{row.custom} {row.message}"


def test_too_many_items_are_refused(ctx, begin):
    run = begin()
    with pytest.raises(errors.BadRequest):
        tell(ctx, run, *[said("1", "a", "running")] * 1001)
    with pytest.raises(errors.TransactionNotFound):
        reports.report(ctx, "nobody", [])


def test_units_that_have_nothing_in_common_are_found(ctx, begin):
    run = begin(graph={str(n): [f"t{n}"] for n in range(300)})
    batch = [said(str(n), f"t{n}", "running") for n in range(300)]
    assert tell(ctx, run, *batch) == [APPLIED] * 300
    assert transactions.get(ctx, run.id).counts == Counts(running=300)


def test_what_ended_is_told_in_events(ctx, begin):
    run = begin()
    tell(ctx, run, *ended("1", "a"), request_id="req-2")
    failed = {"message": "No disk.", "error_id": "e-1", "traceback": "At x."}
    tell(ctx, run, *ended("2", "a", "error", **failed))
    tell(ctx, run, said("3", "a", "running", event_info="Half.", progress=0.5))
    tell(ctx, run, *ended("4", "a"), events=False)
    one, two, three = events.list_events(ctx, run.uuid, 0, 10)
    found = history.list_page(ctx, run.id, HistoryFilter())
    assert [e.history_id for e in (one, two, three)] == [
        r.id for r in found[:3]
    ]
    assert (one.task, one.instance_id, one.text) == ("a", "1", None)
    assert (one.successful, one.request_id) == (True, "req-2")
    assert (two.successful, two.error_id) == (False, "e-1")
    assert two.text == "No disk.\nError ID: e-1"
    assert two.traceback == "At x."
    assert (three.text, three.progress) == ("Half.", 0.5)
    assert three.successful is None
    assert events.latest_of(ctx, run.uuid) == events.Latest(three.id, False)
    runs.end(ctx, run.id, READY)
    assert events.latest_of(ctx, run.uuid).ended


def test_remarks_are_masked_and_cut(ctx, begin):
    run = begin()
    remarks = [Remark("auth_token=abc " + "x" * 9000), Remark("ä" * 4001)]
    events.add_events(ctx, run.uuid, remarks)
    one, two = events.list_events(ctx, run.uuid, 0, 10)
    assert "abc" not in one.text
    assert len(one.text) == len(two.text) == 4000
