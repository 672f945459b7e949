"""Why a recovery is done: ``/notifications/{notification}/decisions``."""

from typing import Any

from recovery_ha.api import reading
from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import common
from recovery_ha.api.schemas import following as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.views import following as views
from recovery_ha.db import decisions
from recovery_ha.policies import notifications as rules


class Decisions:
    """What gates said about a notification and its instances."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @expose(
        versions=("1.0", None),
        policy=rules.DECISIONS,
        query=common.NO_QUERY,
        body=None,
        response=schemas.DECISIONS,
        status=200,
    )
    def index(self, call: Call, notification: str) -> dict[str, Any]:
        """List what each gate said last."""
        uuid = reading.find_notification(
            self.service, call.context, notification
        ).uuid
        found = decisions.list_decisions(call.context, uuid)
        return {"decisions": [views.decision(item) for item in found]}
