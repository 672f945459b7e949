"""Steps, clusters, and those who provision, on each database."""

import contextvars
import logging
import threading

import pytest

from recovery_ha import provisioning
from recovery_ha.db.ledger import (
    clusters,
    events,
    history,
    reports,
    runs,
    steps,
    transactions,
)
from recovery_ha.db.paging import Page
from recovery_ha.domain import errors
from recovery_ha.domain.history import (
    ClusterInstance,
    HistoryFilter,
    NewTransaction,
    NodeGroup,
)
from recovery_ha.domain.ledger import (
    Counts,
    Kind,
    ReportItem,
    ReportVerdict,
    TaskStatus,
    TransactionStatus,
)

READY, ERROR = TransactionStatus.READY, TransactionStatus.ERROR


@pytest.fixture
def run(ctx):
    made, _is_new = transactions.create(
        ctx,
        NewTransaction(kind=Kind.CLUSTER, name="creating", cluster_id="c"),
    )
    return made


def told(ctx, run):
    """Return what each step of a run shows."""
    return [
        (s.step_name, s.step_type, s.completed, s.total, s.successful)
        for s in steps.list_steps(ctx, [run.id])[run.id]
    ]


def of_step(node, status, step="Waiting for ssh", **more):
    return ReportItem(node, step, TaskStatus(status), step_name=step, **more)


def tell(ctx, run, *items):
    return [a.verdict for a in reports.report(ctx, run.id, items)]


# Steps


def test_steps_are_announced_begun_and_decided(ctx, run):
    names = {"creating": ["Launching instances", "Waiting for ssh"]}
    made = steps.declare(ctx, run.id, names)
    assert [s.seq for s in made] == [1, 2]
    assert steps.find_current(ctx, run.id) is None
    first = steps.begin(ctx, run.id, "Launching instances", total=2)
    assert first.id == made[0].id
    assert (first.step_type, first.total) == ("creating", 2)
    for node in ("1", "2"):
        tell(
            ctx,
            run,
            of_step(node, "running", "Launching instances"),
            of_step(node, "ready", "Launching instances"),
        )
    done = steps.get(ctx, first.id)
    assert (done.successful, done.progress) == (True, 100)
    assert done.duration is not None
    assert transactions.get(ctx, run.id).progress == 50
    second = steps.begin(ctx, run.id, "Waiting for ssh", total=2)
    assert steps.find_current(ctx, run.id) == second
    tell(ctx, run, of_step("1", "running"), of_step("1", "error"))
    bad = steps.find_current(ctx, run.id)
    assert (bad.successful, bad.failed) == (False, 1)
    assert steps.declare(ctx, run.id, names) == [steps.get(ctx, done.id), bad]
    runs.end(ctx, run.id, ERROR)
    with pytest.raises(errors.TransactionEnded):
        steps.begin(ctx, run.id, "More")
    with pytest.raises(errors.TransactionEnded):
        steps.declare(ctx, run.id, names)


def test_a_retry_heals_a_step(ctx, run):
    step = steps.begin(ctx, run.id, "Waiting for ssh", total=1)
    tell(ctx, run, of_step("1", "running"), of_step("1", "error"))
    assert steps.get(ctx, step.id).successful is False
    tell(ctx, run, of_step("1", "running"))
    assert steps.get(ctx, step.id).successful is None
    tell(ctx, run, of_step("1", "ready"))
    healed = steps.get(ctx, step.id)
    assert (healed.successful, healed.failed, healed.completed) == (True, 0, 1)
    assert healed.total == 1
    both = history.list_page(ctx, run.id, HistoryFilter(attempts=True))
    assert [str(row.status) for row in both] == ["error", "ready"]
    assert {row.step_id for row in both} == {step.id}


def test_a_step_without_total_is_decided_by_the_next(ctx, run):
    first = steps.begin(ctx, run.id, "One")
    tell(
        ctx, run, of_step("1", "running", "One"), of_step("1", "ready", "One")
    )
    assert steps.get(ctx, first.id).successful is None
    steps.begin(ctx, run.id, "Two")
    assert steps.get(ctx, first.id).successful is True
    two = steps.begin(ctx, run.id, "Two")
    assert steps.close(ctx, two.id).successful is True
    with pytest.raises(errors.StepNotFound):
        steps.close(ctx, 999999)


