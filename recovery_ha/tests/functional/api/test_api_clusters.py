"""Clusters whose runs are told over REST, in Sahara's form."""

from datetime import datetime

import pytest
import sqlalchemy as sa

from recovery_ha.db import models
from recovery_ha.tests.fixtures.clusters import Reporter

#: The fields that the spec names; and those of the shipped service.
STEP = {
    *("id", "cluster_id", "step_name", "step_type", "completed", "total"),
    *("successful", "started_at", "completed_at", "created_at"),
    *("updated_at", "tenant_id"),
}
EVENT = {
    *("node_group_id", "instance_id", "instance_name", "event_info"),
    *("successful", "provision_step_id", "provisioning_step_id", "id"),
    *("created_at", "updated_at", "cluster_id", "step_id"),
}


@pytest.fixture
def reporter(api, database):
    return Reporter(api, database)


def test_the_spec_s_answers(reporter):
    cluster = reporter.create()
    launching = reporter.begin(
        cluster, "Launching instances", "creating", 1000
    )
    reporter.tell(launching, range(1000))
    ssh = reporter.begin(cluster, "Waiting for ssh", total=1000)
    reporter.status(cluster, "Waiting")
    reporter.tell(ssh, range(59))
    start = datetime(2013, 10, 9, 12, 37, 19, 295701)
    reporter.set(
        models.Step,
        models.Step.id == int(launching["id"]),
        created_at=start,
        started_at=start,
        completed_at=start.replace(minute=47),
        duration=600.0,
    )

    found = reporter.show(cluster)

    assert found["status"] == "Waiting"
    assert found["provisioning_progress"] == found["provision_progress"]
    first, second = found["provisioning_progress"]
    assert set(first) >= STEP
    assert "events" not in first
    assert first | {"updated_at": None} == {
        "id": launching["id"],
        "cluster_id": cluster["id"],
        "tenant_id": None,
        "project_id": None,
        "step_name": "Launching instances",
        "step_type": "creating",
        "completed": 1000,
        "failed": 0,
        "total": 1000,
        "successful": True,
        "progress": 100,
        "created_at": "2013-10-09T12:37:19.295701",
        "started_at": "2013-10-09T12:37:19.295701",
        "completed_at": "2013-10-09T12:47:19.295701",
        "updated_at": None,
        "duration": 600.0,
        "info": "Launching instances completed 1000 out of 1000 in 10 minutes",
    }
    assert (second["completed"], second["total"]) == (59, 1000)
    assert second["successful"] is None
    assert second["completed_at"] is second["duration"] is None
    assert second["info"] == "Waiting for ssh completed: 59 out of 1000"


def test_the_spec_s_answers_after_a_failure(reporter):
    cluster = reporter.create()
    group = cluster["node_groups"][1]["id"]
    ssh = reporter.begin(cluster, "Waiting for ssh", "creating", 1000)
    reporter.tell(ssh, range(59), node_group_id=group)
    why = "Trying to access failed: reason in sahara logs by id ss678www"
    reporter.tell(
        *(ssh, [59]),
        successful=False,
        event_info=why,
        error_id="ss678www",
        node_group_id=group,
    )

    (step,) = reporter.show(cluster, "?show_progress=true")[
        "provisioning_progress"
    ]
    assert (step["successful"], step["completed"]) == (False, 59)
    assert step["completed_at"] is None
    assert step["info"] == "Waiting for ssh completed: 59 out of 1000"
    assert len(step["events"]) == 60

    said = reporter.progress(cluster)
    assert said == step["events"]
    assert set(said[0]) >= EVENT
    assert {**said[-1], "id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "cluster_id": cluster["id"],
        "step_id": ssh["id"],
        "provision_step_id": ssh["id"],
        "provisioning_step_id": ssh["id"],
        "node_group_id": group,
        "instance_id": "id-59",
        "instance_name": "cluster-datanode-059",
        "successful": False,
        "event_info": f"{why}\nError ID: ss678www",
        "error_id": "ss678www",
        "created_at": "",
        "updated_at": "",
    }
    assert said[0]["successful"] is True
    assert said[0]["event_info"] is None
    assert said[0]["created_at"] <= said[-1]["created_at"]


