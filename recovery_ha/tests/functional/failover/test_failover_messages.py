"""The message queue makes it quick; nothing depends on it.

Where RabbitMQ is, is told by RECOVERY_HA_TEST_RABBIT_URL.
"""

import os
import socket
import time
from urllib.parse import urlsplit

import pytest

from recovery_ha.rpc.client import EngineClient
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.reporting import port_of, post_report
from recovery_ha.tests.fixtures.site import STOPPED
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = pytest.mark.processes

#: So long that whoever waits for it is out of time.
NO_SWEEP = 600
NOWHERE = "rabbit://guest:guest@127.0.0.1:1/"


@pytest.fixture
def rabbit():
    url = os.environ.get(
        "RECOVERY_HA_TEST_RABBIT_URL", "rabbit://guest:guest@127.0.0.1:5672/"
    )
    parts = urlsplit(url)
    try:
        address = (parts.hostname, parts.port or 5672)
        socket.create_connection(address, 3).close()
    except OSError as exc:
        pytest.skip(f"no RabbitMQ (see RECOVERY_HA_TEST_RABBIT_URL): {exc}")
    return url


def accepted(port, host):
    status, body = post_report(port, host)
    assert status == 202, body
    return body["notification"]["notification_uuid"]


def wait_until_it_listens(site, rabbit):
    """Wake the only engine until it has taken a first piece of work."""
    uuid = site.report("compute-4", **STOPPED | {"event": "STARTED"})
    client = EngineClient(site.conf("waker", transport_url=rabbit))
    try:
        eventually(
            lambda: client.wake() or site.notification(uuid).message,
            "the engine hears wake-ups",
        )
    finally:
        client.stop()


def test_a_wake_up_starts_the_work(site, rabbit):
    options = {"transport_url": rabbit, "sweep_interval": NO_SWEEP}
    site.engine("alpha", **options).wait_ready()
    port = port_of(site.api("api", **options))
    wait_until_it_listens(site, rabbit)
    servers = site.servers("compute-1", 2)
    site.world.kill("compute-1")

    uuid = accepted(port, "compute-1")

    site.assert_recovered(uuid, servers)


@pytest.mark.parametrize("backend", BACKENDS)
def test_without_a_queue_the_sweep_finds_the_work(site):
    site.engine("alpha", transport_url=NOWHERE)
    port = port_of(site.api("api", transport_url=NOWHERE))
    servers = site.servers("compute-1", 2)
    site.world.kill("compute-1")

    begun = time.monotonic()
    uuid = accepted(port, "compute-1")
    assert time.monotonic() - begun < 3

    site.assert_recovered(uuid, servers)


def test_without_a_queue_daemons_end_when_they_are_told_to(site):
    engine = site.engine("alpha", transport_url=NOWHERE).wait_ready()
    api = site.api("api", transport_url=NOWHERE)
    site.world.kill("compute-1")
    site.ended(accepted(port_of(api), "compute-1"))

    for daemon in (engine, api):
        daemon.terminate()

    assert engine.wait_ended() == 0
    assert api.wait_ended() == 0
    eventually(lambda: engine.said("has stopped"), "it has stopped in order")
