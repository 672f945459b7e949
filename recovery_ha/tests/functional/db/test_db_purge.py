from datetime import timedelta

import pytest
import sqlalchemy as sa

from recovery_ha.db import (
    models,
    owned,
    purge,
    recovery,
    reserved,
    segments,
    types,
    vmoves,
)
from recovery_ha.db.history import Remark
from recovery_ha.domain.gates import Decision, Verdict
from recovery_ha.domain.recovery import NOTIFICATION, NotificationStatus

OLD = timedelta(days=31)


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
            owned.finish(
                ctx,
                claimed,
                made,
                NotificationStatus(status),
                "-",
                duplicate_window=0,
            )
        change(claimed.uuid, status=status, updated_at=types.utcnow() - age)
        return claimed.uuid

    return ended


def test_what_ended_long_ago_goes_with_all_that_belongs_to_it(
    ctx, ended, counts
):
    for number, status in enumerate(["finished", "ignored", "failed"]):
        ended(number, status=status)
    removed = purge.purge(ctx, age_in_days=30)
    assert removed == {"notifications": 3, "hosts": 0, "segments": 0}
    left = counts()
    assert (left.pop("hosts"), left.pop("failover_segments")) == (2, 1)
    assert set(left.values()) == {0}


@pytest.mark.parametrize("status", sorted(NOTIFICATION.unfinished))
def test_what_has_not_ended_is_never_touched(ctx, ended, counts, status):
    ended(0, status=status)
    before = counts()
    assert purge.purge(ctx, age_in_days=0)["notifications"] == 0
    assert counts() == before
    assert before["vmoves"] == before["atomdetails"] == 2


def test_what_ended_lately_stays(ctx, ended, counts):
    kept = ended(0, age=timedelta(days=29))
    ended(1)
    assert purge.purge(ctx, age_in_days=30)["notifications"] == 1
    assert recovery.get_notification(ctx, kept).uuid == kept
    left = counts()
    assert (left["vmoves"], left["flowdetails"]) == (2, 1)
    assert (left["decisions"], left["reserved_host_uses"]) == (1, 1)
    assert (left["transactions"], left["events"]) == (1, 3)


def test_at_most_so_many_are_removed(ctx, ended, counts, monkeypatch):
    monkeypatch.setattr(purge, "_BATCH", 2)
    uuids = [ended(number) for number in range(6)]
    assert purge.purge(ctx, age_in_days=30, max_rows=3)["notifications"] == 3
    # The oldest first.
    left = recovery.list_notifications(ctx, recovery.Page())
    assert {n.uuid for n in left} == set(uuids[3:])
    assert purge.purge(ctx, age_in_days=30)["notifications"] == 3
    assert counts()["logbooks"] == 0


def test_deleted_segments_and_hosts_go(ctx, database, segment, make_host):
    make_host("a")
    kept = make_host("b")
    segments.delete_host(ctx, segment.uuid, str(kept.id))
    segments.delete_segment(ctx, segment.uuid)
    assert purge.purge(ctx, age_in_days=30) == {
        "notifications": 0,
        "hosts": 0,
        "segments": 0,
    }
    with database.engine.begin() as connection:
        for table in (models.Host, models.Segment):
            connection.execute(
                sa.update(table).values(deleted_at=types.utcnow() - OLD)
            )
    assert purge.purge(ctx, age_in_days=30) == {
        "notifications": 0,
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
    removed = purge.purge(ctx, age_in_days=30)
    assert (removed["hosts"], removed["segments"]) == (0, 0)
    assert host.segment.uuid == segment.uuid
