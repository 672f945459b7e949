"""Running taskflow flows: the only code that knows taskflow's engine.

The flow's progress is kept in the service's own database: the logbook has
the uuid of the work, each attempt is one flow detail in it. An attempt that
was interrupted goes on where its last finished task ended.
"""

import functools
import logging
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from taskflow import engines, states
from taskflow import exceptions as tf_exc
from taskflow.patterns import linear_flow
from taskflow.persistence import models
from taskflow.persistence.backends import impl_sqlalchemy

from recovery_ha.db.session import Database, repeating
from recovery_ha.domain import errors
from recovery_ha.domain.stages import StageState
from recovery_ha.engine.lease import Lease
from recovery_ha.plugin import RecoveryTask, TaskFailed

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FlowOutcome:
    """How a flow ended.

    :ivar failure: None when it succeeded, else why it did not.
    :ivar outage: it failed because a neighbour did not answer.
    :ivar nothing: it found that there is nothing to recover.
    """

    failure: str | None
    outage: bool = False
    nothing: errors.NothingToRecover | None = None


@dataclass(frozen=True, slots=True)
class Book:
    """A logbook: what the flows of a piece of work are kept in.

    :ivar name: its name.
    :ivar flow: the name of flows in it.
    :ivar meta: kept with it.
    """

    uuid: str
    name: str
    flow: str
    meta: Mapping[str, Any]

    @classmethod
    def of_recovery(cls, uuid: str, kind: str) -> "Book":
        """Return that of a notification; its names are Masakari's."""
        return cls(
            uuid,
            f"{kind}_recovery",
            f"{kind}_recovery_engine",
            {"notification_uuid": uuid},
        )


@dataclass(frozen=True, slots=True)
class FlowRun:
    """A flow that was begun, as it is on record.

    :ivar meta: what it was begun with.
    :ivar results: what each task that has succeeded returned, by task name.
    :ivar failure: why it failed.
    """

    uuid: str
    meta: dict[str, Any]
    state: StageState
    results: dict[str, Any]
    failure: str | None


class _Backend(impl_sqlalchemy.SQLAlchemyBackend):
    """taskflow's backend, with one connection object for all.

    taskflow makes a new one for each save, and with it new table objects,
    which costs 5 to 11 times the time of everything else: SQLAlchemy's cache
    of compiled statements is keyed by them. The object holds no database
    connection; its ``close`` does nothing.
    """

    _shared: impl_sqlalchemy.Connection | None = None

    def get_connection(self) -> impl_sqlalchemy.Connection:
        """Return the one connection object."""
        if self._shared is None:
            self._shared = super().get_connection()
        return self._shared


class _FencedConnection:
    """Writes nothing for work that is not owned any more.

    An engine that was stopped beyond its lease would else overwrite the
    progress of the one that took over. What is dropped is not needed: that
    engine repeats the unfinished task.
    """

    def __init__(
        self, connection: impl_sqlalchemy.Connection, lease: Lease
    ) -> None:
        self._connection = connection
        self._lease = lease

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._connection, name)
        if name.startswith(("save_", "update_", "destroy_")):
            return functools.partial(self._write, method)
        return method

    def _write(self, method: Any, detail: Any) -> Any:
        if not self._lease.still_mine():
            return detail
        return repeating(_SAVE_RETRIES)(method)(detail)


class _FencedBackend:
    def __init__(self, backend: _Backend, lease: Lease) -> None:
        self._backend, self._lease = backend, lease

    def get_connection(self) -> _FencedConnection:
        return _FencedConnection(self._backend.get_connection(), self._lease)


# taskflow repeats a failed save by itself only every five seconds, with the
# storage lock of the flow held, and gives the work up after few: deadlocks
# and lost connections must not reach it. It rewrites all atoms of a flow in
# one transaction, which makes one deadlock in it likely where they are
# frequent: hence more repetitions than for our own transactions.
_SAVE_RETRIES = 30


def _on_record(detail: models.FlowDetail) -> FlowRun:
    state = StageState.OPEN
    if detail.state == states.SUCCESS:
        state = StageState.SUCCEEDED
    elif detail.state in (states.REVERTED, states.FAILURE):
        state = StageState.FAILED
    failures = [atom.failure for atom in detail if atom.failure]
    said = dict.fromkeys(failure.exception_str for failure in failures)
    return FlowRun(
        detail.uuid,
        dict(detail.meta or {}),
        state,
        {
            atom.name: atom.results
            for atom in detail
            if atom.state == states.SUCCESS
        },
        "; ".join(said) or None,
    )