def test_steps_come_with_reports_and_units_join_them(ctx):
    run, _is_new = transactions.create(
        ctx,
        NewTransaction(
            kind=Kind.DEPLOYMENT, name="deploy", graph={"1": ["One"]}
        ),
    )
    tell(ctx, run, of_step("1", "running", "One", step_type="main"))
    assert told(ctx, run) == [("One", "main", 0, 1, None)]
    assert tell(ctx, run, of_step("1", "ready", "One", step_type="x")) == [
        ReportVerdict.ILLEGAL
    ]
    tell(ctx, run, ReportItem("1", "One", TaskStatus.READY))
    assert told(ctx, run) == [("One", "main", 1, 1, None)]
    assert transactions.get(ctx, run.id).counts == Counts(ready=1)
    runs.end(ctx, run.id, READY)
    assert told(ctx, run) == [("One", "main", 1, 1, True)]


def test_a_unit_joins_a_step_within_a_batch(ctx, run):
    begun = ReportItem("1", "One", TaskStatus.RUNNING)
    tell(ctx, run, begun, of_step("1", "ready", "One"))
    (step,) = steps.list_steps(ctx, [run.id])[run.id]
    assert (step.total, step.completed) == (1, 1)


def test_the_end_decides_what_has_begun(ctx, run):
    steps.declare(ctx, run.id, {"creating": ["One", "Two", "Never"]})
    steps.begin(ctx, run.id, "One", total=2)
    tell(
        ctx, run, of_step("1", "running", "One"), of_step("1", "ready", "One")
    )
    steps.begin(ctx, run.id, "Two", total=1)
    tell(ctx, run, of_step("1", "running", "Two"))
    runs.end(ctx, run.id, ERROR)
    assert told(ctx, run) == [
        ("One", "creating", 1, 2, False),
        ("Two", "creating", 0, 1, False),
        ("Never", "creating", 0, 0, None),
    ]


def test_steps_of_several_runs_with_their_events(ctx, run):
    other, _is_new = transactions.create(
        ctx, NewTransaction(kind=Kind.CLUSTER, name="scaling")
    )
    for one in (run, other):
        for node in ("1", "2", "3"):
            tell(ctx, one, of_step(node, "running"), of_step(node, "ready"))
    found = steps.list_steps(
        ctx, [run.id, other.id], events=True, event_limit=2
    )
    for one in (run, other):
        (step,) = found[one.id]
        assert [e.instance_id for e in step.events] == ["2", "3"]
        assert {e.step_id for e in step.events} == {step.id}
    ((step,), (second,)) = found.values()
    assert (step.cluster_id, second.step_type) == ("c", "scaling")
    (one,) = events.list_step_events(
        ctx, [step.id], instance_id="1", successful=True, limit=9
    )
    assert one.task == "Waiting for ssh"
    assert not events.list_step_events(
        ctx, [step.id], successful=False, limit=9
    )
    assert (
        len(
            events.list_step_events(
                ctx, [step.id, second.id], since=one.id, limit=9
            )
        )
        == 5
    )


# Clusters


@pytest.fixture
def cluster(ctx):
    group = clusters.new_group_uuid()
    instance = ClusterInstance(
        instance_id="i-1", instance_name="one", node_group_id=group
    )
    return clusters.create(
        ctx,
        name="c",
        project_id="p",
        status="Validating",
        plugin_name="vanilla",
        extra={"default_image_id": "x"},
        node_groups=[
            NodeGroup(
                uuid=group,
                name="workers",
                count=1,
                flavor_id="2",
                node_processes=("datanode",),
                instances=(instance,),
            )
        ],
    )


def test_a_cluster_is_what_was_said(ctx, cluster):
    assert clusters.get(ctx, str(cluster.id)) == cluster
    assert clusters.get(ctx, cluster.uuid, project_id="p") == cluster
    assert clusters.list_page(ctx, Page()) == [cluster]
    assert clusters.list_page(ctx, Page(), project_id="q") == []
    assert clusters.list_page(ctx, Page(), name="c", status="x") == []
    (group,) = cluster.node_groups
    assert (group.name, group.node_processes) == ("workers", ("datanode",))
    assert group.instances[0].instance_name == "one"
    assert cluster.extra == {"default_image_id": "x"}
    with pytest.raises(errors.NameExists):
        clusters.create(ctx, name="c", project_id="p", status="x")
    with pytest.raises(errors.ClusterNotFound):
        clusters.get(ctx, cluster.uuid, project_id="q")


