"""From a claimed notification to its end, or to its next attempt."""

import functools
import logging
from collections.abc import Callable
from typing import TypeVar

from oslo_config import cfg

from recovery_ha.clients.compute import Compute, Nova
from recovery_ha.clients.images import Images
from recovery_ha.clients.placement import Placement
from recovery_ha.clients.requests import Requests
from recovery_ha.context import RequestContext
from recovery_ha.db import owned, precedence, recovery, segments, vmoves
from recovery_ha.domain import errors, gates
from recovery_ha.domain.evacuation import verdict
from recovery_ha.domain.gates import Verdict
from recovery_ha.domain.history import Remark
from recovery_ha.domain.planning import PlanAction, plan
from recovery_ha.domain.recovery import (
    MaintenanceCause,
    Notification,
    NotificationStatus,
    NotificationType,
    Segment,
)
from recovery_ha.engine.lease import Lease
from recovery_ha.engine.plugins import Flows
from recovery_ha.engine.recovery import ends
from recovery_ha.engine.recovery.attempt import Attempt, Attempted
from recovery_ha.engine.recovery.environment import Environment
from recovery_ha.engine.recovery.evacuate import release_locks
from recovery_ha.engine.recovery.places import Places
from recovery_ha.engine.recovery.reserved import settle
from recovery_ha.engine.recovery.rollback import undo
from recovery_ha.engine.recovery.snapshot import look
from recovery_ha.engine.runner import FlowOutcome, FlowRunner
from recovery_ha.engine.telling import Teller

LOG = logging.getLogger(__name__)

A = TypeVar("A", bound=Requests)


