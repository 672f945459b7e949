"""What becomes of reports that do not simply start a recovery."""

import pytest

from recovery_ha.db import segments
from recovery_ha.domain import errors
from recovery_ha.domain.recovery import NotificationStatus
from recovery_ha.tests.fixtures.site import STOPPED


def test_a_second_report_of_the_same_host_ends_with_the_first(site):
    servers = site.servers("compute-1", 3)
    first = site.lose("compute-1")
    second = site.report("compute-1", **STOPPED | {"cluster_status": "ONLINE"})
    site.engine_here()

    winner = site.ended(first), site.ended(second)

    assert {n.status for n in winner} == {NotificationStatus.FINISHED}
    (joined,) = [n for n in winner if n.joined_to]
    assert joined.message.startswith("Ended with notification")
    (owner,) = [n for n in winner if not n.joined_to]
    site.assert_recovered(owner.uuid, servers)
    assert site.moves(joined.uuid) == []


def test_an_equal_report_is_refused(site):
    uuid = site.lose("compute-1")

    with pytest.raises(errors.DuplicateNotification):
        site.report("compute-1")

    site.engine_here()
    assert site.ended(uuid).status is NotificationStatus.FINISHED


def test_a_host_that_was_recovered_is_on_maintenance(site):
    site.engine_here()
    site.ended(site.lose("compute-1"))

    with pytest.raises(errors.HostUnderMaintenance):
        site.report("compute-1")


@pytest.mark.parametrize(
    ("payload", "status", "reason"),
    [
        ({"event": "STARTED"}, NotificationStatus.FINISHED, "has started"),
        ({"host_status": "UNKNOWN"}, NotificationStatus.IGNORED, "UNKNOWN"),
    ],
)
def test_a_report_that_asks_for_nothing(site, payload, status, reason):
    site.servers("compute-1", 2)
    site.engine_here()

    uuid = site.lose("compute-1", **STOPPED | payload)

    ended = site.ended(uuid)
    assert ended.status is status
    assert reason in ended.message
    assert site.world.journal.calls() == []


def test_a_disabled_segment_is_not_recovered(site):
    site.servers("compute-1", 2)
    segments.update_segment(site.ctx, site.segment_uuid, {"enabled": False})
    site.engine_here()

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is NotificationStatus.IGNORED
    assert site.world.journal.calls() == []