def test_a_cluster_changes(ctx, cluster):
    (group,) = cluster.node_groups
    more = ClusterInstance(
        instance_id="i-2", instance_name="two", node_group_id=group.uuid
    )
    clusters.add_instances(ctx, [more])
    clusters.set_group_count(ctx, group.uuid, 2)
    clusters.remove_instances(ctx, group.uuid, ["i-1"])
    (now,) = clusters.get(ctx, cluster.uuid).node_groups
    assert (now.count, now.instances) == (2, (more,))
    assert (
        clusters.set_status(
            ctx, cluster.uuid, "Active", description="Fine."
        ).status_description
        == "Fine."
    )
    with pytest.raises(errors.ClusterBusy):
        clusters.set_status(ctx, cluster.uuid, "Scaling", expected=["Error"])
    scaling = clusters.set_status(
        ctx, cluster.uuid, "Scaling", expected=["Active"]
    )
    assert scaling.status == "Scaling"


def test_a_deleted_cluster_is_hidden_and_its_name_is_free(ctx, cluster):
    run = clusters.begin_run(ctx, cluster.uuid, "deleting")
    clusters.delete(ctx, cluster.uuid)
    for use in (
        lambda: clusters.get(ctx, cluster.uuid),
        lambda: clusters.delete(ctx, cluster.uuid),
        lambda: clusters.set_status(ctx, cluster.uuid, "Active"),
        lambda: clusters.begin_run(ctx, cluster.uuid, "creating"),
    ):
        with pytest.raises(errors.ClusterNotFound):
            use()
    clusters.create(ctx, name="c", project_id="p", status="Validating")
    assert transactions.get(ctx, run.id) == run


def test_one_run_of_a_cluster_at_a_time(ctx, cluster, together):
    plan = {"creating": ["One", "Two"], "deleting": ["Three"]}
    results = together(
        *[
            lambda: clusters.begin_run(
                ctx, cluster.uuid, "creating", steps=plan
            )
        ]
        * 3
    )
    busy = [r for r in results if isinstance(r, errors.ClusterBusy)]
    (run,) = [r for r in results if r not in busy]
    assert len(busy) == 2
    assert clusters.find_run(ctx, cluster.uuid, unfinished=True) == run
    assert [name for name, *_rest in told(ctx, run)] == ["One", "Two"]
    over = runs.end(ctx, run.id, READY)
    assert clusters.find_run(ctx, cluster.uuid, unfinished=True) is None
    last = clusters.begin_run(ctx, cluster.uuid, "deleting", steps=plan)
    found = clusters.list_runs(ctx, [cluster.uuid, "none"])
    assert found == {cluster.uuid: [over, last], "none": []}


# Those who provision


ONE = ClusterInstance(
    instance_id="i-1", instance_name="one", node_group_id="g"
)
TWO = ClusterInstance(
    instance_id="i-2", instance_name="two", node_group_id="g"
)


@pytest.fixture
def inside(ctx, run):
    """Enter a run."""
    with provisioning.run(ctx, run.uuid):
        yield run


def test_outside_of_a_run_nothing_is_told(ctx, run):
    assert provisioning.add_provisioning_step("One", 1) is None
    provisioning.add_successful_event(ONE)
    assert provisioning.add_fail_event(ONE, OSError("x")) is None
    assert provisioning.event_wrapper(True)(lambda: 7)() == 7
    assert told(ctx, run) == []


def test_a_plug_in_tells_what_it_does(ctx, inside, caplog):
    step = provisioning.add_provisioning_step("Waiting for ssh", 2)
    provisioning.add_successful_event(ONE, "There.")
    provisioning.add_successful_event(ONE)
    assert told(ctx, inside) == [("Waiting for ssh", "creating", 1, 2, None)]

    def connect():
        raise OSError("No route, password=secret")

    try:
        connect()
    except OSError as exc:
        error_id = provisioning.add_fail_event(TWO, exc)
    assert told(ctx, inside) == [("Waiting for ssh", "creating", 1, 2, False)]
    fine, bad = events.list_step_events(ctx, [step], limit=9)
    assert (fine.instance_name, fine.text) == ("one", "There.")
    assert (fine.node_group_id, fine.successful) == ("g", True)
    assert bad.text.startswith("No route, ")
    assert bad.text.endswith(f"Error ID: {error_id}")
    assert "in test_a_plug_in_tells" in bad.traceback
    assert "secret" not in f"{bad.text}{bad.traceback}"
    assert error_id in caplog.text
    provisioning.add_successful_event(TWO)
    assert told(ctx, inside) == [("Waiting for ssh", "creating", 2, 2, True)]
    rows = history.list_page(ctx, inside.id, HistoryFilter(attempts=True))
    assert [(r.node_id, r.attempt, str(r.status)) for r in rows] == [
        ("i-1", 1, "ready"),
        ("i-2", 1, "error"),
        ("i-2", 2, "ready"),
    ]


