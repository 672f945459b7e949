"""Runs that somebody outside reports: begun, told about, ended."""

import uuid

import pytest

from recovery_ha.tests.fixtures.runs import (
    NEW,
    TASKS,
    begin,
    end,
    item,
    report,
)

one_backend = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def test_a_run_from_its_beginning_to_its_end(api):
    run = begin(api, cluster_id=7, tasks=TASKS, graph_type="default")
    uuid.UUID(run["uuid"])
    assert run["statuses"]["pending"] == 3
    assert run["statuses"]["skipped"] == 1
    for key, value in {
        "status": "pending",
        "kind": "deployment",
        "cluster": 7,
        "cluster_id": "7",
        "dry_run": False,
        "progress": 25,
        "name": "deploy",
        "graph_type": "default",
        "result": None,
        "time_start": None,
        "time_end": None,
        "deleted_at": None,
        "reporter": "tool",
        "external_id": "run-1",
        "parent_id": None,
    }.items():
        assert run[key] == value, key

    assert report(
        api,
        run,
        item("master", "keys", "running", seq=1, time="2016-03-07T14:49:03Z"),
        item("master", "keys", "ready", seq=2, time=1457362273),
        item("master", "keys", "ready", seq=2, time=1457362273),
        item("5", "swift", "ready", seq=3),
        item("7", "swift", "running", seq=4),
    ) == ["applied", "applied", "duplicate", "illegal", "unknown"]
    assert report(api, run) == []
    url = f"/transactions/{run['uuid']}"
    assert api.get(url).json["status"] == "running"

    ended = end(api, run, message="Done.", result={"x": 1})
    assert ended.status == 200
    assert ended.json["status"] == "ready"
    assert (ended.json["progress"], ended.json["message"]) == (100, "Done.")
    assert end(api, run, message="Done.", result={"x": 1}).json == ended.json
    assert api.get(url).json == ended.json
    other = end(api, run, "error")
    assert other.status == 409
    assert other.fault["error"] == "recovery_ha.transaction.ended"
    late = item("5", "swift", "running", seq=9)
    assert report(api, run, late) == ["stale"]


def test_a_refused_item_says_why(api):
    run = begin(api, tasks=TASKS)
    answer = api.post(
        f"/transactions/{run['id']}/reports",
        {"reports": [item("5", "swift", "ready", seq=3)]},
    )
    assert answer.json == {
        "reports": [
            {
                "seq": 3,
                "result": "illegal",
                "message": "A task that is pending cannot become ready.",
            }
        ]
    }


def test_a_lossy_reporter_may_leave_words_out(api):
    run = begin(api, tasks=TASKS, lossy=True)
    assert report(api, run, item("5", "swift", "ready")) == ["applied"]


def test_without_a_graph_units_come_with_reports(api):
    run = begin(api)
    assert report(
        api,
        run,
        item("1", "a", "running", step_name="One", event_info="Begun."),
    ) == ["applied"]
    url = f"/transactions/{run['id']}"
    (step,) = api.get(f"{url}/steps").json["steps"]
    assert (step["step_name"], step["total"]) == ("One", 1)
    assert (step["step_type"], step["successful"]) == ("deploy", None)
    found = api.get(f"{url}/events").json
    (event,) = found["events"]
    assert (event["task"], event["event_info"]) == ("a", "Begun.")
    assert event["step_id"] == step["id"]
    assert (found["cursor"], found["ended"]) == (event["id"], False)
    end(api, run)
    assert api.get(f"{url}/events?wait=30").json["ended"] is True


def test_creating_once_more_is_harmless(api):
    run = begin(api)
    again = api.post("/transactions", NEW | {"name": "other"})
    assert (again.status, again.json) == (200, run)
    other = api.post("/transactions", NEW | {"external_id": "run-2"})
    assert other.status == 201


