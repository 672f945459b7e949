"""Whatever a caller sends, it is never our failure."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recovery_ha.tests.fixtures.rest import HOST, REPORT, SEGMENT

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)

# One database serves all examples: what they leave behind does no harm.
relaxed = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=300),
    st.lists(st.text(max_size=5), max_size=2),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)
NAMES = sorted({*SEGMENT, *HOST, *REPORT, "enabled", "reserved", "x"})
latin = st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=30)


def check(answer):
    assert answer.status < 500, answer
    if answer.status >= 400:
        assert answer.fault["code"] == answer.status


@relaxed
@given(
    st.sampled_from(
        [
            ("POST", "/segments", "segment", SEGMENT),
            ("PUT", "/segments/{s}", "segment", {}),
            ("POST", "/segments/{s}/hosts", "host", HOST),
            ("PUT", "/segments/{s}/hosts/{h}", "host", {}),
            ("POST", "/notifications", "notification", REPORT),
        ]
    ),
    st.dictionaries(st.sampled_from(NAMES), values, max_size=3),
)
def test_fields(api, segment, host, case, fields):
    method, path, key, base = case
    path = path.format(s=segment["uuid"], h=host["uuid"])
    check(api(method, path, {key: {**base, **fields}}, version="1.3"))


@relaxed
@given(st.binary(max_size=200), latin)
def test_bodies(api, database, raw, kind):
    check(api.post("/notifications", raw=raw))
    check(api.post("/segments", raw=raw, Content_Type=kind))


@relaxed
@given(latin, latin, st.sampled_from(["GET", "HEAD", "PUT", "DELETE", "X"]))
def test_urls(api, segment, path, query, method):
    for url in (f"/{path}", f"/segments/{path}", f"/segments/{path}/hosts"):
        answer = api(method, url.replace("?", "") + f"?{query}")
        if method != "HEAD":
            check(answer)
        assert answer.status < 500


@relaxed
@given(
    st.sampled_from(
        [
            "limit",
            "marker",
            "sort_key",
            "sort_dir",
            "name",
            "enabled",
            "status",
            "type",
            "generated-since",
            "source_host_uuid",
        ]
    ),
    st.text(max_size=40),
)
def test_parameters(api, database, name, value):
    from urllib.parse import quote  # noqa: PLC0415

    query = f"{name}={quote(value, errors='surrogatepass')}"
    for path in ("/segments", "/notifications"):
        check(api.get(f"{path}?{query}"))


@relaxed
@given(latin, latin)
def test_headers(api, database, version, accept):
    check(api.get("/segments", OpenStack_API_Version=version, Accept=accept))
    check(api.get("/segments", version=version))
