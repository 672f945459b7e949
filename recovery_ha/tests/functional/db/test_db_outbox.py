"""Messages are written with what they tell, once, and claimed in order."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from recovery_ha.db import models, purge, types
from recovery_ha.db.maintenance import outbox
from recovery_ha.db.session import connection, writer

LEASE = 60.0
NAMES = ("maintenance.scheduled", "maintenance.planned")


@pytest.fixture
def webhook(database):
    """Return a function that gives a project a webhook."""

    def webhook(uuid, project="p1"):
        with database.engine.begin() as conn:
            conn.execute(
                sa.insert(models.Webhook).values(
                    uuid=uuid,
                    project_id=project,
                    url=f"https://{uuid}.example/",
                    url_digest=uuid,
                    secret="s3cret",
                    created_at=types.utcnow(),
                )
            )
        return uuid

    return webhook


@pytest.fixture
def add(ctx):
    """Return a function that adds a message and returns its id."""

    def add(key="one", session="s1", event_type="maintenance.host", **values):
        return outbox.add(
            ctx,
            session=session,
            event_type=event_type,
            payload=values.pop("payload", {"key": key}),
            dedupe_key=key,
            **values,
        )

    return add


@pytest.fixture
def rows(database):
    """Return a function that reads all messages, in order."""

    def rows():
        table = models.OutboxMessage.__table__
        with database.read_engine.connect() as conn:
            return conn.execute(sa.select(table).order_by(table.c.id)).all()

    return rows


@pytest.fixture
def force(database):
    """Return a function that changes all messages."""

    def force(**values):
        with database.engine.begin() as conn:
            conn.execute(sa.update(models.OutboxMessage).values(**values))

    return force


def keys(messages):
    return [message.payload["key"] for message in messages]


def for_queue(ctx, lease=LEASE):
    return outbox.claim_for_queue(ctx, lease)


def sent(ctx, *messages):
    for message in messages:
        assert outbox.settle(ctx, message)


def test_two_names_are_two_messages_with_one_id(ctx, add, webhook, rows):
    webhook("w1")
    webhook("w2", project="p2")
    message_id = add(event_type=NAMES, project_id="p1")
    assert {row.message_id for row in rows()} == {message_id}
    found = for_queue(ctx)
    assert [message.event_type for message in found] == list(NAMES)
    hooked = outbox.claim_for_webhook(ctx, LEASE)
    assert (hooked.webhook_uuid, hooked.event_type) == ("w1", NAMES[0])
    assert (hooked.url, hooked.secret) == ("https://w1.example/", "s3cret")
    assert outbox.claim_for_webhook(ctx, LEASE) is None


def test_what_is_told_again_is_told_once(ctx, add, webhook, rows):
    webhook("w1")
    first = add(event_type=NAMES, project_id="p1")
    webhook("w2")
    assert add(event_type=NAMES, project_id="p1") == first
    assert len(rows()) == 3


def test_what_two_tell_at_once_is_told_once(add, rows, together, backend):
    ids = together(*[lambda: add(event_type=NAMES)] * 4)
    assert len(set(ids)) == 1
    assert len(rows()) == 2


def test_a_duplicate_leaves_the_transaction_usable(ctx, add, rows):
    add("one")

    @writer
    def both(ctx):
        add("one")
        add("two")

    both(ctx)
    assert [row.payload["key"] for row in rows()] == ["one", "two"]


def test_a_key_may_be_long(add, rows):
    long = "s" * 300
    assert add(f"{long}1") == add(f"{long}1") != add(f"{long}2")
    assert len(rows()) == 2


def test_what_is_rolled_back_is_not_told(ctx, add, rows):
    @writer
    def fail(ctx):
        add()
        assert connection(ctx) is not None
        raise LookupError

    with pytest.raises(LookupError):
        fail(ctx)
    assert rows() == []


def test_the_messages_of_a_session_are_claimed_together_in_order(ctx, add):
    for key in ("a", "b", "c"):
        add(key)
    add("other", session="s2")
    assert keys(for_queue(ctx)) == ["a", "b", "c"]
    assert keys(for_queue(ctx)) == ["other"]
    assert for_queue(ctx) == []


def test_nothing_overtakes_what_is_under_way(ctx, add):
    add("a")
    first = for_queue(ctx)
    add("b")
    assert for_queue(ctx) == []
    sent(ctx, *first)
    assert keys(for_queue(ctx)) == ["b"]


def test_nothing_overtakes_what_waits_for_its_next_attempt(ctx, add, rows):
    add("a")
    add("b")
    a, b = for_queue(ctx)
    assert outbox.settle(ctx, a, error="No broker.", retry_in=60)
    outbox.give_back(ctx, [b])
    assert for_queue(ctx) == []
    assert rows()[0].message == "No broker."


def test_what_was_given_up_holds_nothing_up(ctx, add, webhook, rows):
    webhook("w1")
    add("a", project_id="p1")
    add("b", project_id="p1")
    first = outbox.claim_for_webhook(ctx, LEASE)
    assert outbox.claim_for_webhook(ctx, LEASE) is None
    assert outbox.settle(ctx, first, error="Refused.")
    row = next(row for row in rows() if row.id == first.id)
    assert (row.due_at, row.sent_at, row.message) == (None, None, "Refused.")
    second = outbox.claim_for_webhook(ctx, LEASE)
    assert keys([first, second]) == ["a", "b"]
    sent(ctx, second)
    assert outbox.claim_for_webhook(ctx, LEASE) is None


def test_a_lease_that_is_over_is_another_s(ctx, add, force):
    add("a")
    (stale,) = for_queue(ctx)
    force(due_at=1.0)
    (fresh,) = for_queue(ctx)
    assert fresh.attempts == 2
    assert not outbox.settle(ctx, stale)
    outbox.give_back(ctx, [stale])
    assert for_queue(ctx) == []
    sent(ctx, fresh)
    assert not outbox.settle(ctx, fresh)


def test_what_is_given_back_is_claimed_at_once(ctx, add):
    for key in ("a", "b", "c"):
        add(key)
    first, *others = for_queue(ctx)
    sent(ctx, first)
    outbox.give_back(ctx, others)
    assert keys(for_queue(ctx)) == ["b", "c"]


def test_one_engine_wins(ctx, add, together):
    add("a")
    add("b")
    found = together(*[lambda: for_queue(ctx)] * 4)
    assert sorted(keys(messages) for messages in found) == [
        [],
        [],
        [],
        ["a", "b"],
    ]


def test_a_busy_receiver_is_passed_over(ctx, add, webhook):
    for number in range(12):
        webhook(f"w{number}", project=f"p{number // 6}")
    for number in range(2):
        add(f"k{number}", project_id=f"p{number}")

    def found(**busy):
        message = outbox.claim_for_webhook(ctx, LEASE, **busy)
        return message and message.webhook_uuid

    assert found(busy=[f"w{n}" for n in range(9)]) == "w9"
    assert found(busy_projects=["p0"]) == "w6"
    assert found(busy_projects=["p0", "p1"]) is None
    assert found() == "w0"


def test_a_webhook_that_is_gone_has_no_url(ctx, add, webhook, database):
    webhook("w1")
    add(project_id="p1")
    with database.engine.begin() as conn:
        conn.execute(sa.delete(models.Webhook))
    assert outbox.claim_for_webhook(ctx, LEASE).url is None


def test_what_was_sent_or_given_up_is_purged(ctx, add, rows):
    add("sent")
    sent(ctx, *for_queue(ctx))
    add("given up")
    (message,) = for_queue(ctx)
    assert outbox.settle(ctx, message, error="No.")
    add("waits")
    later = types.utcnow() + timedelta(minutes=1)
    assert outbox.drop_ended(ctx, types.utcnow() - timedelta(days=1), 10) == 0
    assert outbox.drop_ended(ctx, later, 1) == 1
    assert outbox.drop_ended(ctx, later, 10) == 1
    assert [row.payload["key"] for row in rows()] == ["waits"]


def test_the_purge_takes_old_messages_along(ctx, add, rows, force):
    for key in ("a", "b", "c"):
        add(key)
    sent(ctx, *for_queue(ctx))
    add("waits")
    assert purge.purge(ctx, purge.Limits(messages=30)) == {"messages": 0}
    force(created_at=types.utcnow() - timedelta(days=31))
    removed = purge.purge(ctx, purge.Limits(messages=30), batch_size=2)
    assert removed == {"messages": 3}
    assert [row.payload["key"] for row in rows()] == ["waits"]