def test_created_scaled_and_deleted_by_rest_alone(reporter):
    cluster = reporter.create()
    step = reporter.begin(cluster, "Launching instances", "creating", 1000)
    reporter.tell(step, range(1000))
    assert reporter.status(cluster, "Active")["status"] == "Active"

    path = f"/clusters/{cluster['id']}"
    resized = {"resize_node_groups": [{"name": "datanode", "count": 1200}]}
    more = {"add_node_groups": [{"name": "edge", "count": 2}]}
    answer = reporter.api.put(path, resized | more)
    assert answer.status == 202
    scaled = answer.json["cluster"]
    assert scaled["status"] == "Scaling"
    counts = [(one["name"], one["count"]) for one in scaled["node_groups"]]
    assert counts == [("namenode", 1), ("datanode", 1200), ("edge", 2)]
    step = reporter.begin(cluster, "Launching instances", "scaling", 202)
    reporter.tell(step, range(1000, 1202))
    reporter.status(cluster, "Active")

    step = reporter.begin(cluster, "Removing instances", "deleting", 1202)
    assert reporter.show(cluster)["status"] == "Deleting"
    reporter.tell(step, range(1202))
    with_events = reporter.show(cluster, "?show_progress=TRUE")
    told = [
        (one["step_type"], one["completed"], len(one["events"]))
        for one in with_events["provision_progress"]
    ]
    assert told == [
        ("creating", 1000, 1000),
        ("scaling", 202, 202),
        ("deleting", 1202, 1202),
    ]
    assert reporter.api.delete(path).status == 204
    assert reporter.api.get(path).status == 404
    assert reporter.api.get(f"{path}/progress").status == 404
    assert reporter.api.delete(path).status == 404
    assert reporter.runs(cluster) == [
        ("creating", "ready", None),
        ("scaling", "ready", None),
        ("deleting", "ready", None),
    ]
    # its name is free again
    assert reporter.create()["id"] != cluster["id"]


def test_a_retry_heals_a_step_and_the_same_report_counts_once(reporter):
    cluster = reporter.create()
    step = reporter.begin(cluster, "Mount volumes", "creating", 3)
    reporter.tell(step, [1, 2])
    failed = reporter.tell(step, [3], successful=False, event_info="Busy.")
    assert (failed["successful"], failed["failed"]) == (False, 1)
    for _again in range(2):
        healed = reporter.tell(step, [1, 2, 3])
        assert (healed["successful"], healed["completed"]) == (True, 3)
        assert healed["failed"] == 0
    said = reporter.progress(cluster, f"?provision_step={step['id']}")
    assert [event["successful"] for event in said] == [
        *(True, True, False),
        True,
    ]
    # there is no current step any more
    assert reporter.progress(cluster) == []


def test_a_step_keeps_its_end(reporter):
    cluster = reporter.create()
    step = reporter.begin(cluster, "One", "creating", 1)
    done = reporter.tell(step, [1])
    assert done["completed_at"] is not None
    reporter.begin(cluster, "Two", total=1)
    reporter.status(cluster, "Active")
    one, _two = reporter.show(cluster)["provision_progress"]
    kept = ("started_at", "completed_at", "duration", "info")
    assert [one[key] for key in kept] == [done[key] for key in kept]


def test_remarks_on_what_has_begun(reporter):
    cluster = reporter.create()
    step = reporter.begin(cluster, "Launching instances", "creating", 1)
    after = reporter.tell(step, [1], successful=None, event_info="Booting.")
    assert (after["completed"], after["successful"]) == (0, None)
    (event,) = reporter.progress(cluster)
    assert (event["event_info"], event["successful"]) == ("Booting.", None)
    assert reporter.tell(step, [1])["successful"] is True


def test_an_event_of_the_cluster_itself(reporter):
    cluster = reporter.create()
    step = reporter.begin(cluster, "Create Heat stack", "creating", 1)
    path = f"/clusters/{cluster['id']}/steps/{step['id']}/events"
    answer = reporter.api.post(path, {"event": {"successful": True}})
    assert answer.json["step"]["successful"] is True
    (event,) = reporter.progress(cluster, f"?provision_step={step['id']}")
    assert event["instance_name"] is None


def test_names_of_steps_given_in_advance(reporter):
    plan = {"creating": ["One", "Two"], "deleting": ["Three"]}
    cluster = reporter.create(provisioning_steps=plan)
    assert cluster["provisioning_steps"] == plan
    reporter.begin(cluster, "One", "creating", 1)
    one, two = reporter.show(cluster)["provision_progress"]
    assert (one["step_name"], one["total"]) == ("One", 1)
    assert (two["step_name"], two["started_at"]) == ("Two", None)


def test_the_filters_of_progress(reporter):
    cluster = reporter.create()
    step = reporter.begin(cluster, "Waiting for ssh", "creating", 10)
    reporter.tell(step, range(4))
    reporter.tell(step, [4], successful=False, event_info="No.")

    def names(query):
        found = reporter.progress(cluster, query)
        return [event["instance_id"] for event in found]

    assert names("?successful=true") == ["id-0", "id-1", "id-2", "id-3"]
    assert names("?successful=False") == ["id-4"]
    assert names("?instance_id=id-2") == ["id-2"]
    assert names("?instance_id=id-2&successful=false") == []
    answer = reporter.api.get(f"/clusters/{cluster['id']}/progress?limit=3")
    (link,) = answer.json["events_links"]
    assert link["rel"] == "next"
    _, _, query = link["href"].partition("/progress")
    rest = reporter.api.get(f"/clusters/{cluster['id']}/progress{query}")
    assert [e["instance_id"] for e in rest.json["events"]] == ["id-3", "id-4"]
    assert rest.json["events_links"] == []


