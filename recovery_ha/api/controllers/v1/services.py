"""Engines: ``/services``."""

from typing import Any

from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import common
from recovery_ha.api.schemas import services as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.views import services as views
from recovery_ha.db import services as db
from recovery_ha.db import work
from recovery_ha.domain.lease import WorkKind
from recovery_ha.policies import services as rules


class Services:
    """Engines, what they can do, and what they hold."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @expose(
        versions=("1.0", None),
        policy=rules.INDEX,
        query=common.NO_QUERY,
        body=None,
        response=schemas.LIST,
        status=200,
    )
    def index(self, call: Call) -> dict[str, Any]:
        """List engines by their names."""
        found = db.list_services(call.context, self.service.down_time)
        held = {kind: work.list_held(call.context, kind) for kind in WorkKind}
        return {
            "services": [
                views.service(
                    one,
                    {kind: of.get(one.owner, []) for kind, of in held.items()},
                )
                for one in found
            ]
        }
