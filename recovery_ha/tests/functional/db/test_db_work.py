import threading
import time

import pytest
import sqlalchemy as sa

from recovery_ha.context import internal_context
from recovery_ha.db import (
    models,
    owned,
    precedence,
    recovery,
    recovery_runs,
    reserved,
    vmoves,
    work,
)
from recovery_ha.db.reserved import Use, UseStatus
from recovery_ha.db.session import connection, writer
from recovery_ha.domain import errors
from recovery_ha.domain.gates import Decision, Verdict
from recovery_ha.domain.history import Remark
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.recovery import (
    MaintenanceCause,
    NotificationStatus,
    VMoveStatus,
)

KIND = WorkKind.RECOVERY


@pytest.fixture
def many(accept):
    def many(number):
        return [accept(event=str(n)).uuid for n in range(number)]

    return many


@pytest.fixture
def expire(ctx, change):
    def expire(uuid):
        change(uuid, lease_expires_at=work.clock(ctx) - 0.01)

    return expire


def test_a_claim_says_what_was_won(ctx, accept, row):
    uuid = accept().uuid
    before = work.clock(ctx)
    claimed = work.claim_next(ctx, KIND, "alpha", 10)
    after = work.clock(ctx)
    assert (claimed.kind, claimed.uuid) == (KIND, uuid)
    assert (claimed.owner, claimed.epoch) == ("alpha", 1)
    assert not claimed.taken_over
    found = row(uuid)
    assert (found.status, found.lease_owner) == ("running", "alpha")
    assert before + 9.9 <= found.lease_expires_at <= after + 10.1
    assert work.claim_next(ctx, KIND, "beta", 10) is None


def test_the_longest_waiting_is_claimed_first(ctx, many, change, claim):
    uuids = many(5)
    order = [3, 0, 4, 2, 1]
    for place, number in enumerate(order):
        change(uuids[number], wake_at=work.clock(ctx) - 100 + place)
    assert [claim().uuid for _ in order] == [uuids[n] for n in order]


def test_what_waits_is_not_claimed_before_its_time(ctx, accept, claim):
    made = accept()
    uuid = made.uuid
    owned.put_back(
        ctx, claim(), made, NotificationStatus.ERROR, "later", wake_in=0.4
    )
    assert work.claim_next(ctx, KIND, "a", 10) is None
    time.sleep(0.5)
    again = claim()
    assert (again.uuid, again.epoch, again.taken_over) == (uuid, 2, False)


def test_each_piece_of_work_is_claimed_once(ctx, many, together):
    uuids = many(24)

    def take(owner):
        ours, won, misses = internal_context(ctx.database), [], 0
        while misses < 3:
            claimed = work.claim_next(ours, KIND, owner, 60)
            if claimed is None:
                misses += 1
            else:
                won.append(claimed)
        return won

    results = together(*(lambda n=n: take(f"engine-{n}") for n in range(6)))
    assert not [r for r in results if isinstance(r, Exception)]
    claims = [claimed for won in results for claimed in won]
    assert sorted(c.uuid for c in claims) == sorted(uuids)
    assert {c.epoch for c in claims} == {1}


def test_a_lease_that_ended_is_taken_over_once(
    ctx, accept, claim, expire, together
):
    uuid = accept().uuid
    claim("dead")
    for epoch in (2, 3, 4):
        expire(uuid)
        results = together(
            *(
                lambda n=n: work.claim_next(
                    internal_context(ctx.database), KIND, f"e-{n}", 60
                )
                for n in range(6)
            )
        )
        won = [claimed for claimed in results if claimed is not None]
        assert len(won) == 1, results
        assert won[0].epoch == epoch
        assert won[0].taken_over


