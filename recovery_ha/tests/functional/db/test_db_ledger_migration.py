"""What earlier releases knew of their recoveries, in the ledger."""

import pytest
import sqlalchemy as sa

from recovery_ha.context import internal_context
from recovery_ha.db import migration
from recovery_ha.db.ledger import events, transactions
from recovery_ha.db.paging import Page
from recovery_ha.domain.history import TransactionFilter
from recovery_ha.domain.ledger import Kind, Outcome
from recovery_ha.tests.fixtures.databases import open_database

SEGMENT = sa.text(
    "INSERT INTO failover_segments (uuid, name, service_type, enabled,"
    " recovery_method, created_at, deleted) VALUES (:method, :method, 'x',"
    " '1', :method, '2026-01-01', 0)"
)
NOTIFICATION = sa.text(
    "INSERT INTO notifications (notification_uuid, generated_time,"
    " source_host_uuid, source_host_name, type, payload, status, message,"
    " request_id, failover_segment_uuid, received_at, created_at, updated_at,"
    " lease_epoch, attempts, attempts_before, held) VALUES (:uuid,"
    " '2026-01-01', 'h', 'host', :type, '{}', :status, :uuid, 'req',"
    " :segment, 1, '2026-01-02', '2026-01-03', 0, 0, 0, '0')"
)
TRANSACTION = sa.text(
    "INSERT INTO transactions (uuid, kind, created_at) VALUES (:uuid,"
    " 'recovery', '2026-01-02')"
)
EVENT = sa.text(
    "INSERT INTO events (transaction_id, event_info, created_at)"
    " SELECT id, 'Said of ' || uuid, '2026-01-02' FROM transactions"
)
EVENT_MYSQL = sa.text(str(EVENT).replace("'Said of ' || uuid", "uuid"))
CASES = [
    ("VM", "new", "auto", "instance_failure", "pending"),
    ("PROCESS", "running", "auto", "process_failure", "running"),
    ("COMPUTE_HOST", "error", "auto_priority", "host_auto_failure", "running"),
    ("COMPUTE_HOST", "finished", "rh_priority", "host_rh_failure", "ready"),
    ("COMPUTE_HOST", "ignored", "reserved_host", "host_rh_failure", "ready"),
    ("VM", "failed", "gone", "instance_failure", "error"),
    ("COMPUTE_HOST", "failed", "gone", "host_auto_failure", "error"),
]


@pytest.fixture
def old(backend, databases):
    """Give a database as the release before left it."""
    database = open_database(databases.create(backend))
    migration.upgrade(database, "0004")
    with database.engine.begin() as connection:
        for method in (
            "auto",
            "auto_priority",
            "rh_priority",
            "reserved_host",
        ):
            connection.execute(SEGMENT, {"method": method})
        for number, (type_, status, segment, *_rest) in enumerate(CASES):
            uuid = f"n-{number}"
            connection.execute(
                NOTIFICATION,
                {
                    "uuid": uuid,
                    "type": type_,
                    "status": status,
                    "segment": segment,
                },
            )
            connection.execute(TRANSACTION, {"uuid": uuid})
        connection.execute(TRANSACTION, {"uuid": "orphan"})
        connection.execute(EVENT_MYSQL if backend == "mysql" else EVENT)
    yield database
    database.dispose()


def test_recoveries_of_earlier_releases_say_how_they_ended(old):
    migration.upgrade(old)
    ctx = internal_context(old)
    found = transactions.list_page(
        ctx, TransactionFilter(), Page(sort=(("id", "asc"),))
    )
    orphan = found.pop()
    assert [(run.name, str(run.status)) for run in found] == [
        (name, status) for *_rest, name, status in CASES
    ]
    for run, (_type, status, *_rest) in zip(found, CASES, strict=True):
        ended = status in {"finished", "ignored", "failed"}
        assert run.kind is Kind.RECOVERY
        assert (run.origin_type, run.origin_id) == ("notification", run.uuid)
        assert (run.message, run.request_id) == (run.uuid, "req")
        assert (run.time_start is None) == (status == "new")
        assert (run.time_end is not None) == ended
        assert run.progress == 100 * ended
        is_ignored = status == "ignored"
        assert run.outcome is (Outcome.IGNORED if is_ignored else None)
        assert (run.project_id, run.counts.units) == (None, 0)
    assert (orphan.name, orphan.status) == ("recovery", "error")


def test_their_events_are_kept(old):
    migration.upgrade(old)
    ctx = internal_context(old)
    for uuid in ("n-0", "n-6", "orphan"):
        (event,) = events.list_events(ctx, uuid, 0, 9)
        assert event.text.endswith(uuid)
