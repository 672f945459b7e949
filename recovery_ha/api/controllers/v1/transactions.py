"""Runs: ``/transactions``, and ``/tasks``, which Fuel has for old clients."""

from dataclasses import replace
from typing import Any

from recovery_ha.api import fuel, listing, runs
from recovery_ha.api.expose import Call, Other, expose
from recovery_ha.api.reporting import new_transaction
from recovery_ha.api.schemas import common, reporting
from recovery_ha.api.schemas import transactions as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.streaming import Stream
from recovery_ha.api.validation import parse_query_time
from recovery_ha.api.views import transactions as views
from recovery_ha.db.ledger import runs as runs_db
from recovery_ha.db.ledger import transactions as db
from recovery_ha.db.paging import Page
from recovery_ha.domain.errors import (
    BadRequest,
    Conflict,
    TransactionNotFound,
)
from recovery_ha.domain.history import Transaction, TransactionFilter
from recovery_ha.domain.ledger import Kind, Outcome, TransactionStatus
from recovery_ha.policies import transactions as rules

#: When Fuel deprecated its tasks (RFC 9745): 2016-03-23.
_DEPRECATED = "@1458691200"


class _Runs:
    """What both lists of runs have in common."""

    def __init__(self, service: Service) -> None:
        self.service = service

    def _list(
        self, call: Call, *, deleted: bool | None
    ) -> Stream | list[dict[str, Any]]:
        page = _page(call, self.service)
        wanted = self._filter(call, deleted)

        def read(marker: str | None) -> list[Transaction]:
            return db.list_page(
                call.context, wanted, replace(page, marker=marker)
            )

        epoch = fuel.is_epoch(call)
        return fuel.answer(
            self.service,
            call,
            read(page.marker),
            page.limit or 0,
            read=lambda last: read(last.uuid),
            view=lambda run: views.transaction(run, epoch=epoch),
            marker=lambda run: run.uuid,
        )

    def _filter(self, call: Call, deleted: bool | None) -> TransactionFilter:
        query = call.query
        scope = runs.readable(self.service, call.context)
        times = {
            name: parse_query_time(query[name][-1])
            for name in ("since", "until")
            if name in query
        }
        parent = query.get("parent_id", [None])[-1]
        return TransactionFilter(
            project_id=scope.project_id,
            reported_by=scope.reported_by,
            statuses=fuel.transaction_statuses(query),
            names=fuel.words(query, "transaction_types"),
            kinds=_kinds(query),
            deleted=deleted,
            parent_id=None if parent is None else min(int(parent), _LARGEST),
            since=times.get("since"),
            until=times.get("until"),
            **listing.texts(query, "cluster_id", "node"),
        )

    def _view(self, call: Call, run: Transaction) -> dict[str, Any]:
        return views.transaction(run, epoch=fuel.is_epoch(call))

    def _delete(self, call: Call, run: Transaction) -> None:
        if not call.context.is_admin:
            runs.refuse_ours(run)
        forced = listing.booleans(call.query, "force")
        db.delete(call.context, run.id, force=forced.get("force", False))


