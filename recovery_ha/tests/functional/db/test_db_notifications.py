import time
from datetime import timedelta

import pytest
import sqlalchemy as sa
from oslo_db import exception as db_exc

from recovery_ha.context import internal_context
from recovery_ha.db import models, owned, recovery, segments, work
from recovery_ha.db.paging import Page
from recovery_ha.domain import errors
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.recovery import (
    MaintenanceCause,
    NotificationStatus,
)

N = models.Notification
FINISHED = NotificationStatus.FINISHED


@pytest.fixture
def finish(ctx):
    def finish(claimed, status=FINISHED, window=180.0, message="Done."):
        made = recovery.get_notification(ctx, claimed.uuid)
        owned.finish(
            ctx, claimed, made, status, message, duplicate_window=window
        )

    return finish


def _count(database, *where):
    query = sa.select(sa.func.count()).select_from(N).where(*where)
    with database.read_engine.connect() as connection:
        return connection.scalar(query)


def test_an_accepted_report_is_what_was_written(ctx, host, accept, report):
    made = accept(event="STOPPED", host_status="NORMAL", x="\U0001f600")
    assert made == recovery.get_notification(ctx, made.uuid)
    assert made == recovery.get_notification(ctx, str(made.id))
    assert made.source_host_uuid == host.uuid
    assert made.source_host_name == "compute-1"
    assert made.segment_uuid == host.segment.uuid
    assert made.status is NotificationStatus.NEW
    assert made.generated_time == report().generated_time
    assert (made.request_id, made.attempts) == ("req-1", 0)
    assert (made.message, made.flow_uuid, made.joined_to) == (None,) * 3


def test_the_database_s_clock_starts_the_work(ctx, accept, row):
    before = work.clock(ctx)
    found = row(accept().uuid)
    after = work.clock(ctx)
    assert before - 0.01 <= found.received_at <= after + 0.01
    assert before - 0.01 <= found.wake_at <= after + 0.01
    assert abs(before - time.time()) < 5
    assert found.lease_epoch == 0
    assert found.lease_owner is None


def test_a_host_that_nobody_registered_is_refused(ctx, report):
    with pytest.raises(errors.UnknownHostReported, match="ghost"):
        recovery.create_notification(ctx, report("ghost"))


def test_a_deleted_host_is_unknown(ctx, segment, host, report):
    segments.delete_host(ctx, segment.uuid, host.uuid)
    with pytest.raises(errors.UnknownHostReported):
        recovery.create_notification(ctx, report())


@pytest.mark.parametrize("cause", [None, *sorted(MaintenanceCause)])
@pytest.mark.parametrize("type_", ["COMPUTE_HOST", "VM", "PROCESS"])
def test_a_host_on_maintenance_is_refused_by_its_cause(
    ctx, database, host, report, cause, type_
):
    with database.engine.begin() as connection:
        connection.execute(
            sa.update(models.Host).values(
                on_maintenance=True, maintenance_cause=cause
            )
        )
    assert (
        segments.get_host(ctx, host.segment.uuid, host.uuid).maintenance_cause
        == cause
    )
    if (type_, cause) == ("COMPUTE_HOST", "process_failure"):
        recovery.create_notification(ctx, report(type_=type_))
    else:
        with pytest.raises(errors.HostUnderMaintenance):
            recovery.create_notification(ctx, report(type_=type_))


# Duplicates


def test_an_equal_report_is_a_duplicate(ctx, make_host, accept, report):
    accept(event="STOPPED", host_status="NORMAL")
    with pytest.raises(errors.DuplicateNotification, match="compute-1"):
        accept(host_status="NORMAL", event="STOPPED")
    # Anything else is not.
    accept(event="STOPPED", host_status="UNKNOWN")
    recovery.create_notification(ctx, report(type_="PROCESS"))
    make_host("compute-2")
    recovery.create_notification(ctx, report("compute-2"))


@pytest.mark.parametrize("status", ["new", "running", "error"])
def test_it_is_one_for_as_long_as_the_first_has_not_ended(
    accept, change, status
):
    first = accept()
    change(first.uuid, status=status, received_at=0.0)
    with pytest.raises(errors.DuplicateNotification):
        accept()


def test_a_host_s_window_outlasts_its_end(ctx, accept, claim, finish, change):
    first = accept()
    finish(claim(), window=180)
    with pytest.raises(errors.DuplicateNotification):
        accept()
    assert recovery.clear_expired_keys(ctx) == 0
    change(first.uuid, dedupe_until=work.clock(ctx) - 0.1)
    # Nobody has cleared it yet: the report itself does.
    second = accept()
    assert second.uuid != first.uuid


