"""Maintenance sessions as they are read: one as a whole, or many in a list.

A session is read with one statement per table, however much belongs to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.paging import Page, page_rows
from recovery_ha.db.session import connection, reader
from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import (
    ActionStatus,
    Answer,
    Download,
    HostStatus,
    HostType,
    InstanceAction,
    PluginRun,
    PluginType,
    PluginUse,
    ReplyStatus,
    RunStatus,
    Session,
    SessionAction,
    SessionHost,
    SessionInstance,
    SessionProject,
    SessionState,
)

_S = models.MaintenanceSession
_H = models.MaintenanceHost
_P = models.MaintenanceProject
_I = models.MaintenanceInstance
_A = models.MaintenanceAction
_R = models.MaintenanceActionRun

SORT_KEYS = ("id", "uuid", "state", "created_at", "updated_at")


def not_found(uuid: str) -> errors.SessionNotFound:
    """Return the error that says so; Fenix's words for it."""
    return errors.SessionNotFound(f"Invalid session: no session {uuid}.")


@reader
def get(
    ctx: RequestContext,
    uuid: str,
    *,
    deleted: bool = False,
    known: Session | None = None,
) -> Session:
    """Return a session with all that belongs to it; one statement per table.

    :param deleted: one that was deleted and is still being undone, too.
    :param known: the session as its owner has read it, and changed nothing of
        its instances since: if nobody has replied either, they are not read.
    :raises errors.SessionNotFound: there is none.
    """
    query = sa.select(
        _S.id,
        _S.uuid,
        _S.state,
        _S.round,
        _S.workflow,
        _S.maintenance_at,
        _S.session_metadata.label("metadata"),
        _S.download,
        _S.all_hosts,
        _S.failed_state,
        _S.aborted,
        _S.paused,
        _S.requested_action,
        _S.requested_round,
        _S.seen,
        _S.attempts,
        _S.percent_done,
        _S.record,
        _S.message,
        _S.project_id,
        _S.user_id,
        _S.request_id,
        _S.created_at,
        _S.updated_at,
    ).where(_S.uuid == uuid)
    if not deleted:
        query = query.where(_S.deleted_at.is_(None))
    row = connection(ctx).execute(query).first()
    if row is None:
        raise not_found(uuid)
    values = _mapping(row)
    failed = values.pop("failed_state")
    wish = values.pop("requested_action")
    downloads = values.pop("download")
    return Session(
        **{**values, "state": SessionState(row.state)},
        failed_state=None if failed is None else SessionState(failed),
        requested=None if wish is None else SessionAction(wish),
        hosts=_hosts(ctx, uuid),
        projects=read_projects(ctx, uuid),
        instances=known.instances
        if known is not None and known.seen == row.seen
        else read_instances(ctx, uuid),
        actions=_actions(ctx, uuid),
        downloads=tuple(Download(**one) for one in downloads),
        runs=_runs(ctx, uuid),
    )


def _mapping(row: Any) -> dict[str, Any]:
    return dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def _rows(
    ctx: RequestContext,
    model: Any,
    names: Sequence[str],
    uuid: str,
    project_id: str | None = None,
) -> Sequence["sa.Row[Any]"]:
    query = sa.select(*(getattr(model, name) for name in names)).where(
        model.session_uuid == uuid
    )
    if project_id is not None:
        query = query.where(model.project_id == project_id)
    return connection(ctx).execute(query.order_by(model.id)).all()


_HOST = (
    *("ordinal", "host", "type", "status", "service_id", "disabled_by_us"),
    *("reason_before", "message", "started_at", "ended_at"),
)


def _hosts(ctx: RequestContext, uuid: str) -> tuple[SessionHost, ...]:
    found = (
        SessionHost(
            **{
                **_mapping(row),
                "type": HostType(row.type),
                "status": HostStatus(row.status),
            }
        )
        for row in _rows(ctx, _H, _HOST, uuid)
    )
    return tuple(sorted(found, key=lambda one: one.ordinal))


_PROJECT = (
    *("project_id", "answer", "round", "state", "reply", "deadline"),
    *("allowed_actions", "action", "message", "replied_at"),
)


@reader
def read_projects(
    ctx: RequestContext, uuid: str, project_id: str | None = None
) -> tuple[SessionProject, ...]:
    """Return the projects of a session, deleted or not.

    :param project_id: only that one; None: all.
    """
    return tuple(
        SessionProject(
            **{
                **_mapping(row),
                "answer": Answer(row.answer),
                "reply": ReplyStatus(row.reply),
                "allowed_actions": tuple(row.allowed_actions),
                "action": _action(row.action),
            }
        )
        for row in _rows(ctx, _P, _PROJECT, uuid, project_id)
    )


