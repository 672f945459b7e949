"""From what a reporter of a run sends to what the ledger takes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from recovery_ha.api.schemas.reporting import MOST_ROWS
from recovery_ha.api.service import Service
from recovery_ha.api.validation import parse_time
from recovery_ha.context import RequestContext
from recovery_ha.db.ledger import transactions
from recovery_ha.domain.errors import BadRequest
from recovery_ha.domain.history import NewTransaction
from recovery_ha.domain.ledger import Kind, ReportItem, TaskStatus

Body = Mapping[str, Any]


def new_transaction(
    service: Service, context: RequestContext, body: Body
) -> NewTransaction:
    """Return the run of a checked body.

    :raises BadRequest: the lease is too long, or the graph is too large.
    :raises errors.TransactionNotFound: there is no such parent, as far as the
        caller is concerned.
    """
    lease = body.get("lease_seconds", service.default_lease)
    if lease > service.max_lease:
        raise BadRequest(
            f"Invalid input for field/attribute lease_seconds. Value: {lease}."
            f" Allowed: a number of seconds, from 1 to {service.max_lease}."
        )
    cluster = body.get("cluster_id")
    graph = snapshot = None
    if "tasks" in body:
        graph, snapshot = _graph(body["tasks"])
    return NewTransaction(
        kind=Kind(body.get("kind", Kind.DEPLOYMENT)),
        name=body["name"],
        graph_type=body.get("graph_type"),
        project_id=context.project_id,
        cluster_id=None if cluster is None else str(cluster),
        parent_id=_parent(context, body.get("parent_id")),
        origin_type=transactions.REPORTER,
        origin_id=context.user_id,
        reporter=body["reporter"],
        external_id=body["external_id"],
        dry_run=body.get("dry_run", False),
        lossy=body.get("lossy", False),
        lease_seconds=float(lease),
        request_id=context.request_id,
        graph=graph,
        tasks_snapshot=snapshot,
    )


def _parent(
    context: RequestContext, reference: str | int | None
) -> int | None:
    if reference is None:
        return None
    own = None if context.is_admin else context.project_id
    return transactions.get(context, reference, project_id=own).id


def _graph(
    tasks: Sequence[Body],
) -> tuple[dict[str, list[str]], dict[str, dict[str, Any]]]:
    """Return the names of tasks by node, and the tasks' definitions.

    :raises BadRequest: there are too many pairs of task and node.
    """
    rows = sum(max(len(task.get("nodes", ())), 1) for task in tasks)
    if rows > MOST_ROWS:
        raise BadRequest(
            f"Invalid input for field/attribute tasks. Value: {rows} pairs of"
            f" task and node. Allowed: up to {MOST_ROWS}."
        )
    graph: dict[str, list[str]] = {}
    snapshot: dict[str, dict[str, Any]] = {}
    for task in tasks:
        name = task["task_name"]
        for node in task.get("nodes", ()):
            graph.setdefault(node, []).append(name)
        definition = {
            key: value
            for key, value in task.items()
            if key not in {"task_name", "nodes"}
        }
        snapshot.setdefault(name, {}).update(definition)
    return graph, snapshot


def report_item(item: Body) -> ReportItem:
    """Return a checked item of a report."""
    seq, attempt = item.get("seq"), item.get("attempt")
    return ReportItem(
        task_status=TaskStatus(item["task_status"]),
        seq=None if seq is None else int(seq),
        attempt=None if attempt is None else int(attempt),
        time=_time(item.get("time")),
        **{
            name: item[name]
            for name in (
                *("node_id", "deployment_graph_task_name", "message"),
                *("summary", "custom", "step_name", "step_type"),
                *("node_group_id", "instance_id", "instance_name"),
                "event_info",
            )
            if name in item
        },
    )


def _time(value: str | float | None) -> datetime | None:
    if value is None or isinstance(value, str):
        return None if value is None else parse_time(value)
    return datetime.fromtimestamp(value, UTC).replace(tzinfo=None)
