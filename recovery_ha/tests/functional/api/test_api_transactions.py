"""Runs that are reported, listed, ended and deleted."""

import json
import uuid

import pytest

from recovery_ha.tests.fixtures.rest import REPORT

one_backend = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
NEW = {"name": "deploy", "reporter": "tool", "external_id": "run-1"}
TASKS = [
    {"task_name": "keys", "nodes": ["master"], "type": "shell"},
    {"task_name": "swift", "nodes": ["5", "6"], "type": "puppet"},
    {"task_name": "nowhere", "nodes": [], "type": "puppet"},
]


def begin(api, **fields):
    answer = api.post("/transactions", NEW | fields)
    assert answer.status == 201, answer
    return answer.json


def item(node, name, status, **more):
    return {
        "node_id": node,
        "deployment_graph_task_name": name,
        "task_status": status,
    } | more


def report(api, run, *items):
    answer = api.post(f"/transactions/{run['id']}/reports", {"reports": items})
    assert answer.status == 200, answer
    return [one["result"] for one in answer.json["reports"]]


def end(api, run, status="ready", **more):
    return api.put(f"/transactions/{run['id']}", {"status": status} | more)


def ids(answer):
    assert answer.status == 200, answer
    return [run["external_id"] for run in answer.json]


# Reporting


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


# Lists


@pytest.fixture
def five(api):
    """Give five runs that differ in every filter."""
    runs = [
        begin(api, external_id="a", cluster_id=1, name="deploy"),
        begin(api, external_id="b", cluster_id="one", name="provision"),
        begin(api, external_id="c", cluster_id=1, name="dry_run_deployment"),
        begin(api, external_id="d"),
    ]
    runs.append(begin(api, external_id="e", parent_id=runs[0]["uuid"]))
    report(api, runs[1], item("9", "t", "running"))
    end(api, runs[2])
    end(api, runs[3], "error")
    assert api.delete(f"/transactions/{runs[3]['uuid']}").status == 204
    return runs


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "edcba"),
        ("cluster_id=1", "ca"),
        ("cluster_id=one", "b"),
        ("cluster_id=", "ed"),
        ("statuses=ready, error", "dc"),
        ("statuses=", "edcba"),
        ("statuses=pending", "ea"),
        ("transaction_types=provision,nothing", "b"),
        ("kind=deployment", "edcba"),
        ("kind=recovery,cluster", ""),
        ("node=9", "b"),
        ("node=8", ""),
        ("deleted=false", "ecba"),
        ("deleted=true", "d"),
        ("parent_id=0", "dcba"),
        ("since=2001-01-01", "edcba"),
        ("until=2001-01-01T00:00:00Z", ""),
        ("sort_dir=asc", "abcde"),
        ("sort_key=name&sort_key=id&sort_dir=asc", "adecb"),
        ("limit=2", "ed"),
        ("statuses=pending&cluster_id=1", "a"),
    ],
)
@pytest.mark.usefixtures("five")
def test_filters_and_order(api, query, expected):
    assert "".join(ids(api.get(f"/transactions?{query}"))) == expected
    assert "".join(ids(api.get(f"/transactions/?{query}"))) == expected


@pytest.mark.parametrize("prefix", ["/v1", "/api", "/api/v1"])
def test_tasks_are_those_that_were_not_deleted(api, five, prefix):
    api.prefix = prefix
    answer = api.get("/tasks/")
    assert ids(answer) == ["e", "c", "b", "a"]
    assert answer.headers["deprecation"] == "@1458691200"
    assert (
        f'<{prefix}/transactions/>; rel="successor-version"'
        in answer.headers["link"]
    )
    kept, gone = five[0]["id"], five[3]["id"]
    assert api.get(f"/tasks/{kept}").json["id"] == kept
    assert api.get(f"/tasks/{gone}").status == 404
    assert api.delete(f"/tasks/{gone}").status == 404
    assert api.get(f"/transactions/{gone}").json["deleted_at"] is not None
    assert api.delete(f"/tasks/{five[2]['id']}").status == 204
    assert ids(api.get("/tasks")) == ["e", "b", "a"]


def test_pages_are_linked(api, five):
    seen, query = [], "limit=2"
    while True:
        answer = api.get(f"/transactions?{query}")
        seen += ids(answer)
        if "link" not in answer.headers:
            break
        target, _, relation = answer.headers["link"].partition("; ")
        assert relation == 'rel="next"'
        query = target.strip("<>").partition("?")[2]
    assert seen == ["e", "d", "c", "b", "a"]