def test_counts_by_node(api):
    run = begin(api, tasks=TASKS)
    report(api, run, item("5", "swift", "running"))
    url = f"/transactions/{run['id']}/summary"
    found = api.get(url).json
    assert found["statuses"] == {
        "pending": 2,
        "running": 1,
        "ready": 0,
        "error": 0,
        "skipped": 1,
    }
    assert [n["node_id"] for n in found["nodes"]] == ["-", "5", "6", "master"]
    assert found["nodes"][1]["statuses"]["running"] == 1
    assert found["nodes_links"] == []
    page = api.get(f"{url}?limit=2").json
    (link,) = page["nodes_links"]
    rest = api.get(f"{url}?{link['href'].partition('?')[2]}").json
    assert page["nodes"] + rest["nodes"] == found["nodes"]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"name": ""}, "name"),
        ({"name": 1}, "name"),
        ({"reporter": None}, "reporter"),
        ({"external_id": "x" * 256}, "external_id"),
        ({"kind": "recovery"}, "kind"),
        ({"lease_seconds": 0}, "lease_seconds"),
        ({"lease_seconds": 86401}, "lease_seconds"),
        ({"dry_run": "yes"}, "dry_run"),
        ({"tasks": [{"nodes": []}]}, "tasks.task_name"),
        ({"tasks": [{"task_name": "a", "nodes": [""]}]}, "tasks.nodes"),
        (
            {"tasks": [{"task_name": "a", "nodes": ["1"] * 10001}]},
            "tasks",
        ),
        ({"status": "ready"}, "status"),
    ],
)
@one_backend
def test_what_a_run_cannot_be(api, fields, name):
    answer = api.post("/transactions", NEW | fields)
    assert (answer.status, answer.key) == (400, "badRequest")
    assert f" field/attribute {name}." in answer.fault["message"]
    assert api.get("/transactions").json == []


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"task_status": "done"}, "task_status"),
        ({"node_id": ""}, "node_id"),
        ({"time": "yesterday"}, "time"),
        ({"time": -1}, "time"),
        ({"seq": -1}, "seq"),
        ({"seq": 2**63}, "seq"),
        ({"attempt": 0}, "attempt"),
        ({"custom": []}, "custom"),
        ({"status": "ready"}, "status"),
    ],
)
@one_backend
def test_what_an_item_cannot_be(api, fields, name):
    run = begin(api)
    one = item("1", "a", "running") | fields
    url = f"/transactions/{run['id']}/reports"
    answer = api.post(url, {"reports": [one]})
    assert (answer.status, answer.key) == (400, "badRequest")
    assert f" field/attribute reports.{name}." in answer.fault["message"]
    many = [item("1", "a", "running")] * 1001
    assert api.post(url, {"reports": many}).status == 400


@pytest.mark.parametrize("status", ["running", "pending", "x", None])
@one_backend
def test_an_end_is_an_end(api, status):
    answer = end(api, begin(api), status)
    assert answer.status == 400
    assert "field/attribute status" in answer.fault["message"]


@one_backend
def test_what_is_not_there(api):
    for method, path, body in (
        ("GET", "", None),
        ("PUT", "", {"status": "ready"}),
        ("DELETE", "", None),
        ("POST", "/reports", {"reports": []}),
        *(
            ("GET", f"/{part}", None)
            for part in (
                *("deployment_history", "deployment_info", "settings"),
                *("network_configuration", "steps", "events", "summary"),
            )
        ),
    ):
        for reference in ("999", "9" * 30, uuid.uuid4(), "x"):
            answer = api(method, f"/transactions/{reference}{path}", body)
            assert (answer.status, answer.key) == (404, "itemNotFound")
            assert answer.json["message"] == answer.fault["message"]
            assert answer.json["errors"] is None
    answer = api.post("/transactions", NEW | {"parent_id": 999})
    assert answer.status == 404


@one_backend
def test_what_fuel_keeps_of_a_cluster_is_not_kept(api):
    run = begin(api)
    for name in ("deployment_info", "network_configuration", "settings"):
        assert api.get(f"/transactions/{run['id']}/{name}").json == {}
