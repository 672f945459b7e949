import pytest

from recovery_ha.api.app import make_app
from recovery_ha.tests.fixtures.rest import demand_tokens

VERSION = {
    "id": "v1.0",
    "status": "CURRENT",
    "version": "1.4",
    "min_version": "1.0",
    "updated": "2016-07-01T11:33:21Z",
}
SELF = {"rel": "self", "href": "http://cloud.example.org/v1/"}
MEDIA_TYPES = [
    {
        "base": "application/json",
        "type": "application/vnd.openstack.masakari+json;version=1",
    }
]

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture(params=["noauth", "keystone"])
def anyone(request, conf, database, api):
    """Give an API asked by nobody who is known."""
    if request.param == "keystone":
        demand_tokens(conf)
    api.app = make_app(conf, database, lambda: None, check_responses=True)
    api.prefix = ""
    return api


@pytest.mark.parametrize("path", ["/", ""])
def test_list_of_versions(anyone, path):
    answer = anyone.get(path)
    assert answer.status == 200
    assert answer.json == {"versions": [VERSION | {"links": [SELF]}]}


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/0af9c2d4", "/v1/0af9c2d4/"]
)
def test_document_of_the_version(anyone, path):
    answer = anyone.get(path, version="99.99")
    assert answer.status == 200
    describedby = {
        "rel": "describedby",
        "type": "text/html",
        "href": "https://docs.openstack.org/",
    }
    assert answer.json == {
        "version": VERSION
        | {"links": [SELF, describedby], "media-types": MEDIA_TYPES}
    }


@pytest.mark.parametrize("path", ["/v2", "/foo/bar", "/v11/segments"])
def test_other_paths_are_answered_with_the_choices(anyone, path):
    answer = anyone.get(path)
    assert answer.status == 300
    (choice,) = answer.json["choices"]
    href = f"http://cloud.example.org/v1{path}"
    assert choice == {
        "id": "v1.0",
        "status": "CURRENT",
        "links": [{"rel": "self", "href": href}],
        "media-types": MEDIA_TYPES,
    }


def test_links_begin_with_the_configured_prefix(conf, database, api):
    conf.set_override("link_prefix", "https://ha.example.org/x/", "api")
    api.app = make_app(conf, database, lambda: None)
    api.prefix = ""
    (version,) = api.get("/").json["versions"]
    assert version["links"][0]["href"] == "https://ha.example.org/x/v1/"


def test_links_heed_proxy_headers_where_that_is_configured(
    conf, database, api
):
    headers = {
        "X_Forwarded_Proto": "https",
        "X_Forwarded_Host": "ha.example.org",
    }

    def href():
        (version,) = api.get("", **headers).json["versions"]
        return version["links"][0]["href"]

    api.prefix = "/"
    assert href() == SELF["href"]
    conf.set_override("enable_proxy_headers_parsing", True, "oslo_middleware")
    api.app = make_app(conf, database, lambda: None)
    assert href() == "https://ha.example.org/v1/"


@pytest.mark.usefixtures("database")
def test_healthcheck(anyone, conf, tmp_path):
    answer = anyone.get("/healthcheck")
    assert (answer.status, answer.raw) == (200, b"OK")

    stop = tmp_path / "stop"
    conf.set_override("disable_by_file_path", str(stop), "healthcheck")
    stop.touch()
    answer = anyone.get("/healthcheck")
    assert (answer.status, answer.raw) == (503, b"DISABLED BY FILE")


ALIASES = {
    "extensions",
    "notifications",
    "os-hosts",
    "segments",
    "versions",
    "vmoves",
}


def test_extensions(api):
    found = api.get("/extensions").json["extensions"]
    assert {item["alias"] for item in found} == ALIASES
    for item in found:
        assert item["namespace"] == item["updated"] == ""
        assert item["links"] == []
        one = api.get(f"/extensions/{item['alias']}")
        assert (one.status, one.json) == (200, {"extension": item})


def test_unknown_extension_is_404(api):
    answer = api.get("/extensions/nothing")
    assert (answer.status, answer.key) == (404, "itemNotFound")


def test_cross_origin_requests_where_that_is_configured(conf, database, api):
    origin = {"Origin": "https://horizon.example.org"}
    assert (
        "access-control-allow-origin"
        not in api.get("/segments", **origin).headers
    )

    conf.set_override("allowed_origin", [origin["Origin"]], "cors")
    api.app = make_app(conf, database, lambda: None)
    for path in ("/segments", "/nothing"):
        headers = api.get(path, **origin).headers
        assert headers["access-control-allow-origin"] == origin["Origin"]
