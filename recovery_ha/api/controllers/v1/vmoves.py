"""Vmoves of a notification: ``/notifications/{notification}/vmoves``."""

from typing import Any

from recovery_ha.api import listing, reading
from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import common
from recovery_ha.api.schemas import vmoves as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.views import recovery as views
from recovery_ha.db import vmoves
from recovery_ha.domain.errors import BadRequest
from recovery_ha.domain.recovery import NotificationType
from recovery_ha.policies import vmoves as rules


class VMoves:
    """The instances that a host's recovery moves."""

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
    def index(self, call: Call, notification: str) -> dict[str, Any]:
        """List the vmoves of a notification."""
        found = vmoves.list_vmoves(
            call.context,
            self._notification_uuid(call, notification),
            listing.page(call.query, self.service.max_limit),
            **listing.texts(call.query, "type", "status"),
        )
        return {"vmoves": [views.vmove(item) for item in found]}

    @expose(
        versions=("1.0", None),
        policy=rules.DETAIL,
        query=common.NO_QUERY,
        body=None,
        response=schemas.ONE,
        status=200,
    )
    def show(
        self, call: Call, notification: str, vmove: str
    ) -> dict[str, Any]:
        """Show one vmove of a notification."""
        uuid = self._notification_uuid(call, notification)
        found = vmoves.get_vmove(call.context, uuid, vmove)
        return {"vmove": views.vmove(found)}

    def _notification_uuid(self, call: Call, reference: str) -> str:
        """Return the uuid of a notification that can have vmoves.

        :raises BadRequest: it is not about a host.
        """
        found = reading.find_notification(
            self.service, call.context, reference
        )
        if found.type is not NotificationType.COMPUTE_HOST:
            raise BadRequest(
                f"Notification {found.uuid} is of type {found.type}; only"
                f" notifications of type {NotificationType.COMPUTE_HOST} have"
                " vmoves."
            )
        return found.uuid
