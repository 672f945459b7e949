"""What each kind of caller may read, on every route there is."""

import json

import pytest

from recovery_ha.api.app import make_app
from recovery_ha.api.controllers import root
from recovery_ha.tests.fixtures.asked_session import AskedSession
from recovery_ha.tests.fixtures.rest import Api

one_backend = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

#: Roles and scope of a token; what belongs to the cloud is for some only.
FOREIGN = {
    "nobody": ([], {}),
    "reader": (["reader"], {}),
    "member": (["member", "reader"], {}),
    "manager": (["manager", "member", "reader"], {}),
    "system without a role": ([], {"system": True}),
}
CLOUD = {
    "service": (["service"], {}),
    "auditor": (["recovery_auditor"], {}),
    "system reader": (["reader"], {"system": True}),
    "admin": (["admin"], {}),
}
#: The user who reported everything.
MONITOR = "u1"
#: What only administrators see, in any answer.
SECRETS = ("hunter2-control", "hunter2-process")
#: What nobody sees.
KEY = "hunter2-webhook-secret"

GETS = sorted(
    url for url, methods in root.routes(None).items() if "GET" in methods
)
#: Where what is shown belongs to projects.
OF_PROJECTS = (
    *("clusters", "transactions", "tasks", "deployment_history"),
    *("maintenance/{}/{}", "instance", "instance_group", "webhooks"),
)
#: Of the answer that is a list, where it is not the URL.
KEYS = {"instance": "instances", "instance_group": "instance_groups"}
LISTS = [url for url in GETS if not url.endswith("{}")]


@pytest.fixture
def urls(world):
    """Give the URL of each route with things in it, secrets included."""
    segment = world.segment()
    host = world.host(segment, control_attributes=SECRETS[0])
    payload = {"event": "STOPPED", "process_name": SECRETS[1]}
    process = world.report(type="PROCESS", payload=payload)
    report = world.report()
    for reported in (process, report):
        world.set(reported, reporter=MONITOR)
    move = world.vmove(report)
    cluster = world.cluster()
    session = AskedSession(world.database)
    session.settle({"p9": ["i9"]})
    session.ask({"p9": ["i9"]})
    for kind in ("instance", "instance_group"):
        body = {"project_id": "p9"}
        assert world.api.put(f"/{kind}/i9", body).status == 200
    webhook = {
        "url": "https://manager.example.org",
        "secret": KEY,
        "project_id": "p9",
    }
    assert world.api.post("/webhooks", {"webhook": webhook}).status == 201
    found = {
        "maintenance/{}": [session.uuid],
        "maintenance/{}/detail": [session.uuid],
        "maintenance/{}/{}": [session.uuid, "p9"],
        "maintenance/{}/{}/{}": [session.uuid, "p9", "i9"],
        "instance/{}": ["i9"],
        "instance_group/{}": ["i9"],
        "webhooks/{}": ["1"],
        "clusters/{}": [cluster["id"]],
        "clusters/{}/progress": [cluster["id"]],
        "tasks/{}": [report["notification_uuid"]],
        **{
            url: [report["notification_uuid"]]
            for url in GETS
            if url.startswith("transactions/{}")
        },
        "segments/{}": [segment["uuid"]],
        "segments/{}/hosts": [segment["uuid"]],
        "segments/{}/hosts/{}": [segment["uuid"], host["uuid"]],
        "notifications/{}": [report["notification_uuid"]],
        "notifications/{}/events": [report["notification_uuid"]],
        "notifications/{}/decisions": [report["notification_uuid"]],
        "notifications/{}/vmoves": [report["notification_uuid"]],
        "notifications/{}/vmoves/{}": [
            report["notification_uuid"],
            move["uuid"],
        ],
        "extensions/{}": ["vmoves"],
    }
    return {url: "/" + url.format(*found.get(url, ())) for url in GETS}


def test_there_are_lists():
    assert {"segments", "notifications", "segments/{}/hosts"} <= {*LISTS}


@one_backend
@pytest.mark.parametrize("who", FOREIGN)
def test_a_tenant_reads_nothing_foreign_on_any_list(
    guarded, tokens, urls, who
):
    roles, scope = FOREIGN[who]
    api = guarded(tokens.add(*roles, **scope))
    for url in GETS:
        answer = api.get(urls[url], version="1.3")
        if "reader" not in roles or not url.startswith(OF_PROJECTS):
            assert (answer.status, answer.key) == (403, "forbidden"), url
        elif "{}" not in url:
            found = answer.json
            if isinstance(found, dict):
                found = found[KEYS.get(url, url)]
            assert (answer.status, found) == (200, []), url
        else:
            assert (answer.status, answer.key) == (404, "itemNotFound"), url


def status_for(who, url):
    """Return what somebody of the cloud is answered about a thing."""
    of_projects = url.startswith(OF_PROJECTS)
    if url.startswith("maintenance") and not of_projects:
        return 200 if who == "admin" else 403
    # A service has what is its own project's, and what it reported.
    own = "{}" not in url or url.startswith(("transactions", "tasks"))
    foreign = who == "service" and of_projects and not own
    return 404 if foreign else 200


