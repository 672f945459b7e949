import contextlib
import logging
import threading
import time

import pytest
import sqlalchemy as sa

from recovery_ha.context import internal_context
from recovery_ha.db import models, work
from recovery_ha.domain import errors
from recovery_ha.domain.lease import Claim, WorkKind
from recovery_ha.engine.lease import Lease, LeaseKeeper
from recovery_ha.tests.fixtures.databases import open_database

CLAIM = Claim(WorkKind.RECOVERY, "n-1", "alpha", 1, taken_over=False)


def a_lease(seconds=60.0):
    return Lease(CLAIM, time.monotonic() + seconds)


@pytest.fixture
def keep(ctx):
    """Return a function that starts a keeper."""
    keepers = []

    def keep(lease_seconds=0.6, ctx=ctx, owner="alpha"):
        keepers.append(LeaseKeeper(ctx, owner, lease_seconds))
        return keepers[-1]

    yield keep
    for keeper in keepers:
        keeper.close()


# The lease, seen by those who work


def test_a_lease_may_be_acted_on_until_its_deadline():
    lease = a_lease(0.2)
    lease.check()
    assert lease.still_mine()
    assert 0 < lease.remaining <= 0.2
    time.sleep(0.21)
    assert not lease.still_mine()
    with pytest.raises(errors.LeaseLost, match="n-1 was not renewed in time"):
        lease.check()


def test_a_prolonged_lease_lasts_longer():
    lease = a_lease(0.1)
    lease.prolong(time.monotonic() + 60)
    time.sleep(0.15)
    lease.check()


def test_a_lost_lease_stays_lost():
    lease = a_lease()
    lease.lose()
    lease.prolong(time.monotonic() + 60)
    assert lease.remaining == 0
    with pytest.raises(errors.LeaseLost):
        lease.check()


@pytest.mark.parametrize("look", [Lease.still_mine, Lease.check])
def test_a_lapse_that_was_noticed_is_final(look):
    lease = a_lease(-1)
    with contextlib.suppress(errors.LeaseLost):
        look(lease)
    lease.prolong(time.monotonic() + 60)
    assert not lease.still_mine()
    with pytest.raises(errors.LeaseLost):
        lease.check()


def test_a_lapse_that_nobody_noticed_is_none():
    lease = a_lease(-1)
    lease.prolong(time.monotonic() + 60)
    assert lease.still_mine()


def test_work_that_is_to_stop_is_not_lost():
    lease = a_lease()
    lease.stop()
    assert not lease.still_mine()
    assert lease.remaining > 0
    with pytest.raises(errors.EngineStopping):
        lease.check()
    lease.lose()  # what is worse is said
    with pytest.raises(errors.LeaseLost):
        lease.check()


def test_waiting_takes_as_long_as_it_was_told():
    before = time.monotonic()
    a_lease().wait(0.2)
    assert 0.2 <= time.monotonic() - before < 1


@pytest.mark.parametrize(
    ("end", "error"),
    [("lose", errors.LeaseLost), ("stop", errors.EngineStopping)],
)
def test_waiting_ends_at_once_when_the_work_does(end, error):
    lease = a_lease()
    threading.Timer(0.1, getattr(lease, end)).start()
    before = time.monotonic()
    with pytest.raises(error):
        lease.wait(30)
    assert time.monotonic() - before < 2
    with pytest.raises(error):
        lease.wait(0)


def test_nobody_waits_beyond_the_deadline():
    before = time.monotonic()
    with pytest.raises(errors.LeaseLost):
        a_lease(0.2).wait(30)
    assert 0.15 < time.monotonic() - before < 2


def test_a_deadline_that_moves_while_waiting_is_noticed():
    lease = a_lease(0.3)
    threading.Timer(0.1, lambda: lease.prolong(time.monotonic() + 60)).start()
    lease.wait(0.6)


# What an operator asks for


def test_an_interrupted_lease_says_what_is_wanted():
    lease = a_lease()
    lease.interrupt("cancel")
    lease.interrupt("rollback")  # the first one is done
    with pytest.raises(errors.RecoveryInterrupted) as caught:
        lease.check()
    assert caught.value.action == "cancel"
    assert lease.still_mine()


