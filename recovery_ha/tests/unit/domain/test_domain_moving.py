"""How an instance leaves its host: every state of rows and of Nova."""

import dataclasses

import pytest

from recovery_ha.domain.maintenance import (
    InstanceAction,
)
from recovery_ha.domain.moving import (
    MoveStep,
    next_step,
    refused,
)
from recovery_ha.tests.fixtures.leaving import (
    COLD,
    LIMITS,
    LIVE,
    NO_FALLBACK,
    NOW,
    OWN,
    asked,
    look,
    record,
    row,
    server,
)


def step(*args, limits=LIMITS, **kwargs):
    return next_step(look(*args, **kwargs), limits)


# It has gone


@pytest.mark.parametrize("row_", [row(), asked(LIVE, 5), asked(COLD, 5000)])
@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (None, "The instance was deleted."),
        (server("soft-delete"), "The instance was deleted."),
        (server(host="c-2"), "On c-2, active."),
        (server("stopped", host="c-2"), "On c-2, stopped."),
        (
            server("shelved_offloaded", host=""),
            "On no host, shelved_offloaded.",
        ),
    ],
)
@pytest.mark.parametrize("action", list(InstanceAction))
def test_one_that_has_gone_is_done(row_, found, sentence, action):
    decided = step(found, row_, action=action)
    assert (decided.step, decided.sentence) == (MoveStep.DONE, sentence)


@pytest.mark.parametrize(
    ("row_", "found", "records", "expected"),
    [
        # arriving
        (
            asked(COLD, 5),
            server(task_state="resize_finish", host="c-2"),
            [record("post-migrating", "migration")],
            (MoveStep.WAIT, "On c-2, active, resize_finish."),
        ),
        (
            asked(COLD, 5),
            server("resized", host="c-2"),
            [record("finished", "migration")],
            (MoveStep.CONFIRM, "On c-2, resized; to be confirmed."),
        ),
        # found long after the deadline, by an engine that comes back
        (
            asked(COLD, 5000),
            server("resized", host="c-2"),
            [record("finished", "migration")],
            (MoveStep.CONFIRM, "On c-2, resized; to be confirmed."),
        ),
        (
            asked(COLD, 5, attempts=2),
            server("resized", host="c-2"),
            [record("confirming", "migration")],
            (MoveStep.WAIT, "On c-2, resized, not confirmed."),
        ),
        (
            asked(COLD, 5, attempts=5, message="No such luck"),
            server("resized", host="c-2"),
            [record("finished", "migration")],
            (
                MoveStep.FAIL,
                "On c-2, resized, and could not be confirmed: No such luck",
            ),
        ),
        # somebody else's resize is his to confirm
        (
            row(),
            server("resized", host="c-2"),
            [record("finished", "resize")],
            (MoveStep.BEGIN, "On c-2, resized, not confirmed."),
        ),
        (
            asked(COLD, 5),
            server("error", host="c-2", fault="No disk"),
            [record("error", "migration")],
            (MoveStep.FAIL, "In error on c-2: No disk"),
        ),
    ],
)
def test_on_another_host(row_, found, records, expected):
    decided = step(found, row_, *records, action=COLD)
    assert (decided.step, decided.sentence) == expected


# Nothing was asked yet


@pytest.mark.parametrize(
    ("vm_state", "action", "expected"),
    [
        ("active", LIVE, (MoveStep.ASK, LIVE)),
        ("active", COLD, (MoveStep.ASK, COLD)),
        ("paused", LIVE, (MoveStep.ASK, LIVE)),
        ("paused", COLD, (MoveStep.ASK, LIVE)),
        ("stopped", LIVE, (MoveStep.ASK, COLD)),
        ("stopped", COLD, (MoveStep.ASK, COLD)),
        ("suspended", LIVE, (MoveStep.FAIL, None)),
        ("suspended", COLD, (MoveStep.FAIL, None)),
        ("rescued", LIVE, (MoveStep.FAIL, None)),
        ("shelved", COLD, (MoveStep.FAIL, None)),
        ("resized", COLD, (MoveStep.FAIL, None)),
        ("error", LIVE, (MoveStep.FAIL, None)),
        ("strange", LIVE, (MoveStep.FAIL, None)),
        ("building", LIVE, (MoveStep.BEGIN, None)),
        *((s, OWN, (MoveStep.BEGIN, None)) for s in ("active", "error")),
    ],
)
def test_what_is_asked_for_by_state_and_wish(vm_state, action, expected):
    decided = step(server(vm_state), row(), action=action)
    assert (decided.step, decided.kind) == expected


