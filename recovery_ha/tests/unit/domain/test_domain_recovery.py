import copy
from datetime import datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recovery_ha.domain import errors
from recovery_ha.domain.recovery import (
    RECOVERABLE_VM_EVENTS,
    MaintenanceCause,
    NewNotification,
    Notification,
    NotificationStatus,
    NotificationType,
    PlanAction,
    RecoveryMethod,
    ReportedHost,
    Segment,
    admit,
    dedupe_key,
    plan,
)

WHEN = datetime(2026, 1, 2, 3, 4, 5)
HOST = "7f4f3e3c-2a52-4f5e-9a4f-0d1ad6ff2d4c"


def a_segment(**values):
    fields = {
        "id": 1,
        "uuid": "s",
        "name": "racks",
        "service_type": "COMPUTE",
        "enabled": True,
        "description": None,
        "recovery_method": RecoveryMethod.AUTO,
        "created_at": WHEN,
        "updated_at": None,
    }
    return Segment(**{**fields, **values})


def a_host(**values):
    fields = {
        "uuid": HOST,
        "name": "compute-1",
        "segment_uuid": "s",
        "on_maintenance": False,
        "maintenance_cause": None,
    }
    return ReportedHost(**{**fields, **values})


def a_notification(type_, payload):
    return Notification(
        id=1,
        uuid="n",
        generated_time=WHEN,
        source_host_uuid=HOST,
        source_host_name="compute-1",
        type=NotificationType(type_),
        payload=payload,
        status=NotificationStatus.RUNNING,
        segment_uuid="s",
        message=None,
        request_id=None,
        flow_uuid=None,
        attempts=0,
        joined_to=None,
        created_at=WHEN,
        updated_at=None,
    )


def vm(event, vir_domain_event):
    return {
        "instance_uuid": "i-1",
        "event": event,
        "vir_domain_event": vir_domain_event,
    }


def process(event, name):
    return {"event": event, "process_name": name}


STOPPED = {"event": "STOPPED", "host_status": "NORMAL"}
UNAVAILABLE = "not available in this release"

ROWS = [
    # type, payload, status (None: it is recovered), words of the sentence
    ("COMPUTE_HOST", {"event": "STOPPED"}, "ignored", "nothing, not NORMAL"),
    (
        "COMPUTE_HOST",
        {"event": "STOPPED", "host_status": "UNKNOWN"},
        "ignored",
        "UNKNOWN, not NORMAL: compute-1 may still be alive",
    ),
    ("COMPUTE_HOST", {"event": "STARTED"}, "ignored", "not NORMAL"),
    (
        "COMPUTE_HOST",
        {"event": "STARTED", "host_status": "UNKNOWN"},
        "ignored",
        "not NORMAL",
    ),
    (
        "COMPUTE_HOST",
        {"event": "STARTED", "host_status": "NORMAL"},
        "finished",
        "compute-1 has started",
    ),
    ("COMPUTE_HOST", STOPPED, None, "evacuate its instances by method auto"),
    # cluster_status is never read
    ("COMPUTE_HOST", {**STOPPED, "cluster_status": "OFFLINE"}, None, "auto"),
    ("VM", vm("LIFECYCLE", "STOPPED_FAILED"), "failed", UNAVAILABLE),
    ("VM", vm("IO_ERROR", "IO_ERROR_REPORT"), "failed", UNAVAILABLE),
    (
        "VM",
        vm("QEMU_GUEST_AGENT_ERROR", "STOPPED_FAILED"),
        "failed",
        UNAVAILABLE,
    ),
    ("VM", vm("LIFECYCLE", "STOPPED_SHUTDOWN"), "ignored", "needs no"),
    ("VM", vm("lifecycle", "STOPPED_FAILED"), "ignored", "needs no"),
    ("VM", vm("LIFECYCLE", "stopped_failed"), "ignored", "needs no"),
    ("VM", vm("IO_ERROR", "STOPPED_FAILED"), "ignored", "needs no"),
    ("VM", vm("LIFECYCLE", "IO_ERROR_REPORT"), "ignored", "needs no"),
    ("PROCESS", process("STARTED", "nova-compute"), "finished", "started"),
    ("PROCESS", process("STARTED", "libvirtd"), "finished", "started"),
    ("PROCESS", process("STOPPED", "nova-compute"), "failed", UNAVAILABLE),
    (
        "PROCESS",
        process("STOPPED", "libvirtd"),
        "finished",
        "libvirtd on compute-1 has stopped; only nova-compute",
    ),
]


