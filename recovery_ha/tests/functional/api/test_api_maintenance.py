"""Maintenance sessions over REST, in Fenix's form: administrators' part."""

import uuid

import pytest

from recovery_ha.context import internal_context
from recovery_ha.db import services
from recovery_ha.domain.maintenance import HostStatus
from recovery_ha.tests.fixtures.asked_session import AskedSession
from recovery_ha.tests.fixtures.rest import Api

one_backend = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
NOBODY = str(uuid.uuid4())
BODY = {
    "hosts": ["compute-1", "compute-2"],
    "state": "MAINTENANCE",
    "maintenance_at": "2026-12-02 03:04:05",
    "metadata": {"openstack_release": "Queens"},
    "workflow": "default",
    "actions": [
        {"plugin": "dummy", "type": "host", "metadata": {"os": "new"}},
        {"plugin": "command", "type": "post"},
    ],
}


def create(api, **fields):
    answer = api.post("/maintenance", BODY | fields)
    assert answer.status == 200, answer
    return answer.json["session_id"]


@pytest.fixture
def session(api, database):
    return AskedSession(database, create(api))


def test_a_session_is_begun(api, database, wakes):
    answer = api.post("/maintenance", BODY)
    assert answer.status == 200
    assert [*answer.json] == ["session_id"]
    assert wakes.count == 1
    found = AskedSession(database, answer.json["session_id"]).get()
    assert found.request_id == answer.headers["x-openstack-request-id"]
    assert [one.host for one in found.hosts] == BODY["hosts"]
    assert [(one.plugin, one.metadata) for one in found.actions] == [
        ("dummy", {"os": "new"}),
        ("command", {}),
    ]


def test_little_is_needed(api, database):
    answer = api.post("/maintenance", {"maintenance_at": "2026-12-02 03:04"})
    found = AskedSession(database, answer.json["session_id"]).get()
    assert found.all_hosts
    assert (found.workflow, found.metadata) == ("default", {})


@one_backend
@pytest.mark.parametrize(
    "when",
    [
        "2026-12-02 03:04:05",
        "2026-12-02T03:04:05",
        "2026-12-02T03:04:05Z",
        "2026-12-02T05:04:05.500+02:00",
    ],
)
def test_times_in_both_forms(api, when):
    session = create(api, maintenance_at=when)
    found = api.get(f"/maintenance/{session}").json
    assert found["maintenance_at"] == "2026-12-02 03:04:05"


