"""From a claimed session to its next state, or to its next wait."""

import logging
from collections.abc import Collection, Mapping
from typing import TypeVar

from oslo_config import cfg
from oslo_db import exception as db_exc

from recovery_ha.clients import maintenance_events
from recovery_ha.clients.alarms import Alarms
from recovery_ha.clients.compute import Compute, Nova
from recovery_ha.clients.placement import Placement
from recovery_ha.clients.requests import Requests
from recovery_ha.context import RequestContext
from recovery_ha.db import work
from recovery_ha.db.maintenance import session_work
from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import (
    WORKING,
    Session,
    SessionAction,
    SessionState,
)
from recovery_ha.engine.lease import Lease
from recovery_ha.engine.maintenance import hosts, undo
from recovery_ha.engine.maintenance.environment import (
    Kicked,
    SessionEnvironment,
)
from recovery_ha.engine.maintenance.owned import OwnedSession
from recovery_ha.engine.runner import FlowRunner
from recovery_ha.plugin import MaintenanceFailed, Waiting, Workflow

LOG = logging.getLogger(__name__)

A = TypeVar("A", bound=Requests)
#: What ends work on a session without a word about it.
_INTERRUPTIONS = (
    errors.LeaseLost,
    errors.EngineStopping,
    errors.RecoveryInterrupted,
    errors.DatabaseUnavailable,
    db_exc.DBError,
)
#: What the service keeps in a session's record.
_READY = "_ready"


def _is_due(session: Session) -> bool:
    """Tell whether a retry is still of the round that it was meant for."""
    return (
        session.state in WORKING and session.requested_round == session.round
    )


