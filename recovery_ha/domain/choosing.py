"""Which host is maintained, or emptied, next; or that room must be made.

Pure decisions on a snapshot of the cloud; each comes with the sentence that
says why. What fits is found out by a trial packing of all resource classes
that honours server groups and the groups of projects.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from recovery_ha.domain import packing
from recovery_ha.domain.constraints import Rule, rules
from recovery_ha.domain.maintenance import (
    GroupConstraints,
    GroupKey,
    HostStatus,
    HostType,
    InstanceConstraints,
    Session,
    SessionHost,
    SessionState,
)
from recovery_ha.domain.packing import Bin, Item, Packing
from recovery_ha.domain.ports import Amounts, Server, ServerGroup

_S = SessionState
#: How many placements are tried for one decision, over all hosts.
_BUDGET = 20000


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudHost:
    """A compute host as Nova and Placement see it.

    :ivar enabled: the scheduler may place instances on it.
    :ivar amounts: None: Placement does not know it; then nothing is said to
        fit on it.
    """

    host: str
    enabled: bool
    up: bool
    servers: tuple[Server, ...] = ()
    amounts: Amounts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSnapshot:
    """What is to be known of the cloud for a decision.

    :ivar hosts: by name; those of the session and those that its instances
        may go to.
    :ivar instances: what projects ask for their instances, by instance id.
    :ivar constraints: what they ask for groups, by project and group.
    :ivar skipped: ids of projects whose instances stay where they are.
    :ivar arriving: where instances that are under way will be, by id.
    """

    hosts: Mapping[str, CloudHost]
    groups: tuple[ServerGroup, ...] = ()
    instances: Mapping[str, InstanceConstraints] = field(default_factory=dict)
    constraints: Mapping[GroupKey, GroupConstraints] = field(
        default_factory=dict
    )
    skipped: frozenset[str] = frozenset()
    arriving: Mapping[str, str] = field(default_factory=dict)

    def movable(self, host: str) -> tuple[Server, ...]:
        """Return the instances that have to leave a host to empty it."""
        found = self.hosts.get(host)
        return tuple(
            server
            for server in (found.servers if found else ())
            if server.project_id not in self.skipped
        )

    def where(self) -> dict[str, str]:
        """Return the host of each instance, or where it will be."""
        found = {
            server.id: host.host
            for host in self.hosts.values()
            for server in host.servers
        }
        return found | dict(self.arriving)

    def rules(self) -> tuple[Rule, ...]:
        """Return which instances may share a host."""
        return rules(
            self.groups,
            self.constraints.values(),
            self.instances.values(),
            {
                server.id: server.project_id
                for host in self.hosts.values()
                for server in host.servers
            },
        )

    def item(self, server: Server) -> Item:
        """Return what an instance takes, of its flavor if need be."""
        host = self.hosts.get(server.host)
        taken = host.amounts.taken if host and host.amounts else {}
        return Item(server.id, taken.get(server.id) or _of_flavor(server))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is to be done next.

    :ivar state: the session's next state, or the one it is in.
    :ivar host: to be maintained or emptied; None: none.
    :ivar sentence: why.
    :ivar moves: where the instances of the host to be emptied fit, by id.
    :ivar left: ids of those for which no place was found.
    """

    state: SessionState
    host: str | None
    sentence: str
    moves: Mapping[str, str] = field(default_factory=dict)
    left: tuple[str, ...] = ()


def empty_hosts(snapshot: CloudSnapshot, session: Session) -> tuple[str, ...]:
    """Return the computes that are not maintained and have no instances.

    Those that stay where they are do not count. In the session's order.
    """
    return tuple(
        one.host
        for one in _unmaintained(session)
        if one.host in snapshot.hosts and not snapshot.movable(one.host)
    )


def choose_next(snapshot: CloudSnapshot, session: Session) -> Choice:
    """Decide what follows MAINTENANCE or SCALE_IN.

    :returns: START_MAINTENANCE with the first empty host,
        PREPARE_MAINTENANCE with the host to be emptied, or SCALE_IN.
    """
    return _start(snapshot, session) or _prepare(snapshot, session)


def host_to_empty(snapshot: CloudSnapshot, session: Session) -> Choice:
    """Decide which host PREPARE_ or PLANNED_MAINTENANCE empties.

    Before anything is maintained, instances may go to any other host, and a
    host is chosen only if they all fit; else SCALE_IN is. Then they go to
    hosts that are maintained; if no host's instances all fit there, one is
    chosen all the same, and the sentence says what does not: their projects
    may know better, and Nova has the last word.

    :returns: START_MAINTENANCE if nothing has to be emptied.
    """
    if session.state is not _S.PLANNED_MAINTENANCE:
        return choose_next(snapshot, session)
    return _start(snapshot, session) or _plan(snapshot, session)