@one_backend
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"maintenance_at": None}, "maintenance_at"),
        ({"maintenance_at": "soon"}, "maintenance_at. Value: 'soon'"),
        ({"maintenance_at": "2026-12-02"}, "YYYY-MM-DD HH:MM:SS"),
        ({"maintenance_at": "2026-13-02 01:01:01"}, "YYYY-MM-DD HH:MM:SS"),
        ({"state": "SCALE_IN"}, "Allowed: MAINTENANCE"),
        ({"hosts": "compute-1"}, "names of hosts"),
        ({"hosts": ["a", "a"]}, "each once"),
        ({"hosts": [""]}, "hosts"),
        ({"metadata": []}, "metadata"),
        ({"workflow": "mine"}, "Value: 'mine'. Allowed: default, vnf."),
        ({"workflow": "os; true"}, "Allowed: default, vnf."),
        ({"actions": [{"type": "host"}]}, "plugin"),
        ({"actions": [{"plugin": "dummy", "type": "x"}]}, "pre, host"),
        (
            {"actions": [{"plugin": "mine", "type": "host"}]},
            "Value: 'mine'. Allowed: command, dummy.",
        ),
        ({"download": ["https://x/y.tgz"]}, "archives: none."),
        ({"download": "https://x/y.tgz"}, "URLs of archives"),
        ({"download": [7]}, "download"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_is_refused(api, fields, said):
    answer = api.post("/maintenance", BODY | fields)
    assert answer.status == 400
    assert said in answer.fault["message"]
    # as Fenix's clients read it
    assert answer.json["error"] == answer.fault["message"]
    assert answer.json["message"] == answer.fault["message"]
    assert api.get("/maintenance").json["sessions"] == []


@one_backend
def test_an_empty_download_is_fine(api):
    assert create(api, download=[])


@pytest.fixture
def archives(conf):
    """What the operator allows; before there is an API."""
    found = {f"https://x/{n}.tgz": f"{n:064x}" for n in range(11)}
    conf.set_override("archives", found, "maintenance_download")
    return found


def test_archives_of_the_operator(archives, api, database):
    wanted = ["https://x/7.tgz", "https://x/1.tgz"]
    uuid = create(api, download=wanted)
    shown = [{"url": url, "sha256": archives[url]} for url in wanted]
    assert api.get(f"/maintenance/{uuid}/detail").json["download"] == shown
    found = AskedSession(database, uuid).get().downloads
    assert [(one.url, one.sha256) for one in found] == [
        (url, archives[url]) for url in wanted
    ]


@one_backend
@pytest.mark.parametrize(
    ("urls", "said"),
    [
        (["https://x/1.tgz", "https://x/y"], "Value: 'https://x/y'. Allowed"),
        (["https://x/y"], "archives: https://x/0.tgz, https://x/1.tgz"),
        (["https://x/1.tgz"] * 2, "each once"),
        ([f"https://x/{n}.tgz" for n in range(11)], "up to 10 URLs"),
    ],
)
def test_other_archives_are_refused(archives, api, urls, said):
    answer = api.post("/maintenance", BODY | {"download": urls})
    assert answer.status == 400
    assert said in answer.fault["message"]
    assert "[maintenance_download]" in answer.fault["message"]


def test_plug_ins_of_engines_are_known(api, database):
    ctx = internal_context(database)
    fields = {
        "workflow": "mine",
        "actions": [{"plugin": "own", "type": "pre"}],
    }
    services.beat(
        ctx,
        host="engine-1",
        owner="o",
        binary="recovery-ha-engine",
        version="1",
        capabilities={"workflows": ["mine"], "actions": ["own"]},
    )
    assert create(api, **fields)
    services.leave(ctx, "engine-1", "o")
    answer = api.post("/maintenance", BODY | fields | {"hosts": ["other"]})
    assert answer.status == 400


def test_a_host_is_in_one_session(api, session):
    answer = api.post("/maintenance", BODY | {"hosts": ["x", "compute-2"]})
    assert (answer.status, answer.key) == (409, "conflictingRequest")
    assert answer.fault["error"] == "recovery_ha.host.in_session"
    assert f"compute-2 (session {session.uuid})" in answer.json["error"]


# Reading


def test_a_session_is_shown(api, session):
    path = f"/maintenance/{session.uuid}"
    found = api.get(path, version="1.3").json
    assert found | {"created_at": None} == {
        "session_id": session.uuid,
        "state": "MAINTENANCE",
        "workflow": "default",
        "maintenance_at": "2026-12-02 03:04:05",
        "percent_done": 0,
        "paused": False,
        "aborted": False,
        "message": "No engine has begun with the session yet.",
        "created_at": None,
        "updated_at": None,
        "round": 1,
        "failed_state": None,
        "requested_action": None,
        "metadata": {"openstack_release": "Queens"},
        "estimated_end": None,
    }
    new = api.get(path, version="1.4").json
    assert new == found | {"transaction_id": session.uuid}
    detail = api.get(f"{path}/detail", version="1.4").json["session"]
    assert detail == new | {"all_hosts": False}
    old = api.get(f"{path}/detail").json["session"]
    assert "transaction_id" not in old


def test_its_run_is_in_the_ledger(api, session):
    (run,) = api.get("/transactions?kind=maintenance").json
    assert run["uuid"] == run["origin_id"] == session.uuid
    answer = api.get(f"/transactions/{session.uuid}/events")
    assert answer.json["events"][0]["message"] == "The session was created."


def test_all_of_a_session(api, session):
    session.settle({"p1": ["i1", "i2"], "p2": ["i3"]})
    session.enter("PLANNED_MAINTENANCE")
    session.ask({"p1": ["i1"], "p2": ["i3"]})
    session.maintain("compute-2")
    body = {"state": "ACK_PLANNED_MAINTENANCE", "instance_action": "MIGRATE"}
    assert api.put(f"/maintenance/{session.uuid}/p1", body).status == 200
    found = api.get(f"/maintenance/{session.uuid}/detail").json
    assert found["session"]["percent_done"] == 50
    first, second = found["hosts"]
    assert (first["hostname"], first["maintained"]) == ("compute-1", False)
    assert second["status"] == str(HostStatus.MAINTAINED)
    assert second["maintained"]
    assert [
        (one["project_id"], one["state"], one["instance_action"])
        for one in found["projects"]
    ] == [
        ("p1", "ACK_PLANNED_MAINTENANCE", "MIGRATE"),
        ("p2", "PLANNED_MAINTENANCE", None),
    ]
    assert [
        (one["instance_id"], one["listed"], one["action"], one["reply"])
        for one in found["instances"]
    ] == [
        ("i1", True, "MIGRATE", "ack"),
        ("i2", False, None, "pending"),
        ("i3", True, None, "pending"),
    ]
    assert found["action_plugins"] == [
        {
            "order": 0,
            "plugin": "dummy",
            "type": "host",
            "metadata": {"os": "new"},
        },
        {"order": 1, "plugin": "command", "type": "post", "metadata": {}},
    ]
    assert found["action_plugin_instances"] == []


def test_the_end_is_estimated_from_what_was_measured(api, session):
    session.maintain("compute-2")
    found = api.get(f"/maintenance/{session.uuid}/detail").json
    _first, second = found["hosts"]
    assert second["started_at"] <= second["ended_at"]
    assert found["session"]["estimated_end"] >= second["ended_at"]
    # Nobody knows when a paused one goes on.
    api.post(f"/maintenance/{session.uuid}/action", {"action": "pause"})
    shown = api.get(f"/maintenance/{session.uuid}").json
    assert shown["estimated_end"] is None


def test_a_page_costs_the_same_statements(api, statements):
    assert api.get("/maintenance").json == {
        "sessions": [],
        "session_id": [],
        "maintenance_sessions": [],
        "sessions_links": [],
    }
    for number in range(5):
        create(api, hosts=[f"h{number}"])
        with statements() as seen:
            assert api.get("/maintenance").status == 200
        assert len([s for s in seen if s.startswith("SELECT")]) == 1


def test_lists(api):
    made = [create(api, hosts=[f"h{number}"]) for number in range(5)]
    found = api.get("/maintenance").json
    assert found["sessions"] == found["session_id"] == made[::-1]
    assert [one["session_id"] for one in found["maintenance_sessions"]] == (
        made[::-1]
    )

    def names(query):
        return api.get(f"/maintenance?{query}").json["sessions"]

    assert names("host=h3") == [made[3]]
    assert names("state=SCALE_IN") == []
    assert names("state=MAINTENANCE&limit=1") == [made[4]]
    assert names("sort_dir=asc&limit=1") == [made[0]]
    assert names("sort_key=created_at&sort_dir=asc&limit=9") == made
    page, seen = "limit=2", []
    while page:
        answer = api.get(f"/maintenance?{page}").json
        seen += answer["sessions"]
        links = answer["sessions_links"]
        page = links[0]["href"].partition("?")[2] if links else ""
    assert seen == made[::-1]
    for query in ("state=ASLEEP", "limit=x", "marker=x", "sort_key=colour"):
        assert api.get(f"/maintenance?{query}").status == 400, query


# Wishes


def test_a_failed_session_is_continued(api, session, wakes):
    session.enter("SCALE_IN")
    session.fail()
    count = wakes.count
    answer = api.put(f"/maintenance/{session.uuid}/", {"state": "SCALE_IN"})
    assert answer.status == 200
    assert answer.json == {
        "maintenance": "http://cloud.example.org/v1/maintenance/"
        f"{session.uuid}",
        "session_id": session.uuid,
    }
    assert session.get().state == "SCALE_IN"
    assert wakes.count == count + 1


@pytest.mark.parametrize("body", [None, {}, {"session_id": "anything"}])
def test_a_continuation_needs_no_body(api, session, body):
    session.fail()
    answer = api.put(f"/maintenance/{session.uuid}", body)
    assert answer.status == 200
    assert session.get().state == "MAINTENANCE"
    answer = api.put(f"/maintenance/{session.uuid}", body)
    assert (answer.status, answer.key) == (409, "conflictingRequest")
    assert answer.fault["error"] == "recovery_ha.session.action_refused"


@one_backend
def test_only_working_states_can_be_continued_in(api, session):
    session.fail()
    path = f"/maintenance/{session.uuid}"
    for state in ("MAINTENANCE_DONE", "MAINTENANCE_FAILED", "x"):
        answer = api.put(path, {"state": state})
        assert answer.status == 400
        assert "Allowed: MAINTENANCE, SCALE_IN" in answer.fault["message"]


def test_wishes(api, session, wakes):
    def act(action):
        count = wakes.count
        answer = api.post(
            f"/maintenance/{session.uuid}/action", {"action": action}
        )
        assert wakes.count == count + (answer.status == 202)
        return answer

    assert act("pause").json["paused"]
    assert act("continue").json["paused"] is False
    assert act("retry").json["round"] == 2
    answer = act("abort")
    assert answer.status == 202
    assert answer.json["requested_action"] == "abort"
    assert "(user noauth)" in answer.json["message"]
    assert act("pause").status == 409
    assert act("delete").status == 400
    assert act("dance").status == 400


def test_a_deleted_session_is_gone(api, session, wakes):
    path = f"/maintenance/{session.uuid}"
    count = wakes.count
    answer = api.delete(path)
    assert (answer.status, answer.json) == (200, {})
    assert wakes.count == count + 1
    assert session.get(deleted=True).requested == "delete"
    assert api.get("/maintenance").json["sessions"] == []
    for method, below in (
        *(("GET", ""), ("GET", "/detail"), ("GET", "/p1")),
        *(("PUT", ""), ("DELETE", "")),
    ):
        answer = api(method, path + below)
        assert (answer.status, answer.key) == (404, "itemNotFound"), below
    answer = api.post(f"{path}/action", {"action": "abort"})
    assert answer.status == 404


def test_what_is_done_is_deleted_at_once(api, session):
    session.finish()
    assert api.delete(f"/maintenance/{session.uuid}").status == 200
    assert session.row("id") is None
    assert api.get(f"/transactions/{session.uuid}").json["status"] == "ready"


@one_backend
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/detail", None),
        ("PUT", "", {}),
        ("DELETE", "", None),
        ("POST", "/action", {"action": "pause"}),
        ("GET", "/p1", None),
        ("PUT", "/p1", {"state": "ACK_MAINTENANCE"}),
        ("GET", "/p1/i1", None),
        ("PUT", "/p1/i1", {"state": "ACK_MAINTENANCE"}),
    ],
)
def test_unknown_sessions(api, method, path, body):
    answer = api(method, f"/maintenance/{NOBODY}{path}", body)
    assert (answer.status, answer.key) == (404, "itemNotFound")
    assert answer.json["error"].startswith("Invalid session")


@one_backend
def test_addresses(app, session):
    """With and without a slash at the end, or a project in the URL."""
    one = session.uuid
    for prefix in ("/v1", "/v1/0af9c2d4e5"):
        api = Api(app, prefix)
        for path in (
            *("/maintenance", f"/maintenance/{one}"),
            *(f"/maintenance/{one}/detail", "/instance", "/instance_group"),
            *("/webhooks", "/services"),
        ):
            assert api.get(path).status == 200, path
            assert api.get(f"{path}/").raw == api.get(path).raw, path
    answer = Api(app).put("/maintenance")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST, HEAD")
    assert answer.json["error"] == answer.fault["message"]