class MaintenanceHandler:
    """Works on one claimed session at a time, in any thread."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        ctx: RequestContext,
        nova: Nova,
        runner: FlowRunner,
        workflows: Mapping[str, type[Workflow]],
        actions: Collection[str],
        delivery: Kicked,
    ) -> None:
        """Prepare to work.

        :param workflows: by name; others are not driven here.
        :param actions: the names of the action plug-ins that are here.
        :param delivery: kicked after each commit with new messages.
        """
        self._conf = conf
        self._ctx = ctx
        self._nova = nova
        self._runner = runner
        self._workflows = workflows
        self._actions = frozenset(actions)
        self._delivery = delivery
        self._options = conf.maintenance

    def handle(self, lease: Lease) -> float | None:
        """Bring a session as far as it goes now.

        :returns: seconds until it goes on, if it waits for its time.
        :raises errors.LeaseLost: (or EngineStopping) it goes on elsewhere.
        """
        session = session_work.snapshot(self._ctx, lease.claim)
        env = self._environment(lease, session)
        try:
            if session.requested in undo.ENDS:
                self._heed(env, session)
                return None
            try:
                return self._go_on(env, session)
            except errors.RecoveryInterrupted:
                with lease.undoing():
                    session = session_work.snapshot(env.ctx, lease.claim)
                self._heed(env, session)
                return None
        finally:
            self._delivery.kick()

    def _environment(
        self, lease: Lease, session: Session
    ) -> SessionEnvironment:
        def bind(adapter: type[A]) -> A:
            return adapter(
                self._nova,
                check=lease.check,
                wait=lease.wait,
                request_id=session.request_id,
            )

        return SessionEnvironment(
            conf=self._conf,
            ctx=RequestContext(
                self._ctx.database,
                is_admin=True,
                roles=["admin"],
                overwrite=False,
                request_id=session.request_id,
            ),
            lease=lease,
            compute=bind(Compute),
            placement=bind(Placement),
            alarms=Alarms(
                self._nova,
                check=lease.check,
                wait=lease.wait,
                request_id=session.request_id,
                page_size=self._conf.alarm.page_size,
            ),
            runner=self._runner,
            delivery=self._delivery,
        )

    def _go_on(
        self, env: SessionEnvironment, session: Session
    ) -> float | None:
        if session.requested is not None:
            self._heed(env, session)
        elif session.state not in WORKING or session.paused:
            session_work.wait(
                env.ctx,
                env.lease.claim,
                session,
                None,
                wake_in=None,
                attempts=session.attempts,
            )
        else:
            return self._step(env, session)
        return None

    # One step of the workflow

    def _step(self, env: SessionEnvironment, session: Session) -> float | None:
        claim = env.lease.claim
        owned = OwnedSession(env, session)
        try:
            state = self._run(env, owned)
        except Waiting as exc:
            seconds = max(0.0, exc.until - work.clock(env.ctx))
            session_work.wait(
                env.ctx,
                claim,
                session,
                exc.reason or owned.said,
                wake_in=seconds,
            )
            return seconds
        except MaintenanceFailed as exc:
            self._fail(env.lease, session, str(exc))
        except errors.ComputeUnavailable as exc:
            self._later(env.lease, session, f"Waiting for the cloud: {exc}")
        except _INTERRUPTIONS:
            raise
        except errors.RecoveryHAError as exc:
            self._fail(env.lease, session, str(exc))
        except Exception as exc:
            LOG.exception("Session %s: its workflow broke", session.uuid)
            self._fail(
                env.lease,
                session,
                f"Workflow {session.workflow} broke:"
                f" {type(exc).__name__}: {exc}",
            )
        else:
            self._enter(env, owned.session, state, owned.said)
        return None

    def _run(
        self, env: SessionEnvironment, owned: OwnedSession
    ) -> SessionState:
        session = owned.session
        missing = sorted(
            {use.plugin for use in session.actions} - self._actions
        )
        if missing:
            raise errors.ComputeUnavailable(
                f"the engine has no action {', '.join(missing)}."
            )
        if session.round == 1:  # all others began as they were entered
            session_work.begin(env.ctx, env.lease.claim, session)
        if not session.record.get(_READY):
            hosts.settle(env, session)
            hosts.lock(env, owned.refresh())
            owned.remember(**{_READY: True})
        env.lease.check()
        return self._workflows[session.workflow](owned).run()

    def _enter(
        self,
        env: SessionEnvironment,
        session: Session,
        state: SessionState,
        said: str | None,
    ) -> None:
        ctx, claim = env.ctx, env.lease.claim
        LOG.info(
            "Session %s: %s follows %s.", session.uuid, state, session.state
        )
        payload = self._payload(session)
        if state is SessionState.MAINTENANCE_DONE:
            count = len(session.hosts)
            what = "1 host is" if count == 1 else f"{count} hosts are"
            session_work.finish(
                ctx, claim, session, payload, f"Done: {what} maintained."
            )
        elif state is SessionState.MAINTENANCE_FAILED:
            self._fail(env.lease, session, said or "The workflow says so.")
        else:
            message = None if said else f"{state} follows {session.state}."
            session_work.enter(ctx, claim, session, state, payload, message)

    def _fail(self, lease: Lease, session: Session, sentence: str) -> None:
        LOG.warning(
            "Session %s failed in %s: %s",
            session.uuid,
            session.state,
            sentence,
        )
        session_work.fail(
            self._ctx,
            lease.claim,
            session,
            self._payload(session),
            sentence,
        )

    def _later(self, lease: Lease, session: Session, sentence: str) -> None:
        """Go on after a while, unless that was done too often."""
        attempts = session.attempts + 1
        if attempts > self._options.max_attempts:
            self._fail(
                lease,
                session,
                f"{sentence} (given up after {session.attempts} attempts)",
            )
            return
        LOG.warning("Session %s: %s", session.uuid, sentence)
        session_work.wait(
            self._ctx,
            lease.claim,
            session,
            sentence,
            wake_in=self._pause(attempts),
            attempts=attempts,
        )

    def _pause(self, attempts: int) -> float:
        options = self._options
        doubled = options.retry_delay * 2 ** min(attempts - 1, 30)
        return float(min(doubled, options.retry_delay_max))

    def _payload(self, session: Session) -> maintenance_events.Payload:
        return maintenance_events.session_payload(
            session=session,
            project_id=session.project_id,
            state=session.state,
            percent_done=session.percent_done,
        )

    # What administrators want

    def _heed(self, env: SessionEnvironment, session: Session) -> None:
        ctx, claim = env.ctx, env.lease.claim
        wish = session.requested
        LOG.info("Session %s: to %s.", session.uuid, wish)
        match wish:
            case SessionAction.ABORT | SessionAction.DELETE:
                with env.lease.undoing():
                    self._undo(env, session, wish)
            case SessionAction.RETRY if _is_due(session):
                session_work.begin_again(
                    ctx,
                    claim,
                    session,
                    self._payload(session),
                    f"{session.state} is begun once more.",
                )
            case _:  # it has come to nothing meanwhile
                LOG.info("Session %s: no %s any more.", session.uuid, wish)
                session_work.wait(
                    ctx,
                    claim,
                    session,
                    None,
                    wake_in=0,
                    attempts=session.attempts,
                    remark=f"No {wish} any more: it was wanted in round"
                    f" {session.requested_round}, and this is round"
                    f" {session.round}, {session.state}.",
                    requested_action=session_work.answered(
                        wish, session.requested_round
                    ),
                )

    def _undo(
        self,
        env: SessionEnvironment,
        session: Session,
        wish: SessionAction,
    ) -> None:
        """Take back what was done outside; then end, or remove, the session.

        As long as Nova is away it is tried again, a bounded number of times;
        what could not be taken back is told.
        """
        done = undo.undo(env, session)
        attempts = session.attempts + 1
        if done.waits_until is not None:
            session_work.wait(
                env.ctx,
                env.lease.claim,
                session,
                done.sentence,
                wake_in=max(0.0, done.waits_until - work.clock(env.ctx)),
                attempts=session.attempts,
            )
            return
        if done.outage and attempts <= self._options.max_attempts:
            session_work.wait(
                env.ctx,
                env.lease.claim,
                session,
                done.sentence,
                wake_in=self._pause(attempts),
                attempts=attempts,
            )
            return
        if wish is SessionAction.DELETE:
            sentence = f"Deleted by an administrator. {done.sentence}".strip()
            session_work.remove(env.ctx, env.lease.claim, session, sentence)
        else:
            sentence = f"Aborted by an administrator. {done.sentence}".strip()
            session_work.fail(
                env.ctx,
                env.lease.claim,
                session,
                self._payload(session),
                sentence,
                aborted=True,
            )
        LOG.warning("Session %s: %s", session.uuid, sentence)

    # Ends that the dispatcher sees

    def hand_over(self, lease: Lease) -> None:
        """Give a session back because this engine stops."""
        session_work.hand_over(self._ctx, lease.claim)

    def set_aside(self, lease: Lease, reason: str, *, counted: bool) -> None:
        """Give a session back for another attempt.

        :param reason: for its administrators.
        :param counted: too many of these in a row, and it has failed.
        """
        session = session_work.snapshot(self._ctx, lease.claim)
        if counted:
            self._later(lease, session, reason)
            return
        session_work.wait(
            self._ctx,
            lease.claim,
            session,
            reason,
            wake_in=self._options.retry_delay,
            attempts=session.attempts,
        )