@pytest.mark.parametrize(
    ("end", "error"),
    [("lose", errors.LeaseLost), ("stop", errors.EngineStopping)],
)
def test_an_end_comes_before_what_an_operator_wants(end, error):
    lease = a_lease()
    lease.interrupt("cancel")
    getattr(lease, end)()
    with pytest.raises(error):
        lease.check()
    with lease.undoing(), pytest.raises(error):
        lease.check()


def test_waiting_ends_at_once_when_an_operator_interrupts():
    lease = a_lease()
    threading.Timer(0.1, lease.interrupt, ["cancel"]).start()
    before = time.monotonic()
    with pytest.raises(errors.RecoveryInterrupted):
        lease.wait(30)
    assert time.monotonic() - before < 5


def test_what_is_undone_goes_on_although_it_was_interrupted():
    lease = a_lease()
    lease.interrupt("rollback")
    with lease.undoing():
        with lease.undoing():
            lease.check()
        lease.check()
        before = time.monotonic()
        lease.wait(0.25)
        assert time.monotonic() - before >= 0.25
    with pytest.raises(errors.RecoveryInterrupted):
        lease.check()


def test_only_the_thread_that_undoes_goes_on():
    lease, found = a_lease(), []
    lease.interrupt("rollback")

    def check():
        try:
            lease.check()
        except errors.RecoveryInterrupted as exc:
            found.append(exc)

    with lease.undoing():
        thread = threading.Thread(target=check)
        thread.start()
        thread.join()
        lease.check()
    assert len(found) == 1


# The keeper


def test_what_is_held_is_renewed_again_and_again(keep, claim):
    keeper = keep()
    asked_at = time.monotonic()
    lease = keeper.hold(claim(seconds=0.6), asked_at)
    assert keeper.count() == 1
    lease.wait(1.5)
    assert lease.still_mine()


def test_a_claim_counts_from_before_it_was_asked_for(keep, claim):
    keeper = keep(60)
    lease = keeper.hold(claim(), time.monotonic() - 50)
    assert lease.remaining < 60 - 50 - 5


def test_what_is_dropped_is_renewed_no_more(keep, claim, database):
    keeper = keep()
    lease = keeper.hold(claim(seconds=0.6), time.monotonic())
    keeper.drop(lease)
    assert keeper.count() == 0
    assert not lease.still_mine()
    time.sleep(0.7)
    ctx = internal_context(database)
    assert work.claim_next(ctx, WorkKind.RECOVERY, "beta", 60) is not None


def test_what_was_lost_ends_although_other_work_is_renewed(keep, claim, ctx):
    """Else it would be owned for ever, and nobody would work on it."""
    keeper = keep(0.9)
    lease = keeper.hold(claim(seconds=0.9), time.monotonic())
    other = keeper.hold(claim(seconds=0.9, event="x"), time.monotonic())
    keeper.drop(lease)
    other.wait(2.0)
    taken = work.claim_next(ctx, WorkKind.RECOVERY, "beta", 60)
    assert taken.uuid == lease.claim.uuid
    assert other.still_mine()


def test_what_the_database_has_given_to_another_is_lost_at_once(
    keep, claim, ctx, database
):
    keeper = keep(1.5)
    lease = keeper.hold(claim(seconds=60), time.monotonic())
    other = keeper.hold(claim(seconds=60, event="x"), time.monotonic())
    with database.engine.begin() as connection:
        connection.execute(
            sa.update(models.Notification)
            .where(models.Notification.notification_uuid == lease.claim.uuid)
            .values(lease_expires_at=0.0)
        )
    taken = work.claim_next(ctx, WorkKind.RECOVERY, "beta", 60)
    assert (taken.uuid, taken.epoch) == (lease.claim.uuid, 2)
    before = time.monotonic()
    with pytest.raises(errors.LeaseLost):
        lease.wait(30)
    assert time.monotonic() - before < 1.2  # sooner than it would run out
    assert other.still_mine()


def test_an_epoch_of_one_s_own_that_is_older_is_lost(
    keep, claim, database, ctx
):
    """The same engine has taken its own work over."""
    keeper = keep(1.0)
    old = keeper.hold(claim(seconds=60), time.monotonic())
    with database.engine.begin() as connection:
        connection.execute(
            sa.update(models.Notification).values(lease_expires_at=0.0)
        )
    asked_at = time.monotonic()
    new = keeper.hold(
        work.claim_next(ctx, WorkKind.RECOVERY, "alpha", 60), asked_at
    )
    with pytest.raises(errors.LeaseLost):
        old.wait(5)
    new.wait(1.2)
    assert new.still_mine()


