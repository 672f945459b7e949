"""What tasks did on nodes: in a run, and in all of them."""

from typing import Any

from recovery_ha.api import fuel, listing, runs
from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import transactions as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.streaming import Stream
from recovery_ha.api.validation import parse_query_time
from recovery_ha.api.views import transactions as views
from recovery_ha.db.ledger import history as db
from recovery_ha.db.ledger import transactions
from recovery_ha.domain.history import HistoryFilter, HistoryRow
from recovery_ha.policies import transactions as rules


class _Histories:
    """What both histories have in common."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def _limit(self, call: Call) -> int:
        page = listing.page(call.query, self.service.max_limit)
        return page.limit or 0

    def _answer(
        self,
        call: Call,
        first: list[HistoryRow],
        definitions: dict[str, Any],
        read: Any,
    ) -> Stream | list[dict[str, Any]]:
        epoch, plain = fuel.is_epoch(call), fuel.is_plain(call)
        said = listing.booleans(call.query, "include_summary")
        summary = said.get("include_summary", False)

        def view(row: HistoryRow) -> dict[str, Any]:
            return views.record(
                row,
                definitions.get(row.deployment_graph_task_name) or {},
                epoch=epoch,
                summary=summary,
                plain=plain,
            )

        return fuel.answer(
            self.service,
            call,
            first,
            self._limit(call),
            read=lambda last: read(last.id),
            view=view,
            marker=lambda row: str(row.id),
            columns=views.COLUMNS if fuel.wants_table(call) else None,
        )


class History(_Histories):
    """``/transactions/{transaction}/deployment_history``."""

    @expose(
        versions=("1.0", None),
        policy=rules.HISTORY,
        query=schemas.HISTORY_QUERY,
        body=None,
        response=schemas.HISTORY,
        status=200,
    )
    def index(
        self, call: Call, transaction: str
    ) -> Stream | list[dict[str, Any]]:
        """List what tasks did on nodes in a run."""
        wanted = HistoryFilter(**_filters(call.query))
        run = runs.find(self.service, call.context, transaction)

        def read(after: int) -> list[HistoryRow]:
            return db.list_page(
                call.context,
                run.id,
                wanted,
                limit=self._limit(call),
                after=after,
            )

        definitions = transactions.get_snapshot(call.context, run.id)
        return self._answer(call, read(_marker(call) or 0), definitions, read)


class AllHistory(_Histories):
    """``/deployment_history``."""

    @expose(
        versions=("1.0", None),
        policy=rules.ALL_HISTORY,
        query=schemas.ALL_HISTORY_QUERY,
        body=None,
        response=schemas.HISTORY,
        status=200,
    )
    def index(self, call: Call) -> Stream | list[dict[str, Any]]:
        """List what tasks did on nodes in all runs, the newest first."""
        query = call.query
        scope = runs.readable(self.service, call.context)
        since = query.get("since", [None])[-1]
        wanted = HistoryFilter(
            **_filters(query),
            project_id=scope.project_id,
            reported_by=scope.reported_by,
            since=None if since is None else parse_query_time(since),
            **listing.texts(query, "cluster_id"),
        )

        def read(before: int | None) -> list[HistoryRow]:
            return db.list_all_runs(
                call.context, wanted, limit=self._limit(call), before=before
            )

        return self._answer(call, read(_marker(call)), {}, read)


def _filters(query: listing.Query) -> dict[str, Any]:
    return {
        "nodes": fuel.words(query, "nodes"),
        "statuses": fuel.task_statuses(query),
        "tasks_names": fuel.words(query, "tasks_names"),
        "attempts": query.get("attempts", [""])[-1] == "all",
    }


def _marker(call: Call) -> int | None:
    return int(call.query["marker"][-1]) if "marker" in call.query else None
