"""What all routes have in common: versions, URLs, bodies, faults."""

import json
import re

import pytest
from oslo_db import exception as db_exc

from recovery_ha.api.app import make_app
from recovery_ha.tests.fixtures.rest import HOST, REPORT, SEGMENT, Api

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

REQUEST_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def check_fault(answer, status, key, code=None):
    assert (answer.status, answer.key) == (status, key), answer
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["vary"] == "OpenStack-API-Version"
    fault = answer.fault
    assert set(fault) == {"code", "message", "request_id", "error"}
    assert fault["code"] == status
    assert fault["message"]
    assert fault["request_id"] == answer.headers["x-openstack-request-id"]
    assert REQUEST_ID.fullmatch(fault["request_id"])
    assert fault["error"].startswith("recovery_ha.")
    if code is not None:
        assert fault["error"] == code


# Versions


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "1.0"),
        ("instance-ha 1.0", "1.0"),
        ("instance-ha 1.2", "1.2"),
        ("Instance-HA 1.3", "1.3"),
        ("instance-ha latest", "1.4"),
        ("compute 2.90, instance-ha 1.1", "1.1"),
        ("instance-ha 1.1, compute 2.90", "1.1"),
        ("compute 2.90", "1.0"),
        ("masakari 1.2", "1.0"),
        ("nonsense", "1.0"),
    ],
)
@pytest.mark.parametrize("path", ["/segments", "/segments/7777777"])
def test_version_of_the_answer(api, header, expected, path):
    headers = {} if header is None else {"OpenStack_API_Version": header}
    answer = api.get(path, **headers)
    assert answer.status in {200, 404}
    assert answer.headers["openstack-api-version"] == f"instance-ha {expected}"
    assert answer.headers["vary"] == "OpenStack-API-Version"


@pytest.mark.parametrize("version", ["1.5", "2.0", "1.10", "99.99"])
def test_version_out_of_range_is_406(api, version):
    answer = api.get("/segments", version=version)
    check_fault(
        answer, 406, "masakariFault", "recovery_ha.version.not_acceptable"
    )
    assert "openstack-api-version" not in answer.headers
    for word in (version, "1.0", "1.4"):
        assert word in answer.fault["message"]


@pytest.mark.parametrize(
    "version",
    ["0.9", "1", "x", "1.x", "1.01", "1.2.3", "-1.0", "1." + "9" * 99],
)
def test_version_of_another_form_is_400(api, version):
    answer = api.get("/segments", version=version)
    check_fault(answer, 400, "badRequest")
    assert "openstack-api-version" not in answer.headers


# URLs


@pytest.mark.parametrize("prefix", ["/v1", "/v1/0af9c2d4-e5", "/v1/abc"])
@pytest.mark.parametrize("tail", ["", "/", ".json"])
def test_forms_of_a_url(app, prefix, tail):
    api = Api(app, prefix)
    for path in ("/segments", "/notifications", "/extensions"):
        assert api.get(path + tail).status == 200
    assert api.get("/extensions/vmoves/").status == 200


def test_created_things_are_found_by_either_url(app, segment, host):
    api = Api(app, "/v1/abc")
    url = f"/segments/{segment['uuid']}/hosts"
    assert api.get(url).json == {"hosts": [host]}
    assert api.get(f"{url}.json").json == {"hosts": [host]}
    assert api.delete(f"{url}/{host['id']}/").status == 204


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/XYZ/segments",
        "/abc/abc/segments",
        "/segments/1/nothing",
        "/segments/1/hosts/1/nothing",
        "/notifications/1/vmoves/1/1",
        "/segments//hosts",
        "//segments",
        "/segments.xml",
        "/_route",
        "/__class__",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "BREW"])
def test_unknown_url_is_404(api, path, method):
    answer = api(method, path)
    check_fault(answer, 404, "itemNotFound", "recovery_ha.route.not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/segments", "GET, POST, HEAD"),
        ("DELETE", "/segments", "GET, POST, HEAD"),
        ("POST", "/segments/1", "GET, PUT, DELETE, HEAD"),
        ("PATCH", "/segments/1/hosts/1", "GET, PUT, DELETE, HEAD"),
        ("PATCH", "/segments/1/hosts", "GET, POST, HEAD"),
        ("OPTIONS", "/notifications", "GET, POST, HEAD"),
        ("BREW", "/notifications", "GET, POST, HEAD"),
        ("POST", "/extensions", "GET, HEAD"),
    ],
)
def test_other_method_is_405(api, method, path, allowed):
    answer = api(method, path)
    check_fault(answer, 405, "badMethod", "recovery_ha.method.not_allowed")
    assert answer.headers["allow"] == allowed


