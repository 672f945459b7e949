"""Constraints, webhooks and engines over REST."""

import ipaddress

import pytest

from recovery_ha.api import receivers
from recovery_ha.api.app import make_app
from recovery_ha.context import internal_context
from recovery_ha.db import services
from recovery_ha.domain import errors
from recovery_ha.tests.fixtures.asked_session import AskedSession
from recovery_ha.tests.fixtures.rest import Api

one_backend = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
MINE, OTHER = "0af9c2d4e5", "77c0ffee77"
INSTANCE = {
    "instance_id": "i1",
    "project_id": MINE,
    "group_id": "g1",
    "instance_name": "web-1",
    "max_interruption_time": 120,
    "migration_type": "OWN_ACTION",
    "resource_mitigation": True,
    "lead_time": 40,
}
GROUP = {
    "group_id": "g1",
    "project_id": MINE,
    "group_name": "web",
    "anti_affinity_group": True,
    "max_instances_per_host": 2,
    "max_impacted_members": 3,
    "recovery_time": 4,
    "resource_mitigation": True,
}
KINDS = pytest.mark.parametrize(
    ("url", "name", "full"),
    [("instance", "i1", INSTANCE), ("instance_group", "g1", GROUP)],
)
HOOK = {
    "url": "https://manager.example.org/maintenance",
    "secret": "0123456789abcdef",
}


@pytest.fixture
def mine(guarded, tokens):
    return guarded(tokens.add("member", "reader", project=MINE))


@pytest.fixture
def other(guarded, tokens):
    return guarded(tokens.add("member", "reader", project=OTHER))


@pytest.fixture
def admin(guarded, tokens):
    return guarded(tokens.add("admin", project="ad"))


@KINDS
def test_an_entry(mine, url, name, full):
    path = f"/{url}/{name}"
    assert mine.get(path).status == 404
    for method, more in (("PUT", {"body": full}), ("GET", {})):
        answer = mine(method, path, **more)
        assert (answer.status, answer.json) == (200, full)
    assert mine.get(f"/{url}").json == {
        f"{url}s": [full],
        f"{url}s_links": [],
    }
    # It is replaced, not changed.
    answer = mine.put(path + "/", {})
    assert answer.status == 200
    assert answer.json["project_id"] == MINE
    assert answer.json["resource_mitigation"] is False
    answer = mine.delete(path)
    assert (answer.status, answer.json) == (200, {})
    answer = mine.delete(path)
    assert (answer.status, answer.key) == (404, "itemNotFound")
    assert answer.json["error"] == answer.fault["message"]


@KINDS
def test_entries_of_others(mine, other, admin, url, name, full):
    path = f"/{url}/{name}"
    assert mine.put(path, full).status == 200
    for method in ("GET", "DELETE"):
        assert other(method, path).status == 404
    assert other.get(f"/{url}").json[f"{url}s"] == []
    answer = other.put(f"/{url}/new", {"project_id": MINE})
    assert (answer.status, answer.key) == (403, "forbidden")
    assert admin.get(path).json == full
    changed = full | {"resource_mitigation": False}
    assert admin.put(path, changed).status == 200
    assert mine.get(path).json == changed
    assert admin.put(f"/{url}/own", {}).json["project_id"] == "ad"


@KINDS
def test_who_knows_an_id_keeps_nobody_out(mine, other, admin, url, name, full):
    path = f"/{url}/{name}"
    theirs = full | {"project_id": OTHER}
    assert other.put(path, theirs).status == 200
    answer = mine.put(path, full)
    assert (answer.status, answer.json) == (200, full)
    assert mine.get(path).json == full
    assert other.get(path).json == theirs
    assert admin.get(path).json == theirs  # the oldest
    assert admin.get(f"/{url}").json[f"{url}s"] == [theirs, full]
    changed = full | {"resource_mitigation": False}
    assert admin.put(path, changed).status == 200
    assert (mine.get(path).json, other.get(path).json) == (changed, theirs)
    assert other.delete(path).status == 200
    assert mine.get(path).json == changed
    assert other.put(path, theirs).status == 200
    assert admin.delete(path).status == 200
    for one in (mine, other, admin):
        assert one.get(path).status == 404


