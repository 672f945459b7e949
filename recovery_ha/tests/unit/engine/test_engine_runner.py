import logging
import threading
import time

import pytest
import sqlalchemy as sa
from oslo_utils import uuidutils

from recovery_ha.db import progress
from recovery_ha.domain import errors
from recovery_ha.domain.stages import StageState
from recovery_ha.engine.lease import Lease
from recovery_ha.engine.runner import FlowRunner
from recovery_ha.plugin import RecoveryTask
from recovery_ha.plugin.recovery import _MAX_REMARKS


class Environment:
    """What a task works with, without a cloud."""

    def __init__(self, lease):
        self.lease = lease
        self.conf = self.compute = None
        self.did = []
        self.published = []

    def still_mine(self):
        return self.lease.still_mine()

    def is_interruption(self, exc):
        return isinstance(
            exc,
            errors.LeaseLost
            | errors.EngineStopping
            | errors.RecoveryInterrupted
            | errors.NothingToRecover
            | errors.HostTakenOver,
        )

    def wait(self, seconds):
        self.lease.wait(seconds)

    def publish(self, task_name, remarks, status=None, failure=None):
        self.published += [(task_name, r["message"]) for r in remarks]

    def undoing(self):
        return self.lease.undoing()


class First(RecoveryTask):
    what = "begin"
    default_provides = "found"

    def execute(self, host_name):
        self.environment.did.append("First")
        self.progress(0.7, f"Looked at {host_name}")
        return ["a", "b"]


class Second(RecoveryTask):
    what = "go on"
    default_provides = ("evacuated", "failed")

    def execute(self, found, notification_uuid):
        self.environment.did.append("Second")
        self.progress(0.6, f"{len(found)} of {notification_uuid}")
        return found, []


class Third(RecoveryTask):
    what = "end"
    trouble = None
    undo_trouble = None

    def execute(self, evacuated, failed):
        self.environment.did.append(f"Third {evacuated} {failed}")
        if self.trouble is not None:
            raise self.trouble

    def revert(self, **_kwargs):
        self.environment.did.append("undo Third")
        if self.undo_trouble is not None:
            raise self.undo_trouble


class Undoing(First):
    what = "be undone"

    def execute(self, host_name):
        return [host_name]

    def revert(self, **_kwargs):
        self.environment.did.append("undo Undoing")


@pytest.fixture
def lease(claim):
    return Lease(claim(), time.monotonic() + 60)


class Attempt:
    """One attempt of one recovery, which any runner may go on with."""

    def __init__(self, database, ctx, lease, number=1):
        self.database, self.ctx, self.lease = database, ctx, lease
        self.number = number
        self.uuid = uuidutils.generate_uuid()
        self.environment = Environment(lease)

    @property
    def did(self):
        return self.environment.did

    def run(self, *classes, lease=None):
        """Run it with a runner of its own, as after a restart."""
        self.environment = Environment(lease or self.lease)
        return FlowRunner(self.database).run(
            lease or self.lease,
            kind="host",
            flow_uuid=self.uuid,
            meta={"attempt": self.number, "number": self.number},
            tasks=[cls(self.environment) for cls in classes],
            inputs={
                "notification_uuid": self.lease.claim.uuid,
                "host_name": "compute-1",
            },
        )

    @property
    def runs(self):
        """What any runner finds of the recovery."""
        return FlowRunner(self.database).runs(self.lease.claim.uuid)

    @property
    def state(self):
        (run,) = self.runs
        return run.state

    def shown(self):
        return progress.list_task_progress(self.ctx, self.lease.claim.uuid)

    def messages(self, name):
        (task,) = [t for t in self.shown() if t.name == name]
        return [detail.message for detail in task.details]


@pytest.fixture
def attempt(database, ctx, lease):
    return Attempt(database, ctx, lease)


def failing(cls, trouble, **more):
    return type(cls.__name__, (cls,), {"trouble": trouble, **more})


# A flow that works


def test_results_go_from_task_to_task(attempt):
    assert attempt.runs == []
    outcome = attempt.run(First, Second, Third)
    assert outcome.failure is None
    assert not outcome.outage
    assert attempt.did == ["First", "Second", "Third ['a', 'b'] []"]
    assert attempt.state is StageState.SUCCEEDED


def test_progress_is_kept_in_the_order_of_execution(attempt, lease):
    attempt.run(First, Second, Third)
    shown = attempt.shown()
    assert [t.name for t in shown] == ["First", "Second", "Third"]
    assert {(t.state, t.progress) for t in shown} == {("SUCCESS", 1.0)}
    assert attempt.messages("First") == [
        "Started execution of First",
        "Looked at compute-1",
        "Finished execution of First",
    ]
    assert attempt.messages("Second")[1] == f"2 of {lease.claim.uuid}"
    fractions = [detail.progress for detail in shown[0].details]
    assert fractions == [0.5, 0.7, 1.0]


