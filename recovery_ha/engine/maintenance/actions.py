"""Action plug-ins on a host: one flow for those of a type, in their order.

The rows of their runs say which are done and are not run again. A plug-in in
which an engine died is run once more from its start, in the same flow if
that can be gone on with: at least once, as its author is told.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oslo_utils import uuidutils

from recovery_ha.clients import archives
from recovery_ha.db.ledger.events import trace
from recovery_ha.db.maintenance import action_work
from recovery_ha.db.maintenance.action_work import HostRun, Unit
from recovery_ha.domain import errors
from recovery_ha.domain.history import Remark
from recovery_ha.domain.maintenance import (
    PluginType,
    PluginUse,
    RunStatus,
    Session,
    logbook_uuid,
)
from recovery_ha.domain.stages import StageState
from recovery_ha.engine.maintenance.action_plugins import load_actions
from recovery_ha.engine.maintenance.environment import SessionEnvironment
from recovery_ha.engine.runner import Book, FlowRun
from recovery_ha.plugin import MaintenanceFailed, TaskFailed

#: What ends a plug-in without it having failed.
_INTERRUPTIONS = (
    errors.LeaseLost,
    errors.EngineStopping,
    errors.RecoveryInterrupted,
)
#: Of the kinds of status that tasks publish, what they are of a run.
_RUNS = {
    "running": RunStatus.RUNNING,
    "ready": RunStatus.DONE,
    "error": RunStatus.FAILED,
}
#: Characters of an output that the sentence on a failure has, its end.
_SHOWN = 1000


@dataclass(slots=True)
class Work:
    """A :class:`plugin.ActionEnvironment`: one run of a plug-in on a host.

    :ivar output: what the plug-in has returned.
    """

    env: SessionEnvironment
    session: Session
    unit: Unit
    output: str | None = None

    @property
    def conf(self) -> Any:
        """See :class:`plugin.TaskEnvironment`, as for all others."""
        return self.env.conf

    @property
    def compute(self) -> Any:
        """Nova, on behalf of this session."""
        return self.env.compute

    @property
    def host(self) -> str:
        """Which host it is for."""
        return self.unit.host

    @property
    def type(self) -> PluginType:
        """When it is run."""
        return self.unit.use.type

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the session says to it."""
        return self.unit.use.metadata

    @property
    def session_id(self) -> str:
        """Whose action it is."""
        return self.session.uuid

    def still_mine(self) -> bool:
        """Tell whether this engine still owns the session."""
        return self.env.lease.still_mine()

    def is_interruption(self, exc: BaseException) -> bool:
        """Tell whether an error means "stop here, somebody goes on"."""
        if isinstance(exc, errors.LeaseLost):
            self.env.lease.lose()
        return isinstance(exc, _INTERRUPTIONS)

    def wait(self, seconds: float) -> None:
        """Sleep, or raise when the session is not this engine's any more."""
        self.env.lease.wait(seconds)

    def undoing(self) -> AbstractContextManager[None]:
        """Let it undo things although the session is to be aborted."""
        return self.env.lease.undoing()

    def fetch_downloads(self) -> tuple[Path, ...]:
        """Have the session's archives on this machine, unpacked."""
        options = self.env.conf.maintenance_download
        return tuple(
            archives.fetch(options, one, check=self.env.lease.check)
            for one in self.session.downloads
        )

    def keep(self, output: str | None) -> None:
        """Take what the plug-in has returned."""
        self.output = output

    def publish(
        self,
        task_name: str,
        remarks: list[dict[str, str]],
        status: str | None = None,
        failure: TaskFailed | None = None,
    ) -> None:
        """Show what the plug-in has newly reported to those who follow."""
        if status == "running":
            # The next one does not begin when the session is to be aborted.
            self.env.lease.check()
        if failure is not None:
            failure.error_id = uuidutils.generate_uuid()
            self.output = str(failure.__cause__ or failure)
        if not self.env.lease.still_mine():
            return
        said = [
            Remark(
                f"{self.host}: {item['message']}",
                task_name,
                float(item["progress"]),
                successful=_successful(status) if place else None,
                error_id=failure.error_id if failure and place else None,
                traceback=trace(failure.__cause__ or failure)
                if failure and place
                else None,
            )
            for place, item in _last_marked(remarks)
        ]
        action_work.tell(
            self.env.ctx,
            self.env.lease.claim,
            self.session,
            self.unit,
            said,
            status=None if status is None else _RUNS[status],
            output=self.output,
        )


