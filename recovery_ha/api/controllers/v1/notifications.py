"""Notifications: ``/notifications``."""

import logging
from typing import Any

from recovery_ha.api import listing, reading
from recovery_ha.api.announcing import Announced
from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import common
from recovery_ha.api.schemas import notifications as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.validation import parse_query_time, parse_time
from recovery_ha.api.views import recovery as views
from recovery_ha.clients.events import notification_event
from recovery_ha.db import progress
from recovery_ha.db import recovery as db
from recovery_ha.domain.recovery import (
    NewNotification,
    Notification,
    NotificationStatus,
    NotificationType,
)
from recovery_ha.microversion import Version
from recovery_ha.policies import notifications as rules

LOG = logging.getLogger(__name__)

_SINCE = ("generated-since", "generated_since")


class Notifications:
    """Reports of failures, and where their recovery stands."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @expose(
        versions=("1.0", None),
        policy=rules.INDEX,
        query=schemas.QUERY,
        body=None,
        response=schemas.LIST,
        status=200,
    )
    def index(self, call: Call) -> dict[str, Any]:
        """List notifications."""
        filters = listing.texts(
            call.query, "status", "type", "source_host_uuid"
        )
        for name in _SINCE:
            if name in call.query:
                text = call.query[name][-1]
                filters["generated_since"] = parse_query_time(text)
        found = db.list_notifications(
            call.context,
            listing.page(call.query, self.service.max_limit),
            reporter=reading.reporter(self.service, call.context),
            **filters,
        )
        return {"notifications": [_view(call, item) for item in found]}

    @expose(
        versions=("1.0", None),
        policy=rules.CREATE,
        query=common.NO_QUERY,
        body=schemas.CREATE,
        response=schemas.CREATED,
        status=202,
    )
    def create(self, call: Call) -> dict[str, Any]:
        """Accept the report of a failure; a recovery follows."""
        fields = call.body["notification"]
        kind = NotificationType(fields["type"])
        schemas.PAYLOADS[kind].check(
            fields["payload"], at="notification.payload"
        )
        report = NewNotification(
            type=kind,
            hostname=fields["hostname"],
            generated_time=parse_time(fields["generated_time"]),
            payload=fields["payload"],
            request_id=call.context.request_id,
        )
        with self._announced("create", report) as told:
            found = told(db.create_notification(call.context, report))
        LOG.info(
            "Notification %s: %s of %s accepted.",
            found.uuid,
            found.type,
            found.source_host_name,
        )
        # The row is committed: whatever happens now, it is not lost.
        self.service.wake()
        return {"notification": _view(call, found)}

    @expose(
        versions=("1.0", None),
        policy=rules.DETAIL,
        query=common.NO_QUERY,
        body=None,
        response=schemas.ONE,
        status=200,
    )
    def show(self, call: Call, notification: str) -> dict[str, Any]:
        """Show a notification, from 1.1 on with its tasks."""
        found = reading.find_notification(
            self.service, call.context, notification
        )
        view = _view(call, found)
        if call.version >= Version(1, 1):
            view["recovery_workflow_details"] = views.workflow_details(
                progress.list_task_progress(call.context, found.uuid)
            )
        return {"notification": view}

    def _announced(self, verb: str, report: NewNotification) -> Announced:
        known = {
            "type": report.type,
            "generated_time": report.generated_time,
            "status": NotificationStatus.NEW,
        }
        return Announced(
            self.service.events,
            f"notification.{verb}",
            notification_event,
            lambda: known,
            request_id=report.request_id,
        )


def _view(call: Call, notification: Notification) -> dict[str, Any]:
    view = views.notification(
        notification, secrets=bool(call.context.is_admin)
    )
    if call.version >= Version(1, 4):
        view["transaction_id"] = notification.uuid  # they share it
    return view
