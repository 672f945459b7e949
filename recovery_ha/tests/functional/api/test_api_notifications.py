import threading
import uuid

import pytest

from recovery_ha.tests.fixtures.rest import PAYLOAD, REPORT

FIELDS = {
    "id",
    "notification_uuid",
    "generated_time",
    "source_host_uuid",
    "type",
    "payload",
    "status",
    "failover_segment_uuid",
    "message",
    "created_at",
    "updated_at",
    "deleted_at",
    "deleted",
}
VM = {
    "event": "LIFECYCLE",
    "vir_domain_event": "STOPPED_FAILED",
    "instance_uuid": "96ab1c42-668c-4f2d-8689-afa3301d4ee9",
}


def post(api, **fields):
    return api.post("/notifications", {"notification": REPORT | fields})


def test_report_is_accepted(api, segment, host, wakes):
    answer = post(api)

    assert answer.status == 202
    found = answer.json["notification"]
    assert set(found) == FIELDS
    assert found["type"] == "COMPUTE_HOST"
    assert found["payload"] == PAYLOAD
    assert found["generated_time"] == REPORT["generated_time"]
    assert found["source_host_uuid"] == host["uuid"]
    assert found["failover_segment_uuid"] == segment["uuid"]
    assert found["status"] == "new"
    assert found["message"] is None
    assert wakes.count == 1
    url = f"/notifications/{found['notification_uuid']}"
    assert api.get(url).json == {"notification": found}


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("COMPUTE_HOST", {"event": "STARTED", "cluster_status": "ONLINE"}),
        ("COMPUTE_HOST", {"event": "STOPPED", "host_status": "UNKNOWN"}),
        ("PROCESS", {"event": "STOPPED", "process_name": "nova-compute"}),
        ("VM", VM),
        ("VM", VM | {"instance_uuid": VM["instance_uuid"].upper()}),
    ],
)
@pytest.mark.usefixtures("host")
def test_reports_of_each_type_are_accepted(api, kind, payload):
    answer = post(api, type=kind, payload=payload)
    assert answer.status == 202
    assert answer.json["notification"]["payload"] == payload


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-11-20T12:37:37.071690", "2026-11-20T12:37:37.071690"),
        ("2026-11-20 12:37:37", "2026-11-20T12:37:37.000000"),
        ("2026-11-20T12:37:37Z", "2026-11-20T12:37:37.000000"),
        ("2026-11-20T12:37:37+02:00", "2026-11-20T10:37:37.000000"),
        ("2026-11-20T01:37:37.5-0130", "2026-11-20T03:07:37.500000"),
        ("2026-11-20", "2026-11-20T00:00:00.000000"),
    ],
)
@pytest.mark.usefixtures("host")
def test_generated_time_becomes_utc(api, given, expected):
    answer = post(api, generated_time=given)
    assert answer.status == 202
    assert answer.json["notification"]["generated_time"] == expected


@pytest.mark.usefixtures("host")
def test_request_id_is_stored(api, database):
    from recovery_ha.context import internal_context  # noqa: PLC0415
    from recovery_ha.db import recovery  # noqa: PLC0415

    answer = post(api)
    found = recovery.get_notification(
        internal_context(database), str(answer.json["notification"]["id"])
    )
    assert found.request_id == answer.headers["x-openstack-request-id"]


@pytest.mark.usefixtures("host")
def test_unknown_host_is_400(api, wakes):
    answer = post(api, hostname="nobody")

    assert (answer.status, answer.key) == (400, "badRequest")
    assert answer.fault["error"] == "recovery_ha.notification.unknown_host"
    assert "nobody" in answer.fault["message"]
    assert wakes.count == 0


@pytest.mark.usefixtures("notification")
def test_duplicate_is_409_whatever_its_time(api, wakes):
    answer = post(api, generated_time="2026-11-20T12:40:00")

    assert (answer.status, answer.key) == (409, "conflictingRequest")
    assert answer.fault["error"] == "recovery_ha.notification.duplicate"
    assert wakes.count == 1
    assert post(api, payload=PAYLOAD | {"event": "STARTED"}).status == 202


def test_host_on_maintenance_is_409(api, world, segment):
    world.host(segment, on_maintenance=True)
    answer = post(api)

    assert (answer.status, answer.key) == (409, "conflictingRequest")
    assert answer.fault["error"] == "recovery_ha.host.under_maintenance"