@one_backend
def test_a_client_s_word(mine):
    answer = mine.put("/instance/i1", {"migration_type": "MIGRATION"})
    assert answer.json["migration_type"] == "MIGRATE"


@one_backend
@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("instance/i1", {"instance_id": "i2"}, "that of the URL, 'i1'"),
        ("instance/i1", {"lead_time": -1}, "Value: -1. Allowed: seconds"),
        ("instance/i1", {"lead_time": "40"}, "seconds, an integer"),
        ("instance/i1", {"lead_time": 2**31}, "2147483647"),
        ("instance/i1", {"migration_type": "FLY"}, "OWN_ACTION, MIGRATION"),
        ("instance/i1", {"resource_mitigation": 1}, "boolean"),
        ("instance/i1", {"colour": 1}, "colour"),
        (f"instance/{'i' * 37}", {}, "up to 36 characters"),
        ("instance_group/g1", {"group_id": "g2"}, "'g2'. Allowed: that"),
        ("instance_group/g1", {"max_impacted_members": 0}, "from 1 to"),
        ("instance_group/g1", None, "body"),
        (f"instance_group/{'g' * 65}", {}, "up to 64 characters"),
    ],
)
def test_what_is_refused(mine, path, body, said):
    answer = mine.put(f"/{path}", body)
    assert (answer.status, answer.key) == (400, "badRequest")
    assert said in answer.fault["message"]


@one_backend
def test_somebody_s_it_has_to_be(api):
    answer = api.put("/instance/i1", {})
    assert answer.status == 400
    assert "project_id" in answer.fault["message"]


@KINDS
def test_pages_cost_the_same_statements(api, statements, url, name, full):
    names = [f"{name}-{number}" for number in range(5)]
    for one in names:
        body = {"project_id": MINE}
        assert api.put(f"/{url}/{one}", body).status == 200
    page, seen = "limit=2", []
    while page:
        with statements() as sent:
            answer = api.get(f"/{url}?{page}").json
        selects = [s for s in sent if s.startswith("SELECT")]
        assert len(selects) == 1 + ("marker" in page)
        seen += [one[next(iter(full))] for one in answer[f"{url}s"]]
        links = answer[f"{url}s_links"]
        page = links[0]["href"].partition("?")[2] if links else ""
    assert seen == names


# Webhooks


def test_a_webhook(mine, other, admin):
    answer = mine.post("/webhooks", {"webhook": HOOK})
    assert answer.status == 201
    found = answer.json["webhook"]
    assert set(found) == {"id", "project_id", "url", "created_at"}
    assert (found["url"], found["project_id"]) == (HOOK["url"], MINE)
    path = f"/webhooks/{found['id']}"
    assert mine.get(path).json == {"webhook": found}
    assert mine.get("/webhooks").json["webhooks"] == [found]
    assert other.get("/webhooks").json["webhooks"] == []
    for method in ("GET", "DELETE"):
        answer = other(method, path)
        assert answer.fault["error"] == "recovery_ha.webhook.not_found"
    assert admin.get("/webhooks").json["webhooks"] == [found]
    assert mine.post("/webhooks", {"webhook": HOOK}).status == 409
    hook = HOOK | {"project_id": OTHER}
    assert mine.post("/webhooks", {"webhook": hook}).status == 403
    assert admin.post("/webhooks", {"webhook": hook}).status == 201
    assert mine.delete(path).status == 204
    assert mine.get(path).status == 404
    assert len(other.get("/webhooks").json["webhooks"]) == 1


@one_backend
def test_pages_of_webhooks(api, statements):
    for number in range(5):
        hook = HOOK | {"project_id": f"p{number}"}
        assert api.post("/webhooks", {"webhook": hook}).status == 201
    page, seen = "limit=2", []
    while page:
        with statements() as sent:
            answer = api.get(f"/webhooks?{page}").json
        selects = [s for s in sent if s.startswith("SELECT")]
        assert len(selects) == 1 + ("marker" in page)
        seen += [one["project_id"] for one in answer["webhooks"]]
        links = answer["webhooks_links"]
        page = links[0]["href"].partition("?")[2] if links else ""
    assert seen == [f"p{number}" for number in range(5)]


