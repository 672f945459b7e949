from concurrent import futures
from datetime import timedelta

import pytest
import sqlalchemy as sa

from recovery_ha.conf import new_config
from recovery_ha.context import internal_context
from recovery_ha.db import (
    actions,
    models,
    owned,
    purge,
    recovery,
    reserved,
    segments,
    types,
    vmoves,
)
from recovery_ha.db.ledger import reports, runs, transactions
from recovery_ha.db.paging import Page
from recovery_ha.db.purge import Limits
from recovery_ha.db.session import writer
from recovery_ha.domain.actions import Action
from recovery_ha.domain.gates import Decision, Verdict
from recovery_ha.domain.history import Remark, TransactionFilter
from recovery_ha.domain.ledger import Kind, TransactionStatus
from recovery_ha.domain.recovery import NOTIFICATION, NotificationStatus
from recovery_ha.tests.fixtures.ledger import begin
from recovery_ha.tests.fixtures.ledger import ended as ended_task

__all__ = ["begin"]

OLD = timedelta(days=31)
NOTHING = {
    "notifications": 0,
    "maintenance transactions": 0,
    "deployment transactions": 0,
    "cluster transactions": 0,
    "clusters": 0,
    "hosts": 0,
    "segments": 0,
    "messages": 0,
}


@pytest.fixture
def counts(database):
    names = (
        "notifications",
        "vmoves",
        "logbooks",
        "flowdetails",
        "atomdetails",
        "decisions",
        "reserved_host_uses",
        "transactions",
        "deployment_history",
        "steps",
        "events",
        "hosts",
        "failover_segments",
    )

    def counts():
        with database.read_engine.connect() as connection:
            return {
                name: connection.scalar(
                    sa.select(sa.func.count()).select_from(sa.table(name))
                )
                for name in names
            }

    return counts


@pytest.fixture
def ended(ctx, database, make_host, accept, claim, change, move_row):
    """Return a function that makes a recovery with all that belongs to it."""

    make_host("reserve", reserved=True)

    def ended(number, *, age=OLD, status="finished"):
        made = accept(event=str(number))
        claimed = claim()
        said = Decision("gate", Verdict.PASS, "Fine.", {})
        owned.decide(ctx, claimed, made, [said])
        owned.say(ctx, claimed, made, [Remark("One."), Remark("Two.")])
        reserved.take(ctx, claimed, 1, "reserve")
        vmoves.create_vmoves(ctx, claimed, [move_row(0), move_row(1)])
        metadata = sa.MetaData()
        with database.engine.begin() as connection:
            metadata.reflect(
                connection, only=["logbooks", "flowdetails", "atomdetails"]
            )
            tables = metadata.tables
            connection.execute(
                sa.insert(tables["logbooks"]).values(uuid=claimed.uuid)
            )
            connection.execute(
                sa.insert(tables["flowdetails"]).values(
                    uuid=f"f-{number}", parent_uuid=claimed.uuid
                )
            )
            for atom in range(2):
                connection.execute(
                    sa.insert(tables["atomdetails"]).values(
                        uuid=f"a-{number}-{atom}",
                        parent_uuid=f"f-{number}",
                        atom_type="TASK_DETAIL",
                    )
                )
        if status in {str(s) for s in NOTIFICATION.terminal}:
            vmoves.give_up(ctx, claimed, "-")
            owned.finish(
                ctx,
                claimed,
                made,
                NotificationStatus(status),
                "-",
                duplicate_window=0,
            )
        then = types.utcnow() - age
        change(claimed.uuid, status=status, created_at=then, updated_at=then)
        return claimed.uuid

    return ended


def test_what_ended_long_ago_goes_with_all_that_belongs_to_it(
    ctx, ended, counts
):
    for number, status in enumerate(["finished", "ignored", "failed"]):
        ended(number, status=status)
    removed = purge.purge(ctx, Limits.all(30))
    assert removed == NOTHING | {"notifications": 3}
    left = counts()
    assert (left.pop("hosts"), left.pop("failover_segments")) == (2, 1)
    assert set(left.values()) == {0}


