import pytest

from recovery_ha.tests.fixtures.rest import HOST

FIELDS = {
    "id",
    "uuid",
    "name",
    "failover_segment_id",
    "failover_segment",
    "type",
    "reserved",
    "control_attributes",
    "on_maintenance",
    "created_at",
    "updated_at",
    "deleted_at",
    "deleted",
}


@pytest.fixture
def url(segment):
    return f"/segments/{segment['uuid']}/hosts"


def test_created_host_is_answered_with_its_segment(api, segment, url):
    answer = api.post(url, {"host": HOST})

    assert answer.status == 201
    found = answer.json["host"]
    assert set(found) == FIELDS
    assert found | HOST == found
    assert found["failover_segment_id"] == segment["uuid"]
    assert found["failover_segment"] == segment
    assert found["reserved"] is False
    assert found["on_maintenance"] is False


@pytest.mark.parametrize(
    ("given", "expected"),
    [(True, True), ("TRUE", True), ("1", True), ("Off", False), ("no", False)],
)
def test_words_for_booleans(api, url, given, expected):
    answer = api.post(
        url, {"host": HOST | {"reserved": given, "on_maintenance": given}}
    )
    assert answer.status == 201
    assert answer.json["host"]["reserved"] is expected
    assert answer.json["host"]["on_maintenance"] is expected


@pytest.mark.parametrize("segment_key", ["id", "uuid"])
@pytest.mark.parametrize("host_key", ["id", "uuid"])
def test_host_is_found_by_id_and_uuid(
    api, segment, host, segment_key, host_key
):
    url = f"/segments/{segment[segment_key]}/hosts/{host[host_key]}"
    assert api.get(url).json == {"host": host}


@pytest.mark.usefixtures("host")
def test_host_name_is_unique_over_all_segments(api, world):
    other = world.segment(name="two")
    answer = api.post(f"/segments/{other['uuid']}/hosts", {"host": HOST})

    assert answer.status == 409
    assert answer.fault["error"] == "recovery_ha.name.exists"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_host_of_another_segment_is_404(api, world, host, method):
    other = world.segment(name="two")
    body = {"host": {"name": "x"}} if method == "PUT" else None
    answer = api(method, f"/segments/{other['uuid']}/hosts/{host['id']}", body)

    assert answer.status == 404
    assert answer.fault["error"] == "recovery_ha.host.not_found"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.usefixtures("database")
def test_hosts_of_an_unknown_segment_are_404(api, method):
    body = {"host": HOST} if method == "POST" else None
    answer = api(method, "/segments/7777777/hosts", body)
    assert answer.status == 404
    assert answer.fault["error"] == "recovery_ha.segment.not_found"


def test_update_answers_the_whole_host(api, url, host):
    answer = api.put(
        f"{url}/{host['id']}",
        {"host": {"on_maintenance": "True", "type": "KVM"}},
    )
    assert answer.status == 200
    found = answer.json["host"]
    assert found["on_maintenance"] is True
    assert found["type"] == "KVM"
    assert found["name"] == host["name"]
    assert found["updated_at"] is not None


def test_update_to_the_name_of_another_is_409(api, world, segment, url, host):
    world.host(segment, name="compute-2")
    answer = api.put(f"{url}/{host['uuid']}", {"host": {"name": "compute-2"}})
    assert answer.status == 409


def test_host_is_deleted(api, url, host):
    assert api.delete(f"{url}/{host['uuid']}").status == 204
    assert api.get(f"{url}/{host['uuid']}").status == 404
    assert api.get(url).json == {"hosts": []}
    assert api.post(url, {"host": HOST}).status == 201


@pytest.mark.usefixtures("notification")
def test_host_of_a_segment_in_use_is_409(api, url, host):
    for answer in (
        api.put(f"{url}/{host['id']}", {"host": {"reserved": True}}),
        api.delete(f"{url}/{host['id']}"),
    ):
        assert answer.status == 409
        assert answer.fault["error"] == "recovery_ha.segment.in_use"


@pytest.mark.parametrize("field", ["type", "control_attributes"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_null_is_400(api, url, host, field, method):
    path = url if method == "POST" else f"{url}/{host['id']}"
    answer = api(method, path, {"host": HOST | {field: None}})

    assert answer.status == 400
    assert f"host.{field}" in answer.fault["message"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["c", "b", "a"]),
        ("name=b", ["b"]),
        ("type=KVM", ["b"]),
        ("on_maintenance=yes", ["c"]),
        ("on_maintenance=False", ["b", "a"]),
        ("reserved=t", ["a"]),
        ("reserved=n&type=COMPUTE", ["c"]),
        ("failover_segment_id=nobody", ["c", "b", "a"]),
        ("control_attributes=nobody", ["c", "b", "a"]),
    ],
)
def test_filters(api, world, segment, url, query, expected):
    world.host(segment, name="a", reserved=True)
    world.host(segment, name="b", type="KVM")
    world.host(segment, name="c", on_maintenance=True)
    world.host(world.segment(name="other"), name="d")

    answer = api.get(f"{url}?{query}")
    assert [item["name"] for item in answer.json["hosts"]] == expected


@pytest.mark.parametrize("name", ["on_maintenance", "reserved"])
def test_boolean_filter_of_another_word_is_400(api, url, name):
    answer = api.get(f"{url}?{name}=maybe")
    assert answer.status == 400
    assert name in answer.fault["message"]


def test_list_takes_a_constant_number_of_statements(
    api, world, segment, url, statements
):
    world.host(segment, name="h0")
    with statements() as few:
        api.get(url)
    for number in range(1, 12):
        world.host(segment, name=f"h{number}")
    with statements() as many:
        assert len(api.get(url).json["hosts"]) == 12
    assert len(many) == len(few)