def test_clients_of_fuel_get_whole_lists(api, conf, five):
    api.prefix = "/api"
    answer = api.get("/transactions/")
    assert [r["external_id"] for r in answer.json] == [*"edcba"]
    assert isinstance(answer.json[0]["created_at"], int)
    assert ids(api.get("/transactions?limit=1")) == ["e"]
    api.prefix = "/api/v1"
    assert isinstance(api.get("/transactions").json[0]["created_at"], str)
    shown = api.get("/transactions?time_format=epoch").json[0]
    assert isinstance(shown["created_at"], int)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            "statuses=done",
            (
                "Statuses parameter could only be one of: pending, running,"
                " ready, error"
            ),
        ),
        (
            "kind=x",
            (
                "Invalid input for field/attribute kind. Value: x. Allowed:"
                " recovery, maintenance, deployment, cluster."
            ),
        ),
    ],
)
@pytest.mark.parametrize("prefix", ["/v1", "/api", "/api/v1"])
@one_backend
def test_errors_are_told_as_clients_of_fuel_read_them(
    api, prefix, query, text
):
    api.prefix = prefix
    answer = api.get(f"/transactions/?{query}")
    assert answer.status == 400
    assert (answer.json["message"], answer.json["errors"]) == (text, None)
    assert answer.fault["message"] == text


@one_backend
@pytest.mark.parametrize(
    "query", ["since=x", "deleted=maybe", "limit=x", "time_format=x"]
)
def test_bad_parameters_are_named(api, query):
    answer = api.get(f"/transactions?{query}")
    assert (answer.status, answer.key) == (400, "badRequest")
    assert f" {query.partition('=')[0]}." in answer.fault["message"]


@one_backend
def test_a_list_takes_a_constant_number_of_statements(api, five, statements):
    for query in ("", "?statuses=ready,error&node=9&cluster_id=1"):
        with statements() as seen:
            api.get(f"/transactions{query}")
        assert len([s for s in seen if "SELECT" in s]) == 1


# Deleting


def test_a_run_is_hidden_with_its_parts(api):
    run = begin(api)
    part = begin(api, external_id="part", parent_id=run["id"])
    refused = api.delete(f"/transactions/{run['id']}")
    assert refused.status == 400
    assert refused.fault["error"] == "recovery_ha.transaction.running"
    text = refused.json["message"]
    assert text.startswith("You cannot delete running task manually")
    assert api.delete(f"/transactions/{run['id']}?force=0").status == 400
    assert api.delete(f"/transactions/{run['id']}/?force=1").status == 204
    assert api.get("/tasks").json == []
    assert len(api.get("/transactions").json) == 2
    shown = api.get(f"/transactions/{part['uuid']}").json
    assert shown["deleted_at"] is not None
    answer = api.delete(f"/transactions/{run['id']}?force=x")
    assert (answer.status, answer.key) == (400, "badRequest")


# Recoveries


@one_backend
def test_a_recovery_is_a_run_that_nobody_else_reports(api, notification):
    (run,) = api.get("/transactions").json
    assert run["uuid"] == notification["notification_uuid"]
    assert (run["kind"], run["origin_type"]) == ("recovery", "notification")
    for answer in (
        end(api, run),
        api.post(f"/transactions/{run['id']}/reports", {"reports": []}),
    ):
        assert (answer.status, answer.key) == (403, "forbidden")


@pytest.mark.parametrize("version", ["1.0", "1.3", "1.4", "latest"])
@one_backend
def test_a_notification_names_its_run(api, world, host, version):
    made = api.post(
        "/notifications", {"notification": REPORT}, version=version
    )
    found = made.json["notification"]
    url = f"/notifications/{found['notification_uuid']}"
    shown = [
        found,
        api.get(url, version=version).json["notification"],
        *api.get("/notifications", version=version).json["notifications"],
    ]
    for one in shown:
        if version in {"1.0", "1.3"}:
            assert "transaction_id" not in one
        else:
            run = api.get(f"/transactions/{one['transaction_id']}")
            assert run.json["origin_id"] == one["notification_uuid"]


# Who may


READERS = {
    "reader": ["reader"],
    "member": ["member", "reader"],
    "service": ["service"],
}
PARTS = (
    *("", "/deployment_history", "/steps", "/events", "/summary"),
    *("/settings",),
)


