"""What events say, and that nobody waits for those who listen."""

import json
import logging
import threading
from datetime import datetime

import pytest

from recovery_ha import metrics
from recovery_ha.clients import events
from recovery_ha.conf import new_config
from recovery_ha.domain import errors
from recovery_ha.domain.recovery import (
    Host,
    Notification,
    NotificationStatus,
    NotificationType,
    RecoveryMethod,
    Segment,
    VMove,
    VMoveStatus,
    VMoveType,
)
from recovery_ha.tests.fixtures.waiting import eventually

AT = datetime(2026, 11, 20, 12, 37, 37, 71690)
SEGMENT = Segment(
    id=1,
    uuid="s",
    name="one",
    service_type="compute",
    enabled=True,
    description=None,
    recovery_method=RecoveryMethod.AUTO,
    created_at=AT,
    updated_at=None,
)
HOST = Host(
    id=2,
    uuid="h",
    name="compute-1",
    type="COMPUTE",
    reserved=False,
    control_attributes="hunter2",
    on_maintenance=False,
    maintenance_cause=None,
    segment=SEGMENT,
    created_at=AT,
    updated_at=None,
)


def filled(kind, **values):
    """Return a dataclass whose other fields do not matter."""
    names = dict.fromkeys(kind.__dataclass_fields__)
    return kind(**names | values)


NOTIFICATION = filled(
    Notification,
    id=3,
    uuid="n",
    generated_time=AT,
    source_host_uuid="h",
    source_host_name="compute-1",
    segment_uuid="s",
    type=NotificationType.COMPUTE_HOST,
    payload={"event": "hunter2"},
    status=NotificationStatus.RUNNING,
    request_id="req-1",
)
MOVE = filled(
    VMove,
    id=4,
    uuid="v",
    notification_uuid="n",
    instance_uuid="i",
    instance_name="vm-1",
    source_host="compute-1",
    type=VMoveType.EVACUATION,
    status=VMoveStatus.FAILED,
    start_time=AT,
    message="Nova answered 400: no valid host",
)

S = {
    "id": 1,
    "uuid": "s",
    "name": "one",
    "service_type": "compute",
    "enabled": True,
    "description": None,
    "recovery_method": "auto",
}
N = {
    "id": 3,
    "notification_uuid": "n",
    "generated_time": "2026-11-20T12:37:37Z",
    "source_host_uuid": "h",
    "type": "COMPUTE_HOST",
    "status": "running",
}


@pytest.mark.parametrize(
    ("payload", "name", "data"),
    [
        (events.segment_event(SEGMENT), "SegmentApiPayload 1.1", S),
        (
            events.segment_event({"name": "one", "other": 1}),
            "SegmentApiPayload 1.1",
            {"name": "one"},
        ),
        (
            events.host_event(
                {"name": "compute-1", "control_attributes": "hunter2"}
            ),
            "HostApiPayload 1.0",
            {"name": "compute-1"},
        ),
        (
            events.notification_event(NOTIFICATION),
            "NotificationApiPayload 1.0",
            N,
        ),
        (
            events.notification_event(
                {"type": NotificationType.VM, "payload": {"a": "hunter2"}}
            ),
            "NotificationApiPayload 1.0",
            {"type": "VM"},
        ),
        (
            events.recovery_event(NOTIFICATION, attempt=2, message="Done."),
            "RecoveryPayload 1.0",
            {
                "notification_uuid": "n",
                "source_host_uuid": "h",
                "source_host_name": "compute-1",
                "failover_segment_uuid": "s",
                "type": "COMPUTE_HOST",
                "status": "running",
                "request_id": "req-1",
                "attempt": 2,
                "message": "Done.",
            },
        ),
        (
            events.vmove_event(MOVE),
            "VMovePayload 1.0",
            {
                "id": 4,
                "uuid": "v",
                "notification_uuid": "n",
                "instance_uuid": "i",
                "instance_name": "vm-1",
                "source_host": "compute-1",
                "dest_host": None,
                "start_time": "2026-11-20T12:37:37Z",
                "end_time": None,
                "type": "evacuation",
                "status": "failed",
                "message": "Nova answered 400: no valid host",
            },
        ),
    ],
)
def test_what_an_event_says(payload, name, data):
    kind, version = name.split()
    ours = kind in {"RecoveryPayload", "VMovePayload"}
    assert json.loads(json.dumps(payload)) == {
        "masakari_object.name": kind,
        "masakari_object.version": version,
        "masakari_object.namespace": "recovery_ha" if ours else "masakari",
        "masakari_object.data": data | {"fault": None},
    }


