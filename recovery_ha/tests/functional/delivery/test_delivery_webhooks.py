"""Webhooks are sent to in order, retried for a while, and hold nobody up."""

import contextlib
import threading
import time

import pytest
import sqlalchemy as sa

from recovery_ha.clients import maintenance_events as events
from recovery_ha.db import models
from recovery_ha.tests.fixtures.receiver import Answer, Receiver
from recovery_ha.tests.fixtures.waiting import eventually


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


def numbers(receiver):
    return [r.body["payload"]["number"] for r in receiver.requests]


def hooked(rows):
    return rows(models.OutboxMessage.webhook_uuid.is_not(None))


def test_a_webhook_hears_each_message_once_under_one_name(
    conf, deliver, tell, webhook, receiver, rows
):
    webhook(f"{receiver.url}/here")
    webhook(f"{receiver.url}/elsewhere", project="p2")
    message_id = tell(0, event_type=events.PROJECT_EVENTS, project="p1")
    for number in range(1, 5):
        tell(number, project="p1")
    tell(9)
    deliver(conf("fake://"))
    receiver.wait_for(5)
    eventually(lambda: all(r.sent_at for r in rows()), "all are sent")
    assert numbers(receiver) == [0, 1, 2, 3, 4]
    first = receiver.requests[0]
    assert first.path == "/here"
    assert first.headers["webhook-id"] == message_id
    assert first.body["message_id"] == message_id
    assert first.body["event_type"] == "maintenance.scheduled"
    assert first.body["payload"] == {"number": 0}


def test_a_failing_receiver_gets_it_again_in_order(
    conf, deliver, tell, webhook, receiver, rows
):
    failures = iter([500, 503])
    receiver.answer = lambda _r: Answer(next(failures, 200))
    webhook(receiver.url)
    tell(1, project="p1")
    tell(2, project="p1")
    deliver(conf("fake://", webhook={"longest_pause": 1}))
    receiver.wait_for(4)
    assert numbers(receiver) == [1, 1, 1, 2]
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert len(set(ids)) == 2
    eventually(lambda: all(r.sent_at for r in hooked(rows)), "all are sent")
    assert [r.message for r in hooked(rows)] == [None, None]


def test_one_that_always_fails_is_given_up_with_a_reason(
    conf, deliver, tell, webhook, receiver, rows
):
    receiver.answer = lambda r: Answer(
        500 if r.body["payload"]["number"] == 1 else 200, "No."
    )
    webhook(receiver.url)
    tell(1, project="p1")
    tell(2, project="p1")
    deliver(conf("fake://", webhook={"max_attempts": 2, "longest_pause": 1}))
    receiver.wait_for(3)
    assert numbers(receiver) == [1, 1, 2]
    eventually(lambda: hooked(rows)[1].sent_at, "the other is sent")
    given_up = hooked(rows)[0]
    assert (given_up.due_at, given_up.sent_at) == (None, None)
    assert given_up.message == 'Given up: The receiver answered 500: "No."'


def test_a_redirect_to_inside_is_given_up_at_once(
    conf, deliver, tell, webhook, receiver, rows
):
    with Receiver() as inside:
        where = (("Location", f"{inside.url}/secret"),)
        receiver.answer = lambda _r: Answer(302, None, where)
        webhook(receiver.url)
        tell(1, project="p1")
        deliver(conf("fake://"))
        eventually(lambda: hooked(rows)[0].message, "it is given up")
        assert "redirects are not followed" in hooked(rows)[0].message
        assert inside.requests == []
    assert len(receiver.requests) == 1


def test_names_of_addresses_inside_are_given_up_at_once(
    conf, deliver, tell, webhook, receiver, rows
):
    webhook(f"https://localhost:{receiver.port}/")
    tell(1, project="p1")
    deliver(conf("fake://", webhook={"allowed_networks": ""}))
    row = eventually(
        lambda: next((r for r in hooked(rows) if r.message), None), "given up"
    )
    assert "localhost has the address" in row.message
    assert row.due_at is None
    assert receiver.requests == []


def test_a_webhook_that_was_deleted_is_given_up(
    conf, deliver, tell, webhook, receiver, rows, database
):
    webhook(receiver.url)
    tell(1, project="p1")
    with database.engine.begin() as connection:
        connection.execute(sa.delete(models.Webhook))
    deliver(conf("fake://"))
    eventually(lambda: hooked(rows)[0].message, "it is given up")
    assert hooked(rows)[0].message == "The webhook was deleted."
    assert receiver.requests == []


def test_slow_receivers_hold_nobody_up(
    conf, deliver, tell, webhook, receiver, rows
):
    go_on = threading.Event()
    with contextlib.ExitStack() as stack:
        slow = [
            stack.enter_context(Receiver(lambda _r: go_on.wait(20) and None))
            for _ in range(6)
        ]
        stack.callback(go_on.set)
        for one in slow:
            webhook(one.url, project="slow")
        for number in range(2):
            tell(number, project="slow", session=f"s{number}")
        webhook(receiver.url, project="quick")
        for number in range(3):
            tell(number, project="quick", session=f"s{number}")
        begun = time.monotonic()
        deliver(conf("fake://", webhook={"workers": 8, "timeout": 20}))
        receiver.wait_for(3)
        assert time.monotonic() - begun < 5
        busy = [one for one in slow if one.requests]
        # A quarter of the workers, and each receiver one at a time.
        assert [len(one.requests) for one in busy] == [1, 1]
        queue = models.OutboxMessage.webhook_uuid.is_(None)
        eventually(lambda: all(r.sent_at for r in rows(queue)), "all told")
