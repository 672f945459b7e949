import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_domain_planning import WHEN, a_notification, a_segment

from recovery_ha.domain.gates import (
    GATES,
    AfterSession,
    Decision,
    InSession,
    Snapshot,
    Verdict,
    ask,
    host_in_maintenance,
    hosts_out,
    maintenance_session,
    segment_enabled,
    service_down,
)
from recovery_ha.domain.hosts_out import HostsOut
from recovery_ha.domain.recovery import Host, MaintenanceCause

STOPPED = {"event": "STOPPED", "host_status": "NORMAL"}


def a_host(**values):
    fields = {
        "id": 1,
        "uuid": "h",
        "name": "compute-1",
        "type": "COMPUTE",
        "reserved": False,
        "control_attributes": "-",
        "on_maintenance": False,
        "maintenance_cause": None,
        "segment": a_segment(),
        "created_at": WHEN,
        "updated_at": None,
    }
    return Host(**{**fields, **values})


def a_snapshot(**values):
    fields = {
        "notification": a_notification("COMPUTE_HOST", STOPPED),
        "segment": a_segment(),
        "host": a_host(),
        "disabled_segment": "ignore",
    }
    return Snapshot(**{**fields, **values})


def test_an_enabled_segment_passes():
    for policy in ("ignore", "hold"):
        said = segment_enabled(a_snapshot(disabled_segment=policy))
        assert said.verdict is Verdict.PASS
        assert said.inputs == {"segment": "racks", "enabled": True}


@pytest.mark.parametrize(
    ("policy", "verdict", "sentence"),
    [
        ("ignore", Verdict.IGNORE, "Segment racks is disabled."),
        (
            "hold",
            Verdict.HOLD,
            "Segment racks is disabled. Waiting until it is enabled.",
        ),
    ],
)
def test_a_disabled_segment_is_the_option_s(policy, verdict, sentence):
    said = segment_enabled(
        a_snapshot(segment=a_segment(enabled=False), disabled_segment=policy)
    )
    assert (said.verdict, said.sentence) == (verdict, sentence)
    assert said.limit == {"disabled_segment": policy}
    assert said.subject == ""


CAUSES = [*MaintenanceCause, None]


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("on_maintenance", [True, False])
def test_only_an_operator_s_maintenance_holds(on_maintenance, cause):
    host = a_host(on_maintenance=on_maintenance, maintenance_cause=cause)
    said = host_in_maintenance(a_snapshot(host=host))
    holds = on_maintenance and cause is MaintenanceCause.OPERATOR
    assert said.verdict is (Verdict.HOLD if holds else Verdict.PASS)
    assert said.inputs == {
        "host": "compute-1",
        "on_maintenance": on_maintenance,
        "cause": cause,
    }


def test_a_host_that_is_gone_is_recovered():
    said = host_in_maintenance(a_snapshot(host=None))
    assert said.verdict is Verdict.PASS
    assert said.sentence == "Host compute-1 is not registered any more."


def saying(name, verdict):
    return lambda _snapshot: Decision(name, verdict, f"{name}.", {})


@given(st.lists(st.sampled_from(Verdict), max_size=6))
def test_the_first_gate_that_does_not_pass_decides(verdicts):
    gates = [saying(str(n), v) for n, v in enumerate(verdicts)]
    said = ask(a_snapshot(), gates)
    passed = [d.verdict for d in said]
    assert passed == verdicts[: len(said)]
    assert all(v is Verdict.PASS for v in passed[:-1])
    if len(said) < len(verdicts):
        assert passed[-1] is not Verdict.PASS


def test_the_segment_is_asked_before_the_host():
    assert [gate.__name__ for gate in GATES] == [
        "segment_enabled",
        "host_in_maintenance",
        "maintenance_session",
        "hosts_out",
    ]
    host = a_host(
        on_maintenance=True, maintenance_cause=MaintenanceCause.OPERATOR
    )
    disabled = a_snapshot(host=host, segment=a_segment(enabled=False))
    assert [d.gate for d in ask(disabled)] == ["segment_enabled"]
    enabled = dataclasses.replace(disabled, segment=a_segment())
    assert [d.verdict for d in ask(enabled)] == [Verdict.PASS, Verdict.HOLD]
    free = dataclasses.replace(
        enabled, host=a_host(), session=InSession("s-1", "SCALE_IN")
    )
    assert [d.gate for d in ask(free)][-1] == "maintenance_session"


@given(st.booleans(), st.sampled_from(CAUSES), st.booleans())
def test_gates_have_their_names_and_sentences(enabled, cause, hold):
    snapshot = a_snapshot(
        segment=a_segment(enabled=enabled),
        host=a_host(on_maintenance=True, maintenance_cause=cause),
        disabled_segment="hold" if hold else "ignore",
    )
    for gate in GATES:
        said = gate(snapshot)
        assert said.gate == gate.__name__
        assert said.sentence.endswith(".")


# Maintenance sessions

CRASHED = {"instance_uuid": "i-1", "event": "LIFECYCLE"}
PROCESS = {"event": "STOPPED", "process_name": "nova-compute"}
PAYLOADS = {"COMPUTE_HOST": STOPPED, "VM": CRASHED, "PROCESS": PROCESS}
IDLE = InSession("s-1", "PLANNED_MAINTENANCE")
AT_WORK = InSession("s-1", "START_MAINTENANCE", in_work=True)


def about(kind, payload=None, **values):
    notification = a_notification(kind, payload or PAYLOADS[kind])
    return maintenance_session(a_snapshot(notification=notification, **values))


