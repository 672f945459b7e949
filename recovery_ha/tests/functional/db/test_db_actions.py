"""What operators ask for, at the same moment as others act."""

import time

import pytest

from recovery_ha.db import actions, owned, recovery, recovery_runs, work
from recovery_ha.db.ledger import events
from recovery_ha.domain import errors
from recovery_ha.domain.actions import Action
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.recovery import NotificationStatus


@pytest.fixture
def act(ctx):
    def act(uuid, action):
        return actions.act(ctx, uuid, action, duplicate_window=0.0)

    return act


@pytest.mark.parametrize("round_", range(5))
def test_cancelled_while_an_engine_claims_it(
    ctx, accept, act, row, together, round_
):
    uuid = accept().uuid

    _done, claimed = together(
        lambda: act(uuid, Action.CANCEL),
        lambda: work.claim_next(ctx, WorkKind.RECOVERY, "alpha", 60.0),
    )

    found = row(uuid)
    if claimed is None:
        assert found.status == "failed"
        assert found.wake_at is None
    else:
        assert (found.status, found.requested_action) == ("running", "cancel")
        assert (found.lease_owner, found.lease_epoch) == ("alpha", 1)


@pytest.mark.parametrize("round_", range(5))
def test_rolled_back_while_it_ends(
    ctx, accept, act, claim, row, together, round_
):
    """Whichever comes first, the rollback is going to be done."""
    uuid = accept().uuid
    claimed = claim()
    recovery_runs.start_flow(ctx, claimed, "flow", new_attempt=True)
    notification = recovery.get_notification(ctx, uuid)

    _done, ended = together(
        lambda: act(uuid, Action.ROLLBACK),
        lambda: owned.finish(
            ctx,
            claimed,
            notification,
            NotificationStatus.FINISHED,
            "It has ended.",
            duplicate_window=0.0,
        ),
    )

    found = row(uuid)
    assert found.requested_action == "rollback"
    if isinstance(ended, errors.RecoveryInterrupted):
        assert found.status == "running"
    else:
        assert ended is None
        assert found.status == "error"
        assert claim().epoch == 2


@pytest.mark.parametrize("round_", range(5))
def test_events_are_seen_in_their_order(
    ctx, accept, act, claim, together, round_
):
    """No event gets a place before one that others have seen already."""
    uuid = accept().uuid
    claimed = claim()
    notification = recovery.get_notification(ctx, uuid)
    seen = []

    def follow():
        cursor, end = 0, time.monotonic() + 30
        while len(seen) < 2 and time.monotonic() < end:
            for event in events.list_events(ctx, uuid, cursor, 10):
                seen.append(event.text)
                cursor = event.id

    together(
        follow,
        lambda: act(uuid, Action.CANCEL),
        lambda: owned.put_back(
            ctx,
            claimed,
            notification,
            NotificationStatus.ERROR,
            "It is put back.",
            wake_in=60,
        ),
    )
    assert seen == [e.text for e in events.list_events(ctx, uuid, 0, 10)]


def test_what_is_put_back_while_something_is_asked_for_wakes_at_once(
    ctx, accept, act, claim
):
    uuid = accept().uuid
    claimed = claim()
    owned.remember(ctx, claimed, host={"x": 1})
    act(uuid, Action.ROLLBACK)

    notification = recovery.get_notification(ctx, uuid)
    error = NotificationStatus.ERROR
    owned.put_back(ctx, claimed, notification, error, "x", wake_in=60)
    claimed = claim()

    # But what was done about it in vain waits.
    owned.put_back(
        ctx, claimed, notification, error, "x", wake_in=60, done="rollback"
    )
    assert work.claim_next(ctx, WorkKind.RECOVERY, "e", 60.0) is None
