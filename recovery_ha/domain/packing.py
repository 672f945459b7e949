"""Whether instances fit on hosts, all together, and how.

A trial: nothing is moved by it, and Nova decides in the end. It never says
that instances fit when they do not; it may, rarely, miss a way, because the
search is bounded.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from recovery_ha.domain.constraints import Rule, refusal

#: What a host that does not offer it has elsewhere, on shared storage.
_ELSEWHERE = frozenset({"DISK_GB"})
#: How many placements are tried at most.
BUDGET = 4000


@dataclass(frozen=True, slots=True)
class Item:
    """An instance, and what it takes by resource class."""

    id: str
    amounts: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Bin:
    """A host that instances may go to.

    :ivar free: what it can still take, by resource class.
    :ivar largest: what one instance may take at most.
    """

    host: str
    free: Mapping[str, float]
    largest: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Packing:
    """What a trial has come to.

    :ivar moves: the host for each instance that found a place.
    :ivar left: the ids of those that did not.
    :ivar why: why something is left; None if nothing is.
    :ivar steps: how many placements were tried.
    """

    moves: Mapping[str, str]
    left: tuple[str, ...] = ()
    why: str | None = None
    steps: int = 0

    @property
    def fits(self) -> bool:
        """All have found a place."""
        return not self.left


def amounts_text(amounts: Mapping[str, float]) -> str:
    """Return amounts for a sentence: ``4 VCPU, 2048 MEMORY_MB``."""
    return ", ".join(
        f"{'any' if math.isinf(amount) else format(amount, '.10g')} {name}"
        for name, amount in sorted(amounts.items())
    )


def total(amounts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return the sum of amounts by resource class."""
    found: dict[str, float] = {}
    for one in amounts:
        for name, amount in one.items():
            found[name] = found.get(name, 0) + amount
    return found


def _sum(bins: Iterable[Bin]) -> dict[str, float]:
    """Return what all hosts can still take; one that is over full none."""
    bins = tuple(bins)
    names = {name for one in bins for name in one.free}
    return {
        name: sum(
            max(one.free.get(name, math.inf if name in _ELSEWHERE else 0), 0)
            for one in bins
        )
        for name in names
    }


def free_text(bins: Iterable[Bin], names: Iterable[str]) -> str:
    """Return what hosts can still take of some classes, for a sentence."""
    there = _sum(bins)
    return amounts_text({n: there[n] for n in names if n in there})


def pack(
    items: Sequence[Item],
    bins: Sequence[Bin],
    rules: Sequence[Rule] = (),
    where: Mapping[str, str] | None = None,
    *,
    budget: int = BUDGET,
) -> Packing:
    """Find a host for each instance.

    The largest go first, each to where it leaves least; if that leads
    nowhere, other ways are tried, within the budget.

    :param bins: in order of preference among equals.
    :param rules: what groups ask for.
    :param where: the host of each instance of the cloud now.
    :param budget: how many placements are tried at most.
    """
    room = _Room(bins, rules, where or {})
    alone = {item.id: room.hosts_for(item) for item in items}
    order = sorted(
        items,
        key=lambda item: (len(alone[item.id]), -room.share(item), item.id),
    )
    greedy, left = _greedily(room, order)
    steps = len(items)
    if not left:
        return Packing(greedy, steps=steps)
    # What has no place even in empty rooms, or is too much in sum, needs no
    # search.
    why = _impossible(room, order, alone)
    if why is None:
        found, tried = _search(room, order, budget - steps)
        steps += tried
        if found is not None:
            return Packing(found, steps=steps)
        one = next(item for item in items if item.id in left)
        why = (
            f"they do not fit together, in no way of {steps} that were tried:"
            f" what is left for {one.id} is too little for"
            f" {amounts_text(one.amounts)}, or its groups forbid it"
        )
    return Packing(greedy, left, why, steps)


