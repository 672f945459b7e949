"""Every recovery method against every outcome of its stages."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.domain.recovery import RecoveryMethod
from recovery_ha.domain.stages import (
    CONFIRM_TASK,
    Ended,
    Phase,
    Stage,
    StageRun,
    StageState,
    Way,
    next_stage,
)

METHODS = list(RecoveryMethod)
FLOWS = {
    Way.AUTO: {
        Phase.PRE: ("Disable",),
        Phase.MAIN: ("Prepare",),
        Phase.POST: ("Evacuate",),
    },
    Way.RESERVED: {
        Phase.PRE: ("Disable",),
        Phase.MAIN: ("Prepare", "Evacuate"),
        Phase.POST: ("Mail",),
    },
}
OTHER_PRE = {
    **FLOWS,
    Way.RESERVED: {**FLOWS[Way.RESERVED], Phase.PRE: ("Disable", "Call")},
}
NONE_LEFT = "no reserved host"


def name(stage):
    target = f" {stage.target}" if stage.target else ""
    return f"{stage.way.name} {stage.phase.name}{target}"


def play(method, hosts, fails=(), flows=FLOWS):
    """Run an attempt to its end.

    :param hosts: reserved hosts, in their order.
    :param fails: names of stages that fail.
    :returns: the stages in the order in which they ran, and how it ended.
    """
    runs, left = [], list(hosts)
    for _ in range(20):
        found = next_stage(method, flows, runs)
        if _wants_host(found):
            no_host = None if left else NONE_LEFT
            found = next_stage(method, flows, runs, no_host=no_host)
            if isinstance(found, Stage) and left:
                found = _at(found, left.pop(0))
        if isinstance(found, Ended):
            return [run.stage for run in runs], found
        failed = name(found) in fails
        state = StageState.FAILED if failed else StageState.SUCCEEDED
        why = f"{name(found)} failed" if failed else None
        runs.append(StageRun(found, state, why))
    raise AssertionError("it does not end")


def _wants_host(found):
    return (
        isinstance(found, Stage)
        and (found.way, found.phase) == (Way.RESERVED, Phase.MAIN)
        and found.target is None
    )


def _at(stage, host):
    return Stage(stage.way, stage.phase, stage.tasks, host)


A, R = "AUTO", "RESERVED"
SCENES = [
    # method, reserved hosts, what fails, what ran, why it failed
    ("auto", [], [], [f"{A} ALL"], None),
    ("auto", ["r1"], [f"{A} ALL"], [f"{A} ALL"], f"{A} ALL failed"),
    (
        "reserved_host",
        ["r1", "r2"],
        [],
        [f"{R} PRE", f"{R} MAIN r1", f"{R} POST"],
        None,
    ),
    (
        "reserved_host",
        ["r1", "r2"],
        [f"{R} MAIN r1"],
        [f"{R} PRE", f"{R} MAIN r1", f"{R} MAIN r2", f"{R} POST"],
        None,
    ),
    (
        "reserved_host",
        ["r1", "r2"],
        [f"{R} MAIN r1", f"{R} MAIN r2"],
        [f"{R} PRE", f"{R} MAIN r1", f"{R} MAIN r2"],
        f"{R} MAIN r2 failed; {NONE_LEFT}",
    ),
    ("reserved_host", [], [], [f"{R} PRE"], NONE_LEFT),
    (
        "reserved_host",
        ["r1"],
        [f"{R} PRE"],
        [f"{R} PRE"],
        f"{R} PRE failed",
    ),
    (
        "reserved_host",
        ["r1"],
        [f"{R} POST"],
        [f"{R} PRE", f"{R} MAIN r1", f"{R} POST"],
        f"{R} POST failed",
    ),
    (
        "auto_priority",
        ["r1"],
        [],
        [f"{A} PRE", f"{A} MAIN", f"{A} POST"],
        None,
    ),
    (
        "auto_priority",
        ["r1", "r2"],
        [f"{A} POST", f"{R} MAIN r1"],
        [
            f"{A} PRE",
            f"{A} MAIN",
            f"{A} POST",
            f"{R} MAIN r1",
            f"{R} MAIN r2",
            f"{R} POST",
        ],
        None,
    ),
    (
        "auto_priority",
        [],
        [f"{A} MAIN"],
        [f"{A} PRE", f"{A} MAIN"],
        f"{A} MAIN failed; {NONE_LEFT}",
    ),
    (
        "auto_priority",
        ["r1"],
        [f"{A} PRE"],
        [f"{A} PRE", f"{R} PRE", f"{R} MAIN r1", f"{R} POST"],
        None,
    ),
    (
        "rh_priority",
        ["r1"],
        [],
        [f"{R} PRE", f"{R} MAIN r1", f"{R} POST"],
        None,
    ),
    (
        "rh_priority",
        ["r1", "r2"],
        [f"{R} MAIN r1", f"{R} MAIN r2"],
        [
            f"{R} PRE",
            f"{R} MAIN r1",
            f"{R} MAIN r2",
            f"{A} MAIN",
            f"{A} POST",
        ],
        None,
    ),
    ("rh_priority", [], [], [f"{R} PRE", f"{A} MAIN", f"{A} POST"], None),
    (
        "rh_priority",
        [],
        [f"{A} POST"],
        [f"{R} PRE", f"{A} MAIN", f"{A} POST"],
        f"no reserved host could be used; {A} POST failed",
    ),
]


@pytest.mark.parametrize(
    ("method", "hosts", "fails", "ran", "failure"), SCENES
)
def test_a_method_goes_its_way(method, hosts, fails, ran, failure):
    stages, ended = play(RecoveryMethod(method), hosts, fails)
    assert [name(stage) for stage in stages] == ran
    assert ended.failure == failure


def test_the_fallback_runs_only_what_is_new_before_the_main_tasks():
    stages, _ended = play(
        RecoveryMethod.AUTO_PRIORITY, ["r1"], [f"{A} MAIN"], OTHER_PRE
    )
    pre = [s.tasks for s in stages if s.phase is Phase.PRE]
    assert pre == [("Disable",), ("Call",)]


def test_empty_phases_are_passed_over():
    nothing = dict.fromkeys((Phase.PRE, Phase.MAIN, Phase.POST), ())
    flows = {Way.AUTO: nothing, Way.RESERVED: nothing}
    for method in METHODS[1:]:
        assert next_stage(method, flows, []) == Ended(None)
    assert play(RecoveryMethod.AUTO, [], flows=flows)[1] == Ended(None)


def test_auto_runs_all_its_tasks_in_one_flow():
    found = next_stage(RecoveryMethod.AUTO, FLOWS, [])
    assert found == Stage(
        Way.AUTO, Phase.ALL, ("Disable", "Prepare", "Evacuate")
    )


def test_a_failure_without_a_word_gets_one():
    stage = next_stage(RecoveryMethod.AUTO, FLOWS, [])
    run = StageRun(stage, StageState.FAILED)
    assert next_stage(RecoveryMethod.AUTO, FLOWS, [run]) == Ended(
        "the all tasks failed"
    )


# Any configuration, any outcome

ALL_STAGES = [
    *(f"{A} {phase.name}" for phase in Phase),
    f"{R} PRE",
    f"{R} POST",
    *(f"{R} MAIN r{n}" for n in range(3)),
]
tasks = st.lists(st.sampled_from("abcdef"), max_size=3, unique=True)
phases = st.fixed_dictionaries(
    dict.fromkeys((Phase.PRE, Phase.MAIN, Phase.POST), tasks)
)
all_flows = st.fixed_dictionaries({Way.AUTO: phases, Way.RESERVED: phases})
methods = st.sampled_from(METHODS)
host_lists = st.integers(0, 3).map(lambda n: [f"r{i}" for i in range(n)])
failing = st.sets(st.sampled_from(ALL_STAGES))


@given(methods, host_lists, failing, all_flows)
def test_nothing_runs_twice(method, hosts, fails, flows):
    stages, ended = play(method, hosts, fails, flows)
    names = [name(stage) for stage in stages]
    assert len(names) == len(set(names))
    for way in Way:
        order = [s.phase for s in stages if s.way is way]
        ranks = [list(Phase).index(phase) for phase in order]
        assert ranks == sorted(ranks)
        assert order.count(Phase.POST) <= 1
    targets = [s.target for s in stages if s.target]
    assert targets == hosts[: len(targets)]
    succeeded = [s for s in stages if name(s) not in fails]
    before = [t for s in succeeded if s.phase is Phase.PRE for t in s.tasks]
    assert len(before) == len(set(before))
    mains = [
        s for s in succeeded if s.way is Way.RESERVED and s.phase is Phase.MAIN
    ]
    assert len(mains) <= 1
    assert ended.failure is None or set(names) & fails or not hosts


@given(methods, host_lists, failing, all_flows)
def test_the_second_way_is_gone_only_when_the_first_failed(
    method, hosts, fails, flows
):
    stages, ended = play(method, hosts, fails, flows)
    ways = [way for way, _ in itertools.groupby(s.way for s in stages)]
    assert len(ways) == len(set(ways))
    if len(ways) == 2:
        first = [s for s in stages if s.way is ways[0]]
        failed = any(name(s) in fails for s in first)
        assert failed or not hosts
    last_failed = bool(stages) and name(stages[-1]) in fails
    if last_failed:
        assert ended.failure is not None


@given(methods, host_lists, failing, all_flows, st.data())
def test_an_open_stage_is_what_comes_next(method, hosts, fails, flows, data):
    """Whoever comes after a crash goes on with what was begun."""
    stages, _ended = play(method, hosts, fails, flows)
    if not stages:
        return
    at = data.draw(st.integers(0, len(stages) - 1))
    runs = [
        StageRun(
            stage,
            StageState.FAILED
            if name(stage) in fails
            else StageState.SUCCEEDED,
        )
        for stage in stages[:at]
    ]
    runs.append(StageRun(stages[at], StageState.OPEN))
    for no_host in (None, NONE_LEFT):
        found = next_stage(method, flows, runs, no_host=no_host)
        assert found == stages[at]


def _all_but_the_last(method, **open_):
    """Return what comes after all the stages of a method have succeeded."""
    ran, ended = play(method, ["r1"])
    runs = [StageRun(stage, StageState.SUCCEEDED) for stage in ran]
    assert ended.failure is None
    return runs, next_stage(method, FLOWS, runs, **open_)


@pytest.mark.parametrize("method", METHODS)
def test_no_way_has_succeeded_while_moves_are_open(method):
    runs, found = _all_but_the_last(method, moves_open=True)

    way = runs[-1].stage.way
    assert found == Stage(way, Phase.CONFIRM, (CONFIRM_TASK,))
    begun = StageRun(found, StageState.OPEN)
    assert next_stage(method, FLOWS, [*runs, begun]) == found
    done = StageRun(found, StageState.SUCCEEDED)
    assert next_stage(method, FLOWS, [*runs, done]) == Ended(None)


@pytest.mark.parametrize("method", METHODS)
def test_moves_that_fail_at_last_fail_their_way(method):
    runs, found = _all_but_the_last(method, moves_open=True)

    failed = StageRun(found, StageState.FAILED, "1 of 2")
    after = next_stage(method, FLOWS, [*runs, failed], no_host=NONE_LEFT)

    if method in {RecoveryMethod.AUTO_PRIORITY, RecoveryMethod.RH_PRIORITY}:
        other = Way.RESERVED if found.way is Way.AUTO else Way.AUTO
        assert (
            isinstance(after, Stage) and after.way is other
        ) or after == Ended(f"1 of 2; {NONE_LEFT}")
    else:
        assert after == Ended("1 of 2")