def test_a_project_that_wanted_to_act_may_want_something_else():
    waiting = row("running", kind=OWN, requested_at=NOW - 5)
    assert step(server(), waiting, action=COLD).kind is COLD


def test_why_it_cannot_be_moved():
    decided = step(server("error", fault="No disk"), row())
    assert decided.sentence == "Nova cannot move it: it is in error: No disk."
    decided = step(server("strange"), row())
    assert decided.sentence == "Nova cannot move it: it is strange."


def test_a_move_that_is_under_way_already_is_adopted():
    moving = server(task_state="resize_prep")
    mine = record("migrating", "migration", number=3)
    decided = step(moving, row(), record("completed", number=2), mine)
    assert decided.step is MoveStep.ADOPT
    assert (decided.kind, decided.record) == (COLD, mine)


def test_a_record_that_was_left_open_is_none_that_is_under_way():
    decided = step(server(), row(), record("accepted", number=3))
    assert decided.step is MoveStep.ASK


@pytest.mark.parametrize(
    ("ago", "expected"), [(5, MoveStep.WAIT), (61, MoveStep.FAIL)]
)
def test_a_busy_instance_is_awaited_only_so_long(ago, expected):
    waiting = row("running", kind=LIVE, requested_at=NOW - ago)
    decided = step(server(task_state="rebooting"), waiting)
    assert decided.step is expected
    assert decided.sentence.startswith("It is busy: rebooting.")


@pytest.mark.parametrize(
    ("ago", "expected"), [(199, MoveStep.WAIT), (201, MoveStep.FAIL)]
)
def test_a_projects_own_action_is_awaited_only_so_long(ago, expected):
    waiting = row("running", kind=OWN, requested_at=NOW - ago)
    assert step(server(), waiting, action=OWN).step is expected


# In an earlier round


def test_what_failed_in_an_earlier_round_is_asked_anew():
    earlier = row(kind=COLD, requested_at=NOW - 500, attempts=3)
    decided = step(server(), earlier, record("error"))
    assert (decided.step, decided.kind) == (MoveStep.ASK, LIVE)


def test_what_may_have_been_sent_in_an_earlier_round_is_looked_for():
    earlier = row(kind=LIVE, requested_at=NOW - 5, attempts=1)
    assert step(server(), earlier).step is MoveStep.WAIT
    # but what was sent for another host tells nothing
    other = dataclasses.replace(earlier, source_host="c-9")
    assert step(server(), other).step is MoveStep.ASK


# It was asked, or may have been