@one_backend
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"url": "http://manager.example.org/"}, "Allowed: https:// only"),
        ({"url": "ftp://manager.example.org/"}, "must begin with https://"),
        ({"url": "manager"}, "must begin with https://"),
        ({"url": "https://"}, "webhook.url"),
        ({"url": "https://a:b@example.org/"}, "user or password"),
        ({"url": "https://127.0.0.1/"}, "anybody on the Internet"),
        ({"url": "https://169.254.169.254/"}, "anybody on the Internet"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "anybody on the Internet"),
        ({"url": "http://8.8.8.8/"}, "Allowed: https:// only"),
        ({"url": "https://a b/"}, "a URL of up to 2048"),
        ({"url": None}, "url"),
        ({"secret": "short"}, "Value: ***. Allowed: 16 to 512"),
        ({"colour": 1}, "colour"),
    ],
)
def test_webhooks_that_are_refused(mine, fields, said):
    answer = mine.post("/webhooks", {"webhook": HOOK | fields})
    assert answer.status == 400
    assert said in answer.fault["message"]


@one_backend
@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("http://10.1.2.3:8080/x", 201),
        ("https://10.1.2.3/x", 201),
        ("http://10.2.0.1/x", 400),
        ("http://manager.internal/x", 201),  # judged when it is sent
    ],
)
def test_networks_that_are_allowed(conf, database, url, status):
    conf.set_override("allowed_networks", ["10.1.0.0/16"], "webhook")
    api = Api(make_app(conf, database, lambda: None))
    hook = HOOK | {"url": url, "project_id": MINE}
    assert api.post("/webhooks", {"webhook": hook}).status == status


@one_backend
def test_networks_that_are_none(conf):
    conf.set_override("allowed_networks", ["10.1.0.0/99"], "webhook")
    with pytest.raises(errors.InvalidConfiguration, match="/99"):
        receivers.networks(conf)
    conf.set_override("allowed_networks", ["fd00::/8"], "webhook")
    assert receivers.networks(conf) == (ipaddress.ip_network("fd00::/8"),)


# Engines


def test_engines(api, database, statements):
    ctx = internal_context(database)
    assert api.get("/services").json == {"services": []}
    for name in ("b", "a"):
        services.beat(
            ctx,
            host=name,
            owner=f"engine-{name}",
            binary="recovery-ha-engine",
            version="1.2.3",
            capabilities={"workflows": ["vnf", "default"], "actions": []},
        )
    services.leave(ctx, "b", "engine-b")
    session = AskedSession(database)
    session.claim()
    session.set(lease_owner="engine-a")
    with statements() as seen:
        answer = api.get("/services")
    assert len([s for s in seen if s.startswith("SELECT")]) == 4
    first, second = answer.json["services"]
    assert (first["host"], first["state"]) == ("a", "up")
    assert first["version"] == "1.2.3"
    assert first["capabilities"] == {
        "workflows": ["default", "vnf"],
        "actions": [],
    }
    assert first["holds"] == {
        "maintenance": [session.uuid],
        "recovery": [],
        "cluster": [],
    }
    assert (second["host"], second["state"]) == ("b", "down")
    assert second["holds"]["maintenance"] == []


@one_backend
def test_an_engine_that_fell_silent(conf, database):
    ctx = internal_context(database)
    conf.set_override("service_down_time", 1.0, "engine")
    app = make_app(conf, database, lambda: None, check_responses=True)
    services.beat(
        ctx,
        host="a",
        owner="o",
        binary="x",
        version="1",
        capabilities={},
    )
    with database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE services SET seen_at = seen_at - 2")
    (found,) = Api(app).get("/services").json["services"]
    assert found["state"] == "down"
    assert found["seen_at"] >= found["started_at"][:10]
