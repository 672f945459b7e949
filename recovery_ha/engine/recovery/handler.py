"""From a claimed notification to its end, or to its next attempt."""

import logging
import threading
from collections.abc import Sequence

from oslo_config import cfg
from oslo_utils import uuidutils

from recovery_ha.clients.compute import Compute, Nova
from recovery_ha.context import RequestContext
from recovery_ha.db import recovery, segments, vmoves
from recovery_ha.domain import errors
from recovery_ha.domain.recovery import (
    Notification,
    NotificationStatus,
    Plan,
    PlanAction,
    VMoveStatus,
    plan,
)
from recovery_ha.engine.lease import Lease
from recovery_ha.engine.recovery.evacuate import release_locks
from recovery_ha.engine.recovery.tasks import Environment
from recovery_ha.engine.runner import FlowOutcome, FlowRunner, FlowState
from recovery_ha.plugin import RecoveryTask

LOG = logging.getLogger(__name__)


class RecoveryHandler:
    """Works on one claimed notification at a time, in any thread."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        ctx: RequestContext,
        nova: Nova,
        runner: FlowRunner,
        host_tasks: Sequence[type[RecoveryTask]],
    ) -> None:
        """Prepare to work.

        :param host_tasks: what a host recovery is made of, in order.
        """
        self._conf = conf
        self._ctx = ctx
        self._nova = nova
        self._runner = runner
        self._evacuations = threading.BoundedSemaphore(
            conf.engine.max_evacuations
        )
        self._host_tasks = host_tasks

    def handle(self, lease: Lease) -> None:
        """Bring a notification as far as it goes now.

        :raises errors.LeaseLost: (or EngineStopping) it goes on elsewhere.
        """
        uuid = lease.claim.uuid
        notification = recovery.get_notification(self._ctx, uuid)
        try:
            segment = segments.get_segment(
                self._ctx, notification.segment_uuid
            )
        except errors.SegmentNotFound as exc:
            self._finish(lease, NotificationStatus.FAILED, str(exc))
            return
        decided = self._plan(notification, plan(notification, segment))
        LOG.info("Notification %s: %s", uuid, decided.sentence)
        if decided.action is PlanAction.END:
            status = decided.status or NotificationStatus.FINISHED
            self._finish(lease, status, decided.sentence)
            return
        joined = recovery.lock_host(
            self._ctx,
            lease.claim,
            notification.source_host_name,
            f"Joined to notification {{owner}}, which recovers"
            f" {notification.source_host_name}; ends with it.",
        )
        if joined is not None:
            LOG.info("Notification %s: joined to %s", uuid, joined)
            return
        recovery.mark_host_failed(
            self._ctx, lease.claim, notification.source_host_uuid
        )
        self._recover_host(lease, notification)

    def _plan(self, notification: Notification, decided: Plan) -> Plan:
        """Keep to what was begun: a flow that has started is ended."""
        begun = notification.flow_uuid is not None
        if begun and decided.action is PlanAction.END:
            return Plan(
                PlanAction.RECOVER_HOST,
                "Recovery has begun and is brought to its end although:"
                f" {decided.sentence}",
            )
        return decided

    def _recover_host(self, lease: Lease, notification: Notification) -> None:
        flow_uuid = notification.flow_uuid
        state = (
            FlowState.FAILED
            if flow_uuid is None
            else self._runner.state(flow_uuid)
        )
        attempt = notification.attempts
        if flow_uuid is None or state is FlowState.FAILED:
            flow_uuid, attempt = uuidutils.generate_uuid(), attempt + 1
            recovery.start_attempt(self._ctx, lease.claim, flow_uuid)
            state = FlowState.OPEN
        environment = self._environment(lease, notification)
        outcome = FlowOutcome(None)
        if state is FlowState.OPEN:
            outcome = self._runner.run(
                lease,
                kind="host",
                flow_uuid=flow_uuid,
                attempt=attempt,
                tasks=[cls(environment) for cls in self._host_tasks],
                inputs={
                    "notification_uuid": notification.uuid,
                    "host_name": notification.source_host_name,
                },
            )
        if outcome.failure is None:
            self._finish(
                lease, NotificationStatus.FINISHED, self._summary(notification)
            )
        else:
            self._after_failure(environment, attempt, outcome)

    def _environment(
        self, lease: Lease, notification: Notification
    ) -> Environment:
        compute = Compute(
            self._nova,
            check=lease.check,
            wait=lease.wait,
            request_id=notification.request_id,
        )
        return Environment(
            conf=self._conf,
            compute=compute,
            ctx=self._ctx,
            lease=lease,
            evacuations=self._evacuations,
        )

    def _summary(self, notification: Notification) -> str:
        moves = vmoves.list_vmoves(self._ctx, notification.uuid)
        done = sum(m.status is VMoveStatus.SUCCEEDED for m in moves)
        ignored = sum(m.status is VMoveStatus.IGNORED for m in moves)
        sentence = (
            f"{done} of {len(moves)} instances of"
            f" {notification.source_host_name} evacuated"
        )
        locked = [m.instance_name for m in moves if m.locked_by_us]
        return (
            sentence
            + (f", {ignored} were deleted meanwhile" if ignored else "")
            + (f"; still locked: {', '.join(locked)}" if locked else "")
            + "."
        )

    def _after_failure(
        self, environment: Environment, attempt: int, outcome: FlowOutcome
    ) -> None:
        """Decide between another attempt and giving up."""
        lease, options = environment.lease, self._conf.engine
        uuid, reason = lease.claim.uuid, outcome.failure or ""
        if outcome.outage:
            if not self._expired(uuid):
                self._retry(lease, reason, options.retry_delay, counted=False)
                return
            reason = f"{reason} (given up: it was reported too long ago)"
        elif attempt < options.max_attempts:
            delay = min(
                options.retry_delay * 2 ** (attempt - 1),
                options.retry_delay_max,
            )
            self._retry(lease, reason, delay, counted=True)
            return
        locked = release_locks(environment, uuid)
        if locked:
            reason = f"{reason}; still locked: {', '.join(locked)}"
        vmoves.give_up(self._ctx, lease.claim, reason)
        self._finish(lease, NotificationStatus.FAILED, reason)

    def _retry(
        self, lease: Lease, reason: str, delay: float, *, counted: bool
    ) -> None:
        LOG.warning(
            "Notification %s: attempt failed, next in %s s: %s",
            lease.claim.uuid,
            delay,
            reason,
        )
        recovery.put_back(
            self._ctx,
            lease.claim,
            NotificationStatus.ERROR,
            reason,
            wake_in=delay,
            uncount=not counted,
        )

    def _finish(
        self, lease: Lease, status: NotificationStatus, sentence: str
    ) -> None:
        LOG.info(
            "Notification %s is %s: %s", lease.claim.uuid, status, sentence
        )
        recovery.finish_notification(
            self._ctx,
            lease.claim,
            status,
            sentence,
            duplicate_window=(
                self._conf.duplicate_notification_detection_interval
            ),
        )

    def set_aside(self, lease: Lease, reason: str, *, counted: bool) -> None:
        """Give a notification back whose handling broke.

        :param counted: it counts like an attempt, so that it cannot break
            for ever; else it may, until the notification expires.
        :raises errors.LeaseLost: it goes on elsewhere.
        """
        uuid = lease.claim.uuid
        if counted:
            recovery.count_attempt(self._ctx, lease.claim)
        attempts = recovery.get_notification(self._ctx, uuid).attempts
        if attempts > self._conf.engine.max_attempts or self._expired(uuid):
            vmoves.give_up(self._ctx, lease.claim, reason)
            self._finish(lease, NotificationStatus.FAILED, reason)
            return
        self._retry(lease, reason, self._conf.engine.retry_delay, counted=True)

    def _expired(self, uuid: str) -> bool:
        limit: int = self._conf.notifications_expired_interval
        return recovery.age(self._ctx, uuid) > limit

    def hand_over(self, lease: Lease) -> None:
        """Give a notification back at once because this engine stops."""
        recovery.put_back(
            self._ctx,
            lease.claim,
            NotificationStatus.ERROR,
            "The engine that worked on it was stopped; another one goes on.",
            wake_in=0,
        )