def test_method_cannot_be_named_in_the_query(api, segment):
    url = f"/segments/{segment['uuid']}"
    assert api.get(f"{url}?_method=delete").status == 200
    assert api.post(f"{url}?_method=delete").status == 405
    assert api.get(url).status == 200


@pytest.mark.parametrize("path", ["/segments", "/segments/{id}"])
def test_head_is_a_get_without_a_body(api, segment, path):
    path = path.format(**segment)
    got, head = api.get(path), api("HEAD", path)
    assert (head.status, head.raw) == (200, b"")
    assert head.headers["content-length"] == str(len(got.raw))
    assert api("HEAD", "/segments/7777777").status == 404


def test_url_that_is_not_utf8_is_400(api):
    check_fault(api.get("/segments/\xff"), 400, "badRequest")


def test_url_with_a_null_character_is_400(api):
    check_fault(api.get("/segments/a\0b"), 400, "badRequest")


# Bodies


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=UTF-8",
        "application/vnd.openstack.masakari+json",
        "text/plain",
        "",
    ],
)
def test_types_of_body_that_are_taken(api, kind):
    answer = api.post("/segments", {"segment": SEGMENT}, Content_Type=kind)
    assert answer.status == 201


@pytest.mark.parametrize(
    "kind", ["application/xml", "application/x-www-form-urlencoded", "x"]
)
def test_other_types_are_415(api, kind):
    answer = api.post("/segments", {"segment": SEGMENT}, Content_Type=kind)
    check_fault(
        answer, 415, "badMediaType", "recovery_ha.media_type.not_supported"
    )


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("text/html", "application/json"),
        (
            "application/vnd.openstack.masakari+json",
            "application/vnd.openstack.masakari+json",
        ),
        ("", "application/json"),
        (";;;", "application/json"),
    ],
)
def test_type_of_the_answer(api, accept, expected):
    answer = api.get("/segments", Accept=accept)
    assert answer.status == 200
    assert answer.headers["content-type"] == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"\xff\xfe{}",
        b'{"segment": NaN}',
        b'{"segment": ' + b"9" * 5000 + b"}",
        b"[" * 100000,
        b'{"segment": {"name": "\\ud800"}}',
        b'{"segment": {"name": "\\u0000"}}',
        b'{"\\ud800": 1}',
    ],
)
def test_body_that_is_not_json_is_400(api, raw):
    answer = api.post("/segments", raw=raw)
    check_fault(answer, 400, "badRequest")


def test_escapes_in_a_body_are_fine(api):
    raw = json.dumps({"segment": SEGMENT | {"name": "ä\\u0000"}}).encode()
    answer = api.post("/segments", raw=raw)
    assert answer.status == 201
    assert answer.json["segment"]["name"] == "ä\\u0000"


@pytest.mark.parametrize("raw", [b"", None, b"null", b"[]", b'"x"', b"1"])
@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/segments", "segment"),
        ("/segments/1/hosts", "host"),
        ("/notifications", "notification"),
    ],
)
def test_body_of_another_kind_is_400(api, path, key, raw):
    answer = api.post(path, raw=raw)
    check_fault(answer, 400, "badRequest")
    assert "body" in answer.fault["message"]
    assert "object" in answer.fault["message"]
    answer = api.post(path, {})
    assert key in answer.fault["message"]


@pytest.mark.usefixtures("conf")
def test_body_that_is_too_large_is_413(api):
    body = {"segment": SEGMENT | {"description": "x" * 5_000_000}}
    answer = api.post("/segments", body)
    check_fault(answer, 413, "overLimit", "recovery_ha.request.too_large")

    body = {"segment": SEGMENT | {"description": "x" * 100000}}
    assert api.post("/segments", body).status == 201


def test_body_shorter_than_announced_is_400(app):
    def short(environ, start_response):
        environ["CONTENT_LENGTH"] = "1000"
        return app(environ, start_response)

    answer = Api(short).post("/segments", {"segment": SEGMENT})
    check_fault(answer, 400, "badRequest")


