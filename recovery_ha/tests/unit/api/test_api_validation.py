from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.api import validation
from recovery_ha.api.schemas import hosts, notifications, segments
from recovery_ha.domain.errors import BadRequest
from recovery_ha.domain.recovery import NotificationType
from recovery_ha.microversion import MAX, MIN

SEGMENT = {
    "name": "one",
    "recovery_method": "auto",
    "service_type": "COMPUTE",
}
HOST = {"name": "compute-1", "type": "COMPUTE", "control_attributes": "SSH"}
REPORT = {
    "type": "VM",
    "hostname": "compute-1",
    "generated_time": "2026-11-20T12:37:37",
    "payload": {},
}


def refusal(schemas, body, version=MAX):
    with pytest.raises(BadRequest) as failure:
        schemas.at(version).check(body)
    return str(failure.value)


def segment(**fields):
    return {"segment": SEGMENT | fields}


def host(**fields):
    return {"host": HOST | fields}


@pytest.mark.parametrize("method", segments._METHOD["enum"])
def test_segments_that_are_taken(method):
    for fields in (
        {"recovery_method": method},
        {"name": "ä b 日本"},
        {"name": "x" * 255},
        {"description": None},
        {"description": "a\nb\n"},
        {"description": ""},
        {"description": "x" * 100000},
        {"enabled": True},
    ):
        segments.CREATE.at(MAX).check(segment(**fields))


@pytest.mark.parametrize(
    ("fields", "field", "value", "allowed"),
    [
        ({"name": ""}, "segment.name", "''", "1 to 255"),
        ({"name": "x" * 256}, "segment.name", "xxx…", "1 to 255"),
        ({"name": " a"}, "segment.name", "' a'", "white space"),
        ({"name": "a "}, "segment.name", "'a '", "white space"),
        ({"name": "\u3000a"}, "segment.name", "a", "white space"),
        ({"name": "a\n"}, "segment.name", "a", "printable"),
        ({"name": "a\x07"}, "segment.name", "a", "printable"),
        ({"name": "a\u2028b"}, "segment.name", "a", "printable"),
        ({"name": "\U0001f600"}, "segment.name", "", "printable"),
        ({"name": None}, "segment.name", "null", "1 to 255"),
        ({"name": 7}, "segment.name", "7", "1 to 255"),
        ({"name": ["x"]}, "segment.name", "a list", "1 to 255"),
        ({"name": {"x": 1}}, "segment.name", "an object", "1 to 255"),
        ({"service_type": " "}, "segment.service_type", "' '", "printable"),
        (
            {"recovery_method": "AUTO"},
            "segment.recovery_method",
            "'AUTO'",
            "auto, reserved_host, auto_priority, rh_priority",
        ),
        ({"recovery_method": None}, "segment.recovery_method", "null", "auto"),
        ({"description": "a\tb"}, "segment.description", "a", "line breaks"),
        ({"description": 1}, "segment.description", "1", "null"),
        ({"enabled": 1}, "segment.enabled", "1", "true, True, TRUE"),
        ({"enabled": "tRuE"}, "segment.enabled", "'tRuE'", "Off, off"),
        ({"enabled": None}, "segment.enabled", "null", "true"),
        ({"is_on": 1}, "segment.is_on", "not a known field", "enabled"),
        ({"uuid": "x"}, "segment.uuid", "not a known field", "name"),
    ],
)
def test_refusal_of_a_segment(fields, field, value, allowed):
    text = refusal(segments.CREATE, segment(**fields))
    for part in (f"field/attribute {field}.", value, allowed):
        assert part in text
    assert len(text) < 500


@pytest.mark.parametrize("missing", SEGMENT)
def test_missing_field_is_named(missing):
    body = {k: v for k, v in SEGMENT.items() if k != missing}
    text = refusal(segments.CREATE, {"segment": body})
    assert f"segment.{missing}. Value: missing" in text


