"""Which events an engine sends, and what is counted."""

from datetime import datetime

import prometheus_client
import pytest

from recovery_ha.domain.recovery import (
    Notification,
    NotificationStatus,
    NotificationType,
    VMove,
    VMoveStatus,
    VMoveType,
)
from recovery_ha.engine.telling import Teller

AT = datetime(2026, 11, 20, 12, 37, 37)
REASON = "Nova answered 400: No valid host was found."


def filled(kind, **values):
    """Return a dataclass whose other fields do not matter."""
    names = dict.fromkeys(kind.__dataclass_fields__)
    return kind(**names | values)


NOTIFICATION = filled(
    Notification,
    uuid="n",
    type=NotificationType.COMPUTE_HOST,
    status=NotificationStatus.NEW,
    generated_time=AT,
    request_id="req-1",
)


class Heard:
    """Stands for an emitter, and remembers."""

    def __init__(self):
        self.enabled = True
        self.events = []

    def emit(self, event_type, payload, *, request_id, error=False):
        assert request_id == "req-1"
        data = payload["masakari_object.data"]
        fault = data["fault"] and data["fault"]["masakari_object.data"]
        reason = fault and fault["exception_message"]
        self.events.append((event_type, data["status"], reason, error))


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def teller(heard):
    return Teller(heard)


def count(name, **labels):
    return prometheus_client.REGISTRY.get_sample_value(name, labels) or 0


def test_work_that_begins(teller, heard):
    teller.handling(NOTIFICATION)
    start = ("notification.process.start", "running", None, False)
    assert heard.events == [start]


@pytest.mark.parametrize(
    ("status", "phase", "reason"),
    [
        (NotificationStatus.FINISHED, "end", None),
        (NotificationStatus.IGNORED, "end", None),
        (NotificationStatus.ERROR, "error", REASON),
        (NotificationStatus.FAILED, "error", REASON),
    ],
)
def test_work_that_ends(teller, heard, status, phase, reason):
    teller.handled(NOTIFICATION, status, REASON)
    ((kind, told, fault, error),) = heard.events
    assert (kind, told, fault) == (
        f"notification.process.{phase}",
        status,
        reason,
    )
    assert error == (phase == "error")


@pytest.mark.parametrize(
    ("failure", "phase", "result"),
    [(None, "end", "succeeded"), (REASON, "error", "failed")],
)
def test_attempts(teller, heard, failure, phase, result):
    labels = {"type": "COMPUTE_HOST", "result": result}
    name = "recovery_ha_recovery_seconds_count"
    before = count(name, **labels)
    begun = teller.attempt_begun(NOTIFICATION, 1)
    teller.attempt_ended(NOTIFICATION, 1, begun, failure)
    assert heard.events == [
        ("recovery.start", "new", None, False),
        (f"recovery.{phase}", "new", failure, phase == "error"),
    ]
    assert count(name, **labels) == before + 1


V = VMoveStatus
MOVES = {
    (V.PENDING, V.ONGOING): ("vmove.start", None),
    (V.FAILED, V.ONGOING): ("vmove.start", None),
    (V.ONGOING, V.SUCCEEDED): ("vmove.end", None),
    (V.ONGOING, V.IGNORED): ("vmove.end", None),
    (V.ONGOING, V.FAILED): ("vmove.error", REASON),
    (V.ONGOING, V.ONGOING): None,
    (V.FAILED, V.PENDING): None,
}


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_moves(teller, heard, before, after):
    move = filled(VMove, type=VMoveType.EVACUATION, status=after)
    name = "recovery_ha_evacuations_total"
    counted = count(name, result=after)
    if after is V.FAILED:
        move = filled(
            VMove, type=VMoveType.EVACUATION, status=after, message=REASON
        )
    teller.moved(before, move, "req-1")
    wanted = MOVES[before, after]
    found = [(kind, reason) for kind, _status, reason, _error in heard.events]
    assert found == ([wanted] if wanted else [])
    ended = wanted is not None and wanted[0] != "vmove.start"
    assert count(name, result=after) == counted + ended


def test_nobody_listens(teller, heard):
    heard.enabled = False
    teller.handling(NOTIFICATION)
    teller.handled(NOTIFICATION, NotificationStatus.FAILED, REASON)
    teller.attempt_ended(NOTIFICATION, 1, 0.0, None)
    teller.moved(V.ONGOING, filled(VMove, status=V.SUCCEEDED), "req-1")
    assert heard.events == []
