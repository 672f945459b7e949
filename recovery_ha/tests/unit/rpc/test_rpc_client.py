import logging
import os
import socket
import threading
import time
from urllib.parse import urlsplit

import oslo_messaging
import pytest
from oslo_utils import uuidutils

from recovery_ha.conf import new_config
from recovery_ha.engine.endpoints import make_server
from recovery_ha.rpc import client as rpc_client
from recovery_ha.rpc.client import EngineClient
from recovery_ha.rpc.transport import get_transport
from recovery_ha.tests.fixtures.waiting import eventually

RABBIT = os.environ.get(
    "RECOVERY_HA_TEST_RABBITMQ_URL", "rabbit://guest:guest@127.0.0.1:5672/"
)


@pytest.fixture
def configure(tmp_path):
    """Return a function that gives a configuration of its own."""

    def configure(url):
        path = tmp_path / f"{uuidutils.generate_uuid()}.conf"
        path.write_text(f"[DEFAULT]\ntransport_url = {url}\n")
        return new_config(["--config-file", str(path)])

    return configure


@pytest.fixture
def start(configure):
    """Return a function that starts a client of a transport."""
    clients = []

    def start(url):
        clients.append(EngineClient(configure(url)))
        return clients[-1]

    yield start
    for client in clients:
        client.stop()


class Casts:
    """Stands for the message queue and takes as long as it is told."""

    def __init__(self, trouble=None):
        self.count = 0
        self.trouble = trouble
        self.free = threading.Event()
        self.free.set()

    def cast(self, _context, method):
        assert method == "wake"
        self.count += 1
        self.free.wait(10)
        if self.trouble is not None:
            raise self.trouble


@pytest.fixture
def casting(start):
    def casting(trouble=None):
        client = start("fake://")
        client._client = Casts(trouble)
        return client, client._client

    return casting


def test_a_burst_of_wake_ups_is_a_few_messages(casting):
    client, casts = casting()
    for _ in range(1000):
        client.wake()
    eventually(lambda: casts.count, "a message is sent", 5)
    time.sleep(0.1)
    assert 1 <= casts.count <= 10


def test_a_wake_up_during_a_message_is_another_message(casting):
    client, casts = casting()
    casts.free.clear()
    client.wake()
    eventually(lambda: casts.count == 1, "a message is under way", 5)
    client.wake()  # committed after the message was made
    casts.free.set()
    eventually(lambda: casts.count == 2, "and another one follows", 5)


def test_waking_returns_at_once(casting):
    client, casts = casting()
    casts.free.clear()
    before = time.monotonic()
    for _ in range(100):
        client.wake()
    assert time.monotonic() - before < 0.5
    casts.free.set()


@pytest.mark.parametrize(
    "trouble",
    [
        oslo_messaging.MessageDeliveryFailure("no broker"),
        ConnectionRefusedError("no broker"),
    ],
)
def test_a_queue_that_fails_is_asked_again_later(
    casting, monkeypatch, caplog, trouble
):
    monkeypatch.setattr(rpc_client, "_PAUSE_SECONDS", 0.2)
    client, casts = casting(trouble)
    with caplog.at_level(logging.WARNING):
        client.wake()
        eventually(lambda: casts.count == 1, "it is tried", 5)
        casts.trouble = None
        client.wake()
        eventually(lambda: casts.count == 2, "and tried again", 5)
    assert "no broker" in caplog.text


@pytest.mark.parametrize(
    "trouble", [ValueError("nobody thought of"), RuntimeError("odd")]
)
def test_the_thread_survives_what_nobody_thought_of(
    casting, monkeypatch, trouble
):
    monkeypatch.setattr(rpc_client, "_PAUSE_SECONDS", 0.05)
    client, casts = casting(trouble)
    client.wake()
    eventually(lambda: casts.count == 1, "it is tried", 5)
    casts.trouble = None
    time.sleep(0.1)
    client.wake()
    eventually(lambda: casts.count == 2, "and tried again", 5)


def test_stopping_is_quick(configure):
    client = EngineClient(configure("fake://"))
    before = time.monotonic()
    client.stop()
    assert time.monotonic() - before < 1
    assert not client._thread.is_alive()


def test_without_a_broker_nothing_waits(configure):
    # Nobody listens there, and nobody else can.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        client = EngineClient(configure(f"rabbit://127.0.0.1:{port}/"))
        before = time.monotonic()
        for _ in range(10):
            client.wake()
        assert time.monotonic() - before < 0.5
        time.sleep(0.3)
        before = time.monotonic()
        client.stop()
        assert time.monotonic() - before < 3


def test_private_configurations_do_not_meet(configure):
    one, two = configure("fake://"), configure("fake://")
    assert get_transport(one).conf is one
    assert get_transport(two).conf is two


def _reachable(url):
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname, parts.port), 1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("url", ["fake://", RABBIT], ids=["fake", "rabbit"])
def test_a_wake_up_reaches_every_engine(configure, url, monkeypatch):
    if url != "fake://" and not _reachable(url):
        pytest.skip("no RabbitMQ answers")
    topic = f"test.{uuidutils.generate_uuid()}"
    for module in ("client", "transport"):
        monkeypatch.setattr(f"recovery_ha.rpc.{module}.TOPIC", topic)
    monkeypatch.setattr("recovery_ha.engine.endpoints.TOPIC", topic)
    conf = configure(url)
    woken = [threading.Event() for _ in range(2)]
    servers = [
        make_server(conf, f"engine-{number}", event.set)
        for number, event in enumerate(woken)
    ]
    for server in servers:
        server.start()
    client = EngineClient(conf)
    try:
        # The queues of a server are made a moment after its start.
        def all_woken():
            client.wake()
            time.sleep(0.05)
            return all(event.is_set() for event in woken)

        eventually(all_woken, "every engine is woken", 20)
    finally:
        client.stop()
        for server in servers:
            server.stop()
            server.wait()
