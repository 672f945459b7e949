"""What is held, ignored or left out, and what is written down of it."""

import pytest

from recovery_ha.db import models
from recovery_ha.domain.recovery import (
    NotificationStatus,
    NotificationType,
)
from recovery_ha.tests.fixtures.waiting import eventually

FINISHED = NotificationStatus.FINISHED
AMPHORA = "amphora-5f0a3c1e-9a4f-4c39-8a52-0d1ad6ff2d4c"
PASSED = [
    ("segment_enabled", "", "pass"),
    ("host_in_maintenance", "", "pass"),
    ("maintenance_session", "", "pass"),
    ("hosts_out", "", "pass"),
]
DOWN = [("service_down", "", "pass"), ("others_up", "", "pass")]


def enable(site, enabled):
    """Do so without a word to any engine."""
    site.change(models.Segment, enabled=enabled)


def held(site, uuid):
    def find():
        found = site.notification(uuid)
        return found if found.held and found.message else None

    return eventually(find, "it is held")


def test_what_passes_is_written_down_too(site):
    site.engine_here()

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is FINISHED
    empty = ("list_is_empty", "", "pass")
    assert site.decisions(uuid) == [*PASSED, *DOWN, empty]


@pytest.mark.parametrize("kind", sorted(NotificationType))
def test_a_report_of_a_disabled_segment_is_ignored(site, kind):
    servers = site.servers("compute-1", metadata={"HA_Enabled": "True"})
    enable(site, False)
    site.engine_here()

    if kind == "VM":
        uuid = site.crash(servers[0])
    elif kind == "PROCESS":
        uuid = site.report(
            kind=NotificationType.PROCESS,
            event="STOPPED",
            process_name="nova-compute",
        )
    else:
        uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is NotificationStatus.IGNORED
    assert ended.message == "Segment segment is disabled."
    assert site.decisions(uuid) == [("segment_enabled", "", "ignore")]
    assert not site.world.journal.calls()
    assert not site.host("compute-1").on_maintenance


def test_what_is_held_goes_on_by_itself_when_the_segment_is_enabled(site):
    servers = site.servers("compute-1", 2)
    enable(site, False)
    site.engine_here(disabled_segment="hold", hold_interval=0.2)

    uuid = site.lose("compute-1")

    waiting = held(site, uuid)
    assert waiting.message == (
        "Segment segment is disabled. Waiting until it is enabled."
    )
    eventually(
        lambda: site.notification(uuid).status is NotificationStatus.NEW,
        "it waits as new",
    )
    assert site.decisions(uuid) == [("segment_enabled", "", "hold")]
    assert not site.world.journal.calls()
    enable(site, True)
    site.assert_recovered(uuid, servers)
    assert site.decisions(uuid) == [*PASSED, *DOWN]
    assert site.said(uuid).count(waiting.message) == 1
    assert not site.notification(uuid).held


def test_what_is_held_too_long_fails(site):
    enable(site, False)
    site.engine_here(
        disabled_segment="hold",
        hold_interval=0.2,
        notifications_expired_interval=1,
    )

    ended = site.ended(site.lose("compute-1"))

    assert ended.status is NotificationStatus.FAILED
    assert "Segment segment is disabled" in ended.message
    assert "reported too long ago" in ended.message


def test_a_recovery_that_has_begun_is_brought_to_its_end(site):
    servers = site.servers("compute-1", 2)
    request = site.hold("before", {"action": "evacuate"})
    site.engine_here("one", host_failure_recovery_threads=1)
    uuid = site.lose("compute-1")
    site.held(request)

    enable(site, False)
    site.world.faults.release(request.id)

    site.assert_recovered(uuid, servers)


def test_a_host_that_an_operator_works_on_is_held(site):
    servers = site.servers("compute-1", 2)
    uuid = site.lose("compute-1")
    site.change(models.Host, on_maintenance=True, maintenance_cause="operator")
    site.engine_here(hold_interval=0.2)

    assert "by an operator" in held(site, uuid).message
    assert site.decisions(uuid)[-1] == ("host_in_maintenance", "", "hold")
    assert not site.evacuations()

    site.change(models.Host, on_maintenance=False, maintenance_cause=None)
    site.assert_recovered(uuid, servers)


def test_nothing_is_evacuated_from_a_host_that_nova_sees_alive(site):
    servers = site.servers("compute-1", 2)
    site.engine_here(wait_period_after_service_update=1, max_attempts=1)

    uuid = site.report("compute-1")

    ended = site.ended(uuid)
    assert ended.status is NotificationStatus.FAILED
    assert "living host are not evacuated" in ended.message
    assert site.decisions(uuid)[-1] == ("service_down", "", "fail")
    assert not site.evacuations()
    assert site.servers_on("compute-1") == servers


# Instances that are somebody's own business

EXCLUDED = [
    # option and its value, the instance, the gate
    (
        {"exclude_projects": "p-1,p-2"},
        {"project_id": "p-2"},
        "exclude_project",
    ),
    ({}, {"name": AMPHORA}, "exclude_name_pattern"),
    ({"exclude_names": "db-*"}, {"name": "db-1"}, "exclude_name_pattern"),
    (
        {"exclude_metadata": "tier=front"},
        {"metadata": {"tier": "front", "HA_Enabled": "True"}},
        "exclude_metadata",
    ),
    (
        {"exclude_extra_specs": "hw:pinned"},
        {"extra_specs": {"hw:pinned": "yes"}},
        "exclude_flavor_extra_spec",
    ),
    (
        {"exclude_image_properties": "role=appliance"},
        {"image_id": "image-1"},
        "exclude_image_property",
    ),
    (
        {"exclude_image_properties": "tags=a,tags=amphora"},
        {"image_id": "image-2"},
        "exclude_image_property",
    ),
]


@pytest.mark.parametrize(("options", "fields", "gate"), EXCLUDED)
def test_an_excluded_instance_is_left_alone(site, options, fields, gate):
    images = site.world.images
    images.set("image-1", properties={"role": "appliance"})
    images.set("image-2", tags=["amphora"])
    (left,) = site.servers("compute-1")
    site.world.set_server(left, **fields)
    servers = site.servers("compute-1", 2)
    site.engine_here(**options)

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert site.servers_on("compute-1") == [left]
    assert site.decisions(uuid) == [*PASSED, *DOWN, (gate, left, "leave_out")]
    assert any(
        f"({left})" in text and "is left out: " in text
        for text in site.said(uuid)
    )
    assert not site.world.servers[left].locked


def test_an_image_that_is_gone_matches_no_rule(site):
    servers = site.servers("compute-1", 2, image_id="nowhere")
    site.engine_here(exclude_image_properties="role")

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)


def test_glance_being_away_excludes_nothing(site):
    site.world.outages.begin("image", 503)
    servers = site.servers("compute-1", 2)
    site.engine_here(exclude_image_properties="role", read_retries=0)

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert any("matches no rule" in text for text in site.said(uuid))


def test_glance_is_not_asked_without_a_rule(site):
    site.servers("compute-1", 2)
    site.engine_here()

    assert site.ended(site.lose("compute-1")).status is FINISHED
    assert "image" not in site.world.journal.counts()


def test_glance_is_asked_once_per_image(site):
    site.servers("compute-1", 5)
    site.engine_here(exclude_image_properties="role")

    assert site.ended(site.lose("compute-1")).status is FINISHED
    counts = site.world.journal.counts()["image"]
    assert counts["GET /images/<image_id>"] == 1