def _last_marked(
    remarks: Sequence[dict[str, str]],
) -> list[tuple[bool, dict[str, str]]]:
    """Return remarks, each with whether it is the last."""
    last = len(remarks) - 1
    return [(place == last, item) for place, item in enumerate(remarks)]


def _successful(status: str | None) -> bool | None:
    return {"ready": True, "error": False}.get(status or "")


def run(
    env: SessionEnvironment, session: Session, type_: PluginType, host: str
) -> None:
    """Run the session's plug-ins of a type on a host, in their order.

    Those that are done there are not run again. May be called for several
    hosts at once, in threads.

    :param host: ``localhost`` for types pre and post.
    :raises MaintenanceFailed: one has failed; the text has what it has said.
    :raises errors.LeaseLost: (or EngineStopping, RecoveryInterrupted) it is
        gone on with elsewhere, or not at all.
    """
    uses = [use for use in session.actions if use.type is type_]
    if not uses:
        return
    env.lease.check()
    runs = action_work.list_runs(env.ctx, env.lease.claim, host)
    done = [use for use in uses if _status(runs, use) is RunStatus.DONE]
    if len(done) == len(uses):
        return
    classes = load_actions()
    for use in uses:
        if use not in done and use.plugin not in classes:
            raise MaintenanceFailed(
                f"Action {use.plugin} is not installed on this engine."
            )
    book = Book(
        logbook_uuid(session.uuid, host),
        f"maintenance_{type_}",
        f"maintenance_{type_}_engine",
        {"session_id": session.uuid, "host": host},
    )
    flows = env.runner.runs(book.uuid)
    begun = _begun(flows, type_, uses, done)
    flow_uuid = begun.uuid if begun else uuidutils.generate_uuid()
    wanted = uses if begun is None else _named(uses, begun)
    tasks = []
    for use in wanted if begun else [u for u in uses if u not in done]:
        known = runs.get(use.ordinal)
        unit = Unit(
            use=use,
            host=host,
            name=task_name(use),
            flow_uuid=flow_uuid,
            attempt=1 + (known.attempt if known else 0),
        )
        task = classes[use.plugin](Work(env, session, unit))
        task.name = unit.name
        tasks.append(task)
    outcome = env.runner.run(
        env.lease,
        kind="maintenance",
        book=book,
        flow_uuid=flow_uuid,
        meta={
            "number": len(flows) + 1,
            "type": str(type_),
            "host": host,
        },
        tasks=tasks,
        inputs={},
    )
    if outcome.failure is not None:
        raise MaintenanceFailed(
            _failure(env, uses, type_, host, outcome.failure)
        )


def task_name(use: PluginUse) -> str:
    """Return the name of a plug-in's task; one may be used several times."""
    return f"{use.plugin}-{use.ordinal}"


def _status(runs: Mapping[int, HostRun], use: PluginUse) -> RunStatus | None:
    known = runs.get(use.ordinal)
    return known.status if known else None


def _begun(
    flows: Sequence[FlowRun],
    type_: PluginType,
    uses: Sequence[PluginUse],
    done: Sequence[PluginUse],
) -> FlowRun | None:
    """Return the flow that can be gone on with, if there is one.

    Not one which would run again what is done: its row was written, and its
    engine died before taskflow knew.
    """
    mine = [flow for flow in flows if flow.meta.get("type") == str(type_)]
    last = mine[-1] if mine else None
    if last is None or last.state is not StageState.OPEN:
        return None
    left = {task_name(use) for use in uses if use not in done}
    todo = set(last.meta.get("order", ())) - set(last.results)
    return last if todo == left else None


def _named(uses: Sequence[PluginUse], flow: FlowRun) -> list[PluginUse]:
    order = flow.meta.get("order", ())
    return [use for use in uses if task_name(use) in order]


def _failure(
    env: SessionEnvironment,
    uses: Sequence[PluginUse],
    type_: PluginType,
    host: str,
    reason: str,
) -> str:
    """Return the sentence on a failed flow, with the output's end."""
    runs = action_work.list_runs(env.ctx, env.lease.claim, host)
    for use in uses:
        known = runs.get(use.ordinal)
        if known is not None and known.status is RunStatus.FAILED:
            said = known.output or reason
            if len(said) > _SHOWN:
                said = f"…{said[-_SHOWN:]}"
            return f"Action {use.plugin} ({type_}) failed on {host}: {said}"
    return f"Actions of type {type_} failed on {host}: {reason}"