@pytest.mark.usefixtures("app", "host")
def test_of_equal_reports_at_once_one_is_accepted(api):
    statuses = []

    def report():
        statuses.append(post(api).status)

    threads = [threading.Thread(target=report) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [202] + [409] * 7


@pytest.mark.usefixtures("host")
def test_failure_to_wake_is_no_concern_of_the_reporter(
    conf, database, api, caplog
):
    from recovery_ha.api.app import make_app  # noqa: PLC0415

    def broken():
        raise RuntimeError("queue is down")

    api.app = make_app(conf, database, broken, check_responses=True)
    assert post(api).status == 202
    assert "could not be woken" in caplog.text


@pytest.mark.parametrize("key", ["id", "notification_uuid"])
def test_notification_is_found_by_id_and_uuid(api, notification, key):
    answer = api.get(f"/notifications/{notification[key]}")
    assert (answer.status, answer.json) == (
        200,
        {"notification": notification},
    )


@pytest.mark.parametrize("reference", ["7777777", "x", str(uuid.UUID(int=1))])
@pytest.mark.usefixtures("notification")
def test_unknown_notification_is_404(api, reference):
    answer = api.get(f"/notifications/{reference}")
    assert answer.status == 404
    assert answer.fault["error"] == "recovery_ha.notification.not_found"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "POST", "PATCH"])
def test_notifications_cannot_be_changed(api, notification, method):
    answer = api(method, f"/notifications/{notification['id']}")
    assert (answer.status, answer.key) == (405, "badMethod")
    assert answer.headers["allow"] == "GET, HEAD"


def test_workflow_details_from_1_1_on(api, world, notification):
    url = f"/notifications/{notification['id']}"
    key = "recovery_workflow_details"
    assert key not in api.get(url, version="1.0").json["notification"]
    assert api.get(url, version="1.1").json["notification"][key] == []

    details = [
        {
            "timestamp": "2026-11-20 12:00:00.000001",
            "progress": 0.5,
            "message": "Started execution of B",
        },
        {
            "timestamp": "2026-11-20 12:00:01.000001",
            "progress": 1.0,
            "message": "Finished execution of B",
        },
    ]
    world.progress(
        notification,
        ("B", "SUCCESS", details),
        ("A", "RUNNING", details[:1]),
    )
    assert api.get(url, version="1.3").json["notification"][key] == [
        {
            "name": "B",
            "progress": 1.0,
            "state": "SUCCESS",
            "progress_details": [
                detail | {"progress": str(detail["progress"])}
                for detail in details
            ],
        },
        {
            "name": "A",
            "progress": 0.5,
            "state": "RUNNING",
            "progress_details": [details[0] | {"progress": "0.5"}],
        },
    ]


@pytest.mark.usefixtures("host")
def test_details_of_a_deleted_hosts_notification(
    api, world, segment, notification
):
    world.set(notification, status="failed", message="Nova said no.")
    url = f"/segments/{segment['uuid']}"
    assert api.delete(url).status == 204

    found = api.get(f"/notifications/{notification['id']}", version="1.1")
    assert found.status == 200
    assert found.json["notification"]["message"] == "Nova said no."


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [3, 2, 1]),
        ("status=new", [3, 1]),
        ("status=finished", [2]),
        ("status=unknown", []),
        ("type=VM", [3]),
        ("type=UNKNOWN", []),
        ("generated-since=2026-11-20T12:00:00", [3, 2]),
        ("generated_since=2026-11-20T12:00:00", [3, 2]),
        ("generated-since=2026-11-20%2012:30:00", [3]),
        ("generated-since=2026-11-20T13:30:00%2B01:00", [3]),
        ("generated-since=2026-11-20T13:30:00+01:00", [3]),
        ("source_host_uuid=nobody", []),
    ],
)
@pytest.mark.usefixtures("host")
def test_filters(api, world, query, expected):
    world.report(generated_time="2026-11-20T11:00:00")
    done = world.report(
        generated_time="2026-11-20T12:00:00",
        payload=PAYLOAD | {"event": "STARTED"},
    )
    world.set(done, status="finished")
    world.vm_report(generated_time="2026-11-20T12:30:00")
    found = api.get("/notifications").json["notifications"]
    first = min(item["id"] for item in found)

    answer = api.get(f"/notifications?{query}")
    assert answer.status == 200
    found = [item["id"] for item in answer.json["notifications"]]
    assert found == [first - 1 + number for number in expected]


def test_filter_by_host(api, notification, host):
    answer = api.get(f"/notifications?source_host_uuid={host['uuid']}")
    assert answer.json == {"notifications": [notification]}


@pytest.mark.parametrize("name", ["generated-since", "generated_since"])
@pytest.mark.parametrize("value", ["yesterday", "", "2026-13-01", "1"])
@pytest.mark.usefixtures("database")
def test_since_that_is_no_time_is_400(api, name, value):
    answer = api.get(f"/notifications?{name}={value}")
    assert answer.status == 400
    assert name in answer.fault["message"]
    assert "ISO 8601" in answer.fault["message"]