@pytest.mark.parametrize(("type_", "payload", "status", "words"), ROWS)
def test_a_plan_is_the_row_of_the_reference(type_, payload, status, words):
    decided = plan(a_notification(type_, payload), a_segment())
    if status is None:
        assert decided.action is PlanAction.RECOVER_HOST
        assert decided.status is None
    else:
        assert decided.action is PlanAction.END
        assert decided.status == status
    assert words in decided.sentence
    assert decided.sentence.endswith(".")


@pytest.mark.parametrize(("type_", "payload", "_status", "_words"), ROWS)
def test_nothing_is_done_in_a_disabled_segment(
    type_, payload, _status, _words
):
    decided = plan(a_notification(type_, payload), a_segment(enabled=False))
    assert decided.action is PlanAction.END
    assert decided.status is NotificationStatus.IGNORED
    assert decided.sentence == "Segment racks is disabled."


@pytest.mark.parametrize(
    "method", sorted(set(RecoveryMethod) - {RecoveryMethod.AUTO})
)
def test_a_method_that_is_not_there_fails_and_says_so(method):
    decided = plan(
        a_notification("COMPUTE_HOST", STOPPED),
        a_segment(recovery_method=method),
    )
    assert decided.status is NotificationStatus.FAILED
    assert f"Recovery method {method} of segment racks" in decided.sentence


@pytest.mark.parametrize("method", sorted(RecoveryMethod))
def test_an_unsafe_report_is_ignored_whatever_the_method(method):
    decided = plan(
        a_notification("COMPUTE_HOST", {"event": "STOPPED"}),
        a_segment(recovery_method=method),
    )
    assert decided.status is NotificationStatus.IGNORED


def test_the_recoverable_events_are_the_reference_s():
    assert len(RECOVERABLE_VM_EVENTS) == 3


# Admission


def a_report(type_, payload=STOPPED):
    return NewNotification(
        type=NotificationType(type_),
        hostname="compute-1",
        generated_time=WHEN,
        payload=payload,
    )


@pytest.mark.parametrize("type_", sorted(NotificationType))
def test_a_report_about_a_host_in_service_is_admitted(type_):
    admit(a_report(type_), a_host())


@pytest.mark.parametrize("type_", sorted(NotificationType))
@pytest.mark.parametrize("cause", [None, *sorted(MaintenanceCause)])
def test_a_report_about_a_host_on_maintenance_is_refused(type_, cause):
    host = a_host(on_maintenance=True, maintenance_cause=cause)
    if type_ == "COMPUTE_HOST" and cause == "process_failure":
        admit(a_report(type_), host)
        return
    with pytest.raises(errors.HostUnderMaintenance, match="compute-1"):
        admit(a_report(type_), host)


# What two reports of the same failure have in common

payloads = st.dictionaries(
    st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=5
)
types = st.sampled_from(NotificationType)


@given(types, payloads, st.randoms())
def test_the_order_of_keys_means_nothing(type_, payload, random):
    items = list(payload.items())
    random.shuffle(items)
    key = dedupe_key(type_, HOST, payload)
    assert dedupe_key(type_, HOST, dict(items)) == key
    assert len(key) == 64


@given(types, payloads, st.data(), st.text(max_size=8))
def test_any_other_value_is_another_failure(type_, payload, data, value):
    assume(payload)
    changed = copy.copy(payload)
    key = data.draw(st.sampled_from(sorted(payload)))
    assume(payload[key] != value)
    changed[key] = value
    assert dedupe_key(type_, HOST, changed) != dedupe_key(type_, HOST, payload)


@given(types, payloads, payloads)
def test_other_payloads_have_other_keys(type_, one, other):
    same = dedupe_key(type_, HOST, one) == dedupe_key(type_, HOST, other)
    assert same == (one == other)


@given(types, types, payloads, st.uuids(), st.uuids())
def test_type_and_host_belong_to_the_key(type_, other, payload, host, place):
    same = dedupe_key(type_, str(host), payload) == dedupe_key(
        other, str(place), payload
    )
    assert same == (type_ is other and host == place)