@pytest.mark.parametrize(
    ("kind", "values", "verdict", "words"),
    [
        ("COMPUTE_HOST", {}, "pass", "is in no maintenance session."),
        ("COMPUTE_HOST", {"session": IDLE}, "hold", "s-1 (PLANNED_MAIN"),
        ("COMPUTE_HOST", {"session": AT_WORK}, "hold", "until the session"),
        ("VM", {}, "pass", "No maintenance session moves instance i-1."),
        ("VM", {"session": IDLE}, "pass", "No maintenance session moves"),
        ("VM", {"session": AT_WORK}, "hold", "Waiting until it is back."),
        ("VM", {"mover": "s-2"}, "hold", "moved by maintenance session s-2"),
        ("PROCESS", {}, "pass", "No maintenance session works on"),
        ("PROCESS", {"session": IDLE}, "pass", "No maintenance session"),
        ("PROCESS", {"session": AT_WORK}, "ignore", "stopped and started."),
    ],
)
def test_what_a_session_has_is_left_to_it(kind, values, verdict, words):
    said = about(kind, **values)
    assert said.verdict == verdict
    assert words in said.sentence
    session = values.get("session")
    assert said.inputs["session"] == (session and session.uuid)
    assert said.inputs["in_work"] == bool(session and session.in_work)
    assert said.inputs["mover"] == values.get("mover")


def test_a_host_that_has_started_is_no_session_s_business():
    said = about("COMPUTE_HOST", {"event": "STARTED"}, session=AT_WORK)
    assert said.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("up", "waited", "verdict", "words"),
    [
        (False, 0, "pass", "does not see its compute service up."),
        (None, 999, "hold", "Waiting for Nova to say whether it is up."),
        (True, 59, "hold", "still does 60 seconds after the report."),
        (True, 60, "ignore", "it has not failed."),
    ],
)
def test_a_host_that_left_a_session_must_really_be_down(
    up, waited, verdict, words
):
    said = about("COMPUTE_HOST", after=AfterSession("s-1", up, waited, 60))
    assert said.verdict == verdict
    assert words in said.sentence
    # The next look has to know of the session, too.
    assert (said.inputs["was_in"], said.inputs["up"]) == ("s-1", up)


@pytest.mark.parametrize(
    ("kind", "limit", "recovering", "maintained", "verdict"),
    [
        ("COMPUTE_HOST", 0, ["a", "b"], ["c"], "pass"),
        ("COMPUTE_HOST", 1, [], [], "pass"),
        ("COMPUTE_HOST", 1, ["a"], [], "hold"),
        ("COMPUTE_HOST", 1, [], ["a"], "hold"),
        ("COMPUTE_HOST", 2, ["a"], ["a"], "pass"),
        ("COMPUTE_HOST", 2, ["a"], ["b"], "hold"),
        # It is out already: another report of it is being worked on.
        ("COMPUTE_HOST", 1, ["compute-1"], [], "pass"),
        ("VM", 1, ["a"], ["b"], "pass"),
        ("PROCESS", 1, ["a"], ["b"], "pass"),
    ],
)
def test_one_limit_for_recoveries_and_sessions(
    kind, limit, recovering, maintained, verdict
):
    said = hosts_out(
        a_snapshot(
            notification=a_notification(kind, PAYLOADS[kind]),
            out=HostsOut(dict.fromkeys(recovering, "n-7"), (*maintained,)),
            max_hosts_out=limit,
        )
    )
    assert said.verdict == verdict
    assert said.limit == limit
    assert said.inputs["recovered"] == recovering
    assert said.inputs["in_maintenance"] == maintained


def test_who_takes_the_places_is_said():
    said = hosts_out(
        a_snapshot(out=HostsOut({"a": "n-7"}, ("b",)), max_hosts_out=2)
    )
    assert said.sentence == (
        "2 other hosts are out of service (recovered: a; in maintenance: b),"
        " and [host_failure] max_hosts_out is 2. Waiting until one is back."
    )


# Nova's view of the service


@pytest.mark.parametrize(
    ("up", "waited", "verdict", "words"),
    [
        (False, 0, "pass", "on h is down."),
        (False, 1000, "pass", "on h is down."),
        (True, 0, "hold", "Waiting for Nova to see the service on h down"),
        (True, 59.9, "hold", "Waiting for Nova"),
        (True, 60, "fail", "still sees the compute service on h up after 60"),
        (True, 1000, "fail", "living host are not evacuated."),
    ],
)
def test_nothing_is_evacuated_from_a_living_host(up, waited, verdict, words):
    said = service_down("h", up=up, forced_down=False, waited=waited, limit=60)
    assert said.verdict == verdict
    assert words in said.sentence
    assert said.limit == 60
    assert said.inputs["up"] is up


def test_a_service_that_was_forced_down_is_down():
    said = service_down("h", up=False, forced_down=True, waited=1.26, limit=60)
    assert said.sentence == "Nova's compute service on h was forced down."
    assert said.inputs["waited_seconds"] == 1.3


@given(st.booleans(), st.booleans(), st.floats(0, 1e6), st.floats(0.1, 1e6))
def test_a_service_passes_only_when_it_is_down(up, forced, waited, limit):
    said = service_down(
        "h", up=up, forced_down=forced, waited=waited, limit=limit
    )
    assert (said.verdict is Verdict.PASS) == (not up)
    assert (said.verdict is Verdict.HOLD) == (up and waited < limit)