def test_without_the_event_log_the_history_is_kept(ctx, run):
    with provisioning.run(ctx, run.uuid, events=False):
        provisioning.add_provisioning_step("One", 1)
        provisioning.add_successful_event(ONE)
    assert told(ctx, run) == [("One", "creating", 1, 1, True)]
    assert events.list_events(ctx, run.uuid, 0, 9) == []


def test_another_process_goes_on_with_the_same_step(ctx, run):
    with provisioning.run(ctx, run.uuid):
        provisioning.add_provisioning_step("One", 2)
        provisioning.add_successful_event(ONE)
    with provisioning.run(ctx, run.uuid):
        provisioning.add_successful_event(TWO)
    assert told(ctx, run) == [("One", "creating", 2, 2, True)]


def test_threads_with_a_copied_context_tell_too(ctx, inside):
    provisioning.add_provisioning_step("One", 8)

    def work(number):
        one = ClusterInstance(
            instance_id=f"i-{number}", instance_name="x", node_group_id="g"
        )
        provisioning.add_successful_event(one)

    threads = [
        threading.Thread(
            target=contextvars.copy_context().run, args=(work, number)
        )
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert told(ctx, inside) == [("One", "creating", 8, 8, True)]


class Owner:
    def __init__(self, instance):
        self.instance = instance

    def get_event_info(self):
        return self.instance


@pytest.mark.parametrize(
    ("args", "kwargs", "param", "expected"),
    [
        ((ONE,), {}, None, "i-1"),
        ((7, "x", TWO), {}, None, "i-2"),
        ((), {"one": TWO}, None, "i-2"),
        ((ONE, TWO), {}, ("second", 1), "i-2"),
        ((ONE,), {"second": TWO}, ("second", 1), "i-2"),
        ((ONE,), {}, ("second", 1), "cluster"),
        ((Owner(TWO),), {}, None, "i-2"),
        ((Owner(None),), {}, None, "cluster"),
        ((7,), {}, None, "cluster"),
    ],
)
def test_what_a_call_is_about(ctx, inside, args, kwargs, param, expected):
    @provisioning.event_wrapper(True, param=param)
    def work(*_args, **_kwargs):
        return "done"

    provisioning.add_provisioning_step("One", 1)
    assert work(*args, **kwargs) == "done"
    (row,) = history.list_page(ctx, inside.id, HistoryFilter())
    assert (row.node_id, row.status) == (expected, TaskStatus.READY)


def test_a_call_that_names_nothing_is_about_what_was_said(ctx, inside):
    provisioning.add_provisioning_step("One", 1)
    with provisioning.about(ONE):
        provisioning.event_wrapper(True)(lambda: None)()
    (row,) = history.list_page(ctx, inside.id, HistoryFilter())
    assert row.node_id == "i-1"


def test_an_error_is_told_and_goes_on(ctx, inside, caplog):
    seen = []

    @provisioning.event_wrapper(True)
    def outer(instance):
        inner(instance)

    @provisioning.event_wrapper(True, step="Inner")
    def inner(_instance):
        seen.append(told(ctx, inside))
        raise ValueError("Bad.")

    provisioning.add_provisioning_step("Outer", 1)
    with (
        caplog.at_level(logging.ERROR, provisioning.__name__),
        pytest.raises(ValueError, match=r"Bad\."),
    ):
        outer(ONE)
    assert seen[0][-1] == ("Inner", "creating", 0, 1, None)
    assert told(ctx, inside) == [
        ("Outer", "creating", 0, 1, False),
        ("Inner", "creating", 0, 1, False),
    ]
    ids = {e.error_id for e in events.list_events(ctx, inside.uuid, 0, 9)}
    assert len(ids) == len(caplog.records) == 1


def test_a_step_of_one_call(ctx, inside):
    @provisioning.event_wrapper(True, step="Create stack")
    def work():
        return 1

    assert work() == 1
    assert told(ctx, inside) == [("Create stack", "creating", 1, 1, True)]


def test_not_marked_is_left_running(ctx, inside):
    provisioning.add_provisioning_step("One", 1)
    provisioning.event_wrapper(False)(lambda _instance: None)(ONE)
    (row,) = history.list_page(ctx, inside.id, HistoryFilter())
    assert row.status is TaskStatus.RUNNING


def test_a_failure_is_never_hidden_by_another_one(ctx, inside, caplog):
    @provisioning.event_wrapper(True)
    def work(_instance):
        runs.end(ctx, inside.id, ERROR)
        raise ValueError("Bad.")

    provisioning.add_provisioning_step("One", 1)
    with pytest.raises(ValueError, match=r"Bad\."):
        work(ONE)
    assert "could not be written down" in caplog.text