@pytest.mark.parametrize("status", sorted(NOTIFICATION.unfinished))
def test_what_has_not_ended_is_never_touched(ctx, ended, counts, status):
    ended(0, status=status)
    before = counts()
    assert purge.purge(ctx, Limits.all(0))["notifications"] == 0
    assert counts() == before
    assert before["vmoves"] == before["atomdetails"] == 2


def test_what_ended_lately_stays(ctx, ended, counts):
    kept = ended(0, age=timedelta(days=29))
    ended(1)
    assert purge.purge(ctx, Limits.all(30))["notifications"] == 1
    assert recovery.get_notification(ctx, kept).uuid == kept
    left = counts()
    assert (left["vmoves"], left["flowdetails"]) == (2, 1)
    assert (left["decisions"], left["reserved_host_uses"]) == (1, 1)
    assert (left["transactions"], left["events"]) == (1, 3)


def test_at_most_so_many_are_removed(ctx, ended, counts, monkeypatch):
    monkeypatch.setattr(purge, "_TOGETHER", 2)
    uuids = [ended(number) for number in range(6)]
    assert purge.purge(ctx, Limits.all(30), max_rows=3)["notifications"] == 3
    # The oldest first.
    left = recovery.list_notifications(ctx, recovery.Page())
    assert {n.uuid for n in left} == set(uuids[3:])
    assert purge.purge(ctx, Limits.all(30))["notifications"] == 3
    assert counts()["logbooks"] == 0


def test_deleted_segments_and_hosts_go(ctx, database, segment, make_host):
    make_host("a")
    kept = make_host("b")
    segments.delete_host(ctx, segment.uuid, str(kept.id))
    segments.delete_segment(ctx, segment.uuid)
    assert purge.purge(ctx, Limits.all(30)) == NOTHING
    with database.engine.begin() as connection:
        for table in (models.Host, models.Segment):
            connection.execute(
                sa.update(table).values(deleted_at=types.utcnow() - OLD)
            )
    assert purge.purge(ctx, Limits.all(30)) == NOTHING | {
        "hosts": 2,
        "segments": 1,
    }


def test_a_segment_stays_while_a_host_refers_to_it(
    ctx, database, segment, host
):
    segments.delete_segment(ctx, segment.uuid)
    with database.engine.begin() as connection:
        connection.execute(
            sa.update(models.Segment).values(deleted_at=types.utcnow() - OLD)
        )
    removed = purge.purge(ctx, Limits.all(30))
    assert (removed["hosts"], removed["segments"]) == (0, 0)
    assert host.segment.uuid == segment.uuid


@pytest.fixture
def past(ctx, database, begin):
    """Return a function that makes a run that ended long ago."""

    def past(*, age=OLD, status="ready", deleted=False, **values):
        run = begin(**values)
        for node in ("a", "b"):
            reports.report(ctx, run.id, ended_task(node, "task"))
        if status in {"ready", "error"}:
            runs.end(ctx, run.id, TransactionStatus(status))
        if deleted:
            transactions.delete(ctx, run.id)
        then = types.utcnow() - age
        table = models.Transaction
        with database.engine.begin() as connection:
            connection.execute(
                sa.update(table)
                .where(table.id == run.id)
                .values(
                    created_at=then,
                    time_end=then if status in {"ready", "error"} else None,
                )
            )
            connection.execute(
                sa.update(models.Event)
                .where(models.Event.transaction_id == run.id)
                .values(created_at=then)
            )
        return run

    return past


LEDGER = ("transactions", "steps", "deployment_history", "events")


def ledger(counts):
    found = counts()
    return [found[name] for name in LEDGER]


