"""Runs in lists, who may see them, and how they are deleted."""

import json
import uuid

import pytest

from recovery_ha.tests.fixtures.rest import REPORT
from recovery_ha.tests.fixtures.runs import NEW, begin, end, item, report

one_backend = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


def ids(answer):
    assert answer.status == 200, answer
    return [run["external_id"] for run in answer.json]


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
    for query, most in (
        ("", 1),
        ("?statuses=ready,error&cluster_id=1", 1),
        # One more finds out whether the node is in few runs or in many.
        ("?statuses=ready,error&node=9&cluster_id=1", 2),
    ):
        with statements() as seen:
            api.get(f"/transactions{query}")
        assert len([s for s in seen if "SELECT" in s]) == most


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
