"""An accepted report is never lost, and never accepted twice."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException

import pytest

from recovery_ha.db.paging import Page
from recovery_ha.db.recovery import list_notifications
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.reporting import port_of, post_report

pytestmark = pytest.mark.processes


def only_notification(site):
    (found,) = list_notifications(site.ctx, Page(limit=10))
    return found.uuid


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("step", [0, 1], ids=["identical", "other-times"])
def test_equal_reports_at_once_over_two_apis(site, step):
    ports = [port_of(api) for api in (site.api("one"), site.api("two"))]
    ready = threading.Barrier(100)

    def post(number):
        when = f"2026-01-01T00:00:00.{number * step:06}"
        ready.wait(30)
        return post_report(ports[number % 2], "compute-1", when=when)

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(post, range(100)))

    assert Counter(status for status, _body in answers) == {202: 1, 409: 99}
    (accepted,) = [body for status, body in answers if status == 202]
    uuid = accepted["notification"]["notification_uuid"]
    assert only_notification(site) == uuid


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wake_up_that_is_never_delivered(site):
    # Processes do not hear each other over fake://.
    servers = site.servers("compute-1", 2)
    site.engine("alpha")
    port = port_of(site.api("api"))
    site.world.kill("compute-1")

    status, body = post_report(port, "compute-1")

    assert status == 202
    uuid = body["notification"]["notification_uuid"]
    site.assert_recovered(uuid, servers)


def test_killed_between_commit_and_wake_up(site):
    servers = site.servers("compute-1", 2)
    site.engine("alpha")
    wake = "recovery_ha.rpc.client:EngineClient.wake"
    dying = site.api("dying", crash=("KILL", "before", wake, "1"))
    other = site.api("other")
    ports = [port_of(dying), port_of(other)]
    site.world.kill("compute-1")

    with pytest.raises((HTTPException, ConnectionError)):
        post_report(ports[0], "compute-1")
    dying.wait_ended()
    # The monitor did not hear that it was accepted, and asks again.
    status, _body = post_report(ports[1], "compute-1")

    assert status == 409
    site.assert_recovered(only_notification(site), servers)