def test_the_logbook_is_the_notification_s(attempt, database, lease):
    attempt.run(First)
    with database.read_engine.connect() as connection:
        (book,) = connection.exec_driver_sql(
            "SELECT uuid, name, meta FROM logbooks"
        )
        (flow,) = connection.exec_driver_sql(
            "SELECT uuid, parent_uuid, name FROM flowdetails"
        )
        (atom,) = connection.exec_driver_sql(
            "SELECT name, version FROM atomdetails WHERE name = 'First'"
        )
    assert book[:2] == (lease.claim.uuid, "host_recovery")
    assert lease.claim.uuid in book[2]
    assert flow == (attempt.uuid, lease.claim.uuid, "host_recovery_engine")
    assert atom == ("First", "1.0")


def test_each_attempt_is_shown(attempt, database, ctx, lease):
    attempt.run(First, failing(Second, None))
    again = Attempt(database, ctx, lease, number=2)
    again.run(First, Second)
    names = [task.name for task in again.shown()]
    assert names == ["First", "Second", "First", "Second"]


def test_flows_are_found_again_in_their_order(attempt, database, ctx, lease):
    attempt.run(First, Second)
    trouble = errors.RecoveryFailed("no")
    again = Attempt(database, ctx, lease, number=2)
    again.run(First, Second, failing(Third, trouble))
    one, two = attempt.runs
    assert (one.uuid, two.uuid) == (attempt.uuid, again.uuid)
    assert (one.state, two.state) == ("succeeded", "failed")
    assert one.meta == {
        "attempt": 1,
        "number": 1,
        "order": ["First", "Second"],
    }
    assert one.results["First"] == ["a", "b"]
    assert list(one.results["Second"]) == [["a", "b"], []]
    assert (one.failure, two.failure) == (None, "Failed to end: no")


def test_what_is_said_is_published_once(attempt):
    attempt.run(First)
    assert attempt.environment.published == [
        ("First", detail.message) for detail in attempt.shown()[0].details
    ]


def test_a_flow_without_tasks_succeeds(attempt):
    assert attempt.run().failure is None


@pytest.mark.parametrize("ignored", [True, False])
def test_a_task_that_finds_nothing_to_recover_ends_the_flow(attempt, ignored):
    nothing = errors.NothingToRecover("It is paused.", ignored=ignored)
    outcome = attempt.run(First, Second, failing(Third, nothing))
    assert outcome.failure is None
    assert outcome.nothing is nothing


def test_a_host_that_is_recovered_takes_over(attempt):
    taken = errors.HostTakenOver("Host compute-1 has failed.")
    with pytest.raises(errors.HostTakenOver):
        attempt.run(First, Second, failing(Third, taken))


# One that fails


def test_a_third_party_s_error_gives_its_sentence(attempt, caplog):
    with caplog.at_level(logging.ERROR):
        outcome = attempt.run(
            First, Second, failing(Third, KeyError("no such mail"))
        )
    assert outcome.failure == "Failed to end: 'no such mail'"
    assert not outcome.outage
    assert "KeyError" in caplog.text  # its traceback is in the log
    assert attempt.messages("Third")[-1] == outcome.failure
    assert attempt.state is StageState.FAILED
    states = {t.name: t.state for t in attempt.shown()}
    assert set(states.values()) <= {"REVERTED", "FAILURE"}


@pytest.mark.parametrize(
    ("trouble", "outage"),
    [
        (errors.ComputeUnavailable("Nova: no answer"), True),
        (errors.ComputeConflict("Nova answered 409", 409), False),
        (errors.RecoveryFailed("2 of 3 instances"), False),
    ],
)
def test_an_outage_is_told_from_a_failure(attempt, caplog, trouble, outage):
    outcome = attempt.run(First, Second, failing(Third, trouble))
    assert outcome.failure == f"Failed to end: {trouble}"
    assert outcome.outage is outage
    assert "Traceback" not in caplog.text


def test_a_failure_undoes_what_was_done_backwards(attempt):
    attempt.run(Undoing, Second, failing(Third, errors.RecoveryFailed("no")))
    assert attempt.did[-2:] == ["undo Third", "undo Undoing"]


def test_a_revert_that_raises_ends_in_a_failure(attempt):
    outcome = attempt.run(
        Undoing,
        Second,
        failing(
            Third,
            errors.RecoveryFailed("no"),
            undo_trouble=ValueError("nor that"),
        ),
    )
    assert outcome.failure == "Failed to end: no; Failed to undo: nor that"
    assert attempt.state is StageState.FAILED


def test_an_input_that_nobody_provides_is_a_failure(attempt):
    with pytest.raises(Exception, match="found"):
        attempt.run(Second)


# Resuming


class Crash(BaseException):
    """The process is gone: nothing below may run."""


class Crashing(Second):
    crashes = 1

    def execute(self, found, notification_uuid):
        self.environment.did.append("Second")
        self.progress(0.6, "Half of it")
        self.flush()
        if type(self).crashes:
            type(self).crashes -= 1
            # As kill -9: what is written now never reaches the database.
            self.environment.lease.lose()
            raise Crash
        return super().execute(found, notification_uuid)


Crashing.__name__ = "Second"


