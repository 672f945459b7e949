"""Members of groups that are impacted, over all sessions together.

An engine asks here, and lists members for its session, in one transaction:
then two sessions never impact more members of a group than it bears.
"""

from collections.abc import Callable, Collection
from typing import TypeVar

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models, work
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.db.types import now
from recovery_ha.domain.lease import Claim
from recovery_ha.domain.maintenance import (
    ASKS_FOR_ACTIONS,
    ActionStatus,
    GroupKey,
)

_S = models.MaintenanceSession
_I = models.MaintenanceInstance
_G = models.GroupConstraints

R = TypeVar("R")


@reader
def impacted(
    ctx: RequestContext,
    groups: Collection[GroupKey],
    *,
    besides: Collection[str] = (),
    session_uuid: str = "",
) -> dict[GroupKey, list[float | None]]:
    """Return until when members of groups are impacted, in all sessions.

    These are members that their project was asked about, that are under way
    or could not be moved, and, until ``recovery_time`` after, those that have
    arrived.

    :param besides: ids of instances of ``session_uuid`` that are not meant.
    :returns: by group: epoch seconds by the database's clock, or None where
        nobody knows; each member once.
    """
    asked = sa.and_(
        _I.listed.is_(True),
        _I.round == _S.round,
        _S.state.in_([str(state) for state in ASKS_FOR_ACTIONS]),
        _I.action_status == str(ActionStatus.PENDING),
    )
    unknown = sa.or_(
        asked,
        _I.action_status.in_(
            [str(ActionStatus.RUNNING), str(ActionStatus.FAILED)]
        ),
    )
    free_at = _I.moved_at + _G.recovery_time
    rows = connection(ctx).execute(
        sa.select(
            _I.project_id,
            _I.group_id,
            _I.instance_id,
            sa.case((unknown, None), else_=free_at).label("until"),
        )
        .join(_S, _S.uuid == _I.session_uuid)
        .join(
            _G,
            sa.and_(
                _G.project_id == _I.project_id, _G.group_id == _I.group_id
            ),
        )
        .where(
            _I.group_id.in_(sorted({group_id for _, group_id in groups})),
            sa.or_(unknown, free_at > now()),
            sa.not_(
                sa.and_(
                    _I.session_uuid == session_uuid,
                    _I.instance_id.in_(sorted(besides)),
                )
            ),
        )
        .order_by(_I.instance_id)
    )
    found: dict[GroupKey, dict[str, float | None]] = {}
    for row in rows:
        key = row.project_id, row.group_id
        if key not in groups:
            continue
        members = found.setdefault(key, {})
        known = members.get(row.instance_id, 0.0)
        if known is None or row.until is None:
            members[row.instance_id] = None
        else:
            members[row.instance_id] = max(known, row.until)
    return {key: list(members.values()) for key, members in found.items()}


@writer
def in_turn(
    ctx: RequestContext,
    claim: Claim,
    groups: Collection[GroupKey],
    act: Callable[[], R],
) -> R:
    """Do something in one transaction, alone with these groups.

    :param act: reads who is impacted and lists members, with ``ctx``; may be
        called again, if the transaction has to be repeated.
    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    for project_id, group_id in sorted(groups):
        work.alone(ctx, claim, f"group {project_id} {group_id}")
    return act()
