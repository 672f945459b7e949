"""One attempt at a recovery: its flows, from wherever they stand."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from oslo_utils import uuidutils

from recovery_ha.db import recovery_runs, reserved, vmoves
from recovery_ha.db.recovery_runs import Place
from recovery_ha.domain.recovery import OPEN_MOVES, RecoveryMethod, Segment
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
from recovery_ha.engine.plugins import Flow, Flows
from recovery_ha.engine.recovery.environment import Environment
from recovery_ha.engine.recovery.evacuate import ConfirmEvacuationTask
from recovery_ha.engine.recovery.reserved import settle
from recovery_ha.engine.runner import FlowOutcome, FlowRun, FlowRunner
from recovery_ha.plugin import RecoveryTask

_Tasks = tuple[type[RecoveryTask], ...]


@dataclass(frozen=True, slots=True)
class Attempted:
    """How an attempt ended.

    :ivar number: which one it was, from 1.
    """

    number: int
    outcome: FlowOutcome


class Attempt:
    """Runs the flows of one notification, and finds them again."""

    def __init__(
        self, runner: FlowRunner, flows: Flows, environment: Environment
    ) -> None:
        """Look at what has run already."""
        self._runner = runner
        self._flows = flows
        self._env = environment
        notification = environment.notification
        self._number = notification.attempts
        # Nothing has been attempted, or nothing since an operator asked.
        self._none_yet = notification.attempts == notification.attempts_before
        self._all = runner.runs(notification.uuid)

    # One flow: instances and processes

    def run_flow(
        self, kind: str, flow: Flow, inputs: Mapping[str, Any]
    ) -> Attempted:
        """Run the flow of an instance or a process.

        :raises errors.LeaseLost: (or another interruption) see the runner.
        """
        last = self._all[-1] if self._all else None
        outcome = FlowOutcome(None)
        began = self._tell_begin()
        if last is None or self._none_yet or last.state is StageState.FAILED:
            outcome = self._run(kind, None, flow, flow.tasks, inputs, new=True)
        elif last.state is StageState.OPEN:
            outcome = self._run(kind, last, flow, flow.tasks, inputs)
        return self._ended(outcome, began)

    def _tell_begin(self) -> float:
        env = self._env
        return env.teller.attempt_begun(env.notification, self._number)

    def _ended(self, outcome: FlowOutcome, began: float) -> Attempted:
        env = self._env
        env.teller.attempt_ended(
            env.notification, self._number, began, outcome.failure
        )
        return Attempted(self._number, outcome)

    def _run(
        self,
        kind: str,
        begun: FlowRun | None,
        flow: Flow,
        tasks: _Tasks,
        inputs: Mapping[str, Any],
        *,
        new: bool = False,
        environment: Environment | None = None,
        **meta: Any,
    ) -> FlowOutcome:
        """Run one flow, newly or from where it was left.

        :param flow: what the tasks are a part of.
        :param new: it is the first flow of an attempt.
        """
        env = environment or self._env
        uuid = begun.uuid if begun else uuidutils.generate_uuid()
        if begun is None:
            self._number += int(new)
            places = recovery_runs.start_flow(
                env.ctx,
                env.lease.claim,
                uuid,
                new_attempt=new,
                node=env.node,
                tasks=_parts(flow, tasks),
            )
        else:
            places = _places(begun)
        env = replace(env, ledger=places)
        return self._runner.run(
            env.lease,
            kind=kind,
            flow_uuid=uuid,
            meta={
                "attempt": self._number,
                "number": len(self._all) + 1,
                "ledger": {
                    name: [place.step_type, place.attempt]
                    for name, place in places.items()
                },
                **meta,
            },
            tasks=[cls(env) for cls in tasks],
            inputs={"notification_uuid": env.notification.uuid, **inputs},
        )

    # Stages: hosts

    def run_host(self, segment: Segment) -> Attempted:
        """Recover a host by the method of its segment.

        :raises errors.LeaseLost: (or another interruption) see the runner.
        """
        method = segment.recovery_method
        flows = {Way.AUTO: self._flows.host_auto, Way.RESERVED: self._rh}
        phases = {way: _phases(flow) for way, flow in flows.items()}
        outage, fresh = False, False
        if self._none_yet or _failed(method, phases, self._stages()):
            fresh = True
        began = self._tell_begin()
        while True:
            runs = [] if fresh else self._stages()
            found = next_stage(
                method,
                phases,
                runs,
                moves_open=not fresh and bool(self._open_moves()),
            )
            if isinstance(found, Stage) and _wants_host(found):
                left = settle(self._env)
                host = self._take(segment, runs)
                none = (
                    f"segment {segment.name} has no reserved host that can"
                    " be used"
                )
                found = next_stage(
                    method,
                    phases,
                    runs,
                    no_host=None if host else "; ".join([none, *left]),
                )
                if isinstance(found, Stage) and host:
                    found = replace(found, target=host)
            if isinstance(found, Ended):
                return self._ended(FlowOutcome(found.failure, outage), began)
            outcome = self._run_stage(found, flows[found.way], segment, fresh)
            outage, fresh = outcome.outage, False
            self._all = self._runner.runs(self._env.notification.uuid)

    @property
    def _rh(self) -> Flow:
        return self._flows.host_rh

    def _open_moves(self) -> list[str]:
        """Return the instances whose moves have not ended, in order."""
        env = self._env
        return [
            move.instance_uuid
            for move in vmoves.list_vmoves(env.ctx, env.notification.uuid)
            if move.status in OPEN_MOVES
        ]

    def _of_attempt(self) -> list[FlowRun]:
        return [
            run for run in self._all if run.meta.get("attempt") == self._number
        ]

    def _stages(self) -> list[StageRun]:
        return [_stage_run(run) for run in self._of_attempt()]

    def _take(self, segment: Segment, runs: Sequence[StageRun]) -> str | None:
        """Have the next reserved host that this attempt has not tried."""
        ctx, claim = self._env.ctx, self._env.lease.claim
        tried = {run.stage.target for run in runs}
        failed = self._env.notification.source_host_name
        for host in reserved.list_reserved(ctx, segment.uuid):
            if host in tried or host == failed:
                continue
            if reserved.take(ctx, claim, self._number, host):
                return host
        return None

    def _run_stage(
        self, stage: Stage, flow: Flow, segment: Segment, fresh: bool
    ) -> FlowOutcome:
        env = self._env
        by_name = {cls.__name__: cls for cls in flow.tasks}
        if stage.phase is Phase.CONFIRM:
            by_name = {CONFIRM_TASK: ConfirmEvacuationTask}
        classes = tuple(by_name[n] for n in stage.tasks if n in by_name)
        begun = next(
            (
                run
                for run in ([] if fresh else self._of_attempt())
                if run.state is StageState.OPEN
                and _stage_run(run).stage == stage
            ),
            None,
        )
        inputs: dict[str, Any] = {
            **({} if fresh else self._provided(by_name)),
            "host_name": env.notification.source_host_name,
        }
        if stage.phase is Phase.CONFIRM:
            inputs["evacuated"] = self._open_moves()
        # Those that really follow: a flow that an engine with other tasks has
        # begun goes on as it was begun.
        later = classes if stage.phase is Phase.ALL else flow.tasks
        if stage.way is Way.RESERVED:
            later = classes
            inputs["reserved_host"] = stage.target
            inputs["reserved_host_list"] = reserved.list_reserved(
                env.ctx, segment.uuid
            )
        return self._run(
            "host",
            begun,
            flow,
            classes,
            inputs,
            new=fresh,
            environment=replace(
                env, confirmed_later=ConfirmEvacuationTask in later
            ),
            way=str(stage.way),
            phase=str(stage.phase),
            target=stage.target,
        )

    def _provided(
        self, by_name: Mapping[str, type[RecoveryTask]]
    ) -> dict[str, Any]:
        """Return what the attempt's earlier flows hand on to later ones."""
        found: dict[str, Any] = {}
        for run in self._of_attempt():
            for name, result in run.results.items():
                if name in by_name and run.state is StageState.SUCCEEDED:
                    found |= _named(by_name[name].default_provides, result)
        return found