def test_a_lease_runs_out_while_the_database_is_away(keep, claim, database):
    keeper = keep()
    lease = keeper.hold(claim(seconds=0.6), time.monotonic())
    with database.engine.connect() as connection:
        connection.exec_driver_sql("SELECT 1")  # holds the writer's lock
        with pytest.raises(errors.LeaseLost):
            lease.wait(10)
    assert not lease.still_mine()


@pytest.mark.parametrize(
    "trouble",
    [
        errors.DatabaseUnavailable("No connection became free."),
        sa.exc.OperationalError("-", {}, Exception("no space left")),
        ValueError("something nobody thought of"),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
def test_the_keeper_survives_whatever_renewing_raises(
    keep, claim, monkeypatch, caplog, trouble
):
    """Without it the engine could own nothing any more, for good."""
    renew, raised = work.renew, []

    def renew_later(*args):
        if len(raised) < 2:
            raised.append(trouble)
            raise trouble
        return renew(*args)

    monkeypatch.setattr(work, "renew", renew_later)
    keeper = keep(1.0)
    lease = keeper.hold(claim(seconds=1.0), time.monotonic())
    with caplog.at_level(logging.WARNING):
        lease.wait(1.5)
    assert lease.still_mine()
    assert len(raised) == 2
    assert str(trouble) in caplog.text


def test_a_full_pool_does_not_end_the_keeper(keep, claim, database):
    database.engine.pool._timeout = 0.1
    keeper = keep()
    claimed = claim(seconds=60)
    lease = keeper.hold(claimed, time.monotonic())
    with database.engine.connect(), pytest.raises(errors.LeaseLost):
        lease.wait(10)
    keeper.drop(lease)
    # The database is back, and so is the keeper.
    again = keeper.hold(claimed, time.monotonic())
    again.wait(1.2)
    assert again.still_mine()


def ask_for(database, lease, action):
    with database.engine.begin() as connection:
        connection.execute(
            sa.update(models.Notification)
            .where(models.Notification.notification_uuid == lease.claim.uuid)
            .values(requested_action=action)
        )


def test_what_an_operator_asks_for_is_found_when_renewing(
    keep, claim, database
):
    keeper = keep(0.6)
    one = keeper.hold(claim(seconds=60), time.monotonic())
    other = keeper.hold(claim(seconds=60, event="x"), time.monotonic())
    ask_for(database, one, "rollback")
    with pytest.raises(errors.RecoveryInterrupted) as caught:
        one.wait(10)
    assert caught.value.action == "rollback"
    other.check()


def test_a_keeper_that_is_woken_looks_at_once(keep, claim, database):
    keeper = keep(600)
    lease = keeper.hold(claim(seconds=60), time.monotonic())
    ask_for(database, lease, "cancel")
    keeper.wake()
    with pytest.raises(errors.RecoveryInterrupted):
        lease.wait(10)


def test_stopping_ends_all_work_at_its_next_safe_point(keep, claim):
    keeper = keep(60)
    leases = [
        keeper.hold(claim(event=str(n)), time.monotonic()) for n in range(3)
    ]
    keeper.stop_work()
    for lease in leases:
        with pytest.raises(errors.EngineStopping):
            lease.check()
    assert keeper.count() == 3


def test_closing_is_quick(keep):
    keeper = keep(30)
    before = time.monotonic()
    keeper.close()
    assert time.monotonic() - before < 1
    assert not keeper._thread.is_alive()


def test_nothing_is_asked_while_nothing_is_held(keep, database, monkeypatch):
    asked = []
    monkeypatch.setattr(work, "renew", lambda *args: asked.append(args))
    keep(0.1)
    time.sleep(0.3)
    assert asked == []
    assert database is not None


def test_a_keeper_without_a_database_lets_leases_run_out(keep):
    away = open_database("sqlite:////nowhere/at/all.sqlite")
    keeper = keep(0.5, internal_context(away))
    lease = keeper.hold(CLAIM, time.monotonic())
    with pytest.raises(errors.LeaseLost):
        lease.wait(5)
    assert keeper._thread.is_alive()
