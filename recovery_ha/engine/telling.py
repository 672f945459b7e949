"""Telling listeners and Prometheus how recoveries go, after each commit."""

import time
from dataclasses import replace

from recovery_ha import metrics
from recovery_ha.clients import events
from recovery_ha.clients.events import Emitter
from recovery_ha.domain.recovery import (
    Notification,
    NotificationStatus,
    VMove,
    VMoveStatus,
)

_ENDED = frozenset(
    {VMoveStatus.SUCCEEDED, VMoveStatus.IGNORED, VMoveStatus.FAILED}
)


class Teller:
    """Sends the events of an engine and counts what they tell."""

    def __init__(self, emitter: Emitter) -> None:
        """Tell by an emitter; whoever made that stops it."""
        self._emitter = emitter

    def handling(self, notification: Notification) -> None:
        """Tell that an engine has begun to work on a notification."""
        if self._emitter.enabled:
            self._emitter.emit(
                "notification.process.start",
                events.notification_event(
                    replace(notification, status=NotificationStatus.RUNNING)
                ),
                request_id=notification.request_id,
            )

    def handled(
        self,
        notification: Notification,
        status: NotificationStatus,
        sentence: str,
    ) -> None:
        """Tell how the work on a notification ended, for now or for good.

        :param status: what it has now; ``error`` (there will be another
            attempt) and ``failed`` are errors.
        :param sentence: why.
        """
        if not self._emitter.enabled:
            return
        bad = status in {NotificationStatus.ERROR, NotificationStatus.FAILED}
        self._emitter.emit(
            f"notification.process.{'error' if bad else 'end'}",
            events.notification_event(
                replace(notification, status=status),
                events.fault(sentence) if bad else None,
            ),
            request_id=notification.request_id,
            error=bad,
        )

    def attempt_begun(self, notification: Notification, attempt: int) -> float:
        """Tell that an attempt begins, or goes on in this engine.

        :param attempt: how many there have been, this one perhaps included.
        :returns: what :meth:`attempt_ended` wants to know.
        """
        metrics.recovery_started(notification.type)
        if self._emitter.enabled:
            self._emitter.emit(
                "recovery.start",
                events.recovery_event(notification, attempt=attempt),
                request_id=notification.request_id,
            )
        return time.monotonic()

    def attempt_ended(
        self,
        notification: Notification,
        attempt: int,
        begun: float,
        failure: str | None,
    ) -> None:
        """Tell how an attempt ended.

        :param begun: what :meth:`attempt_begun` returned.
        :param failure: why it failed; None if it did not.
        """
        bad = failure is not None
        metrics.recovery_ended(
            notification.type,
            "failed" if bad else "succeeded",
            time.monotonic() - begun,
        )
        if self._emitter.enabled:
            self._emitter.emit(
                f"recovery.{'error' if bad else 'end'}",
                events.recovery_event(
                    notification,
                    attempt=attempt,
                    message=failure,
                    fault=None if failure is None else events.fault(failure),
                ),
                request_id=notification.request_id,
                error=bad,
            )

    def moved(
        self, before: VMoveStatus, move: VMove, request_id: str | None
    ) -> None:
        """Tell of a move that has begun or ended, if it has.

        :param before: its status before the last change.
        :param move: as it stands now.
        :param request_id: of its notification.
        """
        if move.status == before:
            return
        if move.status in _ENDED:
            metrics.evacuation_ended(move.status)
        if not self._emitter.enabled or move.status is VMoveStatus.PENDING:
            return
        fault, phase = None, "end"
        if move.status is VMoveStatus.ONGOING:
            phase = "start"
        elif move.status is VMoveStatus.FAILED:
            phase = "error"
            fault = events.fault(move.message or "No reason is known.")
        self._emitter.emit(
            f"vmove.{phase}",
            events.vmove_event(move, fault),
            request_id=request_id,
            error=fault is not None,
        )
