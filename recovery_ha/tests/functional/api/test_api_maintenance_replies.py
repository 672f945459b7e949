"""Replies over REST: by members of the projects that are asked."""

import pytest

from recovery_ha.tests.fixtures.asked_session import AskedSession

one_backend = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
MINE, OTHER = "0af9c2d4e5", "77c0ffee77"
OF = {MINE: ["i1", "i2"], OTHER: ["i3"]}
PLANNED = "ACK_PLANNED_MAINTENANCE"


@pytest.fixture
def session(database):
    session = AskedSession(database)
    session.settle(OF)
    session.ask(OF)
    return session


@pytest.fixture
def planned(session):
    session.enter("PLANNED_MAINTENANCE")
    session.ask(OF)
    return session


@pytest.fixture
def mine(guarded, tokens):
    """Give the API as a member of a project sees it."""
    return guarded(tokens.add("member", "reader", project=MINE))


@pytest.fixture
def other(guarded, tokens):
    return guarded(tokens.add("member", "reader", project=OTHER))


def path(session, project=MINE, *more):
    return "/".join(["/maintenance", session.uuid, project, *more])


def replies(session):
    return {one.project_id: str(one.reply) for one in session.get().projects}


def test_a_project_replies(mine, session):
    answer = mine.get(path(session))
    assert answer.json == {"instance_ids": ["i1", "i2"]}
    body = {"state": "ACK_MAINTENANCE"}
    answer = mine.put(path(session), body)
    assert (answer.status, answer.json) == (200, body)
    # again, with a slash, and with a project in the URL
    assert mine.put(path(session) + "/", body).status == 200
    mine.prefix = f"/v1/{MINE}"
    assert mine.put(path(session), body).status == 200
    assert replies(session) == {MINE: "ack", OTHER: "pending"}


def test_engines_are_woken_by_what_is_new(api, session, wakes):
    body = {"state": "ACK_MAINTENANCE"}
    for _ in range(2):
        assert api.put(path(session), body).status == 200
    assert wakes.count == 1


def test_a_client_may_repeat_the_question(mine, planned):
    """Fenix's clients send the link and the ids back."""
    body = {
        "state": PLANNED,
        "session_id": planned.uuid,
        "project_id": MINE,
        "instance_ids": ["i1", "i2"],
        "instance_actions": {"i1": "MIGRATE", "i2": "OWN_ACTION"},
        "reason": None,
    }
    answer = mine.put(path(planned), body)
    assert (answer.status, answer.json) == (200, body)
    found = {one.instance_id: one.action for one in planned.get().instances}
    assert found == {"i1": "MIGRATE", "i2": "OWN_ACTION", "i3": None}


def test_a_refusal_has_a_reason(mine, session):
    body = {"state": "NACK_MAINTENANCE", "reason": "A match is on."}
    assert mine.put(path(session), body).status == 200
    assert session.get().projects[0].message == "A match is on."


def test_one_instance(mine, database):
    session = AskedSession(database)
    session.settle(OF)
    session.enter("PLANNED_MAINTENANCE")
    session.ask(OF, alone=True)
    one = path(session, MINE, "i1")
    assert mine.get(one).json == {"instance_ids": ["i1"]}
    body = {
        "state": PLANNED,
        "instance_action": "LIVE_MIGRATE",
        "instance_id": "i1",
    }
    answer = mine.put(one, body)
    assert (answer.status, answer.json) == (200, body)
    assert replies(session)[MINE] == "pending"
    assert mine.put(path(session, MINE, "i2"), body).status == 200
    assert replies(session)[MINE] == "ack"
    for method, more in (("GET", {}), ("PUT", {"body": body})):
        answer = mine(method, path(session, MINE, "i3"), **more)
        assert (answer.status, answer.key) == (404, "itemNotFound")
        assert answer.json["error"].startswith("Invalid instance")


@one_backend
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "state. Value: missing"),
        ({"state": "MAINTENANCE"}, "Allowed: ACK_MAINTENANCE, NACK_"),
        ({"state": "ACK_EVERYTHING"}, "Value: 'ACK_EVERYTHING'"),
        ({"state": PLANNED}, "instance_actions. Value: missing"),
        (
            {"state": PLANNED, "instance_actions": {"i1": "EVACUATE"}},
            "Value: 'EVACUATE'. Allowed: MIGRATE, LIVE_MIGRATE, OWN_ACTION",
        ),
        (
            {"state": PLANNED, "instance_actions": {"i3": "MIGRATE"}},
            "Value: i3. Allowed: the instances that are asked about, i1, i2",
        ),
        (
            {"state": PLANNED, "instance_actions": ["i1"]},
            "instance_actions. Value: a list",
        ),
        ({"state": PLANNED, "instance_action": "x"}, "Allowed: MIGRATE"),
        ({"state": PLANNED, "answer": 1}, "answer"),
        ({"state": PLANNED, "reason": "x" * 5000}, "reason"),
        ([], "object"),
    ],
)
def test_what_is_refused(mine, planned, body, said):
    answer = mine.put(path(planned), body)
    assert (answer.status, answer.key) == (400, "badRequest")
    assert said in answer.fault["message"]
    assert answer.json["error"] == answer.fault["message"]
    assert replies(planned) == {MINE: "pending", OTHER: "pending"}


