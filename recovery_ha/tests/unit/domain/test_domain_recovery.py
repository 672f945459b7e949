import copy
from datetime import datetime

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from recovery_ha.domain import errors
from recovery_ha.domain.recovery import (
    MaintenanceCause,
    NewNotification,
    NotificationType,
    RecoveryMethod,
    ReportedHost,
    admit,
    dedupe_key,
    recovery_name,
)

WHEN = datetime(2026, 1, 2, 3, 4, 5)
HOST = "7f4f3e3c-2a52-4f5e-9a4f-0d1ad6ff2d4c"
STOPPED = {"event": "STOPPED", "host_status": "NORMAL"}


def a_host(**values):
    fields = {
        "uuid": HOST,
        "name": "compute-1",
        "segment_uuid": "s",
        "on_maintenance": False,
        "maintenance_cause": None,
        "recovery_method": RecoveryMethod.AUTO,
    }
    return ReportedHost(**{**fields, **values})


# What the ledger calls it


@pytest.mark.parametrize(
    ("type_", "method", "name"),
    [
        ("COMPUTE_HOST", "auto", "host_auto_failure"),
        ("COMPUTE_HOST", "auto_priority", "host_auto_failure"),
        ("COMPUTE_HOST", "reserved_host", "host_rh_failure"),
        ("COMPUTE_HOST", "rh_priority", "host_rh_failure"),
        ("VM", "reserved_host", "instance_failure"),
        ("PROCESS", "reserved_host", "process_failure"),
    ],
)
def test_the_name_of_a_recovery(type_, method, name):
    found = recovery_name(NotificationType(type_), RecoveryMethod(method))
    assert found == name


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
