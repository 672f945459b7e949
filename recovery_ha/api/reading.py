"""Whose notifications a caller may read."""

from recovery_ha.api.service import Service
from recovery_ha.context import RequestContext
from recovery_ha.db import recovery
from recovery_ha.domain.recovery import Notification
from recovery_ha.policies import base


def reporter(service: Service, context: RequestContext) -> str | None:
    """Return whose notifications the caller may read.

    :returns: a user id, "" for nobody's; None: everybody's.
    """
    if service.policy.check(context, base.ALL_NOTIFICATIONS):
        return None
    return context.user_id or ""


def find_notification(
    service: Service, context: RequestContext, reference: str
) -> Notification:
    """Return a notification that the caller may read.

    :param reference: its uuid or integer id.
    :raises errors.NotificationNotFound: there is none, as far as the caller
        is concerned.
    """
    return recovery.get_notification(
        context, reference, reporter=reporter(service, context)
    )
