import gc

import pytest
import sqlalchemy as sa
from oslo_utils import uuidutils

from recovery_ha.clients import maintenance_events as events
from recovery_ha.conf import new_config
from recovery_ha.context import internal_context
from recovery_ha.db import models, types
from recovery_ha.db.maintenance import outbox
from recovery_ha.engine.delivery import Delivery
from recovery_ha.tests.fixtures.databases import empty, open_database
from recovery_ha.tests.fixtures.processes import write_config

SESSION = "5e55105e-0000-4000-8000-000000000001"


@pytest.fixture(autouse=True)
def _collected():
    """Have what kombu leaves open collected by the test that left it."""
    yield
    gc.collect()


@pytest.fixture
def database(migrated_url):
    database = open_database(migrated_url("sqlite"))
    empty(database)
    yield database
    database.dispose()


@pytest.fixture
def ctx(database):
    return internal_context(database)


@pytest.fixture
def topic():
    return f"maintenance-{uuidutils.generate_uuid()}"


@pytest.fixture
def configure(tmp_path, database, topic):
    """Return a function that writes a configuration file."""

    def configure(url, webhook=None, **outbox_options):
        connection = database.engine.url.render_as_string(hide_password=False)
        return write_config(
            tmp_path / f"{uuidutils.generate_uuid()}.conf",
            {
                "DEFAULT": {"transport_url": url},
                "database": {"connection": connection},
                "engine": {"sweep_interval": 0.1},
                "outbox": {
                    "topic": topic,
                    "longest_pause": 1,
                    **outbox_options,
                },
                "webhook": {
                    "allowed_networks": "127.0.0.0/8",
                    **(webhook or {}),
                },
            },
        )

    return configure


@pytest.fixture
def conf(configure):
    def conf(*args, **options):
        path = configure(*args, **options)
        return new_config(["--config-file", str(path)])

    return conf


@pytest.fixture
def deliver(ctx):
    """Return a function that starts the sender of an engine."""
    started = []

    def deliver(conf, host="alpha"):
        delivery = Delivery(conf, ctx, host)
        started.append(delivery)
        delivery.start()
        return delivery

    yield deliver
    for delivery in started:
        delivery.stop()


@pytest.fixture
def tell(ctx):
    """Return a function that has a session tell something."""

    def tell(
        number, session=SESSION, event_type=events.HOST_EVENT, project=None
    ):
        return outbox.add(
            ctx,
            session=session,
            event_type=event_type,
            payload={"number": number},
            dedupe_key=f"{session}:{project}:{number}",
            project_id=project,
        )

    return tell


@pytest.fixture
def webhook(database):
    """Return a function that gives a project a webhook, and its uuid."""

    def webhook(url, project="p1"):
        uuid = uuidutils.generate_uuid()
        with database.engine.begin() as connection:
            connection.execute(
                sa.insert(models.Webhook).values(
                    uuid=uuid,
                    project_id=project,
                    url=url,
                    url_digest=uuid,
                    secret="s3cret",
                    created_at=types.utcnow(),
                )
            )
        return uuid

    return webhook


@pytest.fixture
def rows(database):
    """Return a function that reads the messages that a condition fits."""

    def rows(*which):
        table = models.OutboxMessage
        with database.read_engine.connect() as connection:
            return connection.execute(
                sa.select(
                    table.attempts,
                    table.message,
                    table.due_at,
                    table.sent_at,
                    table.webhook_uuid,
                    table.payload,
                )
                .where(*which)
                .order_by(table.id)
            ).all()

    return rows


@pytest.fixture
def unsent(rows):
    """Return a function that reads what was not sent."""
    return lambda: rows(models.OutboxMessage.sent_at.is_(None))