@one_backend
@pytest.mark.parametrize("who", READERS)
def test_nobody_reads_or_changes_what_is_foreign(guarded, tokens, api, who):
    run = begin(api)  # of no project
    report(api, run, item("1", "secret-task", "running"))
    caller = guarded(tokens.add(*READERS[who], user="other"))
    for part in PARTS:
        answer = caller.get(f"/transactions/{run['id']}{part}")
        assert answer.status == 404, part
        assert caller.get(f"/transactions/{run['uuid']}{part}").status == 404
    for url in ("/transactions", "/tasks", "/deployment_history"):
        assert caller.get(url).json == []
    foreign = caller.get(f"/transactions?marker={run['uuid']}")
    nothing = caller.get(f"/transactions?marker={uuid.uuid4()}")
    assert (foreign.status, nothing.status) == (400, 400)
    url = f"/transactions/{run['id']}"
    denied = 403 if who == "reader" else 404
    body = {"reports": []}
    assert caller.post(f"{url}/reports", body).status == denied
    assert caller.put(url, {"status": "ready"}).status == denied
    assert caller.delete(f"{url}?force=1").status == denied


@one_backend
def test_members_have_the_runs_of_their_project(guarded, tokens):
    member = guarded(tokens.add("member", "reader", user="one"))
    run = begin(member)
    assert run["project_id"] is not None
    assert (run["origin_type"], run["origin_id"]) == ("reporter", "one")
    assert report(member, run, item("1", "a", "running")) == ["applied"]
    reader = guarded(tokens.add("reader", user="two"))
    for part in PARTS:
        assert reader.get(f"/transactions/{run['id']}{part}").status == 200
    assert ids(reader.get("/transactions")) == ["run-1"]
    assert len(reader.get("/deployment_history").json) == 1
    assert reader.post("/transactions", NEW).status == 403
    assert end(member, run).status == 200
    assert member.delete(f"/transactions/{run['id']}").status == 204


@one_backend
def test_a_service_has_what_it_reported(guarded, tokens, host):
    one = guarded(tokens.add("service", user="one"))
    two = guarded(tokens.add("service", user="two"))
    run = begin(one)
    report(one, run, item("1", "a", "running"))
    made = one.post("/notifications", {"notification": REPORT}).json
    recovery = made["notification"]["notification_uuid"]
    found = [r["uuid"] for r in one.get("/transactions").json]
    assert found == [recovery, run["uuid"]]
    assert len(one.get("/deployment_history").json) == 1
    assert one.get(f"/transactions/{recovery}").status == 200
    assert end(one, {"id": recovery}).status == 403
    assert one.delete(f"/transactions/{recovery}?force=1").status == 403
    # The same project, but another reporter.
    assert two.get("/transactions").json == []
    assert two.get("/deployment_history").json == []
    assert two.get(f"/transactions/{run['id']}").status == 404
    assert end(two, run).status == 404
    taken = two.post("/transactions", NEW)
    assert taken.status == 409
    assert run["uuid"] not in json.dumps(taken.json)


@one_backend
@pytest.mark.parametrize(
    ("roles", "scope"),
    [
        (["recovery_auditor"], {}),
        (["reader"], {"system": True}),
        (["admin"], {}),
    ],
)
def test_who_reads_the_cloud_reads_all(guarded, tokens, api, roles, scope):
    run = begin(api)
    caller = guarded(tokens.add(*roles, **scope))
    assert ids(caller.get("/transactions")) == ["run-1"]
    denied = 200 if roles == ["admin"] else 403
    assert end(caller, run).status == denied


@one_backend
def test_a_token_is_needed_but_for_the_version(guarded):
    for prefix in ("/v1", "/api", "/api/v1"):
        caller = guarded(prefix=prefix)
        assert caller.get("/transactions/").status == 401
        assert caller.get("/tasks").status == 401
    caller = guarded(prefix="/api")
    for path in ("/version", "/v1/version", "/v1/version/"):
        answer = caller.get(path)
        assert (answer.status, answer.json["auth_required"]) == (200, True)


@one_backend
def test_below_api_is_fuel_s_history_only(api):
    api.prefix = "/api"
    assert api.get("/v1/version").json["auth_required"] is False
    for path in ("", "/", "/segments", "/v1", "/v1/notifications", "/v2/x"):
        answer = api.get(path)
        assert (answer.status, answer.key) == (404, "itemNotFound"), path