class _Room:
    """What is left on the hosts while instances are being placed."""

    def __init__(
        self,
        bins: Sequence[Bin],
        rules: Sequence[Rule],
        where: Mapping[str, str],
    ) -> None:
        self._bins = {one.host: one for one in bins}
        self._free = {one.host: dict(one.free) for one in bins}
        self._where = dict(where)
        self._first = dict(where)
        self._rules: dict[str, list[Rule]] = {}
        #: How many members of which rules there are, by host.
        self._members = {one.host: Counter[int]() for one in bins}
        for rule in rules:
            for member in rule.members:
                self._rules.setdefault(member, []).append(rule)
        for member in self._rules:
            self._count(member, 1)
        self._total = _sum(bins)

    @property
    def free(self) -> dict[str, float]:
        """What all hosts have together, before anything is placed."""
        return self._total

    def share(self, item: Item) -> float:
        """Return how much of all there is an instance takes, at most 1."""
        return max(
            (
                amount / max(self._total.get(name, 0), amount)
                for name, amount in item.amounts.items()
                if amount > 0
            ),
            default=0.0,
        )

    def short(self, item: Item, host: str) -> str | None:
        """Return what a host lacks for an instance, or None."""
        free, largest = self._free[host], self._bins[host].largest
        for name, amount in sorted(item.amounts.items()):
            there = free.get(name, math.inf if name in _ELSEWHERE else 0)
            there = min(there, largest.get(name, math.inf))
            if amount > max(there, 0):
                return (
                    f"{amount:.10g} {name} needed, {max(there, 0):.10g} free"
                )
        return None

    def refused(self, item: Item, host: str) -> str | None:
        """Return why a host does not take an instance, or None."""
        return self.short(item, host) or refusal(
            self._rules.get(item.id, ()), self._where, item.id, host
        )

    def worst(self, item: Item) -> str:
        """Return why no host takes an instance; groups are worth more."""
        said = [
            f"{host}: {self.refused(item, host)}"
            for host in sorted(self._bins, key=lambda h: self._near(item, h))
        ]
        return said[0] if said else "there is no host that it may go to"

    def _near(self, item: Item, host: str) -> tuple[bool, float]:
        return self.short(item, host) is not None, self._slack(item, host)

    def hosts_for(self, item: Item) -> list[str]:
        """Return the hosts that take an instance, the best fitting first."""
        able = [h for h in self._bins if self.refused(item, h) is None]
        return sorted(able, key=lambda host: self._preference(item, host))

    def _preference(self, item: Item, host: str) -> tuple[int, float]:
        wished = 0
        for rule in self._rules.get(item.id, ()):
            if rule.soft:
                mates = sum(
                    self._where.get(other) == host
                    for other in rule.members
                    if other != item.id
                )
                wished += -mates if rule.together else mates
        return wished, self._slack(item, host)

    def _slack(self, item: Item, host: str) -> float:
        """Return how much an instance would leave on a host, as shares."""
        left = 0.0
        for name, amount in item.amounts.items():
            there, most = self._free[host].get(name), self._total.get(name)
            if there is not None and most and not math.isinf(most):
                left += (there - amount) / most
        return left

    def _count(self, instance: str, sign: int) -> None:
        members = self._members.get(self._where.get(instance, ""))
        if members is not None:
            for rule in self._rules.get(instance, ()):
                members[id(rule)] += sign

    def place(self, item: Item, host: str) -> None:
        """Have an instance on a host."""
        self._count(item.id, -1)
        self._where[item.id] = host
        self._count(item.id, 1)
        self._take(item, host, 1)

    def remove(self, item: Item, host: str) -> None:
        """Have an instance where it was."""
        self._count(item.id, -1)
        if item.id in self._first:
            self._where[item.id] = self._first[item.id]
        else:
            del self._where[item.id]
        self._count(item.id, 1)
        self._take(item, host, -1)

    def _take(self, item: Item, host: str, sign: int) -> None:
        free = self._free[host]
        for name, amount in item.amounts.items():
            if name in free:
                free[name] -= sign * amount

    def likeness(self, host: str) -> object:
        """Return what hosts have in common that may stand for each other."""
        members = self._members[host]
        return (
            tuple(sorted(self._free[host].items())),
            tuple(sorted(self._bins[host].largest.items())),
            tuple(sorted((k, n) for k, n in members.items() if n)),
        )


def _greedily(
    room: _Room, order: Sequence[Item]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Place each where it fits best, in order; leave nothing in the room."""
    moves: dict[str, str] = {}
    left = []
    for item in order:
        hosts = room.hosts_for(item)
        if hosts:
            room.place(item, hosts[0])
            moves[item.id] = hosts[0]
        else:
            left.append(item.id)
    for item in reversed(order):
        if item.id in moves:
            room.remove(item, moves[item.id])
    return moves, tuple(left)


def _impossible(
    room: _Room, order: Sequence[Item], alone: Mapping[str, list[str]]
) -> str | None:
    """Return why no search can help, if that is so."""
    short = {
        name: needed
        for name, needed in total(item.amounts for item in order).items()
        if needed > max(room.free.get(name, math.inf), 0)
    }
    if short:
        there = {name: max(room.free[name], 0) for name in short}
        return f"{amounts_text(short)} needed, {amounts_text(there)} free"
    for item in order:
        if not alone[item.id]:
            return f"{item.id} fits nowhere ({room.worst(item)})"
    return None


def _search(
    room: _Room, order: Sequence[Item], budget: int
) -> tuple[dict[str, str] | None, int]:
    """Try ways to place all, deep before broad.

    :returns: the way that was found, and how many placements were tried.
    """
    moves: list[str] = []
    ways: list[Iterator[str]] = [_ways(room, order[0])]
    tried = 0
    while ways:
        host = next(ways[-1], None)
        if tried >= budget:
            break
        if host is None:
            ways.pop()
            if moves:
                room.remove(order[len(moves) - 1], moves.pop())
            continue
        tried += 1
        room.place(order[len(moves)], host)
        moves.append(host)
        if len(moves) == len(order):
            found = zip(order, moves, strict=True)
            return {item.id: at for item, at in found}, tried
        ways.append(_ways(room, order[len(moves)]))
    return None, tried


def _ways(room: _Room, item: Item) -> Iterator[str]:
    """Return where an instance may go, one of each kind of hosts."""
    seen: set[object] = set()
    found = []
    for host in room.hosts_for(item):
        like = room.likeness(host)
        if like not in seen:
            seen.add(like)
            found.append(host)
    return iter(found)
