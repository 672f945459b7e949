"""The receiver in the documentation believes our messages and no others."""

import importlib.util
import pathlib
import socket
import subprocess
import sys
import time

import pytest

import recovery_ha
from recovery_ha.clients import maintenance_events as events
from recovery_ha.clients.webhook import NotDelivered, Webhooks, signature
from recovery_ha.conf import new_config
from recovery_ha.db.maintenance import outbox
from recovery_ha.tests.fixtures.waiting import eventually

ROOT = pathlib.Path(recovery_ha.__file__).parents[1]
EXAMPLE = ROOT / "doc" / "examples" / "webhook_receiver" / "receiver.py"
BODY = b'{"payload": {}}'


@pytest.fixture
def example():
    spec = importlib.util.spec_from_file_location("example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def receiver():
    """Start the example; return its port and its process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLE), str(port), "s3cret"],
        stdout=subprocess.PIPE,
        text=True,
    )

    def listens():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    eventually(listens, "the example listens")
    yield port, process
    process.kill()
    process.communicate()


def headers(key="s3cret", message_id="m", age=0, body=BODY):
    stamp = int(time.time()) - age
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": signature(key, message_id, stamp, body),
    }


def test_what_we_sign_is_believed(example):
    assert example.verify("s3cret", headers(), BODY) == {"payload": {}}
    several = headers()
    several["webhook-signature"] = f"v1,x {several['webhook-signature']}"
    assert example.verify("s3cret", several, BODY) == {"payload": {}}


@pytest.mark.parametrize(
    ("given", "body"),
    [
        ({}, BODY),
        (headers(key="other"), BODY),
        (headers() | {"webhook-id": "other"}, BODY),
        (headers() | {"webhook-timestamp": "soon"}, BODY),
        (headers(age=301), BODY),
        (headers(age=-86400), BODY),
        (headers(), b'{"payload": {"state": "forged"}}'),
    ],
)
def test_nothing_else_is(example, given, body):
    with pytest.raises(example.Refused):
        example.verify("s3cret", given, body)


@pytest.mark.processes
def test_messages_reach_it(receiver, conf, deliver, webhook, ctx):
    port, process = receiver
    webhook(f"http://127.0.0.1:{port}/")
    payload = events.project_payload(
        session="s",
        project_id="p1",
        state="MAINTENANCE",
        api_url="http://api",
    )
    outbox.add(
        ctx,
        session="s",
        event_type=events.PROJECT_EVENTS,
        payload=payload,
        dedupe_key="k",
        project_id="p1",
    )
    deliver(conf("fake://"))
    assert process.stdout.readline() == "maintenance.scheduled MAINTENANCE\n"


@pytest.mark.processes
def test_it_refuses_another_secret(receiver):
    conf = new_config([], default_config_files=[])
    conf.set_override("allowed_networks", ["127.0.0.0/8"], "webhook")
    url = f"http://127.0.0.1:{receiver[0]}/"
    with pytest.raises(NotDelivered, match="answered 403"):
        Webhooks(conf).send(url, "other", "m", {"message_id": "m"})
