"""The example plug-in of the documentation, installed and run by engines."""

import pytest
import sqlalchemy as sa

from recovery_ha.db import models
from recovery_ha.db.ledger import clusters, steps, transactions
from recovery_ha.domain.ledger import Outcome, TransactionStatus
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.waiting import eventually

CONFIGURE = "recovery_ha_folders.folders:Folders.configure"
LAUNCH = "recovery_ha_folders.folders:Folders.launch"
CREATING = [
    "Launching instances",
    "Waiting for ssh",
    "Configuring instances",
]
every_backend = pytest.mark.parametrize("backend", BACKENDS)


def told(found):
    """Return what steps say of themselves."""
    return [
        (one["step_type"], one["step_name"], one["completed"], one["total"])
        for one in found
    ]


def runs(site, cluster):
    return clusters.list_runs(site.ctx, [cluster])[cluster]


@every_backend
def test_a_thousand_instances_come_are_more_and_go(site, user, folders):
    site.engine_here()
    cluster = user.create(1000)

    found = user.reaches(cluster, "Active", 100)
    assert told(found["provision_progress"]) == [
        ("creating", name, 1000, 1000) for name in CREATING
    ]
    assert {one["successful"] for one in found["provision_progress"]} == {True}
    (group,) = found["node_groups"]
    assert len(group["instances"]) == group["count"] == 1000
    assert len(list((folders / cluster).glob("*/configured"))) == 1000
    for step in user.steps(cluster, "?show_progress=true"):
        assert len(step["events"]) == 1000
        assert {event["successful"] for event in step["events"]} == {True}
        names = [event["instance_name"] for event in step["events"]]
        assert names[::999] == ["one-worker-001", "one-worker-1000"]
        assert {e["node_group_id"] for e in step["events"]} == {group["id"]}

    user.scale(cluster, 900)
    user.reaches(cluster, "Active", 100)
    user.scale(cluster, 950)
    found = user.reaches(cluster, "Active", 100)
    assert told(found["provisioning_progress"][3:]) == [
        ("scaling", "Removing instances", 100, 100),
        *(("scaling", name, 0, 0) for name in CREATING),
        ("scaling", "Removing instances", 0, 0),
        *(("scaling", name, 50, 50) for name in CREATING),
    ]
    assert {s["successful"] for s in found["provision_progress"]} == {True}
    assert len(found["node_groups"][0]["instances"]) == 950

    user.delete(cluster)
    user.is_gone(cluster)
    assert list(folders.iterdir()) == []
    assert [run.name for run in runs(site, cluster)] == [
        "creating",
        "scaling",
        "scaling",
        "deleting",
    ]
    assert {r.status for r in runs(site, cluster)} == {TransactionStatus.READY}
    last = runs(site, cluster)[-1].id
    (step,) = steps.list_steps(site.ctx, [last])[last]
    assert (step.step_name, step.completed) == ("Removing instances", 950)


def test_steps_are_known_before_they_begin(site, user, folders):
    broken = folders / "broken"
    broken.mkdir(parents=True)
    (broken / "one-worker-002").touch()
    site.engine_here()
    cluster = user.create(3)

    def find():
        return [s for s in user.steps(cluster) if s["successful"] is False]

    eventually(find, "a step has failed")
    (_launched, ssh, configured) = user.steps(cluster)
    assert ssh["failed"] == 1
    assert configured["step_name"] == "Configuring instances"
    assert configured["started_at"] is None
    (broken / "one-worker-002").unlink()
    user.reaches(cluster, "Active")


def test_an_attempt_that_succeeds_heals_the_step(site, user, folders):
    broken = folders / "broken"
    broken.mkdir(parents=True)
    (broken / "one-worker-002").touch()
    site.engine_here()
    cluster = user.create(3)

    def failed():
        path = f"/clusters/{cluster}/progress?successful=false"
        return user.api.get(path).json["events"]

    (event, *_) = eventually(failed, "an event of a failure")
    assert event["instance_name"] == "one-worker-002"
    assert event["event_info"].startswith(
        "one-worker-002 refuses the connection.\n"
        f"Error ID: {event['error_id']}\nTraceback"
    )
    (broken / "one-worker-002").unlink()

    found = user.reaches(cluster, "Active")
    assert told(found["provision_progress"])[1] == (
        *("creating", "Waiting for ssh"),
        *(3, 3),
    )
    step = found["provision_progress"][1]
    assert (step["successful"], step["failed"]) == (True, 0)
    shown = user.steps(cluster, "?show_progress=true")[1]["events"]
    mine = [e for e in shown if e["instance_name"] == "one-worker-002"]
    assert mine[0]["successful"] is False
    assert mine[-1]["successful"] is True


