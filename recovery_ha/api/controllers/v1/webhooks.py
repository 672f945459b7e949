"""Where projects want to be told: ``/webhooks``."""

from typing import Any

from recovery_ha.api import links, listing, projects, receivers
from recovery_ha.api.controllers.v1.constraints import owner
from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import common
from recovery_ha.api.schemas import webhooks as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.views import webhooks as views
from recovery_ha.db.maintenance import webhooks as db
from recovery_ha.db.paging import Page
from recovery_ha.policies import webhooks as rules


class Webhooks:
    """Webhooks of projects; their secrets are shown to nobody."""

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
        """List webhooks."""
        page = listing.page(call.query, self.service.max_limit)
        if "sort_key" not in call.query:
            direction = call.query.get("sort_dir", ["asc"])[0]
            page = Page(page.limit, page.marker, (("id", direction),))
        found = db.list_page(
            call.context,
            page,
            project_id=projects.readable(self.service, call.context),
        )
        return {
            "webhooks": [views.webhook(one) for one in found],
            "webhooks_links": links.next_page(
                self.service,
                call.request,
                found,
                page.limit,
                found[-1].uuid if found else "",
            ),
        }

    @expose(
        versions=("1.0", None),
        policy=rules.CREATE,
        query=common.NO_QUERY,
        body=schemas.CREATE,
        response=schemas.ONE,
        status=201,
    )
    def create(self, call: Call) -> dict[str, Any]:
        """Add a webhook; messages to it are signed with its secret."""
        body = call.body["webhook"]
        receivers.check(body["url"], self.service.webhook_networks)
        found = db.create(
            call.context,
            project_id=owner(call, body, "webhook.project_id"),
            url=body["url"],
            secret=body["secret"],
        )
        return {"webhook": views.webhook(found)}

    @expose(
        versions=("1.0", None),
        policy=rules.DETAIL,
        query=common.NO_QUERY,
        body=None,
        response=schemas.ONE,
        status=200,
    )
    def show(self, call: Call, webhook: str) -> dict[str, Any]:
        """Show a webhook."""
        own = projects.readable(self.service, call.context)
        found = db.get(call.context, webhook, project_id=own)
        return {"webhook": views.webhook(found)}

    @expose(
        versions=("1.0", None),
        policy=rules.DELETE,
        query=common.NO_QUERY,
        body=None,
        response=None,
        status=204,
    )
    def delete(self, call: Call, webhook: str) -> None:
        """Delete a webhook; what was to be sent to it is given up."""
        own = projects.writable(call.context)
        db.delete(call.context, webhook, project_id=own)
