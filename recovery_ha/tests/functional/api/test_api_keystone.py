"""Who may do what, with tokens as keystonemiddleware sees them."""

import pytest
from keystoneauth1 import exceptions as ksa_exc

from recovery_ha.api.app import make_app
from recovery_ha.tests.fixtures.rest import HOST, REPORT, SEGMENT, Api
from recovery_ha.tests.fixtures.tokens import PROJECT

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def filled(world, segment, host):
    """Give the URLs of one thing of each kind."""
    notification = world.report()
    move = world.vmove(notification)
    base = f"/notifications/{notification['id']}"
    return {
        "segments": "/segments",
        "segment": f"/segments/{segment['uuid']}",
        "hosts": f"/segments/{segment['uuid']}/hosts",
        "host": f"/segments/{segment['uuid']}/hosts/{host['uuid']}",
        "notifications": "/notifications",
        "notification": base,
        "vmoves": f"{base}/vmoves",
        "vmove": f"{base}/vmoves/{move['uuid']}",
        "extensions": "/extensions",
        "extension": "/extensions/vmoves",
    }


@pytest.mark.parametrize("kind", [None, "", "nobody", "expired", "spoofed"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/segments"),
        ("POST", "/segments"),
        ("GET", "/notifications/1"),
        ("GET", "/nothing"),
        ("PATCH", "/segments"),
        ("GET", "/0af9c2d4e5/segments"),
    ],
)
def test_without_a_valid_token_it_is_401(guarded, tokens, kind, method, path):
    token = tokens.add("admin", hours=-1) if kind == "expired" else kind
    headers = {}
    if kind == "spoofed":
        token = None
        headers = {
            "X_Identity_Status": "Confirmed",
            "X_Roles": "admin",
            "X_User_Id": "u1",
        }
    answer = guarded(token, **headers)(method, path)

    assert (answer.status, answer.key) == (401, "unauthorized")
    assert answer.fault["error"] == "recovery_ha.request.unauthorized"
    assert (
        answer.headers["www-authenticate"]
        == 'Keystone uri="http://keystone:5000"'
    )
    assert (
        answer.fault["request_id"] == answer.headers["x-openstack-request-id"]
    )


@pytest.mark.parametrize(
    "failure",
    [
        ksa_exc.ConnectFailure("refused"),
        ksa_exc.EndpointNotFound("none"),
        ksa_exc.MissingAuthPlugin("none"),
    ],
)
def test_keystone_that_is_down_is_503(guarded, tokens, failure):
    if isinstance(failure, ksa_exc.ConnectFailure):
        from webob import exc  # noqa: PLC0415

        failure = exc.HTTPServiceUnavailable("what auth_token makes of it")
    tokens.failure = failure
    answer = guarded("any").get("/segments")
    assert (answer.status, answer.key) == (503, "serviceUnavailable")
    assert "retry-after" in answer.headers


@pytest.mark.parametrize("token", [None, "nobody"])
def test_documents_need_no_token(guarded, token):
    for path in ("/", "/v1", "/v1/", "/healthcheck"):
        assert guarded(token, "").get(path).status == 200


@pytest.mark.usefixtures("host")
def test_admin_may_do_everything(guarded, tokens, filled):
    api = guarded(tokens.add("admin"))
    for url in filled.values():
        assert api.get(url).status == 200, url
    segment = api.post("/segments", {"segment": SEGMENT | {"name": "two"}})
    assert segment.status == 201
    url = f"/segments/{segment.json['segment']['id']}"
    assert api.put(url, {"segment": {"name": "three"}}).status == 200
    body = {"host": HOST | {"name": "compute-9"}}
    found = api.post(f"{url}/hosts", body)
    assert found.status == 201
    report = REPORT | {"hostname": "compute-9"}
    assert api.post("/notifications", {"notification": report}).status == 202
    shown = api.get(filled["host"]).json["host"]
    assert shown["control_attributes"] == "SSH"


