from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.domain.planning import (
    RECOVERABLE_VM_EVENTS,
    PlanAction,
    end,
    plan,
)
from recovery_ha.domain.recovery import (
    NOTIFICATION,
    Notification,
    NotificationStatus,
    NotificationType,
    RecoveryMethod,
    Segment,
)

WHEN = datetime(2026, 1, 2, 3, 4, 5)


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


def a_notification(type_, payload):
    return Notification(
        id=1,
        uuid="n",
        generated_time=WHEN,
        source_host_uuid="h",
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

ROWS = [
    # type, payload, what is recovered or how it ends, words of the sentence
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
    ("COMPUTE_HOST", STOPPED, "recover_host", "instances by method auto"),
    # cluster_status is never read
    (
        "COMPUTE_HOST",
        {**STOPPED, "cluster_status": "OFFLINE"},
        "recover_host",
        "auto",
    ),
    (
        "VM",
        vm("LIFECYCLE", "STOPPED_FAILED"),
        "recover_instance",
        "Instance i-1 has failed (LIFECYCLE STOPPED_FAILED)",
    ),
    ("VM", vm("IO_ERROR", "IO_ERROR_REPORT"), "recover_instance", "i-1"),
    (
        "VM",
        vm("QEMU_GUEST_AGENT_ERROR", "STOPPED_FAILED"),
        "recover_instance",
        "i-1",
    ),
    ("VM", vm("LIFECYCLE", "STOPPED_SHUTDOWN"), "ignored", "needs no"),
    ("VM", vm("lifecycle", "STOPPED_FAILED"), "ignored", "needs no"),
    ("VM", vm("LIFECYCLE", "stopped_failed"), "ignored", "needs no"),
    ("VM", vm("IO_ERROR", "STOPPED_FAILED"), "ignored", "needs no"),
    ("VM", vm("LIFECYCLE", "IO_ERROR_REPORT"), "ignored", "needs no"),
    ("PROCESS", process("STARTED", "nova-compute"), "finished", "started"),
    ("PROCESS", process("STARTED", "libvirtd"), "finished", "started"),
    (
        "PROCESS",
        process("STOPPED", "nova-compute"),
        "recover_process",
        "keep new instances off compute-1",
    ),
    (
        "PROCESS",
        process("STOPPED", "libvirtd"),
        "finished",
        "libvirtd on compute-1 has stopped; only nova-compute",
    ),
]


@pytest.mark.parametrize(("type_", "payload", "outcome", "words"), ROWS)
def test_a_plan_is_the_row_of_the_reference(type_, payload, outcome, words):
    decided = plan(a_notification(type_, payload), a_segment())
    if decided.action is PlanAction.END:
        assert decided.status == outcome
    else:
        assert decided.action == outcome
        assert decided.status is None
    assert words in decided.sentence
    assert decided.sentence.endswith(".")


@pytest.mark.parametrize("method", sorted(RecoveryMethod))
def test_a_host_is_recovered_by_every_method(method):
    segment = a_segment(recovery_method=method)
    decided = plan(a_notification("COMPUTE_HOST", STOPPED), segment)
    assert decided.action is PlanAction.RECOVER_HOST
    assert f"by method {method}." in decided.sentence


@pytest.mark.parametrize("method", sorted(RecoveryMethod))
def test_an_unsafe_report_is_ignored_whatever_the_method(method):
    decided = plan(
        a_notification("COMPUTE_HOST", {"event": "STOPPED"}),
        a_segment(recovery_method=method),
    )
    assert decided.status is NotificationStatus.IGNORED


words = st.sampled_from(
    ["NORMAL", "UNKNOWN", "STOPPED", "STARTED", "LIFECYCLE", "nova-compute"]
) | st.text(max_size=12)


@given(words, words)
def test_only_a_normal_stop_evacuates(event, host_status):
    payload = {"event": event, "host_status": host_status}
    decided = plan(a_notification("COMPUTE_HOST", payload), a_segment())
    recovers = decided.action is PlanAction.RECOVER_HOST
    assert not recovers or host_status == "NORMAL"
    assert recovers or decided.status in NOTIFICATION.terminal


@given(words, words)
def test_only_the_reference_s_events_restart_an_instance(event, domain_event):
    decided = plan(a_notification("VM", vm(event, domain_event)), a_segment())
    recovers = decided.action is PlanAction.RECOVER_INSTANCE
    assert recovers == ((event, domain_event) in RECOVERABLE_VM_EVENTS)


@given(words, words)
def test_only_a_stopped_nova_compute_is_followed(event, name):
    decided = plan(
        a_notification("PROCESS", process(event, name)), a_segment()
    )
    if decided.action is PlanAction.RECOVER_PROCESS:
        assert (event != "STARTED", name) == (True, "nova-compute")
    else:
        assert decided.status is NotificationStatus.FINISHED


def test_the_recoverable_events_are_the_reference_s():
    assert len(RECOVERABLE_VM_EVENTS) == 3


def test_an_end_is_a_plan():
    decided = end(NotificationStatus.FAILED, "No.")
    assert (decided.action, decided.status) == ("end", "failed")