def test_renewing_keeps_what_is_owned(ctx, many, claim, row, change, expire):
    uuids = many(5)
    mine = {claim("alpha", 1).uuid for _ in range(3)}
    dropped = claim("alpha", 1)
    other = claim("beta", 30)
    lost, asked, kept = sorted(mine)
    expire(lost)
    change(asked, requested_action="cancel")
    before = [row(uuid) for uuid in (other.uuid, dropped.uuid)]
    held = [(uuid, 1) for uuid in (*mine, other.uuid)]
    held.append((dropped.uuid, 2))
    found = work.renew(ctx, KIND, "alpha", 60, held)
    assert found == {(asked, 1): "cancel", (kept, 1): None}
    now = work.clock(ctx)
    for uuid in (asked, kept):
        assert row(uuid).lease_expires_at == pytest.approx(now + 60, abs=2)
    assert row(lost).lease_expires_at < now
    assert [row(uuid) for uuid in (other.uuid, dropped.uuid)] == before
    assert work.renew(ctx, KIND, "nobody", 60, held) == {}
    assert len(uuids) == 5


# A stale owner changes nothing


def _stale_writes(ctx, claimed, made, move, another):
    use = Use(1, made.source_host_uuid, "c", UseStatus.TAKEN, True, None, ())
    said = Decision("gate", Verdict.PASS, "Fine.", {})
    return [
        lambda: work.fence(ctx, claimed),
        lambda: work.update_owned(ctx, claimed, message="stale"),
        lambda: work.release(ctx, claimed, wake_in=0, message="stale"),
        lambda: work.release(ctx, claimed, wake_in=None, status="finished"),
        lambda: work.lock_resource(ctx, claimed, "host", "compute-9"),
        lambda: owned.say(ctx, claimed, made, [Remark("stale")]),
        lambda: owned.remember(ctx, claimed, fact="stale"),
        lambda: recovery_runs.start_flow(
            ctx, claimed, "stale", new_attempt=True
        ),
        lambda: owned.count_attempt(ctx, claimed),
        lambda: owned.mark_host(
            ctx, claimed, made, MaintenanceCause.HOST_FAILURE
        ),
        lambda: precedence.lock_host(ctx, claimed, made),
        lambda: precedence.lock_instance(ctx, claimed, made, "i-1"),
        lambda: owned.decide(ctx, claimed, made, [said]),
        lambda: owned.hold(ctx, claimed, made, "stale", wake_in=0),
        lambda: owned.put_back(
            ctx, claimed, made, NotificationStatus.ERROR, "stale", wake_in=0
        ),
        lambda: owned.finish(
            ctx,
            claimed,
            made,
            NotificationStatus.FINISHED,
            "stale",
            duplicate_window=0,
        ),
        lambda: reserved.take(ctx, claimed, 1, "compute-1"),
        lambda: reserved.begin(
            ctx, claimed, use, disabled=True, reason=None, aggregates=[]
        ),
        lambda: reserved.keep(ctx, claimed, use),
        lambda: reserved.give_back(ctx, claimed, use),
        lambda: vmoves.create_vmoves(ctx, claimed, [another]),
        lambda: vmoves.transition_vmove(
            ctx, claimed, move, VMoveStatus.ONGOING
        ),
        lambda: vmoves.give_up(ctx, claimed, "stale"),
    ]


def _everything(database):
    tables = (
        models.Notification,
        models.VMove,
        models.Host,
        models.ResourceLock,
        models.ReservedHostUse,
        models.GateDecision,
        models.Event,
    )
    with database.read_engine.connect() as connection:
        return [
            connection.execute(
                sa.select(table.__table__).order_by(table.id)
            ).all()
            for table in tables
        ]


@pytest.mark.parametrize("how", ["taken over", "expired", "same owner again"])
def test_a_stale_owner_changes_nothing(
    ctx, database, accept, claim, expire, move_row, how
):
    made = accept()
    uuid = made.uuid
    stale = claim("alpha")
    vmoves.create_vmoves(ctx, stale, [move_row(0)])
    (move,) = vmoves.list_vmoves(ctx, uuid)
    expire(uuid)
    if how != "expired":
        claim("beta" if how == "taken over" else "alpha")
    before = _everything(database)
    for write in _stale_writes(ctx, stale, made, move, move_row(1)):
        with pytest.raises(errors.LeaseLost, match=uuid):
            write()
        assert _everything(database) == before