def _unmaintained(session: Session) -> list[SessionHost]:
    return [
        one
        for one in sorted(session.hosts, key=lambda one: one.ordinal)
        if one.type is HostType.COMPUTE
        and one.status is not HostStatus.MAINTAINED
    ]


def _start(snapshot: CloudSnapshot, session: Session) -> Choice | None:
    left = _unmaintained(session)
    if not left:
        return Choice(
            state=_S.START_MAINTENANCE,
            host=None,
            sentence="No compute host is left to be maintained.",
        )
    empty = empty_hosts(snapshot, session)
    if not empty:
        return None
    return Choice(
        state=_S.START_MAINTENANCE,
        host=empty[0],
        sentence=f"{len(empty)} of {len(left)} compute hosts that are not"
        f" maintained {'is' if len(empty) == 1 else 'are'} empty:"
        f" {_names(empty)}.",
    )


def _prepare(snapshot: CloudSnapshot, session: Session) -> Choice:
    """Find a host whose instances all fit on the others."""
    tried: list[_Trial] = []
    for host in _candidates(snapshot, session):
        if not snapshot.hosts[host].up:
            continue
        spent = sum(trial.packing.steps for trial in tried)
        bins = destinations(snapshot, session, host, planned=False)
        trial = _try(snapshot, host, bins, _BUDGET - spent)
        if trial.packing.fits:
            return Choice(
                state=_S.PREPARE_MAINTENANCE,
                host=host,
                sentence=f"No compute host is empty. {trial.fitting()}",
                moves=trial.packing.moves,
            )
        tried.append(trial)
    if not tried:
        return Choice(
            state=_S.SCALE_IN,
            host=None,
            sentence="No compute host is empty, and Nova sees none of those"
            " that are not maintained up: none can be emptied.",
        )
    near = _nearest(tried)
    return Choice(
        state=_S.SCALE_IN,
        host=None,
        sentence="No compute host is empty, and no host's instances fit on"
        f" the others. {near.missing()}",
        left=near.packing.left,
    )


def places(snapshot: CloudSnapshot, session: Session, host: str) -> Choice:
    """Return where the instances of a host fit that are not under way yet.

    In the session's state: on maintained hosts from PLANNED_MAINTENANCE on,
    if they all fit there, or on hosts outside of the session, too.

    :param host: that is being emptied.
    :returns: with the session's state, and that host.
    """
    planned = session.state is _S.PLANNED_MAINTENANCE
    trials = []
    for elsewhere in (False, True) if planned else (False,):
        bins = destinations(
            snapshot, session, host, planned=planned, elsewhere=elsewhere
        )
        trials.append(_try(snapshot, host, bins, _BUDGET))
        if trials[-1].packing.fits:
            break
    best = _nearest(trials)
    return Choice(
        state=session.state,
        host=host,
        sentence=best.fitting() if best.packing.fits else best.missing(),
        moves=best.packing.moves,
        left=best.packing.left,
    )


def trial(
    snapshot: CloudSnapshot,
    session: Session,
    host: str,
    without: Collection[str] = (),
) -> Packing:
    """Try to fit the instances of a host on all others, but some.

    :param without: ids of instances that are thought away.
    """
    bins = destinations(snapshot, session, host, planned=False)
    return _try(snapshot, host, bins, _BUDGET, without).packing


def candidates(snapshot: CloudSnapshot, session: Session) -> tuple[str, ...]:
    """Return the hosts that may be emptied, the preferred ones first."""
    return tuple(
        name
        for name in _candidates(snapshot, session)
        if snapshot.hosts[name].up
    )


def _plan(snapshot: CloudSnapshot, session: Session) -> Choice:
    """Choose a host whose instances go to maintained ones, if they can."""
    candidates = _candidates(snapshot, session)
    if not candidates:
        return Choice(
            state=_S.PLANNED_MAINTENANCE,
            host=None,
            sentence="Nova and Placement know none of the compute hosts that"
            " are not maintained.",
        )
    spent, tried = 0, []
    for elsewhere in (False, True):
        for host in candidates:
            bins = destinations(
                snapshot, session, host, planned=True, elsewhere=elsewhere
            )
            trial = _try(snapshot, host, bins, _BUDGET - spent)
            spent += trial.packing.steps
            if trial.packing.fits:
                return Choice(
                    state=_S.PLANNED_MAINTENANCE,
                    host=host,
                    sentence=trial.fitting(
                        "maintained hosts and hosts outside of the session"
                        if elsewhere
                        else "maintained hosts"
                    ),
                    moves=trial.packing.moves,
                )
            tried.append(trial)
    near = _nearest(tried)
    return Choice(
        state=_S.PLANNED_MAINTENANCE,
        host=near.host,
        sentence="No host's instances all fit on hosts that are maintained"
        f" and enabled. {near.missing()} Their projects may know another"
        " way, and Nova has the last word.",
        moves=near.packing.moves,
        left=near.packing.left,
    )


