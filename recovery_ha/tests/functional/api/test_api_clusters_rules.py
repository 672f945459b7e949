"""Clusters over REST: lists, refusals, whose they are, Sahara's address."""

import pytest
import sqlalchemy as sa

from recovery_ha.api.app import make_app
from recovery_ha.db import models
from recovery_ha.tests.fixtures.clusters import Reporter
from recovery_ha.tests.fixtures.rest import Api

one_backend = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def reporter(api, database):
    return Reporter(api, database)


@one_backend
def test_lists(reporter):
    for name in ("b", "c", "a"):
        reporter.create(name=name)

    def names(query):
        answer = reporter.api.get(f"/clusters{query}")
        assert answer.status == 200, answer
        return [one["name"] for one in answer.json["clusters"]]

    assert names("") == ["a", "c", "b"]
    assert names("?name=c") == ["c"]
    assert names("?status=Active") == []
    assert names("?plugin_name=vanilla&sort_by=name") == ["a", "b", "c"]
    assert names("?sort_by=-name") == ["c", "b", "a"]
    assert names("?sort_key=name&sort_dir=asc&limit=2") == ["a", "b"]
    answer = reporter.api.get("/clusters?sort_by=name&limit=2")
    (link,) = answer.json["clusters_links"]
    assert names("?" + link["href"].partition("?")[2]) == ["c"]
    assert reporter.api.get("/clusters?sort_by=colour").status == 400


@one_backend
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/clusters", {}, 400),
        ("POST", "/clusters", {"name": "one"}, 409),
        ("POST", "/clusters", {"cluster": {"name": "two"}}, 202),
        ("POST", "/clusters", {"cluster": {"colour": "two"}}, 400),
        ("POST", "/clusters", [], 400),
        ("PUT", "/clusters/1", {}, 400),
        ("PUT", "/clusters/1", {"cluster": {"status": "Waiting"}}, 202),
        ("PUT", "/clusters/1", {"status_description": "Soon."}, 202),
        ("PUT", "/clusters/1", {"status": "A", "add_node_groups": []}, 400),
        (
            *("PUT", "/clusters/1"),
            *({"add_node_groups": [{"name": "namenode", "count": 1}]}, 409),
        ),
        ("GET", "/clusters/nothing", None, 404),
        ("GET", "/clusters/1/progress?provision_step=1", None, 404),
        ("GET", "/clusters/1/progress?provision_step=x", None, 400),
        ("POST", "/clusters/1/steps", {"step": {}}, 400),
        (
            *("POST", "/clusters/1/steps"),
            *({"step_name": "One", "step_type": "dancing"}, 400),
        ),
        ("POST", "/clusters/1/steps/x/events", {"events": []}, 400),
        (
            *("POST", "/clusters/1/steps/x/events"),
            *({"event": {"successful": True}}, 404),
        ),
        (
            *("POST", f"/clusters/1/steps/{10**30}/events"),
            *({"event": {"successful": True}}, 404),
        ),
        (
            *("POST", "/clusters/1/steps/1/events"),
            *({"event": {"instance_name": "a"}}, 400),
        ),
        (
            *("POST", "/clusters/1/steps/1/events"),
            *({"events": [{"successful": True}] * 501}, 400),
        ),
    ],
)
def test_what_is_refused(reporter, method, path, body, status):
    cluster = reporter.create()
    path = path.replace("/1", f"/{cluster['id']}", 1)
    answer = reporter.api(method, path, body)
    assert answer.status == status, answer


@one_backend
def test_a_step_of_another_cluster(reporter):
    one, two = reporter.create(), reporter.create(name="two")
    step = reporter.begin(one, "One", "creating", 1)
    path = f"/clusters/{two['id']}"
    body = {"event": {"successful": True}}
    for answer in (
        reporter.api.post(f"{path}/steps/{step['id']}/events", body),
        reporter.api.get(f"{path}/progress?provision_step={step['id']}"),
    ):
        assert (answer.status, answer.fault["error"]) == (
            404,
            "recovery_ha.step.not_found",
        )


@one_backend
def test_secrets_in_remarks_are_masked(reporter, database):
    cluster = reporter.create()
    step = reporter.begin(cluster, "One", "creating", 1)
    info = "Failed with adminPass = 'hunter2'"
    reporter.tell(step, [1], successful=False, event_info=info)
    (event,) = reporter.progress(cluster)
    assert "hunter2" not in event["event_info"]


