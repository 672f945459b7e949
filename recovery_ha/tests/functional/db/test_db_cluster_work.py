"""Clusters as work: who owns one, and what a stale owner can do."""

import pytest
import sqlalchemy as sa

from recovery_ha import provisioning
from recovery_ha.db import cluster_runs, cluster_work, models, work
from recovery_ha.db.ledger import clusters, runs, steps
from recovery_ha.db.session import connection, reader
from recovery_ha.db.step_events import drop_step_events
from recovery_ha.domain import errors
from recovery_ha.domain.history import ClusterInstance, NodeGroup
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.ledger import TransactionStatus
from recovery_ha.domain.provisioning import ClusterStatus

KIND = WorkKind.CLUSTER
PLUGINS = ("folders",)


def claim(ctx, owner="alpha", seconds=60.0, plugins=PLUGINS):
    return work.claim_next(ctx, KIND, owner, seconds, plugins=plugins)


@pytest.fixture
def cluster(ctx):
    """A managed cluster whose creation nobody has begun."""
    group = NodeGroup(
        uuid=clusters.new_group_uuid(),
        name="worker",
        count=2,
        flavor_id=None,
        node_processes=(),
    )
    return cluster_runs.create(
        ctx,
        managed=True,
        name="one",
        project_id="p",
        plugin_name="folders",
        node_groups=[group],
    )


@pytest.fixture
def instance(cluster):
    return ClusterInstance(
        instance_id="i-1",
        instance_name="vm-1",
        node_group_id=cluster.node_groups[0].uuid,
    )


def run_of(ctx, cluster):
    return clusters.find_run(ctx, cluster.uuid)


def expire(database):
    with database.engine.begin() as conn:
        conn.execute(sa.update(models.Cluster).values(lease_expires_at=1.0))


@reader
def count(ctx, table):
    return connection(ctx).scalar(
        sa.select(sa.func.count()).select_from(table)
    )


def test_only_engines_with_the_plug_in_claim_it(ctx, cluster):
    assert claim(ctx, plugins=()) is None
    assert claim(ctx, plugins=("other",)) is None
    found = claim(ctx)
    assert (found.uuid, found.kind, found.epoch) == (cluster.uuid, KIND, 1)
    assert not found.taken_over
    assert claim(ctx, "beta") is None
    assert clusters.get(ctx, cluster.uuid).status == "Validating"


def test_one_that_nobody_manages_is_no_work(ctx):
    cluster_runs.create(
        ctx, managed=False, name="one", project_id="p", plugin_name="folders"
    )
    assert claim(ctx) is None


def test_a_stale_owner_writes_nothing(ctx, database, cluster, instance):
    stale = claim(ctx)
    run = run_of(ctx, cluster)
    cluster_work.begin(ctx, stale, run, {}, ClusterStatus.SPAWNING)
    expire(database)
    assert claim(ctx, "beta").taken_over

    with provisioning.run(ctx, run.uuid, claim=stale):
        for write in (
            lambda: provisioning.add_provisioning_step("One", 1),
            lambda: provisioning.add_successful_event(instance),
            lambda: provisioning.add_successful_events([instance]),
            lambda: provisioning.add_fail_event(instance, OSError("x")),
            lambda: cluster_work.set_status(ctx, stale, "Mine", None),
            lambda: cluster_work.add_instances(ctx, stale, [instance]),
            lambda: cluster_work.remove_instances(
                *(ctx, stale, instance.node_group_id),
                ["i-1"],
            ),
            lambda: cluster_work.finish(ctx, stale, run),
            lambda: cluster_work.fail(ctx, stale, run, "No."),
            lambda: cluster_work.turn_to_deletion(ctx, stale, run),
            lambda: cluster_work.put_back(ctx, stale, wake_in=0, counted=True),
        ):
            with pytest.raises(errors.LeaseLost):
                write()
    found = clusters.get(ctx, cluster.uuid)
    assert (found.status, found.node_groups[0].instances) == ("Spawning", ())
    assert run_of(ctx, cluster).status is TransactionStatus.RUNNING
    assert steps.list_steps(ctx, [run.id]) == {run.id: []}
    assert count(ctx, models.Event) == 0


def test_who_takes_over_goes_on_with_the_same_step(
    ctx, database, cluster, instance
):
    first, run = claim(ctx), run_of(ctx, cluster)
    with provisioning.run(ctx, run.uuid, claim=first):
        provisioning.add_provisioning_step("One", 1)
    expire(database)
    second = claim(ctx, "beta")
    with provisioning.run(ctx, run.uuid, claim=second):
        provisioning.add_provisioning_step("One", 1)
        provisioning.add_successful_event(instance)
        provisioning.add_successful_events([instance])  # once more
    (step,) = steps.list_steps(ctx, [run.id], events=True)[run.id]
    assert (step.completed, step.total, step.successful) == (1, 1, True)
    assert len(step.events) == 1


