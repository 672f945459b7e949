"""What operators want of a recovery: ``/transactions/{id}/action``."""

import logging
from typing import Any

from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import common
from recovery_ha.api.schemas import following as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.views import following as views
from recovery_ha.clients.events import fault, notification_event
from recovery_ha.db import actions
from recovery_ha.domain.actions import Action
from recovery_ha.domain.recovery import Notification
from recovery_ha.policies import transactions as rules

LOG = logging.getLogger(__name__)


class Actions:
    """Retry, restart, rollback and cancel."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @expose(
        versions=("1.0", None),
        policy=rules.ACTION,
        query=common.NO_QUERY,
        body=schemas.ACTION,
        response=schemas.TRANSACTION,
        status=202,
    )
    def create(self, call: Call, transaction: str) -> dict[str, Any]:
        """Ask for an action; engines do what is not done at once."""
        action = Action(call.body["action"])
        found = actions.act(
            call.context,
            transaction,
            action,
            duplicate_window=self.service.duplicate_window,
        )
        LOG.info(
            "Transaction %s: %s asked for by user %s.",
            found.uuid,
            action,
            call.context.user_id,
        )
        if found.ended is not None:
            self._tell_end(call, found.ended)
        self.service.wake()
        return {"transaction": views.transaction(found)}

    def _tell_end(self, call: Call, notification: Notification) -> None:
        """Tell listeners what an engine would have told them."""
        events = self.service.events
        if events is None or not events.enabled:
            return
        events.emit(
            "notification.process.error",
            notification_event(notification, fault(str(notification.message))),
            request_id=call.context.request_id,
            error=True,
        )