def _phases(flow: Flow) -> dict[Phase, tuple[str, ...]]:
    return {
        Phase.PRE: _names(flow.pre),
        Phase.MAIN: _names(flow.main),
        Phase.POST: _names(flow.post),
    }


def _names(tasks: _Tasks) -> tuple[str, ...]:
    return tuple(cls.__name__ for cls in tasks)


def _parts(flow: Flow, tasks: _Tasks) -> dict[str, str]:
    """Return by name of which part of a flow each task is, in order."""
    pre, post = _names(flow.pre), _names(flow.post)
    return {
        name: str(
            Phase.PRE
            if name in pre
            else Phase.POST
            if name in post
            else Phase.MAIN
        )
        for name in _names(tasks)
    }


def _places(run: FlowRun) -> dict[str, Place]:
    """Return where in the ledger the tasks of a flow are that was begun."""
    known: Mapping[str, Sequence[Any]] = run.meta.get("ledger") or {}
    return {name: Place(*place) for name, place in known.items()}


def _named(provides: Any, result: Any) -> dict[str, Any]:
    """Return a task's result by the names that it announces."""
    if isinstance(provides, str):
        return {provides: result}
    names = list(provides or ())
    return dict(zip(names, result or (), strict=False))


def _stage_run(run: FlowRun) -> StageRun:
    stage = Stage(
        Way(run.meta.get("way", Way.AUTO)),
        Phase(run.meta.get("phase", Phase.ALL)),
        tuple(run.meta.get("order", ())),
        run.meta.get("target"),
    )
    return StageRun(stage, run.state, run.failure)


def _failed(
    method: RecoveryMethod,
    phases: Mapping[Way, Mapping[Phase, tuple[str, ...]]],
    runs: Sequence[StageRun],
) -> bool:
    """Tell whether an attempt has nothing left to try."""
    found = next_stage(method, phases, runs, no_host="none was left")
    return isinstance(found, Ended) and found.failure is not None


def _wants_host(stage: Stage) -> bool:
    return (
        stage.way is Way.RESERVED
        and stage.phase is Phase.MAIN
        and stage.target is None
    )