@pytest.mark.parametrize(
    ("kind", "limits"),
    [
        (Kind.DEPLOYMENT, Limits(deployments=30)),
        (Kind.MAINTENANCE, Limits(maintenances=30)),
        (Kind.CLUSTER, Limits(clusters=30)),
    ],
)
def test_runs_go_with_all_that_belongs_to_them(
    ctx, past, counts, kind, limits
):
    for status in ("ready", "error", "running"):
        past(kind=kind, status=status)
    past(kind=kind, deleted=True)
    past(kind=kind, age=timedelta(days=29))
    names = {"deployments", "maintenances", "clusters"}
    others = {name: 1 for name in names if getattr(limits, name) is None}
    purge.purge(ctx, Limits(**others))
    assert ledger(counts)[0] == 5
    removed = purge.purge(ctx, limits, batch_size=3)
    assert removed[f"{kind} transactions"] == 3
    assert ledger(counts) == [2, 0, 4, 4]


def test_a_run_stays_while_a_part_of_it_is_there(ctx, past, counts):
    parent = past()
    past(parent_id=parent.id, status="running")
    assert purge.purge(ctx, Limits(deployments=30)) == {
        "deployment transactions": 0
    }
    other = past()
    past(parent_id=other.id)
    removed = purge.purge(ctx, Limits(deployments=30))
    assert removed == {"deployment transactions": 2}
    assert ledger(counts) == [2, 0, 4, 4]


def test_what_runs_again_meanwhile_stays(ctx, ended, counts, monkeypatch):
    """An operator retries between the search and the removal."""
    uuid = ended(0)
    before = counts()
    find = purge._old_notifications

    def found_and_retried(*args):
        found = find(*args)
        actions.act(ctx, uuid, Action.RETRY, duplicate_window=0)
        return found

    monkeypatch.setattr(purge, "_old_notifications", found_and_retried)
    limits = Limits(recoveries=30)
    assert purge.purge(ctx, limits, max_rows=1) == {"notifications": 0}
    left = counts()
    assert left.pop("events") == before.pop("events") + 1
    assert left == before


def test_events_go_before_what_they_are_about(ctx, past, ended, counts):
    past()
    past(status="running")
    past(age=timedelta(days=29))
    ended(0, status="running")
    before = ledger(counts)
    removed = purge.purge(ctx, Limits(events=30), batch_size=2)
    assert removed == {"events": 2}
    after = ledger(counts)
    assert after[:3] == before[:3]
    assert after[3] == before[3] - 2


def test_0_days_in_the_configuration_is_for_ever():
    conf = new_config([], default_config_files=[])
    assert Limits.configured(conf.retention) == Limits()
    conf.set_override("clusters", 7, "retention")
    assert Limits.configured(conf.retention) == Limits(clusters=7)


def test_a_stopped_purge_leaves_the_rest(ctx, past, counts):
    past()
    removed = purge.purge(ctx, Limits(deployments=30), stopped=lambda: True)
    assert removed == {"deployment transactions": 0}
    assert ledger(counts) == [1, 0, 2, 2]


def test_reads_go_on_during_a_purge(ctx, past, counts, monkeypatch):
    """Whoever reads in the middle of a batch waits for nobody."""
    past()
    kept = past(age=timedelta(days=29))
    drop, seen = purge._drop_runs, []

    def dropped_and_read(*args):
        number = drop(*args)
        with futures.ThreadPoolExecutor(1) as pool:
            page = pool.submit(
                transactions.list_page,
                internal_context(ctx.database),
                TransactionFilter(),
                Page(),
            )
            seen.append([run.id for run in page.result(20)])
        return number

    @writer
    def in_the_batch(ctx, *args):
        return dropped_and_read(ctx, *args)

    monkeypatch.setattr(purge, "_drop_runs", in_the_batch)
    purge.purge(ctx, Limits(deployments=30))
    assert all(kept.id in ids for ids in seen)
    assert len(seen) == 1
    assert ledger(counts)[0] == 1