_INSTANCE = (
    *("instance_id", "name", "project_id", "host", "group_id", "round"),
    *("listed", "reply", "deadline", "allowed_actions", "action"),
    *(
        "action_status",
        "source_host",
        "kind",
        "requested_at",
        "baseline",
        "attempts",
    ),
    *("message", "moved_at"),
)


@reader
def read_instances(
    ctx: RequestContext, uuid: str, project_id: str | None = None
) -> tuple[SessionInstance, ...]:
    """Return the instances of a session, deleted or not.

    :param project_id: only those of it; None: all.
    """
    return tuple(
        SessionInstance(
            **{
                **_mapping(row),
                "reply": ReplyStatus(row.reply),
                "allowed_actions": tuple(row.allowed_actions),
                "action": _action(row.action),
                "action_status": ActionStatus(row.action_status),
                "kind": _action(row.kind),
            }
        )
        for row in _rows(ctx, _I, _INSTANCE, uuid, project_id)
    )


def _action(value: str | None) -> InstanceAction | None:
    return None if value is None else InstanceAction(value)


def _actions(ctx: RequestContext, uuid: str) -> tuple[PluginUse, ...]:
    names = ("ordinal", "plugin", "type", "action_metadata")
    found = (
        PluginUse(
            ordinal=row.ordinal,
            plugin=row.plugin,
            type=PluginType(row.type),
            metadata=row.metadata,
        )
        for row in _rows(ctx, _A, names, uuid)
    )
    return tuple(sorted(found, key=lambda one: one.ordinal))


_RUN = (
    *("ordinal", "host", "status", "attempt", "output", "flow_uuid"),
    *("started_at", "ended_at"),
)


def _runs(ctx: RequestContext, uuid: str) -> tuple[PluginRun, ...]:
    rows = connection(ctx).execute(
        sa.select(*(getattr(_R, name) for name in _RUN), _A.plugin, _A.type)
        .join(
            _A,
            sa.and_(
                _A.session_uuid == _R.session_uuid, _A.ordinal == _R.ordinal
            ),
        )
        .where(_R.session_uuid == uuid)
        .order_by(_R.ordinal, _R.id)
    )
    return tuple(
        PluginRun(
            **{
                **_mapping(row),
                "type": PluginType(row.type),
                "status": RunStatus(row.status),
            }
        )
        for row in rows
    )


# Lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A session as lists show it; see :class:`Session`."""

    id: int
    uuid: str
    state: str
    round: int
    workflow: str
    maintenance_at: datetime
    percent_done: int
    paused: bool
    aborted: bool
    message: str | None
    created_at: datetime
    updated_at: datetime | None


@reader
def list_page(
    ctx: RequestContext,
    page: Page,
    *,
    state: str | None = None,
    host: str | None = None,
) -> list[Listed]:
    """Return a page of sessions, the newest first; those deleted are not.

    One statement, one more for a marker.

    :param page: sort keys are :data:`SORT_KEYS`.
    :param host: only sessions that have it, or had it to their end.
    :raises errors.BadRequest: see :func:`page_rows`.
    """
    if not page.sort:
        page = replace(page, sort=(("id", "desc"),))
    visible = _S.deleted_at.is_(None)
    query = sa.select(*(getattr(_S, f.name) for f in fields(Listed)))
    query = query.where(visible)
    if state is not None:
        query = query.where(_S.state == state)
    if host is not None:
        query = query.where(
            sa.exists().where(_H.session_uuid == _S.uuid, _H.host == host)
        )
    rows = page_rows(
        connection(ctx),
        query,
        _S,
        page,
        sortable=SORT_KEYS,
        visible=visible,
    )
    return [Listed(**_mapping(row)) for row in rows]


@reader
def project_instances(
    ctx: RequestContext, uuid: str, project_id: str
) -> list[str]:
    """Return the ids of the instances that a project is asked about now.

    :raises errors.SessionNotFound: there is no such session, or it has
        nothing of the project.
    """
    conn = connection(ctx)
    number = conn.scalar(
        sa.select(_S.round)
        .join(_P, _P.session_uuid == _S.uuid)
        .where(
            _S.uuid == uuid,
            _S.deleted_at.is_(None),
            _P.project_id == project_id,
        )
    )
    if number is None:
        raise not_found(uuid)
    return list(
        conn.scalars(
            sa.select(_I.instance_id)
            .where(
                _I.session_uuid == uuid,
                _I.project_id == project_id,
                _I.listed.is_(True),
                _I.round == number,
            )
            .order_by(_I.id)
        )
    )
