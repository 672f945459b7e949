"""Steps, events and counts of a run: below ``/transactions/{id}``."""

from typing import Any

from recovery_ha.api import fuel, links, listing, runs
from recovery_ha.api.controllers.v1.events import follow
from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import following
from recovery_ha.api.schemas import transactions as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.views import transactions as views
from recovery_ha.db.ledger import events, history, steps
from recovery_ha.policies import transactions as rules


class TransactionSteps:
    """The parts of a run."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @expose(
        versions=("1.0", None),
        policy=rules.STEPS,
        query=schemas.SHOW_QUERY,
        body=None,
        response=schemas.STEPS,
        status=200,
    )
    def index(self, call: Call, transaction: str) -> dict[str, Any]:
        """List the steps of a run in their order."""
        run = runs.find(self.service, call.context, transaction)
        found = steps.list_steps(call.context, [run.id])[run.id]
        epoch = fuel.is_epoch(call)
        return {"steps": [views.step(item, epoch=epoch) for item in found]}


class TransactionEvents:
    """What is said about a run."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @expose(
        versions=("1.0", None),
        policy=rules.EVENTS,
        query=following.EVENTS_QUERY,
        body=None,
        response=schemas.EVENTS,
        status=200,
    )
    def index(self, call: Call, transaction: str) -> dict[str, Any]:
        """List the events after a cursor; wait for one if there is none."""
        run = runs.find(self.service, call.context, transaction)
        found = follow(
            self.service,
            call,
            run.uuid,
            lambda: events.latest_of(call.context, run.uuid),
        )
        epoch, traces = fuel.is_epoch(call), bool(call.context.is_admin)
        return {
            "events": [
                views.event(item, epoch=epoch, traces=traces)
                for item in found.events
            ],
            "cursor": found.cursor,
            "ended": found.ended,
        }


class TransactionSummary:
    """How many tasks of a run have which status."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @expose(
        versions=("1.0", None),
        policy=rules.SUMMARY,
        query=schemas.SUMMARY_QUERY,
        body=None,
        response=schemas.SUMMARY,
        status=200,
    )
    def index(self, call: Call, transaction: str) -> dict[str, Any]:
        """Count by status, and by node in the order of their names."""
        run = runs.find(self.service, call.context, transaction)
        limit = listing.page(call.query, self.service.max_limit).limit or 0
        nodes = history.counts_by_node(
            call.context,
            run.id,
            limit=limit,
            after=call.query.get("marker", [""])[-1],
        )
        last = nodes[-1].node_id if nodes else ""
        return {
            "id": run.id,
            "uuid": run.uuid,
            "status": str(run.status),
            "progress": run.progress,
            "statuses": views.counts(run.counts),
            "nodes": [
                {
                    "node_id": node.node_id,
                    "statuses": views.counts(node.counts),
                }
                for node in nodes
            ],
            "nodes_links": links.next_page(
                self.service, call.request, nodes, limit, last
            ),
        }