def test_the_current_step(reporter):
    cluster = reporter.create()
    assert reporter.progress(cluster) == []
    first = reporter.begin(cluster, "One", "creating", 1)
    reporter.tell(first, [1], successful=False, event_info="No.")
    (event,) = reporter.progress(cluster)
    assert event["step_id"] == first["id"]
    second = reporter.begin(cluster, "Two", total=2)
    reporter.tell(second, [1])
    (event,) = reporter.progress(cluster)
    assert event["step_id"] == second["id"]
    reporter.tell(second, [2])
    # nothing is undecided: the newest that failed
    (event,) = reporter.progress(cluster)
    assert event["step_id"] == first["id"]


def test_times_in_seconds(reporter):
    cluster = reporter.create()
    step = reporter.begin(cluster, "One", "creating", 1)
    reporter.tell(step, [1])
    start = datetime(2013, 10, 9, 12, 37, 19, 295701)
    reporter.set(models.Step, sa.true(), started_at=start)
    query = "?time_format=epoch&show_progress=true"
    found = reporter.show(cluster, query)
    (step,) = found["provision_progress"]
    assert step["started_at"] == 1381322239
    times = [found["created_at"], step["completed_at"], step["created_at"]]
    times.append(step["events"][0]["created_at"])
    assert {type(time) for time in times} == {int}
    answer = reporter.api.get("/clusters?time_format=epoch")
    assert type(answer.json["clusters"][0]["created_at"]) is int
    answer = reporter.api.get("/clusters?time_format=roman")
    assert answer.status == 400


def test_one_run_at_a_time(reporter):
    cluster = reporter.create()
    path = f"/clusters/{cluster['id']}"
    answer = reporter.api.post(f"{path}/steps", {"step_name": "One"})
    assert answer.status == 400
    assert "creating, scaling, deleting" in answer.fault["message"]
    reporter.begin(cluster, "One", "creating")
    for method, to, body in (
        ("POST", "/steps", {"step_name": "Two", "step_type": "scaling"}),
        ("PUT", "", {"resize_node_groups": [{"name": "edge", "count": 1}]}),
        ("PUT", "", {"add_node_groups": [{"name": "edge", "count": 1}]}),
    ):
        answer = reporter.api(method, path + to, body)
        assert answer.status == (400 if "resize" in str(body) else 409), body
    # and nothing of what was refused is there
    assert len(reporter.show(cluster)["node_groups"]) == 2


def test_an_ended_run_takes_no_events(reporter):
    cluster = reporter.create()
    step = reporter.begin(cluster, "One", "creating", 2)
    reporter.tell(step, [1])
    found = reporter.status(cluster, "Error", status_description="Broken.")
    assert found["status_description"] == "Broken."
    (step,) = found["provision_progress"]
    assert (step["successful"], step["completed"]) == (False, 1)
    path = f"/clusters/{cluster['id']}/steps/{step['id']}/events"
    answer = reporter.api.post(path, {"event": {"successful": True}})
    assert (answer.status, answer.fault["error"]) == (
        409,
        "recovery_ha.transaction.ended",
    )
    assert reporter.runs(cluster) == [("creating", "error", None)]


def test_a_deletion_aborts_what_is_done(reporter):
    cluster = reporter.create()
    reporter.begin(cluster, "One", "creating", 2)
    path = f"/clusters/{cluster['id']}"
    assert reporter.api.delete(path).status == 204
    assert reporter.runs(cluster) == [("creating", "error", "aborted")]


def test_a_page_costs_the_same_with_many_rows(reporter, statements):
    costs = set()
    for number in range(4):
        cluster = reporter.create(name=f"c-{number}")
        step = reporter.begin(cluster, "One", "creating", 9)
        reporter.tell(step, range(number + 1))
        pages = []
        for path in (
            "/clusters",
            f"/clusters/{cluster['id']}",
            f"/clusters/{cluster['id']}?show_progress=true",
            f"/clusters/{cluster['id']}/progress",
            f"/clusters/{cluster['id']}/progress?provision_step={step['id']}",
        ):
            with statements() as seen:
                assert reporter.api.get(path).status == 200
            pages.append(sum("SELECT" in one for one in seen))
        costs.add(tuple(pages))
    assert costs == {(5, 5, 6, 6, 5)}