@pytest.mark.parametrize(
    ("found", "row_", "records", "expected", "kind"),
    [
        # no trace of it
        (server(), asked(LIVE, 9), [], MoveStep.WAIT, None),
        (server(), asked(LIVE, 11), [], MoveStep.ASK, LIVE),
        (server(), asked(COLD, 11), [], MoveStep.ASK, COLD),
        (server(), asked(LIVE, 11, attempts=3), [], MoveStep.FAIL, None),
        (server("suspended"), asked(LIVE, 11), [], MoveStep.FAIL, None),
        (
            server(task_state="migrating"),
            asked(LIVE, 50),
            [],
            MoveStep.WAIT,
            None,
        ),
        (
            server(task_state="migrating"),
            asked(LIVE, 61),
            [],
            MoveStep.FAIL,
            None,
        ),
        # records from before do not count
        (
            server(),
            asked(LIVE, 9),
            [record("error", number=7)],
            MoveStep.WAIT,
            None,
        ),
        # under way
        (
            server(task_state="migrating"),
            asked(LIVE, 59),
            [record("running")],
            MoveStep.WAIT,
            None,
        ),
        (
            server(task_state="migrating"),
            asked(LIVE, 60),
            [record("running")],
            MoveStep.ABORT,
            None,
        ),
        (
            server(task_state="migrating"),
            asked(LIVE, 9000),
            [record("running")],
            MoveStep.ABORT,
            None,
        ),
        (
            server(task_state="migrating"),
            asked(LIVE, 65),
            [record("post-migrating")],
            MoveStep.WAIT,
            None,
        ),
        (
            server(task_state="migrating"),
            asked(LIVE, 131),
            [record("post-migrating")],
            MoveStep.FAIL,
            None,
        ),
        (
            server(task_state="migrating"),
            asked(LIVE, 69, attempts=8),
            [record("running")],
            MoveStep.WAIT,
            None,
        ),
        (
            server(task_state="migrating"),
            asked(LIVE, 71, attempts=8),
            [record("running")],
            MoveStep.FAIL,
            None,
        ),
        (
            server(task_state="resize_prep"),
            asked(COLD, 119),
            [record("migrating", "migration")],
            MoveStep.WAIT,
            None,
        ),
        (
            server(task_state="resize_prep"),
            asked(COLD, 121),
            [record("migrating", "migration")],
            MoveStep.FAIL,
            None,
        ),
        # ended, and not shown yet
        (server(), asked(LIVE, 5), [record("completed")], MoveStep.WAIT, None),
        # came to nothing
        (
            server(task_state="migrating"),
            asked(LIVE, 5),
            [record("error")],
            MoveStep.WAIT,
            None,
        ),
        (
            server(),
            asked(LIVE, 5),
            [record("error")],
            MoveStep.FALL_BACK,
            COLD,
        ),
        (
            server(),
            asked(LIVE, 65),
            [record("cancelled")],
            MoveStep.FALL_BACK,
            COLD,
        ),
        (
            server("error"),
            asked(LIVE, 5),
            [record("error")],
            MoveStep.FAIL,
            None,
        ),
        (
            server("paused"),
            asked(LIVE, 5),
            [record("error")],
            MoveStep.FAIL,
            None,
        ),
        (
            server(),
            asked(COLD, 5),
            [record("error", "migration")],
            MoveStep.FAIL,
            None,
        ),
        # of several, the newest counts
        (
            server(),
            asked(LIVE, 5),
            [record("error"), record("running", number=9)],
            MoveStep.WAIT,
            None,
        ),
    ],
)
def test_at_its_host_after_it_was_asked(found, row_, records, expected, kind):
    decided = step(found, row_, *records)
    assert decided.step is expected, decided
    assert decided.kind is kind
    assert decided.sentence


def test_without_fallback_a_failed_live_migration_is_the_end():
    decided = step(
        server(), asked(LIVE, 65), record("cancelled"), limits=NO_FALLBACK
    )
    assert (decided.step, decided.sentence, decided.explain) == (
        MoveStep.FAIL,
        "The live migration did not end within 60 s and was aborted.",
        "live-migration",
    )


def test_after_the_fallback_there_is_no_way_back():
    fallen = row("running", kind=COLD)
    assert step(server(), fallen).kind is COLD
    assert step(server("paused"), fallen).step is MoveStep.FAIL


@pytest.mark.parametrize(
    ("kind", "passing", "limits", "expected"),
    [
        (LIVE, True, LIMITS, MoveStep.WAIT),
        (LIVE, False, LIMITS, MoveStep.FALL_BACK),
        (LIVE, False, NO_FALLBACK, MoveStep.FAIL),
        (COLD, True, LIMITS, MoveStep.WAIT),
        (COLD, False, LIMITS, MoveStep.FAIL),
    ],
)
def test_what_follows_a_refusal(kind, passing, limits, expected):
    decided = refused(
        look(server(), asked(kind, 0)), limits, kind, "No!", passing=passing
    )
    assert decided.step is expected
    assert decided.sentence.startswith("No!")
