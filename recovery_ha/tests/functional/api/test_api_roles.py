"""What each kind of caller may read, on every route there is."""

import json

import pytest

from recovery_ha.api.controllers import root

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
#: What only administrators see, in any answer.
SECRETS = ("hunter2-control", "hunter2-process")

GETS = sorted(
    url for url, methods in root.routes(None).items() if "GET" in methods
)
LISTS = [url for url in GETS if not url.endswith("{}")]


@pytest.fixture
def urls(world):
    """Give the URL of each route with things in it, secrets included."""
    segment = world.segment()
    host = world.host(segment, control_attributes=SECRETS[0])
    payload = {"event": "STOPPED", "process_name": SECRETS[1]}
    world.report(type="PROCESS", payload=payload)
    report = world.report()
    move = world.vmove(report)
    found = {
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
        assert (answer.status, answer.key) == (403, "forbidden"), url


@one_backend
@pytest.mark.parametrize("who", CLOUD)
def test_secrets_are_for_administrators(guarded, tokens, urls, who):
    roles, scope = CLOUD[who]
    api = guarded(tokens.add(*roles, **scope))
    texts = []
    for url in GETS:
        answer = api.get(urls[url], version="1.3")
        assert answer.status == 200, url
        texts.append(answer.raw.decode())
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
