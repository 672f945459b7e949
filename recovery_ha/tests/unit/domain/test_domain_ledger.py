from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.domain.ledger import (
    LOSSY_TASK,
    NOWHERE,
    TASK,
    TRANSACTION,
    Counts,
    ReportItem,
    ReportVerdict,
    StepState,
    TaskState,
    TaskStatus,
    TransactionStatus,
    close_step,
    count_unit,
    judge,
    progress,
    settled,
)

T0 = datetime(2026, 1, 2, 3, 4, 5)
P, R, OK, BAD, SKIP = TaskStatus
APPLIED, DUPLICATE, STALE, ILLEGAL, UNKNOWN = ReportVerdict


def at(seconds):
    return T0 + timedelta(seconds=seconds)


def item(status, node="n", **more):
    return ReportItem(node, "t", status, **more)


def verdict(before, said, **more):
    return judge(before, said, received=at(99), **more).verdict


# Moves


@pytest.mark.parametrize(
    ("before", "target", "expected"),
    [
        (P, R, APPLIED),
        (P, SKIP, APPLIED),
        (P, OK, ILLEGAL),
        (P, BAD, ILLEGAL),
        (P, P, DUPLICATE),
        (R, OK, APPLIED),
        (R, BAD, APPLIED),
        (R, SKIP, ILLEGAL),
        (R, P, STALE),
        (R, R, DUPLICATE),
        (OK, BAD, ILLEGAL),
        (OK, SKIP, ILLEGAL),
        (OK, OK, DUPLICATE),
        (BAD, OK, ILLEGAL),
        (SKIP, BAD, ILLEGAL),
        (SKIP, SKIP, DUPLICATE),
    ],
)
def test_moves_within_an_attempt(before, target, expected):
    assert verdict(TaskState(before), item(target)) is expected


@pytest.mark.parametrize("ended", sorted(TASK.terminal))
@pytest.mark.parametrize("target", [P, R])
def test_what_has_ended_and_runs_again_is_a_new_attempt(ended, target):
    before = TaskState(ended, 2, time_start=T0, time_end=at(1))
    judged = judge(before, item(target), received=at(9))
    assert judged.verdict is APPLIED
    assert (judged.after.attempt, judged.after.status) == (3, target)
    assert judged.after.time_start == (at(9) if target is R else None)
    assert judged.after.time_end is None


@pytest.mark.parametrize("target", [OK, BAD])
def test_a_lossy_reporter_may_leave_out_the_beginning(target):
    assert verdict(TaskState(P), item(target), lossy=True) is APPLIED
    assert verdict(None, item(target), lossy=True) is APPLIED
    assert verdict(None, item(target)) is ILLEGAL
    judged = judge(None, item(target, time=T0), received=at(9), lossy=True)
    assert (judged.after.time_start, judged.after.time_end) == (T0, T0)


@pytest.mark.parametrize("target", list(TaskStatus))
def test_what_no_graph_has_is_unknown(target):
    assert verdict(None, item(target), declared=True) is UNKNOWN


@pytest.mark.parametrize("target", list(TaskStatus))
def test_what_ran_nowhere_can_be_skipped_only(target):
    expected = APPLIED if target is SKIP else ILLEGAL
    assert verdict(None, item(target, NOWHERE), declared=True) is expected


@pytest.mark.parametrize("target", list(TaskStatus))
def test_nothing_is_applied_after_the_end(target):
    for before in (None, *map(TaskState, TaskStatus)):
        assert verdict(before, item(target), ended=True) is not APPLIED


# Telling old from new


def test_numbers_tell_what_is_old():
    before = TaskState(R, seq=5)
    assert verdict(before, item(OK, seq=5)) is DUPLICATE
    assert verdict(before, item(OK, seq=4)) is STALE
    assert verdict(before, item(OK, seq=6)) is APPLIED
    assert judge(before, item(OK), received=T0).after.seq == 5
    assert judge(before, item(OK, seq=6), received=T0).after.seq == 6


