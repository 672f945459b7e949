"""What projects say when they are asked.

The session is locked while a reply is judged: its engine asks, and leaves a
state, in transactions that begin with the same row. So a reply counts for
the round in which it is judged, or for none. What is written is conditional
on what was read nevertheless.
"""

from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types, work
from recovery_ha.db.maintenance import sessions, wishes
from recovery_ha.db.session import connection, writer
from recovery_ha.domain import errors
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.maintenance import (
    InstanceAction,
    ReplyStatus,
    SessionAction,
    SessionState,
)
from recovery_ha.domain.replies import Asked, Change, Reply, settle

_P = models.MaintenanceProject
_I = models.MaintenanceInstance
_C = models.InstanceConstraints
_KIND = WorkKind.MAINTENANCE


@writer
def reply(
    ctx: RequestContext,
    uuid: str,
    project_id: str,
    said: Reply,
    instance_id: str | None = None,
) -> bool:
    """Write down what a project says, if it counts.

    :param instance_id: the only instance that it is about.
    :returns: False if it was said before; then nothing was changed.
    :raises errors.SessionNotFound: there is no such session, or it has
        nothing of the project.
    :raises errors.SessionInstanceNotFound: (and the others) see
        :func:`settle`.
    """
    row = wishes.lock(ctx, uuid)
    epoch, owned = work.look(ctx, _KIND, uuid)
    projects = sessions.read_projects(ctx, uuid, project_id)
    if not projects:
        raise sessions.not_found(uuid)
    clock = work.clock(ctx)
    if row.paused:
        clock = row.record.get(wishes.PAUSED_AT, clock)
    asked = Asked(
        state=SessionState(row.state),
        round=row.round,
        ending=row.requested_action == SessionAction.ABORT,
        project=projects[0],
        instances=sessions.read_instances(ctx, uuid, project_id),
        now=clock,
        defaults=_defaults(ctx, project_id, instance_id),
    )
    change = settle(asked, said, instance_id)
    if change is None:
        return False
    _write_instances(ctx, uuid, asked, said, change)
    _write_project(ctx, uuid, asked, change)
    wishes.raise_seen(
        ctx,
        uuid,
        epoch,
        owned=owned,
        # A paused one goes on when it is continued; a wish of its
        # administrator's, which wakes it, is done before.
        wake=not row.paused or row.requested_action is not None,
    )
    return True


def _defaults(
    ctx: RequestContext, project_id: str, instance_id: str | None
) -> dict[str, InstanceAction]:
    """Return what is done with an instance if its project says no action."""
    if instance_id is None:
        return {}
    action = connection(ctx).scalar(
        sa.select(_C.migration_type).where(
            _C.project_id == project_id, _C.instance_id == instance_id
        )
    )
    return {} if action is None else {instance_id: InstanceAction(action)}


def _write_project(
    ctx: RequestContext, uuid: str, asked: Asked, change: Change
) -> None:
    values: dict[str, Any] = {"updated_at": types.utcnow()}
    if change.status is not None:
        action = change.action
        values |= {
            "reply": str(change.status),
            "action": None if action is None else str(action),
            "message": change.reason,
            "replied_at": types.utcnow(),
        }
    result = connection(ctx).execute(
        sa.update(_P)
        .where(
            _P.session_uuid == uuid,
            _P.project_id == asked.project.project_id,
            _P.round == asked.round,
            _P.state == str(asked.state),
            _P.reply == str(ReplyStatus.PENDING),
        )
        .values(**values)
    )
    if result.rowcount != 1:
        raise _changed(uuid)


def _write_instances(
    ctx: RequestContext, uuid: str, asked: Asked, said: Reply, change: Change
) -> None:
    by_action: dict[str | None, list[str]] = {}
    for key, action in change.instances.items():
        name = None if action is None else str(action)
        by_action.setdefault(name, []).append(key)
    for name, keys in by_action.items():
        result = connection(ctx).execute(
            sa.update(_I)
            .where(
                _I.session_uuid == uuid,
                _I.project_id == asked.project.project_id,
                _I.instance_id.in_(keys),
                _I.listed.is_(True),
                _I.round == asked.round,
                _I.reply == str(ReplyStatus.PENDING),
            )
            .values(
                reply=str(said.status),
                action=name,
                updated_at=types.utcnow(),
            )
        )
        if result.rowcount != len(keys):
            raise _changed(uuid)


def _changed(uuid: str) -> db_exc.RetryRequest:
    """Return what has the whole transaction begin again."""
    return db_exc.RetryRequest(
        errors.ReplyRefused(f"Session {uuid} has changed meanwhile.")
    )
