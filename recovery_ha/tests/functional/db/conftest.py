import contextlib
import threading
from collections import Counter
from datetime import datetime

import pytest
import sqlalchemy as sa

from recovery_ha.context import internal_context
from recovery_ha.db import models, recovery, segments, work
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.recovery import (
    NewNotification,
    NotificationType,
    RecoveryMethod,
)
from recovery_ha.tests.fixtures.databases import (
    BACKENDS,
    empty,
    open_database,
)

WHEN = datetime(2026, 1, 2, 3, 4, 5)


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def database(backend, migrated_url):
    """Give a migrated database without rows, through engines of its own."""
    database = open_database(migrated_url(backend))
    empty(database)
    yield database
    database.dispose()


@pytest.fixture
def ctx(database):
    return internal_context(database)


@pytest.fixture
def segment(ctx):
    return segments.create_segment(
        ctx,
        name="one",
        recovery_method=RecoveryMethod.AUTO,
        service_type="COMPUTE",
    )


@pytest.fixture
def make_host(ctx, segment):
    def make_host(name="compute-1", place=segment.uuid, **values):
        return segments.create_host(
            ctx,
            place,
            name=name,
            type="COMPUTE",
            control_attributes="SSH",
            **values,
        )

    return make_host


@pytest.fixture
def host(make_host):
    return make_host()


@pytest.fixture
def report():
    def report(hostname="compute-1", type_="COMPUTE_HOST", **payload):
        return NewNotification(
            type=NotificationType(type_),
            hostname=hostname,
            generated_time=WHEN,
            payload=payload or {"event": "STOPPED", "host_status": "NORMAL"},
            request_id="req-1",
        )

    return report


@pytest.fixture
def accept(ctx, host, report):
    """Return a function that has a report accepted."""

    def accept(**payload):
        return recovery.create_notification(ctx, report(**payload))

    return accept


@pytest.fixture
def claim(ctx):
    """Return a function that claims the next work, which there must be."""

    def claim(owner="alpha", seconds=60.0):
        claimed = work.claim_next(ctx, WorkKind.RECOVERY, owner, seconds)
        assert claimed is not None
        return claimed

    return claim


@pytest.fixture
def row(database):
    """Return a function that reads all columns of a notification."""

    def row(uuid):
        with database.read_engine.connect() as connection:
            return connection.execute(
                sa.select(models.Notification.__table__).where(
                    models.Notification.notification_uuid == uuid
                )
            ).one()

    return row


@pytest.fixture
def change(database):
    """Return a function that changes columns of a notification by force."""

    def change(uuid, **values):
        with database.engine.begin() as connection:
            connection.execute(
                sa.update(models.Notification)
                .where(models.Notification.notification_uuid == uuid)
                .values(**values)
            )

    return change


@pytest.fixture
def together():
    """Return a function that calls others at the same moment, in threads.

    It returns their results, or what they raised, in order.
    """

    def together(*calls):
        barrier = threading.Barrier(len(calls))
        results = [None] * len(calls)

        def run(number, call):
            barrier.wait()
            try:
                results[number] = call()
            except Exception as exc:  # noqa: BLE001 - the test judges it
                results[number] = exc

        threads = [
            threading.Thread(target=run, args=item)
            for item in enumerate(calls)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return results

    return together


@pytest.fixture
def statements(database):
    """Return a context manager that counts statements by their first word."""

    @contextlib.contextmanager
    def statements():
        seen = Counter()

        def note(_conn, _cursor, statement, *_rest):
            seen[statement.split(None, 1)[0].upper()] += 1

        engines = {database.engine, database.read_engine}
        for engine in engines:
            sa.event.listen(engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            for engine in engines:
                sa.event.remove(engine, "before_cursor_execute", note)

    return statements


@pytest.fixture
def move_row():
    """Return a function that gives the values of a new vmove."""

    def move_row(number, **values):
        return {
            "instance_uuid": f"i-{number}",
            "instance_name": f"server {number} \U0001f600",
            "source_host": "compute-1",
            "status": "pending",
            "ordinal": number,
            "ha_enabled": True,
            "vm_state": "active",
            "task_state": None,
            "power_state": 1,
            "was_locked": False,
            "accepted": False,
            "migration_baseline": 7,
            **values,
        }

    return move_row
