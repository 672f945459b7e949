"""What was committed reaches the message queue, whoever dies or is away."""

import os
import signal
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import oslo_messaging
import pytest
import sqlalchemy as sa

from recovery_ha.clients import maintenance_events as events
from recovery_ha.conf import new_config
from recovery_ha.db import models, types
from recovery_ha.engine.delivery import pause
from recovery_ha.tests.fixtures.messages import RABBIT, skip_without_rabbit
from recovery_ha.tests.fixtures.proxy import Proxy
from recovery_ha.tests.fixtures.waiting import eventually

# kombu leaves the sockets of a broker that went away to the collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

#: An engine that kills itself when it is about to send, or has sent.
MORTAL = """
import os, signal, sys, time
import oslo_messaging
from recovery_ha.conf import new_config
from recovery_ha.context import internal_context
from recovery_ha.db.session import Database
from recovery_ha.engine.delivery import Delivery
when, path = sys.argv[1:]
send = oslo_messaging.transport.Transport._send_notification
def trap(*args, **kwargs):
    if when == "after":
        send(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGKILL)
oslo_messaging.transport.Transport._send_notification = trap
conf = new_config(["--config-file", path])
Delivery(conf, internal_context(Database(conf)), "mortal").start()
time.sleep(60)
"""


class Consumer:
    """Listens as Ceilometer's agent does.

    :ivar heard: message id, event type and payload of each, in order.
    """

    def __init__(self, conf, topic):
        self.heard = []
        self.publishers = set()
        self._lock = threading.Lock()
        self._transport = oslo_messaging.get_notification_transport(conf)
        self._listener = oslo_messaging.get_notification_listener(
            self._transport,
            [oslo_messaging.Target(topic=topic)],
            [self],
            executor="threading",
        )

    def info(self, context, publisher_id, event_type, payload, metadata):
        assert metadata["timestamp"]
        with self._lock:
            self.publishers.add(publisher_id)
            self.heard.append((metadata["message_id"], event_type, payload))

    def __enter__(self):
        self._listener.start()
        return self

    def __exit__(self, *_exc):
        self._listener.stop()
        self._listener.wait()
        self._transport.cleanup()

    def wait_for(self, count, seconds=20):
        eventually(
            lambda: len(self.heard) >= count, f"{count} messages", seconds
        )
        return self.heard


def end_leases(database):
    """Let time pass for messages that a dead engine had claimed."""
    with database.engine.begin() as connection:
        connection.execute(sa.update(models.OutboxMessage).values(due_at=1.0))


def numbers(heard):
    return [payload["number"] for _id, _type, payload in heard]


@pytest.fixture
def rabbit():
    skip_without_rabbit()


@pytest.mark.usefixtures("rabbit")
def test_messages_arrive_in_order_with_their_ids(
    conf, topic, deliver, tell, unsent
):
    options = conf(RABBIT)
    first = tell(0, event_type=events.PROJECT_EVENTS)
    delivery = deliver(options, "alpha")
    with Consumer(options, topic) as consumer:
        others = [tell(number) for number in range(1, 20)]
        delivery.kick()
        heard = consumer.wait_for(21)
    assert [(i, t) for i, t, _p in heard[:2]] == [
        (first, "maintenance.scheduled"),
        (first, "maintenance.planned"),
    ]
    assert [i for i, _t, _p in heard[2:]] == others
    assert numbers(heard) == [0, 0, *range(1, 20)]
    assert consumer.publishers == {"recovery_ha.alpha"}
    eventually(lambda: not unsent(), "all are marked as sent")


@pytest.mark.usefixtures("rabbit")
def test_the_publisher_can_be_chosen(conf, topic, deliver, tell):
    options = conf(RABBIT, publisher_id="fenix")
    tell(1)
    deliver(options)
    with Consumer(options, topic) as consumer:
        consumer.wait_for(1)
    assert consumer.publishers == {"fenix"}


