"""Which runs a caller may read and change."""

from dataclasses import dataclass

from recovery_ha.api import projects
from recovery_ha.api.service import Service
from recovery_ha.context import RequestContext
from recovery_ha.db.ledger import transactions
from recovery_ha.domain.errors import Forbidden
from recovery_ha.domain.history import Transaction
from recovery_ha.policies import base


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose runs; see :class:`~recovery_ha.domain.history.TransactionFilter`.

    :ivar project_id: of this project; None: of any.
    :ivar reported_by: reported by this user; None: by anybody.
    """

    project_id: str | None = None
    reported_by: str | None = None


def readable(service: Service, context: RequestContext) -> Scope:
    """Return whose runs the caller may read.

    :raises Forbidden: the token is of no project.
    """
    if _is_reporter(service, context):
        return Scope(reported_by=context.user_id or "")
    return Scope(project_id=projects.readable(service, context))


def find(
    service: Service, context: RequestContext, reference: str
) -> Transaction:
    """Return a run that the caller may read.

    :param reference: its uuid or integer id.
    :raises errors.TransactionNotFound: there is none, as far as the caller is
        concerned.
    """
    scope = readable(service, context)
    return transactions.get(
        context,
        reference,
        project_id=scope.project_id,
        reported_by=scope.reported_by,
    )


def find_own(
    service: Service, context: RequestContext, reference: str
) -> Transaction:
    """Return a run that the caller may change.

    :raises errors.TransactionNotFound: as :func:`find`.
    :raises Forbidden: the token is of no project.
    """
    reporter = None
    if _is_reporter(service, context):
        reporter = context.user_id or ""
    return transactions.get(
        context,
        reference,
        project_id=projects.writable(context),
        reported_by=reporter,
    )


def refuse_ours(run: Transaction) -> None:
    """Refuse that somebody outside says what a run of the service does.

    :raises Forbidden: nobody outside reports it.
    """
    if run.origin_type != transactions.REPORTER:
        raise Forbidden(
            f"Transaction {run.id} is a run of this service: nobody else"
            " changes it."
        )


def _is_reporter(service: Service, context: RequestContext) -> bool:
    """Tell whether the caller is a service, and no more than that."""
    return not service.policy.check(context, base.ALL_NOTIFICATIONS)
