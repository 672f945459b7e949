"""Maintenance instance by instance, within what their groups bear.

Who may be asked, or moved, now is a function of what is known; so is which
instances a project is asked to do without.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from recovery_ha.domain import choosing
from recovery_ha.domain.choosing import CloudSnapshot
from recovery_ha.domain.maintenance import (
    ActionStatus,
    GroupConstraints,
    GroupKey,
    ReplyStatus,
    Session,
    SessionInstance,
)
from recovery_ha.domain.ports import Server

_SHOWN = 5


class Phase(StrEnum):
    """How far an instance is that has to leave its host."""

    WAITING = "waiting"
    ASKED = "asked"
    AGREED = "agreed"
    MOVING = "moving"
    DONE = "done"


#: While its project prepares for its absence, and while it is absent.
_ABSENT = frozenset({Phase.ASKED, Phase.AGREED, Phase.MOVING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An instance that has to leave its host, perhaps one of a group.

    :ivar deadline: until when its project may reply; of one that was asked
        about.
    :ivar moved_at: when it was done.
    """

    id: str
    name: str
    phase: Phase
    group: GroupKey | None = None
    deadline: float | None = None
    moved_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """How many members of a group may be impacted at once.

    A member is impacted from when its project is asked about it until
    ``recovery_time`` after it has arrived.

    :ivar limit: ``max_impacted_members``.
    :ivar recovery_time: seconds.
    :ivar others: of impacted members that are not among those in question,
        in whichever session: until when; None: nobody knows.
    """

    name: str
    limit: int
    recovery_time: float = 0.0
    others: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Whose turn it is.

    :ivar ask: ids of those whose projects may be asked about them now.
    :ivar move: ids of those that may be moved now.
    :ivar wake_at: when to look again at the latest, epoch seconds; None:
        when something happens.
    :ivar sentence: how far it is, and what is waited for.
    """

    ask: tuple[str, ...]
    move: tuple[str, ...]
    wake_at: float | None
    sentence: str


def phase(row: SessionInstance, session_round: int) -> Phase:
    """Return how far an instance is in a round."""
    if row.action_status is ActionStatus.RUNNING:
        return Phase.MOVING
    if not row.listed or row.round != session_round:
        return Phase.WAITING
    if row.action_status is ActionStatus.DONE:
        return Phase.DONE
    return Phase.AGREED if row.reply is ReplyStatus.ACK else Phase.ASKED


def turns(
    members: Sequence[Member],
    groups: Mapping[GroupKey, Group],
    now: float,
    *,
    max_moves: int,
) -> Turns:
    """Decide who may be asked about and moved now.

    :param members: the instances of a host, in the order in which they have
        their turns.
    :param groups: by key; one without a group may go at any time.
    :param now: epoch seconds.
    :param max_moves: how many may be under way at once.
    """
    impacted = {
        key: [until for until in group.others if until is None or until > now]
        for key, group in groups.items()
    }
    recovering = set()
    for member in members:
        until = _impacted_until(member, groups)
        if member.group in impacted and (until is None or until > now):
            impacted[member.group].append(until)
            recovering.add(member.id)
    ask, waiting = [], []
    for member in members:
        if member.phase is not Phase.WAITING:
            continue
        group = _of(member, groups)
        if group is None or member.group is None:
            ask.append(member.id)
        elif (
            member.id not in recovering
            and len(impacted[member.group]) < group.limit
        ):
            ask.append(member.id)
            impacted[member.group].append(None)
        else:
            waiting.append(member)
    moving = [m for m in members if m.phase is Phase.MOVING]
    agreed = [m for m in members if m.phase is Phase.AGREED]
    wakes = [m.deadline for m in members if m.phase is Phase.ASKED]
    wakes += [t for m in waiting if m.group for t in impacted[m.group]]
    return Turns(
        ask=tuple(ask),
        move=tuple(m.id for m in agreed[: max(max_moves - len(moving), 0)]),
        wake_at=min((t for t in wakes if t is not None), default=None),
        sentence=_progress(members, waiting, groups, impacted),
    )


def _of(member: Member, groups: Mapping[GroupKey, Group]) -> Group | None:
    return None if member.group is None else groups.get(member.group)


def _impacted_until(
    member: Member, groups: Mapping[GroupKey, Group]
) -> float | None:
    """Return until when a member is impacted; None: nobody knows; 0: not."""
    if member.phase in _ABSENT:
        return None
    if member.moved_at is None:
        return 0.0
    group = _of(member, groups)
    return member.moved_at + (group.recovery_time if group else 0.0)


def _progress(
    members: Sequence[Member],
    waiting: Sequence[Member],
    groups: Mapping[GroupKey, Group],
    impacted: Mapping[GroupKey, Sequence[float | None]],
) -> str:
    done = sum(member.phase is Phase.DONE for member in members)
    parts = [f"{done} of {len(members)} instances are done"]
    for what, which in (
        ("asked about", Phase.ASKED),
        ("under way", Phase.MOVING),
    ):
        names = [m.name for m in members if m.phase is which]
        if names:
            parts.append(f"{what}: {_names(names)}")
    for key in sorted({m.group for m in waiting if m.group}):
        count, group = len(impacted[key]), groups[key]
        known = [until for until in impacted[key] if until is not None]
        clock = f", one of them until {_clock(min(known))}" if known else ""
        names = [m.name for m in waiting if m.group == key]
        parts.append(
            f"{_names(names)} must wait, because {count} members of group"
            f" {group.name} are impacted of {group.limit} that may be{clock}"
        )
    return "; ".join(parts) + "."


# Doing without


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleIn:
    """What projects are asked to do without.

    :ivar instances: ids by project.
    :ivar sentence: why.
    """

    instances: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sentence: str = ""


def scale_in(
    snapshot: CloudSnapshot,
    session: Session,
    *,
    projects: Collection[str],
    impacted: Mapping[GroupKey, int],
) -> ScaleIn:
    """Name instances without which a host could be emptied.

    No more of a group than may be impacted at once; those that their project
    says it can replace (``resource_mitigation``) first, then the largest.
    The host that takes the fewest is meant; if it takes more than may be
    named now, the rest has to wait for the next round.

    :param projects: ids of those that can be asked.
    :param impacted: how many members of a group are already, by its key.
    """
    best: tuple[tuple[int, int], str, list[Server]] | None = None
    for host in choosing.candidates(snapshot, session):
        named, left = _named(snapshot, session, host, projects, impacted)
        if not named:
            continue
        rank = (left, len(named))
        if best is None or rank < best[0]:
            best = (rank, host, named)
        if rank == (0, 1):
            break
    if best is None:
        return ScaleIn(
            sentence="No instance can be named: those that are on the hosts"
            " have no group that could do without one now."
        )
    (left, _count), host, named = best
    names = _names([server.name for server in named])
    by_project: dict[str, list[str]] = {}
    for server in named:
        by_project.setdefault(server.project_id, []).append(server.id)
    said = f"Without {names}, {host} could be emptied."
    if left:
        said = (
            f"To empty {host}, projects are asked to do without {names} first;"
            f" {left} more would have no place."
        )
    return ScaleIn(
        instances={key: tuple(ids) for key, ids in by_project.items()},
        sentence=said,
    )


def _named(
    snapshot: CloudSnapshot,
    session: Session,
    host: str,
    projects: Collection[str],
    impacted: Mapping[GroupKey, int],
) -> tuple[list[Server], int]:
    """Return which instances of a host are named, and how many are left."""
    room = {
        key: max(group.max_impacted_members - impacted.get(key, 0), 0)
        for key, group in snapshot.constraints.items()
    }
    servers = [
        server
        for server in snapshot.movable(host)
        if server.project_id in projects and _group(snapshot, server) in room
    ]
    servers.sort(key=lambda server: _sacrifice(snapshot, server))
    named: list[Server] = []
    packing = choosing.trial(snapshot, session, host)
    for server in servers:
        group = _group(snapshot, server)
        if packing.fits:
            break
        if group is None or not room[group]:
            continue
        room[group] -= 1
        named.append(server)
        packing = choosing.trial(
            snapshot, session, host, [one.id for one in named]
        )
    return named, len(packing.left)


def _group(snapshot: CloudSnapshot, server: Server) -> GroupKey | None:
    constraints = snapshot.instances.get(server.id)
    return constraints.group if constraints else None


def _sacrifice(
    snapshot: CloudSnapshot, server: Server
) -> tuple[bool, float, str]:
    """Return in which order instances are named."""
    key = _group(snapshot, server)
    group = None if key is None else snapshot.constraints.get(key)
    replaced = snapshot.instances[server.id].resource_mitigation or bool(
        group and group.resource_mitigation
    )
    host = snapshot.hosts[server.host].amounts
    size = max(
        (
            amount / host.total[name]
            for name, amount in snapshot.item(server).amounts.items()
            if host and host.total.get(name)
        ),
        default=0.0,
    )
    return not replaced, -size, server.id


def limits(
    groups: Iterable[GroupConstraints],
    others: Mapping[GroupKey, Sequence[float | None]],
) -> dict[GroupKey, Group]:
    """Return the limits of groups, with who is impacted elsewhere."""
    return {
        group.key: Group(
            name=group.group_name or group.group_id,
            limit=group.max_impacted_members,
            recovery_time=float(group.recovery_time),
            others=tuple(others.get(group.key, ())),
        )
        for group in groups
    }


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _clock(when: float) -> str:
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M:%S} UTC"
