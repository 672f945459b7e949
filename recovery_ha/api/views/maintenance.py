"""Maintenance sessions as Fenix shows them, with more keys of our own.

Times are in UTC, to the second, without an offset: its clients' form.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from recovery_ha.clients.maintenance_events import wire_time
from recovery_ha.db.maintenance.sessions import Listed
from recovery_ha.domain.estimates import estimated_end
from recovery_ha.domain.maintenance import (
    WORKING,
    ActionStatus,
    HostStatus,
    PluginRun,
    PluginUse,
    ReplyStatus,
    Session,
    SessionHost,
    SessionInstance,
    SessionProject,
)

View = dict[str, Any]


def listed(item: Listed | Session) -> View:
    """Return a session as it is shown in a list."""
    return {
        "session_id": item.uuid,
        "state": str(item.state),
        "workflow": item.workflow,
        "maintenance_at": wire_time(item.maintenance_at),
        "percent_done": item.percent_done,
        "paused": item.paused,
        "aborted": item.aborted,
        "message": item.message,
        "created_at": wire_time(item.created_at),
        "updated_at": wire_time(item.updated_at),
    }


def session(item: Session, *, with_run: bool) -> View:
    """Return a session.

    :param with_run: the id of its run in the ledger, too.
    """
    found = listed(item) | {
        "round": item.round,
        "failed_state": _text(item.failed_state),
        "requested_action": _text(item.requested),
        "metadata": dict(item.metadata),
        "estimated_end": wire_time(_end(item)),
    }
    if with_run:
        found["transaction_id"] = item.uuid  # they share it
    return found


def detail(item: Session, *, with_run: bool) -> View:
    """Return a session with all that belongs to it."""
    states = {
        one.project_id: _project_state(one)
        for one in item.projects
        if one.round == item.round
    }
    return {
        "session": {
            **session(item, with_run=with_run),
            "all_hosts": item.all_hosts,
        },
        "hosts": [_host(one) for one in item.hosts],
        "projects": [_project(one) for one in item.projects],
        "instances": [
            _instance(one, item.round, states.get(one.project_id))
            for one in item.instances
        ],
        "action_plugins": [_plugin(one) for one in item.actions],
        "action_plugin_instances": [_run(one) for one in item.runs],
        "download": [asdict(one) for one in item.downloads],
    }


def _end(item: Session) -> datetime | None:
    if item.state not in WORKING or item.paused:
        return None
    now = datetime.now(UTC).replace(tzinfo=None)
    return estimated_end(item.hosts, now)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _host(item: SessionHost) -> View:
    return {
        "hostname": item.host,
        "type": str(item.type),
        "status": str(item.status),
        "maintained": item.status is HostStatus.MAINTAINED,
        "disabled": item.disabled_by_us,
        "details": item.service_id,
        "message": item.message,
        "started_at": wire_time(item.started_at),
        "ended_at": wire_time(item.ended_at),
    }


def _project_state(item: SessionProject) -> str | None:
    """Return what is asked or was replied, in the words of the wire."""
    if item.state is None or item.reply is ReplyStatus.PENDING:
        return item.state
    return f"{item.reply.upper()}_{item.state}"


def _project(item: SessionProject) -> View:
    return {
        "project_id": item.project_id,
        "state": _project_state(item),
        "answer": str(item.answer),
        "round": item.round,
        "reply": str(item.reply),
        "reply_at": wire_time(item.deadline),
        "replied_at": wire_time(item.replied_at),
        "instance_action": _text(item.action),
        "message": item.message,
    }


def _instance(
    item: SessionInstance, number: int, project_state: str | None
) -> View:
    listed_now = item.listed and item.round == number
    return {
        "instance_id": item.instance_id,
        "instance_name": item.name,
        "project_id": item.project_id,
        "host": item.host,
        "group_id": item.group_id,
        "state": str(item.action_status),
        "project_state": project_state if listed_now else None,
        "listed": listed_now,
        "reply": str(item.reply),
        "reply_at": wire_time(item.deadline),
        "action": _text(item.action),
        "action_tried": _text(item.kind),
        "action_done": item.action_status is ActionStatus.DONE,
        "attempts": item.attempts,
        "source_host": item.source_host,
        "requested_at": wire_time(item.requested_at),
        "moved_at": wire_time(item.moved_at),
        "message": item.message,
    }


def _plugin(item: PluginUse) -> View:
    return {
        "order": item.ordinal,
        "plugin": item.plugin,
        "type": str(item.type),
        "metadata": dict(item.metadata),
    }


def _run(item: PluginRun) -> View:
    return {
        "order": item.ordinal,
        "plugin": item.plugin,
        "type": str(item.type),
        "hostname": item.host,
        "state": str(item.status),
        "attempt": item.attempt,
        "output": item.output,
        "started_at": wire_time(item.started_at),
        "ended_at": wire_time(item.ended_at),
    }