class RecoveryHandler:
    """Works on one claimed notification at a time, in any thread."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        ctx: RequestContext,
        nova: Nova,
        runner: FlowRunner,
        flows: Flows,
        teller: Teller,
    ) -> None:
        """Prepare to work.

        :param flows: what recoveries of each kind are made of.
        """
        self._conf = conf
        self._ctx = ctx
        self._nova = nova
        self._runner = runner
        self._places = Places(conf.engine.max_evacuations)
        self._flows = flows
        self._teller = teller

    def handle(self, lease: Lease) -> None:
        """Bring a notification as far as it goes now.

        :raises errors.LeaseLost: (or EngineStopping) it goes on elsewhere.
        """
        try:
            self._handle(lease)
        finally:
            self._places.leave(lease.claim.uuid)

    def _handle(self, lease: Lease) -> None:
        notification = recovery.get_notification(self._ctx, lease.claim.uuid)
        environment = self._environment(lease, notification)
        self._teller.handling(notification)
        action = notification.requested_action
        try:
            if action is None:
                self._recover(environment)
        except errors.RecoveryInterrupted as exc:
            action = exc.action
        except errors.HostTakenOver as exc:
            owned.put_back(
                self._ctx,
                lease.claim,
                notification,
                NotificationStatus.NEW,
                str(exc),
                wake_in=0,
                uncount=True,
            )
        try:
            if action is not None:
                self._interrupted(environment, action)
        except errors.RecoveryInterrupted as exc:
            # A rollback was asked for while a cancel was being done.
            self._interrupted(environment, exc.action)

    def _recover(self, environment: Environment) -> None:
        notification, lease = environment.notification, environment.lease
        try:
            segment = segments.get_segment(
                self._ctx, notification.segment_uuid
            )
        except errors.SegmentNotFound as exc:
            self._finish(environment, NotificationStatus.FAILED, str(exc))
            return
        if self._waited_too_long(notification):
            said = notification.message or "It was not recovered in time."
            self._give_up(
                environment,
                f"{said} (given up: it was reported too long ago)",
            )
            return
        begun = notification.flow_uuid is not None
        if not begun and not self._pass_gates(environment, segment):
            return
        decided = plan(notification, segment)
        LOG.info("Notification %s: %s", notification.uuid, decided.sentence)
        if decided.action is PlanAction.END and not begun:
            status = decided.status or NotificationStatus.FINISHED
            self._finish(environment, status, decided.sentence)
            return
        if not self._is_next(environment):
            return
        owned.say(
            self._ctx,
            lease.claim,
            notification,
            [Remark(decided.sentence)],
        )
        self._after(environment, self._attempt(environment, segment))

    def _pass_gates(self, environment: Environment, segment: Segment) -> bool:
        """Ask the gates; False if the notification was held or ended."""
        notification, claim = environment.notification, environment.lease.claim
        said = gates.ask(look(environment, segment))
        owned.decide(self._ctx, claim, notification, said)
        last = said[-1]
        if last.verdict is Verdict.HOLD:
            LOG.info("Notification %s: %s", notification.uuid, last.sentence)
            owned.hold(
                self._ctx,
                claim,
                notification,
                last.sentence,
                wake_in=self._conf.engine.hold_interval,
            )
        elif last.verdict is not Verdict.PASS:
            self._finish(
                environment, NotificationStatus.IGNORED, last.sentence
            )
        return last.verdict is Verdict.PASS

    def _is_next(self, environment: Environment) -> bool:
        """Lock what is recovered; False if another recovery goes first."""
        notification, claim = environment.notification, environment.lease.claim
        match notification.type:
            case NotificationType.COMPUTE_HOST:
                return precedence.lock_host(
                    self._ctx,
                    claim,
                    notification,
                    max_hosts_out=self._conf.host_failure.max_hosts_out,
                ) is None and not precedence.await_instances(
                    self._ctx, claim, notification
                )
            case NotificationType.VM:
                instance = str(notification.payload["instance_uuid"])
                return (
                    precedence.lock_instance(
                        self._ctx, claim, notification, instance
                    )
                    is None
                )
            case NotificationType.PROCESS:
                return True

    def _attempt(
        self, environment: Environment, segment: Segment
    ) -> Attempted:
        """Make an attempt, or go on with one."""
        notification = environment.notification
        claim, payload = environment.lease.claim, notification.payload
        host = {"host_name": notification.source_host_name}
        match notification.type:
            case NotificationType.COMPUTE_HOST:
                owned.mark_host(
                    self._ctx,
                    claim,
                    notification,
                    MaintenanceCause.HOST_FAILURE,
                )
                attempt = Attempt(self._runner, self._flows, environment)
                return attempt.run_host(segment)
            case NotificationType.VM:
                attempt = Attempt(self._runner, self._flows, environment)
                return attempt.run_flow(
                    "instance",
                    self._flows.instance,
                    {**host, "instance_uuid": str(payload["instance_uuid"])},
                )
            case NotificationType.PROCESS:
                owned.mark_host(
                    self._ctx,
                    claim,
                    notification,
                    MaintenanceCause.PROCESS_FAILURE,
                )
                attempt = Attempt(self._runner, self._flows, environment)
                return attempt.run_flow(
                    "process",
                    self._flows.process,
                    {**host, "process_name": payload["process_name"]},
                )

    def _environment(
        self, lease: Lease, notification: Notification
    ) -> Environment:
        def check() -> None:
            lease.check()
            if notification.type is NotificationType.VM:
                self._let_host_go_first(notification)

        def wait(seconds: float) -> None:
            lease.wait(seconds)
            check()

        bind = functools.partial(
            self._nova_for, check, wait, notification.request_id
        )
        return Environment(
            conf=self._conf,
            compute=bind(Compute),
            placement=bind(Placement),
            images=bind(Images),
            ctx=self._ctx,
            lease=lease,
            sleep=wait,
            notification=notification,
            places=self._places,
            teller=self._teller,
        )

    def _nova_for(
        self,
        check: Callable[[], None],
        wait: Callable[[float], None],
        request_id: str | None,
        adapter: type[A],
    ) -> A:
        """Bind an adapter to a piece of work."""
        return adapter(
            self._nova, check=check, wait=wait, request_id=request_id
        )

    def _let_host_go_first(self, notification: Notification) -> None:
        host = notification.source_host_name
        owner = precedence.host_owner(self._ctx, host)
        if owner is not None:
            raise errors.HostTakenOver(
                f"Host {host} has failed; notification {owner} recovers it"
                " with its instances."
            )

    # Ends

    def _after(self, environment: Environment, attempted: Attempted) -> None:
        outcome = attempted.outcome
        if outcome.nothing is not None:
            status = (
                NotificationStatus.IGNORED
                if outcome.nothing.ignored
                else NotificationStatus.FINISHED
            )
            self._finish(environment, status, str(outcome.nothing))
        elif outcome.failure is not None:
            self._after_failure(environment, attempted.number, outcome)
        else:
            left = settle(environment)
            self._finish(
                environment,
                NotificationStatus.FINISHED,
                " ".join([ends.summary(environment), *left]),
            )

    def _after_failure(
        self, environment: Environment, attempt: int, outcome: FlowOutcome
    ) -> None:
        """Decide between another attempt and giving up."""
        options, reason = self._conf.engine, outcome.failure or ""
        uuid = environment.notification.uuid
        left = verdict(vmoves.list_vmoves(self._ctx, uuid))
        if left and left not in reason:
            reason = f"{reason}; {left}"
        counted = attempt - environment.notification.attempts_before
        if self._expired(uuid):
            reason = f"{reason} (given up: it was reported too long ago)"
        elif outcome.outage:
            delay = options.retry_delay
            self._retry(environment, reason, delay, counted=False)
            return
        elif counted < options.max_attempts:
            delay = min(
                options.retry_delay * 2 ** (counted - 1),
                options.retry_delay_max,
            )
            self._retry(environment, reason, delay, counted=True)
            return
        self._give_up(environment, reason)

    def _give_up(
        self, environment: Environment, reason: str, *, done: str | None = None
    ) -> None:
        """Fail a notification; nothing of ours is left behind.

        :param done: because an operator has asked for it.
        """
        uuid = environment.notification.uuid
        with environment.undoing():
            locked = release_locks(environment, uuid)
            if locked:
                reason = f"{reason}; still locked: {', '.join(locked)}"
            left = settle(environment, under_way=done is not None)
            reason = " ".join([reason, *left])
        vmoves.give_up(self._ctx, environment.lease.claim, reason)
        self._finish(environment, NotificationStatus.FAILED, reason, done=done)

    def _interrupted(self, environment: Environment, action: str) -> None:
        """Do what an operator wants instead of the recovery."""
        if action == "cancel":
            self._give_up(
                environment,
                f"Cancelled by {environment.operator()}.",
                done=action,
            )
            return
        try:
            sentence = undo(environment)
        except errors.ComputeUnavailable as exc:
            sentence = f"Rolling back: {exc}"
            if not self._expired(environment.notification.uuid):
                self._retry(
                    environment,
                    sentence,
                    self._conf.engine.retry_delay,
                    counted=False,
                    done=action,
                )
                return
            sentence = f"{sentence} (given up: it was asked for too long ago)"
        vmoves.give_up(self._ctx, environment.lease.claim, sentence)
        self._finish(
            environment, NotificationStatus.FAILED, sentence, done=action
        )

    def _retry(
        self,
        environment: Environment,
        reason: str,
        delay: float,
        *,
        counted: bool,
        done: str | None = None,
    ) -> None:
        notification = environment.notification
        LOG.warning(
            "Notification %s: attempt failed, next in %s s: %s",
            notification.uuid,
            delay,
            reason,
        )
        owned.put_back(
            self._ctx,
            environment.lease.claim,
            notification,
            NotificationStatus.ERROR,
            reason,
            wake_in=delay,
            uncount=not counted,
            done=done,
        )
        self._teller.handled(notification, NotificationStatus.ERROR, reason)

    def _finish(
        self,
        environment: Environment,
        status: NotificationStatus,
        sentence: str,
        *,
        done: str | None = None,
    ) -> None:
        notification = environment.notification
        failed = status is NotificationStatus.FAILED
        left = ends.left_behind(environment, failed=failed)
        if left:
            sentence = f"{sentence.rstrip('.')}. {left}"
        LOG.info(
            "Notification %s is %s: %s", notification.uuid, status, sentence
        )
        owned.finish(
            self._ctx,
            environment.lease.claim,
            notification,
            status,
            sentence,
            duplicate_window=(
                self._conf.duplicate_notification_detection_interval
            ),
            done=done,
        )
        self._teller.handled(notification, status, sentence)

    # Breaking off

    def set_aside(self, lease: Lease, reason: str, *, counted: bool) -> None:
        """Give a notification back whose handling broke.

        :param counted: it counts like an attempt, so that it cannot break
            for ever; else it may, until the notification expires.
        :raises errors.LeaseLost: it goes on elsewhere.
        """
        uuid = lease.claim.uuid
        if counted:
            owned.count_attempt(self._ctx, lease.claim)
        notification = recovery.get_notification(self._ctx, uuid)
        environment = self._environment(lease, notification)
        attempts = notification.attempts - notification.attempts_before
        done = notification.requested_action
        if attempts > self._conf.engine.max_attempts or self._expired(uuid):
            vmoves.give_up(self._ctx, lease.claim, reason)
            self._finish(
                environment, NotificationStatus.FAILED, reason, done=done
            )
            return
        delay = self._conf.engine.retry_delay
        self._retry(environment, reason, delay, counted=True, done=done)

    def _expired(self, uuid: str) -> bool:
        limit: int = self._conf.notifications_expired_interval
        return recovery.age(self._ctx, uuid) > limit

    def _waited_too_long(self, notification: Notification) -> bool:
        """Tell whether what was waiting is too old to be begun with."""
        waited = notification.held or notification.message is not None
        return waited and self._expired(notification.uuid)

    def hand_over(self, lease: Lease) -> None:
        """Give a notification back at once because this engine stops."""
        notification = recovery.get_notification(self._ctx, lease.claim.uuid)
        owned.put_back(
            self._ctx,
            lease.claim,
            notification,
            NotificationStatus.ERROR,
            "The engine that worked on it was stopped; another one goes on.",
            wake_in=0,
        )