def test_a_host_comes_with_its_segment_and_without_its_secret():
    payload = events.host_event(HOST)
    assert "hunter2" not in json.dumps(payload)
    data = payload["masakari_object.data"]
    assert data["failover_segment_id"] == "s"
    segment = data["failover_segment"]
    assert segment["masakari_object.name"] == "FailoverSegment"
    assert segment["masakari_object.data"] == S | {
        "created_at": "2026-11-20T12:37:37Z",
        "updated_at": None,
    }


def raised(error):
    with pytest.raises(type(error)):
        raise error
    return error


STATEMENT = "[SQL: UPDATE hosts SET name=%s] [parameters: ('hunter2',)]"


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            raised(errors.ComputeConflict("Nova answered 409: it is locked")),
            "ComputeConflict",
            "Nova answered 409: it is locked",
        ),
        (
            "Nova answered 400: no valid host",
            "RecoveryFailed",
            "Nova answered 400: no valid host",
        ),
        (
            f"The database failed: (1205, 'timeout')\n{STATEMENT}",
            "RecoveryFailed",
            "The database failed: (1205, 'timeout')",
        ),
        (
            raised(RuntimeError(f"hunter2 {STATEMENT}")),
            "RuntimeError",
            "An unexpected error: RuntimeError. The log has its cause.",
        ),
        (
            errors.RecoveryFailed("said {'password': 'hunter2'}"),
            "RecoveryFailed",
            "said {'password': '***'}",
        ),
    ],
)
def test_a_fault_names_the_true_cause_and_no_secret(error, kind, message):
    fault = events.fault(error)
    assert fault["masakari_object.name"] == "ExceptionPayload"
    data = fault["masakari_object.data"]
    assert (data["exception"], data["exception_message"]) == (kind, message)
    assert "hunter2" not in json.dumps(fault)
    if getattr(error, "__traceback__", None):
        assert data["function_name"] == "raised"
        assert "in raised" in data["traceback"]


@pytest.fixture
def configure(tmp_path):
    def configure(*lines):
        path = tmp_path / "recovery-ha.conf"
        path.write_text("\n".join(lines))
        return new_config(["--config-file", str(path)])

    return configure


@pytest.mark.parametrize("driver", [None, "noop"])
def test_by_default_nothing_is_made(configure, driver):
    lines = [f"driver = {driver}"] if driver else []
    conf = configure("[oslo_messaging_notifications]", *lines)
    emitter = events.Emitter(conf, "recovery-ha-api")
    assert not emitter.enabled
    emitter.emit("segment.create.start", {})
    emitter.stop()
    assert emitter._thread is None
    assert "transport_url" not in conf


class Slow:
    """Stands for a message queue that takes nothing until it is told to."""

    def __init__(self):
        self.sent = []
        self.asked = threading.Event()
        self.free = threading.Event()

    def info(self, _context, event_type, _payload):
        self.asked.set()
        assert self.free.wait(30)
        self.sent.append(event_type)

    error = info


def test_when_the_queue_takes_nothing_the_oldest_are_dropped(
    configure, monkeypatch, caplog
):
    slow = Slow()
    monkeypatch.setattr(
        events.oslo_messaging, "Notifier", lambda *_args, **_more: slow
    )
    conf = configure(
        "[DEFAULT]",
        "transport_url = fake://",
        "[oslo_messaging_notifications]",
        "driver = log",
    )
    emitter = events.Emitter(conf, "recovery-ha-api", limit=3)
    before = metrics._DROPPED._value.get()
    emitter.emit("0", {})
    assert slow.asked.wait(30)
    with caplog.at_level(logging.WARNING):
        for number in range(1, 10):
            emitter.emit(str(number), {}, error=True)
        slow.free.set()
        eventually(lambda: len(slow.sent) == 4, "the rest is sent")
        emitter.stop()
    assert slow.sent == ["0", "7", "8", "9"]
    assert metrics._DROPPED._value.get() == before + 6
    assert caplog.text.count("the oldest are dropped") == 1
    assert "6 events were dropped" in caplog.text