def _candidates(snapshot: CloudSnapshot, session: Session) -> list[str]:
    """Return the hosts that may be emptied, the preferred ones first.

    Those that Nova sees up, with the fewest instances to move, then with the
    most that is free; equal ones in the session's order.
    """
    names = [
        one.host
        for one in _unmaintained(session)
        if one.host in snapshot.hosts
    ]
    return sorted(
        names,
        key=lambda name: (
            not snapshot.hosts[name].up,
            len(snapshot.movable(name)),
            -_free_share(snapshot.hosts[name].amounts),
        ),
    )


def _free_share(amounts: Amounts | None) -> float:
    """Return how much of a host is free, by the class that is least so."""
    if amounts is None:
        return 0.0
    shares = [
        amounts.free.get(name, 0.0) / most
        for name, most in amounts.total.items()
        if most > 0
    ]
    return min(shares, default=0.0)


def destinations(
    snapshot: CloudSnapshot,
    session: Session,
    source: str,
    *,
    planned: bool,
    elsewhere: bool = False,
) -> list[Bin]:
    """Return the hosts that the instances of a host may go to.

    :param planned: only those that are maintained; else all others.
    :param elsewhere: and those that are not in the session.
    """
    status = {one.host: one.status for one in session.hosts}
    found = []
    for name, host in sorted(snapshot.hosts.items()):
        fine = (
            not planned
            or status.get(name) is HostStatus.MAINTAINED
            or (elsewhere and name not in status)
        )
        if name == source or not fine or not (host.enabled and host.up):
            continue
        if host.amounts is not None:
            found.append(Bin(name, host.amounts.free, host.amounts.largest))
    return found


@dataclass(frozen=True, slots=True)
class _Trial:
    """A packing of a host's instances, and what it was tried with."""

    host: str
    items: Sequence[Item]
    bins: Sequence[Bin]
    packing: Packing

    @property
    def _needs(self) -> dict[str, float]:
        return packing.total(item.amounts for item in self.items)

    def fitting(self, where: str = "other hosts") -> str:
        """Return the sentence that says that all fit."""
        needs, used = self._needs, sorted({*self.packing.moves.values()})
        return (
            f"{self.host} is emptied: its {_instances(len(self.items))}"
            f" ({packing.amounts_text(needs)}) fit on {where}, for instance"
            f" on {_names(used)} (free on {len(self.bins)}:"
            f" {packing.free_text(self.bins, needs)})."
        )

    def missing(self) -> str:
        """Return the sentence that says what does not fit."""
        return (
            f"{self.host} comes closest, with"
            f" {_instances(len(self.items))} and"
            f" {len(self.packing.left)} without a place on"
            f" {len(self.bins)} hosts: {self.packing.why}."
        )


def _try(
    snapshot: CloudSnapshot,
    host: str,
    bins: Sequence[Bin],
    budget: int,
    without: Collection[str] = (),
) -> _Trial:
    items = [
        snapshot.item(server)
        for server in snapshot.movable(host)
        if server.id not in snapshot.arriving and server.id not in without
    ]
    limit = max(min(budget, packing.BUDGET), len(items))
    where = snapshot.where()
    for gone in without:
        where.pop(gone, None)
    found = packing.pack(items, bins, snapshot.rules(), where, budget=limit)
    return _Trial(host, items, bins, found)


def _nearest(tried: Iterable[_Trial]) -> _Trial:
    return min(tried, key=lambda trial: len(trial.packing.left))


def _of_flavor(server: Server) -> dict[str, float]:
    flavor = server.flavor
    amounts = {
        "VCPU": flavor.vcpus,
        "MEMORY_MB": flavor.memory_mb,
        "DISK_GB": flavor.disk_gb,
    }
    return {name: float(n) for name, n in amounts.items() if n}


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count} instances"


def _names(hosts: Sequence[str], most: int = 5) -> str:
    """Return names for a sentence, the first few of many."""
    more = f" and {len(hosts) - most} more" if len(hosts) > most else ""
    return ", ".join(hosts[:most]) + more