@pytest.mark.parametrize(
    ("schemas", "key"),
    [
        (segments.CREATE, "segment"),
        (segments.UPDATE, "segment"),
        (hosts.CREATE, "host"),
        (hosts.UPDATE, "host"),
        (notifications.CREATE, "notification"),
    ],
)
def test_envelope(schemas, key):
    assert f"attribute {key}. Value: missing" in refusal(schemas, {})
    text = refusal(schemas, {key: [], "extra": 1})
    assert "extra" in text or key in text
    assert "body" in refusal(schemas, None)
    assert f"attribute {key}. Value: null" in refusal(schemas, {key: None})


@pytest.mark.parametrize("schemas", [segments.UPDATE, hosts.UPDATE])
@pytest.mark.parametrize("version", [MIN, MAX])
def test_empty_update_is_refused(schemas, version):
    key = "segment" if schemas is segments.UPDATE else "host"
    text = refusal(schemas, {key: {}}, version)
    assert "at least 1" in text
    assert "name" in text
    assert ("enabled" in text) == (key == "segment" and version == MAX)


@pytest.mark.parametrize(
    ("fields", "field", "allowed"),
    [
        ({"type": "a-b"}, "host.type", "letters and digits"),
        ({"type": "ä"}, "host.type", "letters and digits"),
        ({"type": "a\n"}, "host.type", "letters and digits"),
        ({"type": "x" * 256}, "host.type", "255"),
        ({"type": None}, "host.type", "letters and digits"),
        ({"control_attributes": None}, "host.control_attributes", "printable"),
        ({"reserved": "maybe"}, "host.reserved", "true"),
        ({"on_maintenance": 0}, "host.on_maintenance", "true"),
        ({"name": "\t"}, "host.name", "white space"),
        ({"segment_id": 1}, "host.segment_id", "control_attributes"),
    ],
)
def test_refusal_of_a_host(fields, field, allowed):
    for schemas in (hosts.CREATE, hosts.UPDATE):
        text = refusal(schemas, host(**fields))
        assert f"field/attribute {field}." in text
        assert allowed in text


def test_host_that_is_taken():
    for fields in ({"type": ""}, {"control_attributes": ""}):
        hosts.CREATE.at(MIN).check(host(**fields))


@pytest.mark.parametrize(
    ("fields", "field", "allowed"),
    [
        ({"type": "vm"}, "notification.type", "COMPUTE_HOST, VM, PROCESS"),
        ({"hostname": ""}, "notification.hostname", "1 to 255"),
        ({"hostname": "a b"}, "notification.hostname", "letters"),
        ({"hostname": "a\n"}, "notification.hostname", "letters"),
        ({"hostname": "x" * 256}, "notification.hostname", "255"),
        ({"generated_time": "now"}, "notification.generated_time", "8601"),
        ({"generated_time": 1}, "notification.generated_time", "8601"),
        ({"payload": "x"}, "notification.payload", "object"),
        ({"id": 1}, "notification.id", "hostname"),
    ],
)
def test_refusal_of_a_report(fields, field, allowed):
    text = refusal(notifications.CREATE, {"notification": REPORT | fields})
    assert f"field/attribute {field}." in text
    assert allowed in text


VM = {
    "event": "LIFECYCLE",
    "vir_domain_event": "STOPPED_FAILED",
    "instance_uuid": "96ab1c42-668c-4f2d-8689-afa3301d4ee9",
}


