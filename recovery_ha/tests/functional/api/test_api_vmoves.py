import uuid
from datetime import datetime

import pytest

FIELDS = {
    "id",
    "uuid",
    "notification_uuid",
    "instance_uuid",
    "instance_name",
    "source_host",
    "dest_host",
    "start_time",
    "end_time",
    "type",
    "status",
    "message",
    "created_at",
    "updated_at",
    "deleted_at",
    "deleted",
}


@pytest.fixture
def url(notification):
    return f"/notifications/{notification['notification_uuid']}/vmoves"


@pytest.mark.parametrize("version", ["1.0", "1.3"])
def test_vmoves_are_listed_at_every_version(
    api, world, notification, url, version
):
    move = world.vmove(
        notification,
        dest_host="compute-2",
        status="succeeded",
        start_time=datetime(2026, 11, 20, 12, 0, 0, 5),
        message="it moved",
    )

    answer = api.get(url, version=version)
    assert answer.status == 200
    (found,) = answer.json["vmoves"]
    assert set(found) == FIELDS
    assert found["instance_uuid"] == move["instance_uuid"]
    assert found["start_time"] == "2026-11-20T12:00:00.000005"
    assert found["end_time"] is None
    assert found["status"] == "succeeded"
    for key in ("id", "uuid"):
        one = api.get(f"{url}/{found[key]}", version=version)
        assert (one.status, one.json) == (200, {"vmove": found})


def test_filters(api, world, notification, url):
    world.vmove(notification, status="failed")
    world.vmove(notification, status="pending", type="migration")

    def names(query):
        found = api.get(f"{url}?{query}").json["vmoves"]
        return [item["instance_name"] for item in found]

    assert names("") == ["vm-2", "vm-1"]
    assert names("status=failed") == ["vm-1"]
    assert names("type=migration") == ["vm-2"]
    assert names("status=unknown") == []
    assert names("sort_key=instance_name&sort_dir=asc") == ["vm-1", "vm-2"]
    assert names("limit=1") == ["vm-2"]


@pytest.mark.parametrize("tail", ["", "/1"])
@pytest.mark.usefixtures("database")
def test_unknown_notification_is_404(api, tail):
    answer = api.get(f"/notifications/7777777/vmoves{tail}")
    assert answer.status == 404
    assert answer.fault["error"] == "recovery_ha.notification.not_found"


@pytest.mark.parametrize("tail", ["", "/1"])
@pytest.mark.usefixtures("host")
def test_only_host_notifications_have_vmoves(api, world, tail):
    found = world.vm_report()
    answer = api.get(f"/notifications/{found['id']}/vmoves{tail}")
    assert (answer.status, answer.key) == (400, "badRequest")
    assert "COMPUTE_HOST" in answer.fault["message"]


@pytest.mark.usefixtures("url")
def test_vmove_belongs_to_its_notification(api, world, notification):
    move = world.vmove(notification)
    other = world.report(payload={"event": "STARTED"})
    for reference in (move["uuid"], str(uuid.uuid4()), "x"):
        answer = api.get(f"/notifications/{other['id']}/vmoves/{reference}")
        assert answer.status == 404
        assert answer.fault["error"] == "recovery_ha.vmove.not_found"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_vmoves_cannot_be_changed(api, url, method):
    for path in (url, f"{url}/1"):
        answer = api(method, path)
        assert (answer.status, answer.key) == (405, "badMethod")