class FlowRunner:
    """Runs flows and knows how earlier ones ended."""

    def __init__(self, database: Database) -> None:
        """Share the service's database engine with taskflow."""
        self._backend = _Backend(
            {"connection": str(database.engine.url)}, engine=database.engine
        )

    def runs(self, book_uuid: str) -> list[FlowRun]:
        """Return the flows of a logbook, in the order of beginning.

        :param book_uuid: by default that of the work.
        """
        try:
            book = self._backend.get_connection().get_logbook(book_uuid)
        except tf_exc.NotFound:
            return []
        found = [_on_record(detail) for detail in book]
        return sorted(found, key=lambda run: int(run.meta.get("number", 0)))

    def run(
        self,
        lease: Lease,
        *,
        kind: str,
        flow_uuid: str,
        meta: Mapping[str, Any],
        tasks: Sequence[RecoveryTask],
        inputs: Mapping[str, Any],
        book: Book | None = None,
    ) -> FlowOutcome:
        """Run a flow to its end, from where it stands.

        :param kind: ``host`` and so on; it names logbook and flow.
        :param book: another logbook than that of a recovery of this kind.
        :param meta: kept with the flow if it has to be begun: ``attempt``
            from 1, ``number`` among the flows of the work from 1, and
            whatever the caller wants to find again.
        :param tasks: in the order in which they run.
        :param inputs: by name, what no task provides.
        :raises errors.LeaseLost: somebody else goes on with it.
        :raises errors.EngineStopping: it goes on elsewhere.
        """
        lease.check()
        wanted = book or Book.of_recovery(lease.claim.uuid, kind)
        flow = linear_flow.Flow(wanted.flow).add(*tasks)
        backend = _FencedBackend(self._backend, lease)
        logbook, detail = self._details(
            backend.get_connection(),
            wanted,
            flow_uuid,
            {**meta, "order": [task.name for task in tasks]},
        )
        with warnings.catch_warnings():
            engine = engines.load(
                flow,
                book=logbook,
                flow_detail=detail,
                backend=backend,
                engine="serial",
            )
            # Not kept: the same at every resume, and taskflow cannot load
            # what a crash between its two writes of them leaves.
            engine.storage.inject(dict(inputs), transient=True)
            engine.compile()
            engine.prepare()
        for task in tasks:
            self._recall(engine, task)
        return self._finish(engine, lease)

    def _details(
        self,
        connection: Any,
        wanted: Book,
        flow_uuid: str,
        meta: dict[str, Any],
    ) -> tuple[models.LogBook, models.FlowDetail]:
        try:
            book = connection.get_logbook(wanted.uuid)
        except tf_exc.NotFound:
            book = models.LogBook(wanted.name, uuid=wanted.uuid)
            book.meta = dict(wanted.meta)
        detail = book.find(flow_uuid)
        if detail is None:
            detail = models.FlowDetail(wanted.flow, uuid=flow_uuid)
            detail.meta = meta
            book.add(detail)
            connection.save_logbook(book)
        return book, detail

    def _recall(self, engine: Any, task: RecoveryTask) -> None:
        held = engine.storage.get_task_progress_details(task.name)
        if held:
            task.recall(held["details"].get("progress_details", []))

    def _finish(self, engine: Any, lease: Lease) -> FlowOutcome:
        raised: Exception | None = None
        try:
            engine.run()
        except (
            TaskFailed,
            tf_exc.WrappedFailure,
            errors.RecoveryHAError,
        ) as exc:
            raised = exc
        lease.check()
        # When undoing failed, that is what was raised, and not these.
        failures = engine.storage.get_execute_failures().values()
        for failure in failures:
            _log(failure.exception)
        if isinstance(raised, errors.HostTakenOver):
            raise raised
        if isinstance(raised, errors.NothingToRecover):
            return FlowOutcome(None, nothing=raised)
        if isinstance(raised, TaskFailed):
            cause = raised.__cause__
            if raised.error_id is None and not isinstance(
                cause, errors.RecoveryHAError
            ):
                LOG.error("%s", raised, exc_info=cause)
            outage = isinstance(cause, errors.ComputeUnavailable)
            said = [*(f.exception_str for f in failures), str(raised)]
            return FlowOutcome("; ".join(dict.fromkeys(said)), outage)
        if isinstance(raised, tf_exc.WrappedFailure):
            reasons = dict.fromkeys(f.exception_str for f in raised)
            return FlowOutcome("; ".join(reasons))
        state = engine.storage.get_flow_state()
        if raised is not None or state != states.SUCCESS:
            return FlowOutcome(str(raised or f"the flow ended {state}"))
        return FlowOutcome(None)


def _log(failure: BaseException | None) -> None:
    """Log how a task failed here, under the id that its event shows.

    :param failure: None: it failed in another process, which has logged it.
    """
    if not isinstance(failure, TaskFailed) or failure.error_id is None:
        return
    cause = failure.__cause__
    expected = isinstance(cause, errors.RecoveryHAError)
    LOG.log(
        logging.WARNING if expected else logging.ERROR,
        "%s Error ID: %s",
        failure,
        failure.error_id,
        exc_info=cause,
    )
