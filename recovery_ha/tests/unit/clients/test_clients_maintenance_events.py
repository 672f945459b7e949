"""Payloads are as clients decode them after Ceilometer and Aodh."""

import ast
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.clients import maintenance_events as events
from recovery_ha.conf import new_config
from recovery_ha.domain.maintenance import (
    IN_MAINTENANCE,
    INSTANCE_ACTION_DONE,
    InstanceAction,
    SessionState,
)

SESSION = "5e55105e-0000-4000-8000-000000000001"
LINK = f"http://api:15868/v1/maintenance/{SESSION}/p1"
AT = datetime(2026, 11, 21, 9, 45, 1, 999999)


def payload(**values):
    return events.project_payload(
        **{
            "session": SESSION,
            "project_id": "p1",
            "state": SessionState.PREPARE_MAINTENANCE,
            "api_url": "http://api:15868/v1",
            **values,
        }
    )


def test_what_a_project_is_asked():
    assert payload(
        allowed_actions=[InstanceAction.MIGRATE, InstanceAction.OWN_ACTION],
        reply_at=AT,
        actions_at=AT + timedelta(seconds=1),
        metadata={"openstack_release": "Queens"},
    ) == {
        "service": "recovery_ha",
        "session_id": SESSION,
        "project_id": "p1",
        "state": "PREPARE_MAINTENANCE",
        "instance_ids": LINK,
        "allowed_actions": ["MIGRATE", "OWN_ACTION"],
        "reply_url": LINK,
        "reply_at": "2026-11-21 09:45:01",
        "actions_at": "2026-11-21 09:45:02",
        "metadata": {"openstack_release": "Queens"},
    }


def test_one_instance_has_a_reply_url_of_its_own():
    found = payload(instance_ids=["i-1"])
    assert found["instance_ids"] == ["i-1"]
    assert found["reply_url"] == f"{LINK}/i-1"


def test_several_instances_are_a_link():
    assert payload(instance_ids=["i-1", "i-2"])["instance_ids"] == LINK
    assert payload(instance_ids=[])["instance_ids"] == LINK


def test_of_an_action_that_is_done_no_reply_is_wanted():
    found = payload(
        state=INSTANCE_ACTION_DONE,
        instance_ids=["i-1"],
        metadata={"openstack_release": "Queens"},
    )
    assert found["instance_ids"] == ["i-1"]
    assert found["reply_url"] == LINK
    assert found["metadata"] == {}
    assert found["allowed_actions"] == []
    assert found["reply_at"] is None


def test_what_administrators_are_told():
    common = {
        "service": "recovery_ha",
        "session_id": SESSION,
        "project_id": "admin",
    }
    assert events.host_payload(
        session=SESSION, project_id="admin", host="h", state=IN_MAINTENANCE
    ) == {**common, "host": "h", "state": "IN_MAINTENANCE"}
    assert events.session_payload(
        session=SESSION,
        project_id="admin",
        state=SessionState.SCALE_IN,
        percent_done=33,
    ) == {**common, "state": "SCALE_IN", "percent_done": 33}


@pytest.mark.parametrize(
    ("when", "text"),
    [
        (None, None),
        (0, "1970-01-01 00:00:00"),
        (1795254301.9, "2026-11-21 09:45:01"),
        (AT, "2026-11-21 09:45:01"),
        (AT.replace(tzinfo=UTC), "2026-11-21 09:45:01"),
        (
            AT.replace(tzinfo=timezone(timedelta(hours=2))),
            "2026-11-21 07:45:01",
        ),
    ],
)
def test_times_are_utc_to_the_second(when, text):
    assert events.wire_time(when) == text


@pytest.mark.parametrize(
    "api_url", ["http://a", "http://a/", "http://a/v1", "http://a/v1/"]
)
def test_links_have_the_version_once(api_url):
    assert (
        events.project_link(api_url, "s", "p", "i")
        == "http://a/v1/maintenance/s/p/i"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=60),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=20), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(max_size=40), JSON, max_size=12))
def test_metadata_survive_ceilometer(metadata):
    kept = payload(metadata=metadata)["metadata"]
    text = repr(kept)
    assert len(text) <= events.LONGEST
    assert ast.literal_eval(text) == kept
    assert list(kept.items()) == list(metadata.items())[: len(kept)]
    if len(repr(metadata)) <= events.LONGEST:
        assert kept == metadata


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (None, ("maintenance.scheduled", "maintenance.planned")),
        ("maintenance.scheduled", ("maintenance.scheduled",)),
        ("maintenance.planned", ("maintenance.planned",)),
    ],
)
def test_the_names_can_be_chosen(chosen, names):
    conf = new_config([], default_config_files=[])
    if chosen:
        conf.set_override("project_events", chosen, "outbox")
    assert events.project_events(conf) == names