def test_a_run_that_fails_says_why(site, user, folders):
    broken = folders / "broken"
    broken.mkdir(parents=True)
    (broken / "one-worker-002").touch()
    site.engine_here()
    cluster = user.create(3)

    found = user.reaches(cluster, "Error")
    assert found["status_description"].startswith(
        "one-worker-002 refuses the connection.\nError ID: "
    )
    (run,) = runs(site, cluster)
    assert run.status is TransactionStatus.ERROR
    assert run.message == found["status_description"]
    ssh = found["provision_progress"][1]
    assert (ssh["successful"], ssh["completed"], ssh["failed"]) == (
        *(False, 2),
        1,
    )
    # and it can still be deleted
    user.delete(cluster)
    user.is_gone(cluster)


@pytest.mark.processes
@every_backend
@pytest.mark.parametrize("target", [LAUNCH, CONFIGURE])
def test_killed_in_the_middle_another_engine_goes_on(
    site, user, folders, target
):
    crash = ("KILL", "after", target, "150")
    dying = site.engine("dying", crash=crash).wait_ready()
    cluster = user.create(250)
    dying.wait_ended()
    assert user.show(cluster)["status"] != "Active"
    site.engine("other").wait_ready()

    found = user.reaches(cluster, "Active")
    assert told(found["provision_progress"]) == [
        ("creating", name, 250, 250) for name in CREATING
    ]
    assert {s["successful"] for s in found["provision_progress"]} == {True}
    (group,) = found["node_groups"]
    names = [one["instance_name"] for one in group["instances"]]
    assert len(names) == len(set(names)) == 250
    for step in user.steps(cluster, "?show_progress=true"):
        assert len(step["events"]) == 250
    (run,) = runs(site, cluster)
    assert run.status is TransactionStatus.READY
    assert _column(site, models.Cluster.attempts) == 2


def test_an_engine_that_stops_hands_over(site, user, folders):
    broken = folders / "broken"
    broken.mkdir(parents=True)
    (broken / "one-worker-001").touch()
    first = site.engine_here("first")
    cluster = user.create(1)
    eventually(
        lambda: any(s["failed"] for s in user.steps(cluster)), "it waits"
    )
    first.stop()
    (broken / "one-worker-001").unlink()
    site.engine_here("second")

    user.reaches(cluster, "Active")
    assert len(runs(site, cluster)) == 1


def test_a_deletion_breaks_off_what_is_done(site, user, folders):
    broken = folders / "broken"
    broken.mkdir(parents=True)
    (broken / "one-worker-001").touch()
    _wait_long(site, folders)
    site.engine_here()
    cluster = user.create(2)
    eventually(
        lambda: any(s["failed"] for s in user.steps(cluster)), "it waits"
    )

    user.delete(cluster)
    user.delete(cluster)  # harmless
    user.is_gone(cluster)

    created, deleted = runs(site, cluster)
    assert created.status is TransactionStatus.ERROR
    assert created.outcome is Outcome.ABORTED
    assert (deleted.name, deleted.status) == (
        "deleting",
        TransactionStatus.READY,
    )
    assert not (folders / cluster).exists()


def _wait_long(site, folders):
    """Have the plug-in wait for minutes between its attempts."""
    path = site.directory / "recovery-ha-custom-recovery-methods.conf"
    path.write_text(
        f"[recovery_ha_folders]\npath = {folders}\nretry_seconds = 600\n"
    )


def test_nobody_is_there_yet(site, user, folders):
    cluster = user.create(2)
    assert user.show(cluster)["status"] == "Validating"
    (run,) = runs(site, cluster)
    assert run.status is TransactionStatus.PENDING
    # its plug-in will set its status and begin its steps
    answer = user.api.put(f"/clusters/{cluster}", {"status": "Active"})
    assert (answer.status, answer.fault["error"]) == (
        409,
        "recovery_ha.cluster.busy",
    )
    # deleted before anybody began
    user.delete(cluster)
    site.engine_here()
    user.is_gone(cluster)


def test_a_run_that_breaks_off_again_and_again_is_given_up(
    site, user, folders
):
    cluster = user.create(2)
    site.change(models.Cluster, attempts=10)
    site.engine_here()
    found = user.reaches(cluster, "Error")
    assert found["status_description"] == ("Given up: it broke off 10 times.")


def test_without_the_event_log_the_history_is_complete(site, user, folders):
    site.engine_here(disable_event_log=True)
    cluster = user.create(3)
    user.reaches(cluster, "Active")

    for step in user.steps(cluster, "?show_progress=true"):
        assert step["events"] == []
        assert (step["completed"], step["successful"]) == (3, True)
    (run,) = runs(site, cluster)
    assert transactions.get(site.ctx, run.id).counts.ready == 9
    assert _count(site, models.Event) == 0
    assert _count(site, models.DeploymentHistory) == 9


def test_events_are_dropped_by_and_by(site, user, folders):
    site.engine_here(event_retention_hours=0, event_cleanup_interval=1)
    cluster = user.create(3)
    user.reaches(cluster, "Active")
    eventually(lambda: _count(site, models.Event) == 0, "they are dropped")
    assert _count(site, models.DeploymentHistory) == 9


def _count(site, table):
    return site.scalar(sa.select(sa.func.count()).select_from(table))


def _column(site, column):
    return site.scalar(sa.select(column))