@pytest.mark.parametrize("size", [10, 5_000_000])
def test_body_of_unknown_length(app, size):
    def chunked(environ, start_response):
        del environ["CONTENT_LENGTH"]
        environ["wsgi.input_terminated"] = True
        return app(environ, start_response)

    body = {"segment": SEGMENT | {"description": "x" * size}}
    answer = Api(chunked).post("/segments", body)
    assert answer.status == (201 if size == 10 else 413), answer


# Faults


@pytest.mark.usefixtures("database")
def test_our_own_failure_says_nothing_of_our_insides(api, monkeypatch, caplog):
    def fail(*_args, **_more):
        raise RuntimeError("secret inside")

    monkeypatch.setattr("recovery_ha.db.segments.list_segments", fail)
    answer = api.get("/segments")

    check_fault(answer, 500, "masakariFault", "recovery_ha.internal")
    assert b"secret" not in answer.raw
    assert b"Runtime" not in answer.raw
    assert caplog.text.count("RuntimeError: secret inside") == 1
    assert answer.fault["request_id"] in caplog.text


@pytest.mark.parametrize(
    "error",
    [
        db_exc.DBConnectionError(),
        db_exc.DBDeadlock(),
    ],
)
def test_database_that_is_gone_is_503(api, monkeypatch, error):
    def fail(*_args, **_more):
        raise error

    monkeypatch.setattr("recovery_ha.db.segments.list_segments", fail)
    answer = api.get("/segments")
    check_fault(answer, 503, "serviceUnavailable", "recovery_ha.unavailable")
    assert int(answer.headers["retry-after"]) > 0


def test_pool_without_a_free_connection_is_503(api, database, monkeypatch):
    monkeypatch.setattr(database.engine.pool, "_timeout", 0.01)
    with database.engine.connect():  # SQLite's only writer
        answer = api.post("/segments", {"segment": SEGMENT})
    check_fault(answer, 503, "serviceUnavailable")
    assert api.post("/segments", {"segment": SEGMENT}).status == 201


def test_every_answer_has_a_request_id_of_its_own(api):
    seen = {
        api(method, path).headers["x-openstack-request-id"]
        for method, path in (
            ("GET", "/segments"),
            ("GET", "/nothing"),
            ("POST", "/segments"),
            ("HEAD", "/segments"),
        )
    }
    assert len(seen) == 4
    assert all(REQUEST_ID.fullmatch(item) for item in seen)


@pytest.mark.usefixtures("segment")
def test_answers_are_checked_for_tests_only(conf, database, api, monkeypatch):
    monkeypatch.setattr(
        "recovery_ha.api.views.recovery.segment", lambda _item: {"id": "x"}
    )
    assert api.get("/segments").status == 500
    api.app = make_app(conf, database, lambda: None)
    assert api.get("/segments").status == 200


def test_several_applications_live_in_one_process(conf, database, api):
    conf.set_override("link_prefix", "https://other.example.org", "api")
    other = Api(make_app(conf, database, lambda: None), "")
    first = Api(api.app, "")
    for _turn in range(2):
        for one, href in (
            (other, "https://other.example.org/v1/"),
            (first, "http://cloud.example.org/v1/"),
        ):
            (version,) = one.get("/").json["versions"]
            assert version["links"][0]["href"] == href


def test_secrets_are_neither_logged_nor_repeated(api, segment, caplog):
    caplog.set_level("DEBUG", "recovery_ha")
    url = f"/segments/{segment['uuid']}/hosts"
    for secret in ("ipmi:hunter2", "hunter2\x07", ["hunter2"]):
        answer = api.post(url, {"host": HOST | {"control_attributes": secret}})
        if answer.status != 201:
            assert b"hunter2" not in answer.raw
            assert "host.control_attributes" in answer.fault["message"]
            assert "***" in answer.fault["message"]
    answer = api.post(url, {"host": ["hunter2"], "x": "hunter2"})
    assert answer.status == 400
    assert b"hunter2" not in answer.raw
    assert "hunter2" not in caplog.text


@pytest.mark.usefixtures("host")
def test_payloads_are_not_logged(api, caplog):
    caplog.set_level("DEBUG", "recovery_ha")
    payload = {"event": "STOPPED", "process_name": "hunter2"}
    report = REPORT | {"type": "PROCESS", "payload": payload}
    assert api.post("/notifications", {"notification": report}).status == 202
    report = REPORT | {"type": "PROCESS", "payload": payload | {"a": 1}}
    assert api.post("/notifications", {"notification": report}).status == 400
    assert "hunter2" not in caplog.text