def test_the_owner_s_writes_count(ctx, host, accept, claim, row):
    uuid = accept().uuid
    claimed = claim()
    work.fence(ctx, claimed)
    work.update_owned(ctx, claimed, message="mine")
    assert row(uuid).message == "mine"
    work.release(ctx, claimed, wake_in=5, message="released")
    found = row(uuid)
    assert (found.lease_owner, found.lease_expires_at) == (None, None)
    assert found.wake_at == pytest.approx(work.clock(ctx) + 5, abs=1)
    assert found.lease_epoch == 1
    assert host.name == "compute-1"


@pytest.mark.parametrize("backend", ["mysql", "postgresql"], indirect=True)
def test_nobody_takes_over_between_a_fence_and_its_commit(ctx, accept, claim):
    """The lease ends while a fenced transaction is open: the claim waits."""
    uuid = accept().uuid
    claimed = claim("alpha", 1)
    fenced, order = threading.Event(), []

    @writer
    def write_slowly(ctx):
        work.fence(ctx, claimed)
        fenced.set()
        time.sleep(1.5)
        connection(ctx).execute(
            sa.update(models.Notification).values(message="in time")
        )
        order.append("written")

    thread = threading.Thread(
        target=write_slowly, args=(internal_context(ctx.database),)
    )
    thread.start()
    assert fenced.wait(10)
    while (taken := work.claim_next(ctx, KIND, "beta", 60)) is None:
        time.sleep(0.05)
    order.append("claimed")
    thread.join()
    assert order == ["written", "claimed"]
    assert taken.epoch == 2
    assert recovery.get_notification(ctx, uuid).message == "in time"


# Locks on resources


def test_a_resource_belongs_to_one(ctx, many, claim):
    many(2)
    one, other = claim("alpha"), claim("beta")
    assert work.lock_resource(ctx, one, "host", "h") is None
    assert work.lock_resource(ctx, one, "host", "h") is None
    assert work.lock_resource(ctx, other, "host", "h") == one.uuid
    assert work.lock_resource(ctx, other, "instance", "h") is None
    assert work.lock_resource(ctx, other, "host", "H") is None


def test_a_lock_lasts_until_its_work_has_ended(ctx, many, claim):
    uuids = many(2)
    one, other = claim("alpha"), claim("beta")
    work.lock_resource(ctx, one, "host", "h")
    work.release(ctx, one, wake_in=0)
    assert work.lock_resource(ctx, other, "host", "h") == one.uuid
    again = claim("gamma")
    assert again.uuid == one.uuid
    # It is the work's, whoever owns the work.
    assert work.lock_resource(ctx, again, "host", "h") is None
    work.release(ctx, again, wake_in=None, status="finished")
    assert work.lock_resource(ctx, other, "host", "h") is None
    assert len(uuids) == 2


def test_of_many_at_the_same_moment_one_has_the_resource(
    ctx, many, claim, together
):
    many(6)
    claims = [claim(f"e-{n}") for n in range(6)]
    results = together(
        *(
            lambda c=c: work.lock_resource(
                internal_context(ctx.database), c, "host", "h"
            )
            for c in claims
        )
    )
    (winner,) = [c for c, r in zip(claims, results, strict=True) if r is None]
    assert {r for r in results if r is not None} == {winner.uuid}, results


def test_a_resource_given_back_is_taken_by_one_of_those_after_it(
    ctx, many, claim, together
):
    many(4)
    holder, *claims = [claim(f"e-{n}") for n in range(4)]
    for _ in range(3):
        work.lock_resource(ctx, holder, "host", "h")
        results = together(
            lambda c=holder: work.release(
                internal_context(ctx.database),
                c,
                wake_in=None,
                status="finished",
            ),
            *(
                lambda c=c: work.lock_resource(
                    internal_context(ctx.database), c, "host", "h"
                )
                for c in claims
            ),
        )
        assert not [r for r in results if isinstance(r, Exception)], results
        owners = [
            c
            for c in claims
            if work.lock_resource(ctx, c, "host", "h") is None
        ]
        assert len(owners) == 1
        holder = owners[0]
        claims.remove(holder)


def test_the_clock_is_the_database_s_and_goes_on(ctx):
    one = work.clock(ctx)
    time.sleep(0.05)
    two = work.clock(ctx)
    assert 0.04 < two - one < 2