@pytest.mark.parametrize(
    "interruption",
    [
        errors.EngineStopping("x"),
        errors.LeaseLost("x"),
        errors.RecoveryInterrupted("delete"),
    ],
)
def test_an_interruption_is_no_failure(ctx, cluster, instance, interruption):
    owned, run = claim(ctx), run_of(ctx, cluster)

    @provisioning.event_wrapper(True)
    def work_on(instance):
        if interruption is not None:
            raise interruption

    with provisioning.run(ctx, run.uuid, claim=owned):
        provisioning.add_provisioning_step("One", 1)
        with pytest.raises(type(interruption)):
            work_on(instance)
        (step,) = steps.list_steps(ctx, [run.id], events=True)[run.id]
        assert (step.successful, step.failed, step.events) == (None, 0, ())
        interruption = None
        work_on(instance)
    (step,) = steps.list_steps(ctx, [run.id])[run.id]
    assert step.successful is True


def test_instances_are_added_once(ctx, cluster, instance):
    owned = claim(ctx)
    for _again in range(2):
        cluster_work.add_instances(ctx, owned, [instance])
    (group,) = clusters.get(ctx, cluster.uuid).node_groups
    assert group.instances == (instance,)


def test_an_owner_finds_that_it_is_to_be_deleted(ctx, cluster):
    owned = claim(ctx)
    cluster_runs.delete(ctx, cluster.uuid, managed=True)
    asked = work.renew(ctx, KIND, "alpha", 60.0, [(owned.uuid, owned.epoch)])
    assert list(asked.values()) == ["delete"]
    found = cluster_work.get(ctx, cluster.uuid)
    assert found.run.name == "creating"
    cluster_work.turn_to_deletion(ctx, owned, found.run)
    found = cluster_work.get(ctx, cluster.uuid)
    assert (found.run.name, found.requested_action) == ("deleting", None)
    again = claim(ctx)
    cluster_work.finish(ctx, again, found.run)
    with pytest.raises(errors.ClusterNotFound):
        clusters.get(ctx, cluster.uuid)
    assert claim(ctx) is None


@pytest.mark.parametrize("failed", [False, True])
def test_a_deletion_that_the_owner_did_not_see_is_begun(ctx, cluster, failed):
    owned, run = claim(ctx), run_of(ctx, cluster)
    cluster_runs.delete(ctx, cluster.uuid, managed=True)
    if failed:
        cluster_work.fail(ctx, owned, run, "No.")
    else:
        cluster_work.finish(ctx, owned, run)
    first, second = clusters.list_runs(ctx, [cluster.uuid])[cluster.uuid]
    ends = {False: TransactionStatus.READY, True: TransactionStatus.ERROR}
    assert (first.name, first.status) == ("creating", ends[failed])
    assert (second.name, second.status) == (
        "deleting",
        TransactionStatus.PENDING,
    )
    assert clusters.get(ctx, cluster.uuid).status == "Deleting"
    assert claim(ctx).epoch == 2


# Dropping events


@pytest.fixture
def told(ctx, cluster):
    """A run with a step that succeeded and one that failed."""
    run = run_of(ctx, cluster)
    group = cluster.node_groups[0].uuid
    some = [
        ClusterInstance(
            instance_id=f"i-{n}", instance_name=f"vm-{n}", node_group_id=group
        )
        for n in range(5)
    ]
    with provisioning.run(ctx, run.uuid):
        provisioning.add_provisioning_step("Good", 5)
        provisioning.add_successful_events(some)
        provisioning.add_provisioning_step("Bad", 5)
        provisioning.add_successful_events(some[1:])
        provisioning.add_fail_event(some[0], OSError("x"))
    return run


def left(ctx, run):
    found = steps.list_steps(ctx, [run.id], events=True)[run.id]
    return [len(step.events) for step in found]


def test_events_of_running_work_stay(ctx, told):
    assert drop_step_events(ctx, hours=-1, most=1) == 0
    assert left(ctx, told) == [5, 5]


def test_events_of_steps_that_succeeded_go(ctx, told):
    runs.end(ctx, told.id, TransactionStatus.ERROR)
    assert drop_step_events(ctx, hours=1, most=100) == 0
    assert drop_step_events(ctx, hours=-1, most=100) == 5
    assert left(ctx, told) == [0, 5]
    assert drop_step_events(ctx, hours=-1, most=100) == 0
    assert count(ctx, models.DeploymentHistory) == 10


def test_no_step_keeps_too_many(ctx, told):
    runs.end(ctx, told.id, TransactionStatus.ERROR)
    assert drop_step_events(ctx, hours=1, most=2) == 6
    (good, bad) = steps.list_steps(ctx, [told.id], events=True)[told.id]
    assert len(good.events) == len(bad.events) == 2
    assert bad.events[-1].successful is False  # the latest
