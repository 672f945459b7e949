"""What holds of every decision on an instance that is to leave its host."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.domain.maintenance import ActionStatus, InstanceAction
from recovery_ha.domain.moving import (
    OPEN,
    Look,
    MoveStep,
    may_be_under_way,
    next_step,
)
from recovery_ha.tests.fixtures.leaving import (
    COLD,
    LIMITS,
    LIVE,
    NO_FALLBACK,
    NOW,
    OWN,
    record,
    row,
    server,
)

STATUSES = sorted(
    OPEN | {"completed", "finished", "confirmed", "error", "cancelled"}
)
looks = st.builds(
    Look,
    row=st.builds(
        row,
        status=st.sampled_from(["pending", "running"]),
        kind=st.sampled_from([None, *InstanceAction]),
        requested_at=st.none() | st.floats(NOW - 3000, NOW),
        attempts=st.integers(0, 12),
    ),
    source=st.just("c-1"),
    action=st.sampled_from(list(InstanceAction)),
    server=st.none()
    | st.builds(
        server,
        vm_state=st.sampled_from(
            ["active", "stopped", "paused", "error", "resized", "suspended"]
        ),
        task_state=st.sampled_from([None, "migrating", "resize_prep"]),
        host=st.sampled_from(["c-1", "c-2"]),
    ),
    records=st.lists(
        st.builds(
            record,
            st.sampled_from(STATUSES),
            st.sampled_from(["live-migration", "migration", "resize"]),
            st.integers(1, 20),
        ),
        max_size=3,
    ).map(tuple),
    now=st.just(NOW),
)


@given(looks, st.sampled_from([LIMITS, NO_FALLBACK]))
def test_nothing_is_asked_for_twice(found, limits):
    decided = next_step(found, limits)
    assert decided.sentence
    if decided.step is not MoveStep.ASK:
        return
    # It is where it was, does nothing, and nothing of ours is under way.
    assert found.server is not None
    assert found.server.host == found.source
    assert found.server.task_state is None
    if found.row.action_status is ActionStatus.RUNNING and found.is_sent:
        assert found.latest is None
        assert found.elapsed >= limits.settle
    assert found.action is not OWN
    # as often as allowed, and in a way that Nova can go
    if found.row.action_status is ActionStatus.RUNNING:
        assert (
            found.row.kind is not decided.kind
            or found.row.attempts < limits.attempts
        )
    assert (found.server.vm_state, decided.kind) in {
        ("active", LIVE),
        ("active", COLD),
        ("paused", LIVE),
        ("stopped", COLD),
    }


@given(looks, st.sampled_from([LIMITS, NO_FALLBACK]))
def test_nothing_is_awaited_for_ever(found, limits):
    """What is still WAIT when all times are over waits for nothing."""
    late = dataclasses.replace(found, now=NOW + 10**6)
    decided = next_step(late, limits)
    if decided.step is MoveStep.WAIT:
        raise AssertionError(decided)
    if decided.step is MoveStep.ABORT:
        assert late.row.attempts < limits.attempts + 5
    if decided.step is MoveStep.CONFIRM:
        assert late.row.attempts <= limits.attempts + 1


@given(looks, st.sampled_from([LIMITS, NO_FALLBACK]))
def test_done_is_only_what_has_left(found, limits):
    decided = next_step(found, limits)
    gone = found.server is None or found.server.host != found.source
    if decided.step is MoveStep.DONE:
        assert gone
    if decided.step in {MoveStep.ASK, MoveStep.ABORT, MoveStep.FALL_BACK}:
        assert not gone
    if decided.step is MoveStep.ABORT:
        assert may_be_under_way(found.row)
        assert decided.record.status in {"queued", "preparing", "running"}