def test_attempts_tell_what_is_old():
    before = TaskState(BAD, 2)
    assert verdict(before, item(BAD, attempt=1)) is STALE
    assert verdict(before, item(R, attempt=2)) is STALE
    assert verdict(before, item(R, attempt=3)) is APPLIED
    assert verdict(before, item(BAD, attempt=3), lossy=True) is APPLIED
    assert verdict(before, item(R, attempt=4)) is ILLEGAL
    assert verdict(TaskState(R, 2), item(R, attempt=3)) is ILLEGAL
    assert verdict(None, item(R, attempt=1)) is APPLIED
    assert verdict(None, item(R, attempt=2)) is ILLEGAL


def test_times_tell_what_is_old():
    before = TaskState(OK, time_start=T0, time_end=at(5))
    assert verdict(before, item(R, time=at(4))) is STALE
    assert verdict(before, item(R, time=at(6))) is APPLIED
    # A task may be tried again in the second in which it ended.
    assert verdict(before, item(R, time=at(5))) is APPLIED
    at_once = TaskState(OK, time_start=T0, time_end=T0)
    assert verdict(at_once, item(R, time=T0)) is STALE
    assert verdict(before, item(R)) is APPLIED


def test_times_are_never_overwritten_and_never_run_backwards():
    begun = judge(None, item(R, time=at(5)), received=at(9)).after
    assert (begun.time_start, begun.time_end) == (at(5), None)
    ended = judge(begun, item(OK, time=at(3)), received=at(9)).after
    assert (ended.time_start, ended.time_end) == (at(5), at(5))
    skipped = judge(None, item(SKIP), received=at(9)).after
    assert (skipped.time_start, skipped.time_end) == (at(9), at(9))


STATES = st.builds(
    TaskState,
    status=st.sampled_from(TaskStatus),
    attempt=st.integers(1, 3),
    seq=st.none() | st.integers(0, 5),
)
ITEMS = st.builds(
    ReportItem,
    st.sampled_from(["n", "master", NOWHERE]),
    st.just("t"),
    st.sampled_from(TaskStatus),
    seq=st.none() | st.integers(0, 5),
    attempt=st.none() | st.integers(1, 4),
    time=st.none() | st.integers(0, 50).map(at),
)


@given(st.none() | STATES, ITEMS, st.booleans(), st.booleans(), st.booleans())
def test_only_moves_of_the_table_are_made(before, said, lossy, declared, end):
    judged = judge(
        before,
        said,
        received=at(60),
        lossy=lossy,
        declared=declared,
        ended=end,
    )
    if judged.verdict is not APPLIED:
        assert judged.after == before
        assert judged.reason
        return
    moves = LOSSY_TASK if lossy else TASK
    after = judged.after
    assert judged.reason == ""
    assert after.status is said.task_status
    if before is None or after.attempt != before.attempt:
        assert after.attempt == (1 if before is None else before.attempt + 1)
        assert before is None or before.status in TASK.terminal
        assert after.status in {P, *moves.moves[P]}
    else:
        assert after.status in moves.moves[before.status]


@given(st.none() | STATES, ITEMS, st.booleans())
def test_the_same_report_twice_changes_nothing_more(before, said, lossy):
    once = judge(before, said, received=at(60), lossy=lossy).after
    if once is not None and once != before:
        again = judge(once, said, received=at(61), lossy=lossy)
        assert again.verdict in {DUPLICATE, STALE, ILLEGAL}
        assert again.after == once


# Transactions


def test_transactions_begin_once_and_end_once():
    assert TRANSACTION.terminal == {
        TransactionStatus.READY,
        TransactionStatus.ERROR,
    }
    assert TRANSACTION.sources(TransactionStatus.RUNNING) == {
        TransactionStatus.PENDING
    }


# Counting


def step_of(*statuses, **values):
    step = StepState(**values)
    for number, status in enumerate(statuses):
        step = count_unit(step, None, status, at(number))
    return step