def test_another_runner_goes_on_where_the_first_was_killed(
    attempt, database, ctx, lease
):
    crashing = type("Second", (Crashing,), {"crashes": 1})
    dying = Lease(lease.claim, time.monotonic() + 60)
    with pytest.raises((Crash, errors.LeaseLost)):
        attempt.run(First, crashing, Third, lease=dying)
    assert attempt.did == ["First", "Second"]
    assert attempt.state is StageState.OPEN
    states = {t.name: t.state for t in attempt.shown()}
    assert states == {"First": "SUCCESS", "Second": "RUNNING"}
    outcome = attempt.run(First, crashing, Third)
    assert outcome.failure is None
    assert "First" not in attempt.did  # it is not run again
    assert attempt.did[-1] == "Third ['a', 'b'] []"
    # What was said before the crash is still there.
    said = attempt.messages("Second")
    assert said[:2] == ["Started execution of Second", "Half of it"]
    assert said[-1] == "Finished execution of Second"
    assert database is attempt.database
    assert ctx is attempt.ctx


class Interrupted(Second):
    def execute(self, found, notification_uuid):
        self.environment.did.append("Second")
        self.progress(0.6, "Waiting")
        self.environment.wait(30)


Interrupted.__name__ = "Second"


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ("lose", errors.LeaseLost),
        ("stop", errors.EngineStopping),
    ],
)
def test_an_interrupted_flow_is_neither_failed_nor_undone(
    attempt, lease, end, error
):
    ours = Lease(lease.claim, time.monotonic() + 60)
    threading.Timer(0.3, getattr(ours, end)).start()
    interrupted = type("Second", (Interrupted,), {})
    with pytest.raises(error):
        attempt.run(Undoing, interrupted, Third, lease=ours)
    assert attempt.did == ["Second"]
    assert attempt.state is StageState.OPEN
    assert attempt.run(Undoing, Second, Third).failure is None
    assert "undo Undoing" not in attempt.did


def test_what_is_written_after_the_lease_is_dropped(attempt, database, lease):
    """A process that was stopped overwrites nothing of its successor."""

    class Frozen(RecoveryTask):
        what = "thaw"

        def execute(self):
            self.progress(0.6, "Before")
            self.flush()
            self.environment.lease.lose()
            self.progress(0.9, "After")
            self.flush()

    Frozen.__name__ = "Frozen"
    ours = Lease(lease.claim, time.monotonic() + 60)
    with pytest.raises(errors.LeaseLost):
        attempt.run(Frozen, lease=ours)
    assert attempt.messages("Frozen")[-1] == "Before"
    (task,) = attempt.shown()
    assert task.state == "RUNNING"
    assert attempt.state is StageState.OPEN
    assert database is attempt.database


def test_nothing_is_begun_without_a_lease(attempt, lease, database):
    lost = Lease(lease.claim, time.monotonic() - 1)
    with pytest.raises(errors.LeaseLost):
        attempt.run(First, lease=lost)
    assert attempt.did == []
    with database.read_engine.connect() as connection:
        count = sa.select(sa.func.count()).select_from(sa.table("logbooks"))
        assert connection.scalar(count) == 0


# Progress


def test_progress_is_coalesced_and_bounded(attempt, database):
    class Chatty(RecoveryTask):
        def execute(self):
            for number in range(3000):
                self.progress(number / 3000, f"remark {number}")

    writes = []

    def note(_conn, _cursor, statement, *_rest):
        if statement.startswith("UPDATE atomdetails"):
            writes.append(statement)

    sa.event.listen(database.engine, "before_cursor_execute", note)
    before = time.monotonic()
    attempt.run(Chatty)
    seconds = time.monotonic() - before
    sa.event.remove(database.engine, "before_cursor_execute", note)
    # At most one per 250 ms, besides those of taskflow itself.
    assert len(writes) <= seconds / 0.25 + 16
    said = attempt.messages("Chatty")
    assert len(said) == _MAX_REMARKS
    assert said[0] == "Started execution of Chatty"
    assert said[-2:] == ["remark 2999", "Finished execution of Chatty"]


def test_fractions_stay_between_nothing_and_all(attempt):
    class Wild(RecoveryTask):
        def execute(self):
            self.progress(-3, "too little")
            self.progress(7, "too much")

    attempt.run(Wild)
    (task,) = attempt.shown()
    assert [d.progress for d in task.details] == [0.5, 0.0, 1.0, 1.0]


def test_progress_is_seen_while_a_task_waits(attempt):
    seen = []

    class Waiting(RecoveryTask):
        def execute(self):
            self.progress(0.6, "Waiting for Nova")
            self.wait(0.01)
            seen.extend(attempt.messages("Waiting"))

    attempt.run(Waiting)
    assert seen == ["Started execution of Waiting", "Waiting for Nova"]


def test_a_long_progress_of_any_character_is_kept(attempt):
    text = "\u00e4\U0001f600'\"%s{}" * 2000

    class Wordy(RecoveryTask):
        def execute(self):
            self.progress(0.6, text)

    attempt.run(Wordy)
    assert attempt.messages("Wordy")[1] == text
