"""Whose instances are on the hosts of a session that an engine owns.

Each function is fenced by the claim, see :mod:`session_work`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types, work
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain.lease import Claim
from recovery_ha.domain.maintenance import (
    ActionStatus,
    GroupConstraints,
    GroupKey,
    InstanceAction,
    InstanceConstraints,
    SessionInstance,
    SessionProject,
)

_M = models.MaintenanceSession
_H = models.MaintenanceHost
_P = models.MaintenanceProject
_I = models.MaintenanceInstance
_LOCK = models.ResourceLock
_W = models.Webhook


@writer
def set_instances(
    ctx: RequestContext,
    claim: Claim,
    projects: Sequence[SessionProject],
    instances: Sequence[SessionInstance],
) -> None:
    """Have these projects and instances, and no others.

    Of those that are known, only how a project is dealt with, and name, host
    and group of an instance change. One that is being moved stays.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    _set_projects(ctx, claim, projects)
    conn, stamp = connection(ctx), types.utcnow()
    known = {
        row.instance_id: row
        for row in conn.execute(
            sa.select(
                _I.instance_id, _I.name, _I.host, _I.group_id, _I.action_status
            ).where(_I.session_uuid == claim.uuid)
        )
    }
    wanted = {one.instance_id: one for one in instances}
    gone = [
        key
        for key, row in known.items()
        if key not in wanted and row.action_status != ActionStatus.RUNNING
    ]
    if gone:
        conn.execute(
            sa.delete(_I).where(
                _I.session_uuid == claim.uuid, _I.instance_id.in_(gone)
            )
        )
    fresh: list[dict[str, Any]] = []
    for key, one in wanted.items():
        row = known.get(key)
        values = {
            "name": one.name[:255],
            "host": one.host,
            "group_id": one.group_id,
        }
        if row is None:
            fresh.append(
                {
                    **values,
                    "session_uuid": claim.uuid,
                    "instance_id": key,
                    "project_id": one.project_id,
                    "round": 0,
                    "listed": False,
                    "reply": str(one.reply),
                    "action_status": str(one.action_status),
                    "baseline": 0,
                    "attempts": 0,
                    "created_at": stamp,
                }
            )
        elif (row.name, row.host, row.group_id) != tuple(values.values()):
            conn.execute(
                sa.update(_I)
                .where(_I.session_uuid == claim.uuid, _I.instance_id == key)
                .values(**values, updated_at=stamp)
            )
    if fresh:
        conn.execute(sa.insert(_I), fresh)


def _set_projects(
    ctx: RequestContext, claim: Claim, projects: Sequence[SessionProject]
) -> None:
    conn, stamp = connection(ctx), types.utcnow()
    rows = conn.execute(
        sa.select(_P.project_id, _P.answer).where(
            _P.session_uuid == claim.uuid
        )
    )
    known = {row.project_id: row.answer for row in rows}
    gone = known.keys() - {one.project_id for one in projects}
    if gone:
        conn.execute(
            sa.delete(_P).where(
                _P.session_uuid == claim.uuid, _P.project_id.in_(sorted(gone))
            )
        )
    for one in projects:
        if one.project_id not in known:
            conn.execute(
                sa.insert(_P).values(
                    session_uuid=claim.uuid,
                    project_id=one.project_id,
                    answer=str(one.answer),
                    round=0,
                    reply=str(one.reply),
                    created_at=stamp,
                )
            )
        elif known[one.project_id] != one.answer:
            conn.execute(
                sa.update(_P)
                .where(
                    _P.session_uuid == claim.uuid,
                    _P.project_id == one.project_id,
                )
                .values(answer=str(one.answer), updated_at=stamp)
            )


@reader
def projects_with_webhooks(
    ctx: RequestContext, project_ids: Collection[str]
) -> set[str]:
    """Return those projects that are told by a webhook."""
    return set(
        connection(ctx).scalars(
            sa.select(_W.project_id).where(
                _W.project_id.in_(sorted(project_ids))
            )
        )
    )


@reader
def constraints_of(
    ctx: RequestContext, owners: Mapping[str, str]
) -> tuple[dict[str, InstanceConstraints], dict[GroupKey, GroupConstraints]]:
    """Return what projects ask of whoever moves their instances.

    What a project says of an instance that is another's does not count.

    :param owners: whose each instance is, as Nova says, by its id.
    :returns: by instance id, and by project and group; of groups all that
        these projects have.
    """
    conn, wanted = connection(ctx), sorted(set(owners.values()))
    instances, groups = models.InstanceConstraints, models.GroupConstraints
    of_instances = conn.execute(
        sa.select(
            *(getattr(instances, f.name) for f in fields(InstanceConstraints))
        ).where(instances.project_id.in_(wanted))
    )
    of_groups = conn.execute(
        sa.select(
            *(getattr(groups, f.name) for f in fields(GroupConstraints))
        ).where(groups.project_id.in_(wanted))
    )
    return (
        {
            row.instance_id: _instance(row)
            for row in of_instances
            if owners.get(row.instance_id) == row.project_id
        },
        {
            (row.project_id, row.group_id): GroupConstraints(
                **row._mapping  # noqa: SLF001 - SQLAlchemy's public name
            )
            for row in of_groups
        },
    )


def _instance(row: "sa.Row[Any]") -> InstanceConstraints:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    kind = values.pop("migration_type")
    return InstanceConstraints(
        **values, migration_type=None if kind is None else InstanceAction(kind)
    )