def test_late_and_wrong_replies(mine, planned):
    def put(state, **more):
        answer = mine.put(path(planned), {"state": state, **more})
        if answer.status != 200:
            assert answer.fault["error"] == "recovery_ha.session.reply_refused"
        return answer.status, answer.json.get("error", "")

    status, said = put("ACK_MAINTENANCE")
    assert status == 409
    assert f"expected is {PLANNED} or N{PLANNED}" in said
    assert put(PLANNED, instance_action="MIGRATE") == (200, "")
    status, said = put("NACK_PLANNED_MAINTENANCE")
    assert (status, "already" in said) == (409, True)
    planned.enter("START_MAINTENANCE")
    status, said = put(PLANNED, instance_action="MIGRATE")
    assert (status, "START_MAINTENANCE" in said) == (409, True)
    planned.enter("PLANNED_MAINTENANCE")
    planned.ask(OF, seconds=-1)
    status, said = put(PLANNED, instance_action="MIGRATE")
    assert (status, "too late" in said) == (409, True)


def test_foreign_parts_do_not_exist(mine, other, guarded, tokens, planned):
    """They look as those of sessions that there are not."""
    body = {"state": PLANNED, "instance_action": "MIGRATE"}
    admin = guarded(tokens.add("admin", project=MINE))
    unknown = mine.get("/maintenance/none/" + MINE)
    for method, project, instance in (
        ("GET", OTHER, ()),
        ("PUT", OTHER, ()),
        ("GET", OTHER, ("i3",)),
        ("PUT", OTHER, ("i3",)),
    ):
        more = {"body": body} if method == "PUT" else {}
        answer = mine(method, path(planned, project, *instance), **more)
        assert (answer.status, answer.key) == (404, "itemNotFound")
        told = answer.json["error"].replace(planned.uuid, "none")
        assert told == unknown.json["error"]
    # Whose instance it is matters, not in whose name it is asked for.
    assert mine.put(path(planned, MINE, "i3"), body).status == 404
    assert replies(planned) == {MINE: "pending", OTHER: "pending"}
    assert other.put(path(planned, OTHER, "i3"), body).status == 200
    assert admin.put(path(planned), body).status == 200
    assert replies(planned) == {MINE: "ack", OTHER: "ack"}


@one_backend
def test_a_project_without_instances_there(guarded, tokens, session):
    third = guarded(tokens.add("member", "reader", project="aa"))
    assert third.get(path(session, "aa")).status == 404
    body = {"state": "ACK_MAINTENANCE"}
    assert third.put(path(session, "aa"), body).status == 404


@one_backend
@pytest.mark.parametrize(
    ("roles", "scope", "read", "reply"),
    [
        (["member", "reader"], {}, 200, 200),
        (["reader"], {}, 200, 403),
        (["service"], {}, 200, 200),
        ([], {}, 403, 403),
        (["recovery_auditor"], {}, 200, 403),
        (["reader"], {"system": True}, 200, 403),
        (["admin"], {}, 200, 200),
    ],
)
def test_who_may_reply(guarded, tokens, session, roles, scope, read, reply):
    api = guarded(tokens.add(*roles, project=MINE, **scope))
    assert api.get(path(session)).status == read
    body = {"state": "ACK_MAINTENANCE"}
    assert api.put(path(session), body).status == reply


@one_backend
def test_sessions_are_the_administrators_s(mine, guarded, tokens, session):
    one = f"/maintenance/{session.uuid}"
    body = {"maintenance_at": "2026-12-02 03:04:05"}
    service = guarded(tokens.add("service"))
    for api in (mine, service):
        for method, url, sent in (
            ("GET", "/maintenance", None),
            ("POST", "/maintenance", body),
            ("GET", one, None),
            ("GET", f"{one}/detail", None),
            ("PUT", one, {}),
            ("POST", f"{one}/action", {"action": "abort"}),
            ("DELETE", one, None),
        ):
            answer = api(method, url, sent)
            assert (answer.status, answer.key) == (403, "forbidden"), url
            assert answer.json["error"]
    assert session.get().requested is None


def test_a_session_s_run_is_not_the_projects_s(mine, planned):
    """It has the instances of all projects."""
    assert mine.get("/transactions").json == []
    assert mine.get(f"/transactions/{planned.uuid}").status == 404
