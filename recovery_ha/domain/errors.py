"""What can go wrong, in the words of the domain.

``code`` is stable once released and shown to API clients; the HTTP status
that belongs to it is chosen in ``recovery_ha.api.errors`` alone.
"""


class RecoveryHAError(Exception):
    """Root of all errors that this service raises on purpose."""

    code = "recovery_ha.error"


class BadRequest(RecoveryHAError):
    """A value that was given cannot be accepted; the text names the field."""

    code = "recovery_ha.request.invalid"


class NotFound(RecoveryHAError):
    """What was asked for does not exist, or is not the caller's to see."""

    code = "recovery_ha.not_found"


class SegmentNotFound(NotFound):
    """No segment with that uuid or id."""

    code = "recovery_ha.segment.not_found"


class HostNotFound(NotFound):
    """No host with that uuid or id in the segment."""

    code = "recovery_ha.host.not_found"


class NotificationNotFound(NotFound):
    """No notification with that uuid or id."""

    code = "recovery_ha.notification.not_found"


class VMoveNotFound(NotFound):
    """No vmove with that uuid or id in the notification."""

    code = "recovery_ha.vmove.not_found"


class TransactionNotFound(NotFound):
    """No transaction with that uuid or id."""

    code = "recovery_ha.transaction.not_found"


class ClusterNotFound(NotFound):
    """No cluster with that uuid or id."""

    code = "recovery_ha.cluster.not_found"


class StepNotFound(NotFound):
    """No step with that id."""

    code = "recovery_ha.step.not_found"


class SessionNotFound(NotFound):
    """No maintenance session with that id, or not with that project."""

    code = "recovery_ha.session.not_found"


class SessionInstanceNotFound(NotFound):
    """The project has no such instance in the maintenance session."""

    code = "recovery_ha.session.instance_not_found"


class ConstraintsNotFound(NotFound):
    """Nobody has said what the instance or group asks for."""

    code = "recovery_ha.constraints.not_found"


class WebhookNotFound(NotFound):
    """No webhook with that uuid or id."""

    code = "recovery_ha.webhook.not_found"


class Conflict(RecoveryHAError):
    """The request is well formed, but the state of things forbids it."""

    code = "recovery_ha.conflict"


class ActionRefused(Conflict):
    """What was asked of a recovery does not fit its state."""

    code = "recovery_ha.transaction.action_refused"


class TransactionEnded(Conflict):
    """The transaction has ended; nothing of it changes any more."""

    code = "recovery_ha.transaction.ended"


class TransactionRunning(BadRequest):
    """The transaction, or a part of it, has not ended; as Fuel refuses it."""

    code = "recovery_ha.transaction.running"


class ClusterBusy(Conflict):
    """Something else is being done with the cluster."""

    code = "recovery_ha.cluster.busy"


class HostInSession(Conflict):
    """Another maintenance session has the host."""

    code = "recovery_ha.host.in_session"


class SessionRefused(Conflict):
    """What was asked of a maintenance session does not fit its state."""

    code = "recovery_ha.session.action_refused"


class ReplyRefused(Conflict):
    """The reply does not fit what the project was asked, or comes late."""

    code = "recovery_ha.session.reply_refused"


class WebhookExists(Conflict):
    """The project has a webhook of that URL, or as many as it may have."""

    code = "recovery_ha.webhook.exists"


class NameExists(Conflict):
    """Another segment, host or cluster already has that name."""

    code = "recovery_ha.name.exists"


class SegmentInUse(Conflict):
    """A host of the segment has a notification that is not finished."""

    code = "recovery_ha.segment.in_use"


class HostUnderMaintenance(Conflict):
    """Reports about a host on maintenance are not accepted."""

    code = "recovery_ha.host.under_maintenance"


class DuplicateNotification(Conflict):
    """The same failure has been reported and accepted already."""

    code = "recovery_ha.notification.duplicate"


class UnknownHostReported(BadRequest):
    """The reported host is registered in no segment."""

    code = "recovery_ha.notification.unknown_host"


class Forbidden(RecoveryHAError):
    """The caller's roles do not allow it."""

    code = "recovery_ha.forbidden"


class IllegalTransition(RecoveryHAError):
    """A state machine was asked for a move that its table does not have."""

    code = "recovery_ha.state.illegal"


class LeaseLost(RecoveryHAError):
    """This engine no longer owns the work: it must not act or write."""

    code = "recovery_ha.lease.lost"


class EngineStopping(RecoveryHAError):
    """This engine was told to stop; the work goes on elsewhere."""

    code = "recovery_ha.engine.stopping"


class RecoveryInterrupted(RecoveryHAError):
    """An operator wants something else of the recovery.

    :ivar action: ``cancel`` or ``rollback``.
    """

    code = "recovery_ha.recovery.interrupted"

    def __init__(self, action: str) -> None:
        super().__init__(f"An operator asked for: {action}.")
        self.action = action


class HostTakenOver(RecoveryHAError):
    """The recovery of the instance's host goes first."""

    code = "recovery_ha.recovery.taken_over"


class MovesOpen(RecoveryHAError):
    """A recovery was to end while moves of it had not."""

    code = "recovery_ha.recovery.moves_open"


class NothingToRecover(RecoveryHAError):
    """A task has found that there is nothing to do; the text says why.

    :ivar ignored: because the thing must be left alone.
    """

    code = "recovery_ha.recovery.nothing_to_do"

    def __init__(self, message: str, *, ignored: bool = False) -> None:
        super().__init__(message)
        self.ignored = ignored


class InvalidConfiguration(RecoveryHAError):
    """The configuration cannot be run with; the text names the option."""

    code = "recovery_ha.configuration.invalid"


class DatabaseNotReady(RecoveryHAError):
    """The database is absent, not synced, or newer than this release."""

    code = "recovery_ha.database.not_ready"


class DatabaseUnavailable(RecoveryHAError):
    """No connection to the database became free in time."""

    code = "recovery_ha.database.unavailable"


class RecoveryFailed(RecoveryHAError):
    """A task could not do its work; the text is shown to operators."""

    code = "recovery_ha.recovery.failed"


class ComputeError(RecoveryHAError):
    """Nova or Keystone refused or failed; the text is their own.

    :ivar status: the HTTP status, or None when there was no answer.
    """

    code = "recovery_ha.compute.error"

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ComputeNotFound(ComputeError):
    """Nova does not know the server or service."""

    code = "recovery_ha.compute.not_found"


class ComputeConflict(ComputeError):
    """Nova refuses the action in the server's present state (409)."""

    code = "recovery_ha.compute.conflict"


class ComputeFailed(ComputeError):
    """Nova failed (500) while it acted on one server: no outage of Nova.

    It may fail again as often as it is asked. Whether the action took effect
    is unknown.
    """

    code = "recovery_ha.compute.failed"


class ComputeUnavailable(ComputeError):
    """No answer, or one that says "later" (429, 5xx): worth another try.

    Whether a state-changing call took effect is unknown.
    """

    code = "recovery_ha.compute.unavailable"


class ComputeDoubtful(ComputeUnavailable):
    """What Nova says cannot be all there is: worth asking again later."""

    code = "recovery_ha.compute.doubtful"
