"""Which instances leave a host, how many at once, and how far they are."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from recovery_ha.domain.maintenance import (
    ActionStatus,
    Answer,
    InstanceAction,
    Session,
    SessionInstance,
)
from recovery_ha.domain.moving import Decision, MoveStep, may_be_under_way

_MOVED_BY_NOVA = frozenset(
    {InstanceAction.LIVE_MIGRATE, InstanceAction.MIGRATE}
)
_BY_RULE = {
    Answer.MIGRATE: InstanceAction.MIGRATE,
    Answer.LIVE_MIGRATE: InstanceAction.LIVE_MIGRATE,
}
_SHOWN = 10


def agreed_action(
    session: Session, row: SessionInstance
) -> InstanceAction | None:
    """Return what is to be done with an instance.

    :returns: None: nobody has said it, or it stays where it is.
    """
    project = next(
        (p for p in session.projects if p.project_id == row.project_id), None
    )
    rule = project.answer if project else Answer.ASK
    if rule is Answer.SKIP:
        return None
    if rule in _BY_RULE:
        # Its constraints may have said which; that is on its row then.
        known = row.action in _MOVED_BY_NOVA
        return row.action if known else _BY_RULE[rule]
    return row.action or (project.action if project else None)


def instances_to_move(
    session: Session,
    rows: Iterable[SessionInstance],
    host: str,
    instance_ids: Collection[str] | None = None,
) -> tuple[SessionInstance, ...]:
    """Return the listed instances that are to leave a host, or have left it.

    :param rows: as they are now.
    :param instance_ids: these only; None: all.
    """
    skipped = {
        project.project_id
        for project in session.projects
        if project.answer is Answer.SKIP
    }
    return tuple(
        row
        for row in rows
        if row.listed
        and host in {row.host, row.source_host}
        and row.project_id not in skipped
        and (instance_ids is None or row.instance_id in instance_ids)
    )


def is_open(row: SessionInstance, host: str) -> bool:
    """Tell whether an instance is still to leave a host.

    A row that tells of an earlier move, from another host, does not count.
    """
    if row.source_host not in {None, host}:
        return True
    return row.action_status in {ActionStatus.PENDING, ActionStatus.RUNNING}


def choose_asks(
    decided: Sequence[tuple[SessionInstance, Decision]],
    *,
    busy: Collection[str],
    most: int,
    begin: bool,
) -> tuple[SessionInstance, ...]:
    """Return which of those that may be asked for now are, in order.

    :param busy: ids of the session's instances whose moves may be under way,
        on all of its hosts.
    :param most: how many may be, in all.
    :param begin: False: nothing new is begun, because something failed or
        the session is being ended.
    """
    if not begin:
        return ()
    asks = [row for row, one in decided if one.step is MoveStep.ASK]
    again = [row for row in asks if row.instance_id in busy]
    fresh = [row for row in asks if row.instance_id not in busy]
    room = max(most - len(set(busy)), 0)
    return (*again, *fresh[:room])


class MovesStatus(StrEnum):
    """How far the moves away from a host are."""

    SETTLED = "settled"
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class MovesState:
    """How far the moves away from a host are.

    :ivar sentence: what is waited for; why they failed.
    :ivar until: when to look again, epoch seconds by the database's clock;
        None unless they are busy.
    """

    status: MovesStatus
    sentence: str
    until: float | None = None


def state_of_moves(
    rows: Sequence[SessionInstance],
    host: str,
    *,
    next_look: float,
    begin: bool = True,
) -> MovesState:
    """Return how far the moves away from a host are.

    When one has failed, or nothing is to be begun any more, those that are
    under way are awaited, and the others are left.

    :param rows: the instances that are to leave it, as they are now.
    :param next_look: epoch seconds.
    """
    open_rows = [row for row in rows if is_open(row, host)]
    failed = [
        row
        for row in rows
        if row.action_status is ActionStatus.FAILED and row not in open_rows
    ]
    if failed or not begin:
        waited = [row for row in open_rows if is_awaited(row)]
    else:
        waited = open_rows
    done = len(rows) - len(open_rows) - len(failed)
    if waited:
        names = ", ".join(row.name for row in waited[:_SHOWN])
        more = len(waited) - _SHOWN
        return MovesState(
            MovesStatus.BUSY,
            f"{done} of {len(rows)} instances have left {host}; waiting for"
            f" {names}{f' and {more} more' if more > 0 else ''}.",
            next_look,
        )
    if failed:
        return MovesState(MovesStatus.FAILED, _failure(failed, rows, host))
    return MovesState(
        MovesStatus.SETTLED,
        f"{done} of {len(rows)} instances have left {host}.",
    )


def is_awaited(row: SessionInstance) -> bool:
    """Tell whether Nova may be moving an instance because we asked it."""
    return (
        row.action_status is ActionStatus.RUNNING
        and row.kind in _MOVED_BY_NOVA
        and may_be_under_way(row)
    )


def _failure(
    failed: Sequence[SessionInstance],
    rows: Sequence[SessionInstance],
    host: str,
) -> str:
    shown = "; ".join(
        f"{row.name} ({row.instance_id}): {row.message}"
        for row in failed[:_SHOWN]
    )
    more = ""
    if len(failed) > _SHOWN:
        more = f"; and {len(failed) - _SHOWN} more"
    return (
        f"{len(failed)} of {len(rows)} instances could not be moved from"
        f" {host}: {shown}{more}"
    )
