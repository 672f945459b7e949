"""Runs and their history in Fuel's form, with more keys of our own."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from recovery_ha.api.views.times import shown
from recovery_ha.domain.history import Event, HistoryRow, Step, Transaction
from recovery_ha.domain.ledger import Counts
from recovery_ha.domain.provisioning import sentence

#: Of a record, what Fuel's clients do not take for the task's parameters,
#: and the two ids of Fuel's specification.
_OF_FUEL = frozenset(
    {
        *("id", "task_id", "node_id", "status", "time_start", "time_end"),
        *("deployment_graph_task_name", "task_name", "summary"),
    }
)
#: What a table of a history has (Fuel reference, section 2).
COLUMNS = ("task_name", "node_id", "status", "type", "time_start", "time_end")


def transaction(item: Transaction, *, epoch: bool) -> dict[str, Any]:
    """Return a run.

    :param epoch: times in seconds.
    """
    cluster: str | int | None = item.cluster_id
    if item.cluster_id is not None and item.cluster_id.isdecimal():
        cluster = int(item.cluster_id)
    return {
        "id": item.id,
        "uuid": item.uuid,
        "kind": str(item.kind),
        "name": item.name,
        "cluster": cluster,
        "cluster_id": item.cluster_id,
        "parent_id": item.parent_id,
        "project_id": item.project_id,
        "graph_type": item.graph_type,
        "dry_run": item.dry_run,
        "status": str(item.status),
        "outcome": None if item.outcome is None else str(item.outcome),
        "progress": item.progress,
        "message": item.message,
        "result": item.result,
        "statuses": counts(item.counts),
        "origin_type": item.origin_type,
        "origin_id": item.origin_id,
        "reporter": item.reporter,
        "external_id": item.external_id,
        "request_id": item.request_id,
        "time_start": shown(item.time_start, epoch=epoch),
        "time_end": shown(item.time_end, epoch=epoch),
        "created_at": shown(item.created_at, epoch=epoch),
        "updated_at": shown(item.updated_at, epoch=epoch),
        "deleted_at": shown(item.deleted_at, epoch=epoch),
    }


def counts(found: Counts) -> dict[str, int]:
    """Return how many tasks have which status."""
    return asdict(found)


def record(
    item: HistoryRow,
    definition: Mapping[str, Any],
    *,
    epoch: bool,
    summary: bool,
    plain: bool,
) -> dict[str, Any]:
    """Return what a task did on a node.

    Keys of the task's definition and of the reporter are beside the others
    and never take their place, nor that of one that is not shown.

    :param definition: of the task.
    :param summary: what the task said about itself, too.
    :param plain: of our own keys only those that Fuel has, too.
    """
    own: dict[str, Any] = {
        "id": item.id,
        "task_id": item.task_id,
        "node_id": item.node_id,
        "deployment_graph_task_name": item.deployment_graph_task_name,
        "task_name": item.deployment_graph_task_name,
        "status": str(item.status),
        "time_start": shown(item.time_start, epoch=epoch),
        "time_end": shown(item.time_end, epoch=epoch),
        "attempt": item.attempt,
        "cluster_id": item.cluster_id,
        "message": item.message,
        "node_type": item.node_type,
        "reported_at": shown(item.reported_at, epoch=epoch),
        "step_id": item.step_id,
        "summary": item.summary,
    }
    further = {**definition, **(item.custom or {})}
    wanted = {
        key: value
        for key, value in own.items()
        if (key in _OF_FUEL or not plain) and (key != "summary" or summary)
    }
    return wanted | {k: v for k, v in further.items() if k not in own}


def step(item: Step, *, epoch: bool) -> dict[str, Any]:
    """Return a step of a run."""
    return {
        "id": item.id,
        "transaction_id": item.transaction_id,
        "seq": item.seq,
        "round": item.round,
        "step_name": item.step_name,
        "step_type": item.step_type,
        "total": item.total,
        "completed": item.completed,
        "failed": item.failed,
        "successful": item.successful,
        "progress": item.progress,
        "started_at": shown(item.started_at, epoch=epoch),
        "completed_at": shown(item.completed_at, epoch=epoch),
        "duration": item.duration,
        "info": sentence(item),
        "created_at": shown(item.created_at, epoch=epoch),
        "updated_at": shown(item.updated_at, epoch=epoch),
    }


def event(item: Event, *, epoch: bool, traces: bool) -> dict[str, Any]:
    """Return something that was said about a run.

    :param traces: say where failures come from; for administrators.
    """
    return {
        "id": item.id,
        "task": item.task,
        "progress": item.progress,
        "successful": item.successful,
        "event_info": item.text,
        "message": item.text,
        "error_id": item.error_id,
        "traceback": item.traceback if traces else None,
        "step_id": item.step_id,
        "history_id": item.history_id,
        "seq": item.seq,
        "node_group_id": item.node_group_id,
        "instance_id": item.instance_id,
        "instance_name": item.instance_name,
        "request_id": item.request_id,
        "created_at": shown(item.created_at, epoch=epoch),
    }
