import uuid

import pytest

from recovery_ha.tests.fixtures.rest import REPORT, SEGMENT

FIELDS = {
    "id",
    "uuid",
    "name",
    "service_type",
    "enabled",
    "description",
    "recovery_method",
    "created_at",
    "updated_at",
    "deleted_at",
    "deleted",
}


def test_created_segment_is_answered_with_all_its_fields(api):
    answer = api.post("/segments", {"segment": SEGMENT})

    assert answer.status == 201
    assert answer.headers["content-type"] == "application/json"
    found = answer.json["segment"]
    assert set(found) == FIELDS
    assert found | SEGMENT == found
    assert isinstance(found["id"], int)
    assert str(uuid.UUID(found["uuid"])) == found["uuid"]
    assert found["enabled"] is True
    assert found["description"] is None
    assert found["updated_at"] is None
    assert found["deleted_at"] is None
    assert found["deleted"] is False
    assert len(found["created_at"]) == len("2026-11-20T12:37:37.000000")
    assert found["created_at"].endswith(".000000")


@pytest.mark.parametrize("key", ["id", "uuid"])
def test_segment_is_found_by_id_and_uuid(api, segment, key):
    answer = api.get(f"/segments/{segment[key]}")

    assert (answer.status, answer.json) == (200, {"segment": segment})


@pytest.mark.parametrize(
    "reference",
    [
        "7777777",
        "9" * 30,
        "%D9%A3",
        "nobody",
        "-1",
        "1.0",
        str(uuid.UUID(int=7)),
        "a" * 400,
    ],
)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.usefixtures("segment")
def test_unknown_segment_is_404(api, reference, method):
    body = {"segment": {"name": "two"}} if method == "PUT" else None
    answer = api(method, f"/segments/{reference}", body)

    assert (answer.status, answer.key) == (404, "itemNotFound")
    assert answer.fault["error"] == "recovery_ha.segment.not_found"
    assert reference in answer.fault["message"]


def test_segment_name_is_unique_among_the_living(api, segment):
    again = api.post("/segments", {"segment": SEGMENT})
    assert (again.status, again.key) == (409, "conflictingRequest")
    assert again.fault["error"] == "recovery_ha.name.exists"
    assert "one" in again.fault["message"]

    assert api.delete(f"/segments/{segment['uuid']}").status == 204
    assert api.post("/segments", {"segment": SEGMENT}).status == 201


def test_update_answers_the_whole_segment(api, segment):
    answer = api.put(
        f"/segments/{segment['id']}",
        {"segment": {"name": "two", "description": "line\nline"}},
    )

    assert answer.status == 200
    found = answer.json["segment"]
    assert found.pop("updated_at").endswith(".000000")
    segment |= {"name": "two", "description": "line\nline"}
    assert found == {k: v for k, v in segment.items() if k != "updated_at"}


def test_update_to_the_name_of_another_is_409(api, world, segment):
    world.segment(name="two")
    answer = api.put(
        f"/segments/{segment['uuid']}", {"segment": {"name": "two"}}
    )
    assert answer.status == 409


def test_enabled_is_taken_from_1_2_on(api):
    body = {"segment": SEGMENT | {"enabled": "off"}}
    refused = api.post("/segments", body, version="1.1")
    assert refused.status == 400
    assert "segment.enabled" in refused.fault["message"]

    taken = api.post("/segments", body, version="1.2")
    assert taken.json["segment"]["enabled"] is False

    url = f"/segments/{taken.json['segment']['uuid']}"
    body = {"segment": {"enabled": True}}
    assert api.put(url, body, version="1.1").status == 400
    assert api.put(url, body, version="1.3").json["segment"]["enabled"] is True


@pytest.mark.usefixtures("host")
def test_deleted_segment_is_gone_with_its_hosts(api, segment):
    answer = api.delete(f"/segments/{segment['uuid']}")

    assert (answer.status, answer.raw) == (204, b"")
    assert "content-type" not in answer.headers
    assert api.get(f"/segments/{segment['uuid']}").status == 404
    assert api.get(f"/segments/{segment['uuid']}/hosts").status == 404
    assert api.delete(f"/segments/{segment['uuid']}").status == 404
    report = api.post("/notifications", {"notification": REPORT})
    assert report.status == 400


@pytest.mark.parametrize("status", ["new", "running", "error"])
def test_segment_in_use_is_409(api, world, segment, notification, status):
    world.set(notification, status=status)
    url = f"/segments/{segment['uuid']}"

    for answer in (
        api.put(url, {"segment": {"name": "two"}}),
        api.delete(url),
    ):
        assert (answer.status, answer.key) == (409, "conflictingRequest")
        assert answer.fault["error"] == "recovery_ha.segment.in_use"

    world.set(notification, status="finished")
    assert api.delete(url).status == 204


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["three", "two", "one"]),
        ("name=two", ["two"]),
        ("name=nobody", []),
        ("recovery_method=auto", ["two", "one"]),
        ("recovery_method=unknown", []),
        ("service_type=compute", ["three"]),
        ("enabled=True", ["three", "one"]),
        ("enabled=0", ["two"]),
        ("enabled=no", ["two"]),
        ("is_enabled=0&unknown=1&page_size=2", ["three", "two", "one"]),
    ],
)
def test_filters(api, world, query, expected):
    world.segment()
    world.segment(name="two", enabled=False)
    world.segment(
        name="three", recovery_method="reserved_host", service_type="compute"
    )

    answer = api.get(f"/segments?{query}")
    assert answer.status == 200
    assert [item["name"] for item in answer.json["segments"]] == expected


def test_enabled_filter_of_another_word_is_400(api):
    answer = api.get("/segments?enabled=maybe")
    assert answer.status == 400
    for word in ("enabled", "maybe", "yes"):
        assert word in answer.fault["message"]