READERS = {
    "system reader": (["reader"], {"system": True}),
    "system admin": (["admin", "member", "reader"], {"system": True}),
    "auditor": (["recovery_auditor"], {}),
}
STRANGERS = {
    "member": (["member", "reader"], {}),
    "reader": (["reader"], {}),
    "nothing": ([], {}),
    "system without a role": ([], {"system": True}),
    "domain admin": (["admin"], {"domain": True}),
}


@pytest.mark.parametrize("who", READERS)
def test_who_reads_the_whole_cloud(guarded, tokens, filled, who):
    roles, scope = READERS[who]
    api = guarded(tokens.add(*roles, **scope))
    for url in filled.values():
        assert api.get(url).status == 200, url
    shown = [
        api.get(filled["host"]).json["host"],
        *api.get(filled["hosts"]).json["hosts"],
    ]
    mask = "SSH" if "admin" in roles else "***"
    assert [item["control_attributes"] for item in shown] == [mask, mask]
    assert len(api.get("/extensions").json["extensions"]) == 6


def test_a_service_reads_hosts_and_not_what_others_posted(
    guarded, tokens, filled
):
    api = guarded(tokens.add("service"))
    for name in ("segments", "segment", "hosts", "host", "extensions"):
        assert api.get(filled[name]).status == 200, name
    for name in ("notification", "vmoves", "vmove"):
        assert api.get(filled[name]).status == 404, name
    answer = api.get(filled["notifications"])
    assert answer.json["notifications"] == []


@pytest.mark.parametrize("who", STRANGERS)
def test_who_sees_nothing(guarded, tokens, filled, who):
    roles, scope = STRANGERS[who]
    api = guarded(tokens.add(*roles, **scope))
    for url in filled.values():
        answer = api.get(url)
        assert (answer.status, answer.key) == (403, "forbidden"), url
        assert answer.fault["error"] == "recovery_ha.forbidden"


@pytest.mark.parametrize(
    "who", sorted({*READERS, *STRANGERS} - {"system admin"})
)
@pytest.mark.usefixtures("segment")
def test_who_may_not_write(guarded, tokens, filled, who):
    roles, scope = {**READERS, **STRANGERS}[who]
    api = guarded(tokens.add(*roles, **scope))
    reports = 403 if who != "service" else 400
    for method, url, expected in (
        # No body is needed to be refused: the rule comes first.
        ("POST", filled["segments"], 403),
        ("PUT", filled["segment"], 403),
        ("DELETE", filled["segment"], 403),
        ("POST", filled["hosts"], 403),
        ("PUT", filled["host"], 403),
        ("DELETE", filled["host"], 403),
        ("POST", filled["notifications"], reports),
    ):
        assert api(method, url).status == expected, (method, url)


@pytest.mark.usefixtures("host")
def test_service_reports_failures(guarded, tokens):
    api = guarded(tokens.add("service"))
    assert api.post("/notifications", {"notification": REPORT}).status == 202


@pytest.mark.usefixtures("database")
def test_project_in_the_url_must_be_the_tokens(guarded, tokens):
    token = tokens.add("admin")
    assert guarded(token, f"/v1/{PROJECT}").get("/segments").status == 200
    answer = guarded(token, "/v1/abc").get("/segments")
    assert (answer.status, answer.key) == (400, "badRequest")
    assert "Malformed request URL" in answer.fault["message"]
    answer = guarded(tokens.add("admin", system=True), f"/v1/{PROJECT}").get(
        "/segments"
    )
    assert answer.status == 400
    # A stranger learns nothing more than that.
    assert guarded(tokens.add("member"), "/v1/abc").get("/x").status == 404


def test_role_of_the_auditor_is_an_option(conf, database, guarded, tokens):
    assert guarded(tokens.add("inspector")).get("/segments").status == 403
    conf.set_override("auditor", "inspector", "policy")
    app = make_app(conf, database, lambda: None)
    api = Api(app, X_Auth_Token=tokens.add("inspector"))
    assert api.get("/segments").status == 200
    api = Api(app, X_Auth_Token=tokens.add("recovery_auditor"))
    assert api.get("/segments").status == 403