@pytest.mark.parametrize(
    ("kind", "payload", "field", "allowed"),
    [
        ("COMPUTE_HOST", {}, "event", "event"),
        ("COMPUTE_HOST", {"event": "stopped"}, "event", "STARTED, STOPPED"),
        (
            "COMPUTE_HOST",
            {"event": "STOPPED", "host_status": "DOWN"},
            "host_status",
            "NORMAL, UNKNOWN",
        ),
        (
            "COMPUTE_HOST",
            {"event": "STOPPED", "cluster_status": None},
            "cluster_status",
            "ONLINE, OFFLINE",
        ),
        ("COMPUTE_HOST", {"event": "STOPPED", "x": 1}, "x", "cluster_status"),
        ("PROCESS", {"event": "STOPPED"}, "process_name", "process_name"),
        (
            "PROCESS",
            {"event": "STOPPED", "process_name": ""},
            "process_name",
            "1 to 255",
        ),
        (
            "PROCESS",
            {"event": "STOPPED", "process_name": "x" * 256},
            "process_name",
            "1 to 255",
        ),
        ("VM", {**VM, "instance_uuid": "x"}, "instance_uuid", "UUID"),
        ("VM", {**VM, "event": ""}, "event", "1 to 255"),
        (
            "VM",
            {**VM, "vir_domain_event": "x" * 256},
            "vir_domain_event",
            "1 to 255",
        ),
        ("VM", {**VM, "bad key!": "x"}, "bad key!", "vir_domain_event"),
    ],
)
def test_refusal_of_a_payload(kind, payload, field, allowed):
    validator = notifications.PAYLOADS[NotificationType(kind)]
    with pytest.raises(BadRequest) as failure:
        validator.check(payload, at="notification.payload")
    assert f"notification.payload.{field}." in str(failure.value)
    assert allowed in str(failure.value)


@pytest.mark.parametrize(
    "text",
    [
        "2026",
        "2026-11",
        "2026-11-20x12:00:00",
        "2026-11-20-12:00:00",
        "20-11-2026",
        "2026-11-20T25:00:00",
        "2026-11-20T12:60:00",
        "2026-02-30",
        "2026-11-20T12:00:00+99:00",
        "0001-01-01T00:00:00+12:00",
        "9999-12-31T23:59:59-12:00",
        "0999-01-01",
        "٢٠٢٦-11-20",
        "2026-11-20T12:00:00 UTC",
        "",
    ],
)
def test_what_is_no_time(text):
    with pytest.raises((ValueError, OverflowError)):
        validation.parse_time(text)
    assert "8601" in refusal(
        notifications.CREATE,
        {"notification": REPORT | {"generated_time": text}},
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20261120T123737", datetime(2026, 11, 20, 12, 37, 37)),
        ("2026-11-20 12:37", datetime(2026, 11, 20, 12, 37)),
        ("2026-11-20T12", datetime(2026, 11, 20, 12)),
        (
            "2026-11-20T12:00:00,5 +01:00",
            datetime(2026, 11, 20, 11, 0, 0, 500000),
        ),
        (
            "2026-11-20T12:00:00.123456789Z",
            datetime(2026, 11, 20, 12, 0, 0, 123456),
        ),
    ],
)
def test_forms_of_a_time(text, expected):
    assert validation.parse_time(text) == expected


def test_plus_of_an_offset_may_be_lost_in_a_url_only():
    expected = datetime(2026, 11, 20, 11)
    assert validation.parse_query_time("2026-11-20T12:00:00 01:00") == expected
    with pytest.raises(ValueError, match="no time"):
        validation.parse_time("2026-11-20T12:00:00 01:00")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    st.sampled_from(
        [
            (segments.CREATE, "segment", SEGMENT),
            (segments.UPDATE, "segment", {}),
            (hosts.CREATE, "host", HOST),
            (hosts.UPDATE, "host", {}),
            (notifications.CREATE, "notification", REPORT),
        ]
    ),
    st.sampled_from(
        [
            "name",
            "description",
            "enabled",
            "type",
            "control_attributes",
            "reserved",
            "hostname",
            "generated_time",
            "payload",
            "unknown",
        ]
    ),
    json_values,
)
def test_any_value_is_taken_or_refused_by_name(case, field, value):
    schemas, key, base = case
    try:
        schemas.at(MAX).check({key: {**base, field: value}})
    except BadRequest as exc:
        text = str(exc)
        assert f"field/attribute {key}" in text
        assert "Value: " in text
        assert "Allowed: " in text
        assert len(text) < 1000


@given(st.text())
def test_any_text_is_a_time_or_not(text):
    try:
        found = validation.parse_query_time(text)
    except (ValueError, OverflowError):
        return
    assert found.tzinfo is None