@pytest.mark.usefixtures("rabbit")
def test_several_engines_send_each_message_once(
    conf, topic, deliver, tell, unsent
):
    options = conf(RABBIT)
    with Consumer(options, topic) as consumer:
        for host in ("alpha", "beta", "gamma"):
            deliver(options, host)
        for number in range(60):
            tell(number, session=f"s{number % 4}")
        consumer.wait_for(60)
        eventually(lambda: not unsent(), "all are marked as sent")
        time.sleep(0.3)
    heard = numbers(consumer.heard)
    assert sorted(heard) == list(range(60))
    for session in range(4):
        mine = [n for n in heard if n % 4 == session]
        assert mine == sorted(mine)


@pytest.mark.processes
@pytest.mark.usefixtures("rabbit")
@pytest.mark.parametrize(("when", "times"), [("before", 1), ("after", 2)])
def test_what_a_killed_engine_had_to_send_another_sends(
    configure, topic, deliver, tell, database, unsent, when, times
):
    path = configure(RABBIT)
    message_id = tell(1)
    killed = subprocess.run(
        [sys.executable, "-c", MORTAL, when, str(path)],
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert killed.returncode == -signal.SIGKILL
    options = new_config(["--config-file", str(path)])
    with Consumer(options, topic) as consumer:
        deliver(options)
        time.sleep(0.5)  # its lease is not over
        assert len(consumer.heard) == times - 1
        end_leases(database)
        heard = consumer.wait_for(times)
        eventually(lambda: not unsent(), "it is marked as sent")
    assert [i for i, _t, _p in heard] == [message_id] * times


@pytest.mark.usefixtures("rabbit")
def test_a_broker_that_is_away_gets_everything_later(
    conf, topic, deliver, tell, unsent
):
    parts = urlsplit(RABBIT)
    with Proxy(parts.hostname, parts.port) as proxy:
        url = f"rabbit://{parts.username}:{parts.password}@127.0.0.1"
        options = conf(f"{url}:{proxy.port}/")
        delivery = deliver(options)
        with Consumer(conf(RABBIT), topic) as consumer:
            tell(1)
            delivery.kick()
            consumer.wait_for(1)
            proxy.down()
            for number in range(2, 12):
                tell(number)
            delivery.kick()
            waiting = eventually(
                lambda: [r for r in unsent() if r.attempts > 1], "it tries"
            )
            assert "message queue was not reached" in waiting[0].message
            assert len(unsent()) == 10
            assert numbers(consumer.heard) == [1]
            proxy.up()
            heard = consumer.wait_for(11)
        assert numbers(heard) == list(range(1, 12))
        eventually(lambda: not unsent(), "all are marked as sent")
        delivery.stop()


def test_no_broker_holds_nobody_up(conf, deliver, tell, unsent):
    delivery = deliver(conf("rabbit://guest:guest@127.0.0.1:1/"))
    tell(1)
    tell(2)
    delivery.kick()
    eventually(lambda: unsent()[0].attempts >= 2, "it was tried twice")
    begun = time.monotonic()
    delivery.stop()
    assert time.monotonic() - begun < 5
    assert all(row.due_at for row in unsent())


def test_a_stopped_engine_gives_back_what_it_has_not_sent(
    conf, deliver, tell, unsent, database, monkeypatch
):
    sending, go_on = threading.Event(), threading.Event()

    def send(*_args, **_kwargs):
        sending.set()
        go_on.wait(10)

    monkeypatch.setattr(
        oslo_messaging.transport.Transport, "_send_notification", send
    )
    tell(1)
    tell(2)
    delivery = deliver(conf("fake://"))
    assert sending.wait(10)
    stopper = threading.Thread(target=delivery.stop)
    stopper.start()
    go_on.set()
    stopper.join()
    (left,) = unsent()
    with database.read_engine.connect() as connection:
        now = connection.scalar(sa.select(types.now()))
    assert left.due_at <= now


def test_pauses_double_up_to_the_longest():
    assert [pause(n, 30) for n in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert pause(5000, 30) == 30