def test_a_declared_step_as_in_the_specification():
    done = step_of(*[OK] * 1000, expected=1000)
    assert (done.completed, done.total, done.successful) == (1000, 1000, True)
    assert (done.progress, done.duration) == (100, 999.0)
    under_way = step_of(*[OK] * 59, expected=1000)
    assert (under_way.completed, under_way.total) == (59, 1000)
    assert under_way.successful is under_way.completed_at is None
    assert under_way.progress == 5
    bad = step_of(*[OK] * 59, BAD, expected=1000)
    assert (bad.completed, bad.failed, bad.successful) == (59, 1, False)
    assert bad.duration is None


def test_more_units_than_announced_are_counted():
    step = step_of(OK, OK, OK, expected=2)
    assert (step.total, step.successful) == (3, True)
    step = count_unit(step, None, R, at(9))
    assert (step.total, step.successful, step.completed_at) == (4, None, None)


def test_a_step_without_a_total_is_decided_when_it_is_closed():
    step = step_of(OK, OK)
    assert (step.total, step.successful, step.progress) == (2, None, 99)
    step = settled(close_step(step), at(7))
    assert (step.successful, step.progress, step.duration) == (True, 100, 7.0)


def test_a_step_of_nothing_is_decided_at_once():
    step = settled(StepState(expected=0), T0)
    assert (step.successful, step.progress, step.duration) == (True, 100, 0.0)


def test_what_was_announced_and_never_came_is_no_success():
    step = settled(close_step(step_of(OK, expected=2)), at(7))
    assert (step.successful, step.failed) == (False, 0)
    step = count_unit(step, None, OK, at(8))
    assert step.successful is True


def test_a_step_that_never_began_is_not_closed():
    assert close_step(StepState(expected=2)) == StepState(expected=2)


def test_closed_with_units_that_run_is_undecided():
    step = close_step(step_of(OK, R))
    assert step.successful is None
    assert count_unit(step, R, BAD, at(9)).successful is False


def test_a_retry_heals_the_step():
    step = step_of(OK, BAD, expected=2)
    assert (step.successful, step.duration) == (False, 1.0)
    again = count_unit(step, BAD, R, at(5))
    assert (again.successful, again.failed) == (None, 0)
    assert again.completed_at is None
    healed = count_unit(again, R, OK, at(8))
    assert (healed.successful, healed.completed) == (True, 2)
    assert (healed.units, healed.duration) == (2, 8.0)


MOVES = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(TaskStatus)), max_size=40
)


@given(MOVES, st.none() | st.integers(0, 6), st.booleans())
def test_counters_agree_with_units(moves, expected, closed):
    units = {}
    counts, step = Counts(), StepState(expected=expected, closed=closed)
    for second, (unit, status) in enumerate(moves):
        counts = counts.moved(units.get(unit), status)
        step = count_unit(step, units.get(unit), status, at(second))
        units[unit] = status
        found = list(units.values())
        assert counts == Counts(*(found.count(s) for s in TaskStatus))
        assert counts.units == step.units == len(units)
        assert step.completed == found.count(OK) + found.count(SKIP)
        assert step.failed == found.count(BAD)
        assert counts.finished == step.completed + step.failed
        assert (step.successful is False) >= (step.failed > 0)
        if step.successful:
            assert set(found) <= {OK, SKIP}
            assert len(units) == step.total
        assert (step.completed_at is None) == (not step.is_done)
        assert 0 <= step.progress <= 100
        assert (step.progress == 100) == step.is_done
        assert step.duration is None or step.duration >= 0
        assert 0 <= progress(counts, [step]) <= 100


def test_progress_counts_each_step_alike():
    one = step_of(*[OK] * 1000, expected=1000)
    two = StepState()
    counts = Counts(ready=1000)
    assert progress(counts, [one, two]) == 50
    # Units without a step are a part of their own.
    assert progress(replace(counts, ready=1001, pending=1), [one, two]) == 50
    assert progress(Counts(ready=1, running=2), []) == 33
    assert progress(Counts(), []) == 0