def test_an_expired_window_is_cleared_by_the_sweep(
    ctx, accept, claim, finish, row
):
    first = accept()
    finish(claim(), window=0)
    assert row(first.uuid).dedupe_key is not None
    assert recovery.clear_expired_keys(ctx) == 1
    assert recovery.clear_expired_keys(ctx) == 0
    assert row(first.uuid).dedupe_key is None
    accept()


@pytest.mark.parametrize("type_", ["VM", "PROCESS"])
@pytest.mark.usefixtures("host")
def test_other_failures_may_be_reported_again_at_once(
    ctx, report, claim, finish, row, type_
):
    for _ in range(3):
        made = recovery.create_notification(ctx, report(type_=type_))
        finish(claim(), window=1000)
        assert row(made.uuid).dedupe_key is None
        assert row(made.uuid).dedupe_until is None


def test_a_host_put_back_into_service_may_fail_again_at_once(
    ctx, segment, host, accept, claim, finish
):
    made, claimed = accept(), claim()
    owned.mark_host(ctx, claimed, made, MaintenanceCause.HOST_FAILURE)
    finish(claimed)
    segments.update_host(
        ctx, segment.uuid, host.uuid, {"on_maintenance": False}
    )
    accept()


@pytest.mark.usefixtures("host")
def test_of_equal_reports_at_the_same_moment_one_is_accepted(
    ctx, database, report, together
):
    results = together(
        *(
            lambda: recovery.create_notification(
                internal_context(ctx.database), report()
            )
            for _ in range(8)
        )
    )
    refused = [
        r for r in results if isinstance(r, errors.DuplicateNotification)
    ]
    assert len(refused) == 7, results
    assert _count(database) == 1


@pytest.mark.usefixtures("host")
def test_different_reports_at_the_same_moment_are_all_accepted(
    ctx, database, report, together
):
    results = together(
        *(
            lambda n=n: recovery.create_notification(
                internal_context(ctx.database), report(event=str(n))
            )
            for n in range(8)
        )
    )
    assert not [r for r in results if isinstance(r, Exception)]
    assert _count(database) == 8


@pytest.mark.usefixtures("host")
def test_a_report_whose_commit_was_not_confirmed_is_accepted_once(
    ctx, database, report
):
    """The commit succeeds, but the client sees the connection break."""
    broken = []

    def commit_and_break(connection):
        if not broken:
            broken.append(1)
            connection.connection.dbapi_connection.commit()
            raise db_exc.DBConnectionError

    sa.event.listen(database.engine, "commit", commit_and_break)
    made = recovery.create_notification(ctx, report())
    sa.event.remove(database.engine, "commit", commit_and_break)
    assert broken
    assert _count(database) == 1
    assert recovery.get_notification(ctx, made.uuid) == made


# Lists


def test_notifications_are_filtered(ctx, host, report, change):
    old = recovery.create_notification(ctx, report(event="1"))
    vm = recovery.create_notification(ctx, report(type_="VM"))
    change(vm.uuid, status="error")
    when = report().generated_time
    change(old.uuid, generated_time=when - timedelta(seconds=10))

    def found(**filters):
        page = Page(sort=(("id", "asc"),))
        return [
            n.uuid for n in recovery.list_notifications(ctx, page, **filters)
        ]

    assert found() == [old.uuid, vm.uuid]
    assert found(status="error") == [vm.uuid]
    assert found(status="nonsense") == []
    assert found(type="COMPUTE_HOST") == [old.uuid]
    assert found(source_host_uuid=host.uuid) == [old.uuid, vm.uuid]
    assert found(source_host_uuid="x") == []
    assert found(generated_since=when) == [vm.uuid]
    later = when + timedelta(microseconds=1)
    assert found(generated_since=later) == []
    assert found(generated_since=when, type="COMPUTE_HOST") == []


def test_age_is_by_the_database_s_clock(ctx, accept, change):
    uuid = accept().uuid
    assert 0 <= recovery.age(ctx, uuid) < 5
    change(uuid, received_at=work.clock(ctx) - 100)
    assert 99 < recovery.age(ctx, uuid) < 105


@pytest.mark.parametrize("status", ["finished", "ignored", "failed"])
def test_what_has_ended_is_never_claimed_again(
    ctx, accept, claim, finish, change, status
):
    uuid = accept().uuid
    finish(claim(), NotificationStatus(status))
    assert work.claim_next(ctx, WorkKind.RECOVERY, "x", 10) is None
    change(uuid, wake_at=0.0)  # not even then
    assert work.claim_next(ctx, WorkKind.RECOVERY, "x", 10) is None
