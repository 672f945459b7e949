"""Hosts of a segment: ``/segments/{segment}/hosts``.

Nova is not asked whether it knows a host: the API reads only the database.
"""

from collections.abc import Callable
from typing import Any

from recovery_ha.api import listing
from recovery_ha.api.announcing import Announced
from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import common
from recovery_ha.api.schemas import hosts as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.views import recovery as views
from recovery_ha.clients.events import host_event
from recovery_ha.db import segments as db
from recovery_ha.domain.recovery import Host
from recovery_ha.policies import hosts as rules


class Hosts:
    """Compute hosts that are watched."""

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
    def index(self, call: Call, segment: str) -> dict[str, Any]:
        """List the hosts of a segment."""
        found = db.list_hosts(
            call.context,
            segment,
            listing.page(call.query, self.service.max_limit),
            **listing.texts(call.query, "name", "type"),
            **listing.booleans(call.query, "on_maintenance", "reserved"),
        )
        return {"hosts": [_view(call, item) for item in found]}

    @expose(
        versions=("1.0", None),
        policy=rules.CREATE,
        query=common.NO_QUERY,
        body=schemas.CREATE,
        response=schemas.ONE,
        status=201,
    )
    def create(self, call: Call, segment: str) -> dict[str, Any]:
        """Add a host to a segment."""
        values = _columns(call.body["host"])
        with self._announced(call, "create", lambda: values) as told:
            found = told(db.create_host(call.context, segment, **values))
        return {"host": _view(call, found)}

    @expose(
        versions=("1.0", None),
        policy=rules.DETAIL,
        query=common.NO_QUERY,
        body=None,
        response=schemas.ONE,
        status=200,
    )
    def show(self, call: Call, segment: str, host: str) -> dict[str, Any]:
        """Show a host."""
        return {"host": _view(call, db.get_host(call.context, segment, host))}

    @expose(
        versions=("1.0", None),
        policy=rules.UPDATE,
        query=common.NO_QUERY,
        body=schemas.UPDATE,
        response=schemas.ONE,
        status=200,
    )
    def update(self, call: Call, segment: str, host: str) -> dict[str, Any]:
        """Change a host."""
        changes = _columns(call.body["host"])
        look = self._look(call, segment, host)
        with self._announced(call, "update", look) as told:
            found = told(db.update_host(call.context, segment, host, changes))
        if changes.get("on_maintenance") is False:
            self.service.wake()  # what was held goes on
        return {"host": _view(call, found)}

    @expose(
        versions=("1.0", None),
        policy=rules.DELETE,
        query=common.NO_QUERY,
        body=None,
        response=None,
        status=204,
    )
    def delete(self, call: Call, segment: str, host: str) -> None:
        """Remove a host from its segment."""
        with self._announced(call, "delete", self._look(call, segment, host)):
            db.delete_host(call.context, segment, host)

    def _announced(
        self, call: Call, verb: str, look: Callable[[], Any]
    ) -> Announced:
        return Announced(
            self.service.events,
            f"host.{verb}",
            host_event,
            look,
            request_id=call.context.request_id,
        )

    def _look(self, call: Call, segment: str, host: str) -> Callable[[], Any]:
        return lambda: db.get_host(call.context, segment, host)


def _view(call: Call, host: Host) -> dict[str, Any]:
    return views.host(host, secrets=bool(call.context.is_admin))


def _columns(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a checked body as the database has them."""
    values = dict(fields)
    for name in ("reserved", "on_maintenance"):
        if name in values:
            values[name] = common.is_true(values[name])
    return values
