"""In which stages a failed host is recovered, and what comes next.

A recovery method is one or two ways: with the destinations left to Nova
(``auto``), or to a reserved host. A way runs its ``pre`` tasks, its ``main``
tasks (once, or once per reserved host until one succeeds) and its ``post``
tasks. What comes next is a function of what has run, so any engine can go on.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from recovery_ha.domain.recovery import RecoveryMethod


class Way(StrEnum):
    """Where instances are evacuated to."""

    AUTO = "auto"
    RESERVED = "reserved_host"


class Phase(StrEnum):
    """A part of a way; ``all`` is pre, main and post in one flow.

    ``confirm`` is no part that is configured: it waits for the moves that a
    way has left open, and judges them.
    """

    PRE = "pre"
    MAIN = "main"
    POST = "post"
    ALL = "all"
    CONFIRM = "confirm"


class StageState(StrEnum):
    """How far a stage came."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


#: What has the instances evacuated.
EVACUATE_TASK = "EvacuateInstancesTask"
#: What ends a way that has left moves open.
CONFIRM_TASK = "ConfirmEvacuationTask"

WAYS: Mapping[RecoveryMethod, tuple[Way, ...]] = {
    RecoveryMethod.AUTO: (Way.AUTO,),
    RecoveryMethod.RESERVED_HOST: (Way.RESERVED,),
    RecoveryMethod.AUTO_PRIORITY: (Way.AUTO, Way.RESERVED),
    RecoveryMethod.RH_PRIORITY: (Way.RESERVED, Way.AUTO),
}


@dataclass(frozen=True, slots=True)
class Stage:
    """A piece of a recovery that runs as one flow.

    :ivar target: for MAIN of RESERVED, the host's name; None leaves its
        choice to whoever takes one.
    """

    way: Way
    phase: Phase
    tasks: tuple[str, ...]
    target: str | None = None


@dataclass(frozen=True, slots=True)
class StageRun:
    """A stage that was begun, in order of beginning.

    :ivar failure: why it failed.
    """

    stage: Stage
    state: StageState
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing comes next.

    :ivar failure: None when the recovery succeeded, else why it did not.
    """

    failure: str | None


#: Names of tasks by phase.
Phases = Mapping[Phase, Sequence[str]]


def next_stage(
    method: RecoveryMethod,
    flows: Mapping[Way, Phases],
    runs: Sequence[StageRun],
    *,
    no_host: str | None = None,
    moves_open: bool = False,
) -> Stage | Ended:
    """Return what comes next in an attempt.

    No way has succeeded while moves are open, whichever tasks have run: an
    engine that takes over may be configured with other ones.

    :param flows: the configured tasks of each way.
    :param runs: what has run in this attempt.
    :param no_host: why no further reserved host can be taken; None while
        one may be there.
    :param moves_open: some of the recovery's moves have not ended.
    """
    ways = WAYS[method]
    if ways == (Way.AUTO,):
        found = _only_auto(flows[Way.AUTO], runs)
        return _confirmed(Way.AUTO, found, runs, moves_open=moves_open)
    failure = None
    for place, way in enumerate(ways):
        if place and not (flows[way][Phase.MAIN] or flows[way][Phase.POST]):
            continue  # a fallback that does nothing heals nothing
        left = any(run.stage.way in ways[place + 1 :] for run in runs)
        found = _next_of_way(
            way,
            flows[way],
            runs,
            earlier=ways[:place],
            # A host that came free since is for others.
            no_host=no_host or (_NO_HOST if left else None),
        )
        found = _confirmed(
            way, found, runs, moves_open=moves_open and not left
        )
        if isinstance(found, Stage) or found.failure is None:
            return found
        failure = f"{failure}; {found.failure}" if failure else found.failure
    return Ended(failure)


def _only_auto(phases: Phases, runs: Sequence[StageRun]) -> Stage | Ended:
    tasks = [t for phase in _ORDER for t in phases[phase]]
    stage = Stage(Way.AUTO, Phase.ALL, tuple(tasks))
    return _result(stage, runs)


def _confirmed(
    way: Way,
    found: Stage | Ended,
    runs: Sequence[StageRun],
    *,
    moves_open: bool,
) -> Stage | Ended:
    """Have a way that has succeeded wait for the moves that it left open."""
    if isinstance(found, Stage) or found.failure is not None:
        return found
    confirm = Stage(way, Phase.CONFIRM, (CONFIRM_TASK,))
    begun = any(
        (run.stage.way, run.stage.phase) == (way, Phase.CONFIRM)
        for run in runs
    )
    return _result(confirm, runs) if begun or moves_open else found


#: Said of a way that has been left.
_NO_HOST = "no reserved host could be used"
_ORDER = (Phase.PRE, Phase.MAIN, Phase.POST)


def _result(stage: Stage, runs: Sequence[StageRun]) -> Stage | Ended:
    """Return the stage while it has to run, else how it ended."""
    for run in runs:
        if (run.stage.way, run.stage.phase) == (stage.way, stage.phase):
            if run.state is StageState.OPEN:
                return run.stage
            return Ended(_failure(run))
    return stage


def _failure(run: StageRun) -> str | None:
    if run.state is StageState.SUCCEEDED:
        return None
    return run.failure or f"the {run.stage.phase} tasks failed"


def _next_of_way(
    way: Way,
    phases: Phases,
    runs: Sequence[StageRun],
    *,
    earlier: Collection[Way],
    no_host: str | None,
) -> Stage | Ended:
    """Return a way's next stage, or how the way ended.

    :param earlier: the ways that were gone before; what they have done
        before their main tasks is not repeated.
    """
    done = {
        task
        for run in runs
        if run.stage.phase is Phase.PRE
        and run.stage.way in earlier
        and run.state is StageState.SUCCEEDED
        for task in run.stage.tasks
    }
    pre = Stage(
        way, Phase.PRE, tuple(t for t in phases[Phase.PRE] if t not in done)
    )
    post = Stage(way, Phase.POST, tuple(phases[Phase.POST]))
    found = _result(pre, runs) if pre.tasks else Ended(None)
    if isinstance(found, Stage) or found.failure is not None:
        return found
    main = tuple(phases[Phase.MAIN])
    if not main:
        found = Ended(None)
    elif way is Way.AUTO:
        found = _result(Stage(way, Phase.MAIN, main), runs)
    else:
        found = _next_host(Stage(way, Phase.MAIN, main), runs, no_host)
    if isinstance(found, Stage) or found.failure is not None:
        return found
    return _result(post, runs) if post.tasks else Ended(None)


def _next_host(
    main: Stage, runs: Sequence[StageRun], no_host: str | None
) -> Stage | Ended:
    """Try one reserved host after another until one serves."""
    failure = None
    for run in runs:
        if (run.stage.way, run.stage.phase) != (main.way, Phase.MAIN):
            continue
        if run.state is StageState.OPEN:
            return run.stage
        if run.state is StageState.SUCCEEDED:
            return Ended(None)
        failure = _failure(run)
    if no_host is None:
        return main
    return Ended(f"{failure}; {no_host}" if failure else no_host)