@one_backend
def test_without_the_event_log(conf, database):
    conf.set_override("disable_event_log", True)
    api = Api(make_app(conf, database, lambda: None, check_responses=True))
    reporter = Reporter(api, database)
    cluster = reporter.create()
    step = reporter.begin(cluster, "One", "creating", 2)
    assert reporter.tell(step, [1])["completed"] == 1
    assert reporter.progress(cluster) == []
    with database.read_engine.connect() as connection:
        rows = connection.execute(sa.select(models.DeploymentHistory.status))
        assert [row[0] for row in rows] == ["ready"]


# Sahara's address


@one_backend
def test_sahara_s_address(app, reporter):
    cluster = reporter.create()
    api = Api(app, "/v1.1/ee258cbf45894")
    found = api.get(f"/clusters/{cluster['id']}?show_progress=True")
    assert found.json["cluster"]["id"] == cluster["id"]
    assert [c["id"] for c in api.get("/clusters").json["clusters"]] == [
        cluster["id"]
    ]
    assert api.get(f"/clusters/{cluster['id']}/progress/").status == 200
    answer = api.get("/clusters/nothing")
    assert answer.status == 404
    assert {k: v for k, v in answer.json.items() if "error_" in k} == {
        "error_code": 404,
        "error_name": "NOT_FOUND",
        "error_message": "No cluster with id nothing.",
    }
    assert answer.json["itemNotFound"]["code"] == 404
    # nothing else is there
    assert api.get("/segments").status == 300


# Whose they are


@one_backend
def test_each_project_has_its_own(guarded, tokens):
    mine = guarded(tokens.add("member", "reader", project="a" * 32))
    other = guarded(tokens.add("member", "reader", project="b" * 32))
    one = Reporter(mine, None).create()
    two = Reporter(other, None).create()  # of the same name
    assert (one["tenant_id"], one["project_id"]) == ("a" * 32, "a" * 32)
    step = Reporter(mine, None).begin(one, "One", "creating", 1)

    listed = mine.get("/clusters").json["clusters"]
    assert [found["id"] for found in listed] == [one["id"]]
    path = f"/clusters/{one['id']}"
    event = {"event": {"successful": True}}
    for method, url, body in (
        ("GET", path, None),
        ("GET", f"{path}/progress", None),
        ("PUT", path, {"status": "Active"}),
        ("DELETE", path, None),
        ("POST", f"{path}/steps", {"step_name": "Two"}),
        ("POST", f"{path}/steps/{step['id']}/events", event),
    ):
        answer = other(method, url, body)
        assert (answer.status, answer.fault["error"]) == (
            404,
            "recovery_ha.cluster.not_found",
        ), url
    for role in ("admin", "recovery_auditor"):
        api = guarded(tokens.add(role))
        found = api.get("/clusters").json["clusters"]
        assert {c["id"] for c in found} == {one["id"], two["id"]}
    service = guarded(tokens.add("service"))
    assert service.get("/clusters").json["clusters"] == []
    assert service.get(path).status == 404
    auditor = guarded(tokens.add("recovery_auditor"))
    assert auditor.put(path, {"status": "Active"}).status == 403
    reader = guarded(tokens.add("reader", project="a" * 32))
    assert reader.get(path).status == 200
    assert reader.put(path, {"status": "Active"}).status == 403
    admin = guarded(tokens.add("admin"))
    assert admin.put(path, {"status": "Active"}).status == 202


@one_backend
def test_traces_are_for_administrators(guarded, tokens, database):
    mine = guarded(tokens.add("member", "reader", project="a" * 32))
    reporter = Reporter(mine, database)
    cluster = reporter.create()
    step = reporter.begin(cluster, "One", "creating", 1)
    reporter.tell(step, [1], successful=False, event_info="No.")
    reporter.set(models.Event, sa.true(), traceback="Traceback: line 7")
    path = f"/clusters/{cluster['id']}/progress"
    (event,) = mine.get(path).json["events"]
    assert event["event_info"] == "No."
    (event,) = guarded(tokens.add("admin")).get(path).json["events"]
    assert event["event_info"] == "No.\nTraceback: line 7"


@one_backend
def test_sahara_s_address_asks_for_a_token(guarded):
    for path in ("/clusters", "/abc/clusters", "/abc/clusters/x/progress"):
        assert guarded(prefix="/v1.1").get(path).status == 401
