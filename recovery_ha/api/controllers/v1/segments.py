"""Segments: ``/segments``."""

from collections.abc import Callable
from typing import Any

from recovery_ha.api import listing
from recovery_ha.api.announcing import Announced
from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import common
from recovery_ha.api.schemas import segments as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.views import recovery as views
from recovery_ha.clients.events import segment_event
from recovery_ha.db import segments as db
from recovery_ha.domain.recovery import RecoveryMethod
from recovery_ha.policies import segments as rules


class Segments:
    """Groups of hosts that are recovered by the same method."""

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
        """List segments."""
        found = db.list_segments(
            call.context,
            listing.page(call.query, self.service.max_limit),
            **listing.texts(
                call.query, "name", "recovery_method", "service_type"
            ),
            **listing.booleans(call.query, "enabled"),
        )
        return {"segments": [views.segment(item) for item in found]}

    @expose(
        versions=("1.0", None),
        policy=rules.CREATE,
        query=common.NO_QUERY,
        body=schemas.CREATE,
        response=schemas.ONE,
        status=201,
    )
    def create(self, call: Call) -> dict[str, Any]:
        """Add a segment."""
        values = _columns(call.body["segment"])
        with self._announced(call, "create", lambda: values) as told:
            found = told(db.create_segment(call.context, **values))
        return {"segment": views.segment(found)}

    @expose(
        versions=("1.0", None),
        policy=rules.DETAIL,
        query=common.NO_QUERY,
        body=None,
        response=schemas.ONE,
        status=200,
    )
    def show(self, call: Call, segment: str) -> dict[str, Any]:
        """Show a segment."""
        found = db.get_segment(call.context, segment)
        return {"segment": views.segment(found)}

    @expose(
        versions=("1.0", None),
        policy=rules.UPDATE,
        query=common.NO_QUERY,
        body=schemas.UPDATE,
        response=schemas.ONE,
        status=200,
    )
    def update(self, call: Call, segment: str) -> dict[str, Any]:
        """Change a segment."""
        changes = _columns(call.body["segment"])
        with self._announced(
            call, "update", self._look(call, segment)
        ) as told:
            found = told(db.update_segment(call.context, segment, changes))
        if changes.get("enabled"):
            self.service.wake()  # what was held goes on
        return {"segment": views.segment(found)}

    @expose(
        versions=("1.0", None),
        policy=rules.DELETE,
        query=common.NO_QUERY,
        body=None,
        response=None,
        status=204,
    )
    def delete(self, call: Call, segment: str) -> None:
        """Remove a segment and its hosts."""
        with self._announced(call, "delete", self._look(call, segment)):
            db.delete_segment(call.context, segment)

    def _announced(
        self, call: Call, verb: str, look: Callable[[], Any]
    ) -> Announced:
        return Announced(
            self.service.events,
            f"segment.{verb}",
            segment_event,
            look,
            request_id=call.context.request_id,
        )

    def _look(self, call: Call, segment: str) -> Callable[[], Any]:
        return lambda: db.get_segment(call.context, segment)


def _columns(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a checked body as the database has them."""
    values = dict(fields)
    if "enabled" in values:
        values["enabled"] = common.is_true(values["enabled"])
    if "recovery_method" in values:
        values["recovery_method"] = RecoveryMethod(values["recovery_method"])
    return values