class Transactions(_Runs):
    """All runs, those that were deleted included."""

    @expose(
        versions=("1.0", None),
        policy=rules.INDEX,
        query=schemas.QUERY,
        body=None,
        response=schemas.LIST,
        status=200,
    )
    def index(self, call: Call) -> Stream | list[dict[str, Any]]:
        """List runs."""
        deleted = listing.booleans(call.query, "deleted").get("deleted")
        return self._list(call, deleted=deleted)

    @expose(
        versions=("1.0", None),
        policy=rules.CREATE,
        query=schemas.SHOW_QUERY,
        body=reporting.CREATE,
        response=schemas.ONE,
        status=201,
    )
    def create(self, call: Call) -> Any:
        """Begin a run; said again, it is the same one."""
        new = new_transaction(self.service, call.context, call.body)
        found, is_new = db.create(call.context, new)
        if is_new:
            return self._view(call, found)
        try:
            runs.find_own(self.service, call.context, found.uuid)
        except TransactionNotFound:
            raise Conflict(
                f"External id {new.external_id!r} of reporter"
                f" {new.reporter!r} is taken by somebody else."
            ) from None
        return Other(200, self._view(call, found))

    @expose(
        versions=("1.0", None),
        policy=rules.DETAIL,
        query=schemas.SHOW_QUERY,
        body=None,
        response=schemas.ONE,
        status=200,
    )
    def show(self, call: Call, transaction: str) -> dict[str, Any]:
        """Show a run."""
        found = runs.find(self.service, call.context, transaction)
        return self._view(call, found)

    @expose(
        versions=("1.0", None),
        policy=rules.END,
        query=schemas.SHOW_QUERY,
        body=reporting.END,
        response=schemas.ONE,
        status=200,
    )
    def update(self, call: Call, transaction: str) -> dict[str, Any]:
        """End a run."""
        run = runs.find_own(self.service, call.context, transaction)
        runs.refuse_ours(run)
        body = call.body
        outcome = body.get("outcome")
        ended = runs_db.end(
            call.context,
            run.id,
            TransactionStatus(body["status"]),
            outcome=None if outcome is None else Outcome(outcome),
            message=body.get("message"),
            result=body.get("result"),
        )
        return self._view(call, ended)

    @expose(
        versions=("1.0", None),
        policy=rules.DELETE,
        query=schemas.DELETE_QUERY,
        body=None,
        response=None,
        status=204,
    )
    def delete(self, call: Call, transaction: str) -> None:
        """Hide a run and what is part of it."""
        self._delete(
            call, runs.find_own(self.service, call.context, transaction)
        )


class Tasks(_Runs):
    """Runs that were not deleted, for clients of before ``/transactions``."""

    @expose(
        versions=("1.0", None),
        policy=rules.INDEX,
        query=schemas.TASKS_QUERY,
        body=None,
        response=schemas.LIST,
        status=200,
    )
    def index(self, call: Call) -> Stream | list[dict[str, Any]]:
        """List runs."""
        _deprecate(call)
        return self._list(call, deleted=False)

    @expose(
        versions=("1.0", None),
        policy=rules.DETAIL,
        query=schemas.SHOW_QUERY,
        body=None,
        response=schemas.ONE,
        status=200,
    )
    def show(self, call: Call, task: str) -> dict[str, Any]:
        """Show a run."""
        _deprecate(call)
        found = runs.find(self.service, call.context, task)
        return self._view(call, _kept(found, task))

    @expose(
        versions=("1.0", None),
        policy=rules.DELETE,
        query=schemas.DELETE_QUERY,
        body=None,
        response=None,
        status=204,
    )
    def delete(self, call: Call, task: str) -> None:
        """Hide a run and what is part of it."""
        _deprecate(call)
        found = runs.find_own(self.service, call.context, task)
        self._delete(call, _kept(found, task))


class Infos:
    """What Fuel keeps of a run's cluster, and nobody reports here."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @expose(
        versions=("1.0", None),
        policy=rules.DETAIL,
        query=common.NO_QUERY,
        body=None,
        response=schemas.INFO,
        status=200,
    )
    def index(self, call: Call, transaction: str) -> dict[str, Any]:
        """Show that there is nothing, as Fuel does then."""
        runs.find(self.service, call.context, transaction)
        return {}


#: No id is larger.
_LARGEST = 2**31 - 1


def _page(call: Call, service: Service) -> Page:
    """Return the page; the newest first, unless asked otherwise."""
    page = listing.page(call.query, service.max_limit)
    if "sort_key" in call.query:
        return page
    return replace(page, sort=(("id", page.sort[0][1]),))


def _kinds(query: listing.Query) -> list[Kind]:
    found = fuel.words(query, "kind")
    try:
        return [Kind(word) for word in found]
    except ValueError:
        raise BadRequest(
            "Invalid input for field/attribute kind. Value:"
            f" {', '.join(found)[:80]}. Allowed: {', '.join(Kind)}."
        ) from None


def _kept(run: Transaction, reference: str) -> Transaction:
    if run.deleted_at is not None:
        raise TransactionNotFound(f"No task with id {reference}.")
    return run


def _deprecate(call: Call) -> None:
    """Say where clients of the old list should go."""
    request = call.request
    path = request.path_info.replace("/tasks", "/transactions", 1)
    call.headers["Deprecation"] = _DEPRECATED
    fuel.add_link(call, request.script_name + path, "successor-version")