@one_backend
@pytest.mark.parametrize("who", CLOUD)
def test_secrets_are_for_administrators(guarded, tokens, urls, who):
    roles, scope = CLOUD[who]
    api = guarded(tokens.add(*roles, **scope))
    texts = []
    for url in GETS:
        answer = api.get(urls[url], version="1.3")
        assert answer.status == status_for(who, url), url
        texts.append(answer.raw.decode())
    assert KEY not in "".join(texts)
    shown = [secret for secret in SECRETS if secret in "".join(texts)]
    assert shown == (list(SECRETS) if who == "admin" else [])


@one_backend
@pytest.mark.usefixtures("host")
def test_who_reports_is_not_told_its_payload_again(guarded, tokens):
    payload = {"event": "STOPPED", "process_name": SECRETS[1]}
    report = {
        "type": "PROCESS",
        "hostname": "compute-1",
        "generated_time": "2026-11-20T12:37:37",
        "payload": payload,
    }
    api = guarded(tokens.add("service"))
    answer = api.post("/notifications", {"notification": report})
    assert answer.status == 202
    shown = answer.json["notification"]["payload"]
    assert shown == {"event": "***", "process_name": "***"}
    assert SECRETS[1] not in json.dumps(answer.json)


# Whose notifications


def reported(api, host="compute-1", **more):
    report = {
        "type": "COMPUTE_HOST",
        "hostname": host,
        "generated_time": "2026-11-20T12:37:37",
        "payload": {"event": "STOPPED", "cluster_status": "OFFLINE"},
    }
    answer = api.post("/notifications", {"notification": report | more})
    assert answer.status == 202
    return answer.json["notification"]["notification_uuid"]


def listed(api, query=""):
    answer = api.get(f"/notifications{query}")
    assert answer.status == 200
    found = answer.json["notifications"]
    return {item["notification_uuid"] for item in found}


@pytest.fixture
def two(guarded, tokens, world, segment):
    """Give two monitors, and the report of each."""
    monitors = []
    for user in ("one", "two"):
        world.host(segment, name=user)
        api = guarded(tokens.add("service", user=user))
        monitors.append((api, reported(api, user)))
    return monitors


def test_a_service_lists_what_it_reported(two, world):
    (one, first), (other, second) = two
    old = world.report(hostname="one", payload={"event": "STARTED"})
    world.set(old, reporter=None)  # posted before reporters were kept
    assert listed(one) == {first}
    assert listed(other) == {second}
    assert listed(one, "?sort_key=id&limit=1") == {first}
    assert listed(one, f"?marker={first}") == set()
    assert listed(world.api) == {first, second, old["notification_uuid"]}


def test_a_service_is_told_nothing_by_a_foreign_marker(two):
    (one, _first), (_other, second) = two
    answers = {
        one.get(f"/notifications?marker={marker}").fault["error"]
        for marker in (second, "1234")
    }
    assert len(answers) == 1


BELOW_NOTIFICATION = [u for u in GETS if u.startswith("notifications/{}")]


@pytest.mark.parametrize("url", BELOW_NOTIFICATION)
def test_a_foreign_notification_does_not_exist(guarded, tokens, urls, url):
    own = guarded(tokens.add("service", user=MONITOR))
    assert own.get(urls[url]).status == 200
    other = guarded(tokens.add("service", "member", "reader", user="u2"))
    answer = other.get(urls[url])
    assert answer.status == 404
    assert answer.fault["error"] == "recovery_ha.notification.not_found"


@one_backend
@pytest.mark.parametrize("roles", [("service", "admin"), ("service", "ops")])
@pytest.mark.parametrize("who", ["auditor", "system reader", "admin"])
def test_a_service_with_more_rights_reads_all(
    guarded, tokens, two, roles, who
):
    more, scope = CLOUD[who]
    api = guarded(tokens.add(*roles, *more, user="three", **scope))
    assert listed(api) == {first for _api, first in two}


@one_backend
@pytest.mark.parametrize(
    ("rules", "roles", "count"),
    [
        ({"recovery_ha:notifications:all": "role:service"}, ["service"], 2),
        ({"recovery_ha:notifications:all": "role:ops"}, ["service"], 1),
        ({"recovery_ha:notifications:all": "role:ops"}, ["admin"], 1),
        ({"recovery_ha:notifications:all": "!"}, ["recovery_auditor"], 1),
        # Whom the operator lets in reads what there is.
        ({"os_masakari_api:notifications:index": "role:ops"}, ["ops"], 2),
        ({"recovery_ha:cloud_reader": "role:ops"}, ["ops"], 2),
    ],
)
def test_the_policy_says_who_reads_all(
    conf, database, tokens, two, tmp_path, rules, roles, count
):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(rules))
    conf.set_override("policy_file", str(path), "oslo_policy")
    app = make_app(conf, database, lambda: None)
    token = tokens.add(*roles, user="one")
    assert len(listed(Api(app, X_Auth_Token=token))) == count


@one_backend
def test_who_reads_all_is_asked_of_the_policy_alone(two, statements):
    (one, first), _other = two
    for url in ("/notifications", f"/notifications/{first}"):
        with statements() as seen:
            assert one.get(url).status == 200
        assert len([s for s in seen if s.startswith("SELECT")]) == 1
