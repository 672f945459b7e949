"""Who may go where: inventories, allocations and the choice of a host."""

from collections.abc import Callable, Iterable

from recovery_ha.simulator.computes import Computes
from recovery_ha.simulator.records import (
    Compute,
    Server,
    ServerGroup,
)

# Nova's and Placement's defaults.
CPU_RATIO = 4.0
RESERVED_MEMORY_MB = 512


class NoValidHost(Exception):
    """The scheduler found no host."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(f"No valid host was found. {reason}".strip() + " ")


class Allocations:
    """What each consumer takes from each host. Callers hold the lock."""

    def __init__(self, computes: Computes) -> None:
        self._computes = computes
        self._by_consumer: dict[str, dict[str, dict[str, int]]] = {}
        self._used: dict[str, dict[str, int]] = {}

    def of(self, consumer: str) -> dict[str, dict[str, int]]:
        """Return the consumer's resources by host."""
        return self._by_consumer.get(consumer, {})

    def on(self, host: str) -> dict[str, dict[str, int]]:
        """Return the resources taken from a host by consumer."""
        return {
            consumer: hosts[host]
            for consumer, hosts in self._by_consumer.items()
            if host in hosts
        }

    def claim(self, server: Server, host: str) -> None:
        """Give a server what it needs, as far as the host offers it.

        What the host does not offer, such as disks where storage is shared,
        is taken from elsewhere.
        """
        offered = self._computes.get(host).inventory
        hosts = self._by_consumer.setdefault(server.uuid, {})
        self._count(host, hosts.get(host, {}), -1)
        hosts[host] = {
            name: amount
            for name, amount in server.resources.items()
            if name in offered
        }
        self._count(host, hosts[host], 1)

    def release(self, consumer: str, host: str | None) -> None:
        """Take back what the consumer has from one host, if anything."""
        hosts = self._by_consumer.get(consumer, {})
        if host in hosts:
            self._count(host, hosts.pop(host), -1)
        if not hosts:
            self._by_consumer.pop(consumer, None)

    def release_all(self, consumer: str) -> None:
        """Take back everything the consumer has."""
        for host in list(self.of(consumer)):
            self.release(consumer, host)

    def clear(self) -> None:
        """Forget all allocations."""
        self._by_consumer.clear()
        self._used.clear()

    def used(self, host: str) -> dict[str, int]:
        """Return what is taken from a host in all."""
        compute = self._computes.get(host)
        used = self._used.get(host, {})
        return {name: used.get(name, 0) for name in compute.inventory}

    def fits(self, compute: Compute, resources: dict[str, int]) -> bool:
        """Return whether a host has room for these resources."""
        used = self.used(compute.host)
        return all(
            used[name] + amount <= capacity(compute, name)
            and amount <= compute.inventory[name]
            for name, amount in resources.items()
            if name in compute.inventory
        )

    def _count(self, host: str, resources: dict[str, int], sign: int) -> None:
        used = self._used.setdefault(host, {})
        for name, amount in resources.items():
            used[name] = used.get(name, 0) + sign * amount
        compute = self._computes.find(host)
        if compute is not None and resources:
            compute.generation += 1


def capacity(compute: Compute, resource_class: str) -> int:
    """Return how much of a resource class can be taken from a host."""
    total = compute.inventory.get(resource_class, 0)
    if resource_class == "VCPU":
        return int(total * CPU_RATIO)
    if resource_class == "MEMORY_MB":
        return max(0, total - RESERVED_MEMORY_MB)
    return total


class Scheduler:
    """Chooses hosts: deterministic, the least loaded first."""

    def __init__(
        self,
        computes: Computes,
        allocations: Allocations,
        group_of: Callable[[Server], ServerGroup | None],
        servers: Callable[[], Iterable[Server]],
    ) -> None:
        self._computes = computes
        self._allocations = allocations
        self._group_of = group_of
        self._servers = servers

    def choose(
        self,
        server: Server,
        *,
        only: str | None = None,
        exclude: str | None = None,
        zone: str | None = None,
    ) -> Compute:
        """Return the host for a server and claim its resources there.

        :param only: the host that was asked for
        :param exclude: the host that it must leave
        :param zone: the availability zone that was asked for
        :raises NoValidHost: no host can take it
        """
        able = [
            compute
            for compute in self._computes
            if compute.host != exclude
            and only in {None, compute.host}
            and zone in {None, compute.zone}
            and not compute.disabled
            and self._computes.up(compute)
            and self._allocations.fits(compute, server.resources)
        ]
        able = self._obey_group(server, able)
        if not able:
            raise NoValidHost("There are not enough hosts available.")
        chosen = min(able, key=self._load)
        self._allocations.claim(server, chosen.host)
        return chosen

    def _load(self, compute: Compute) -> tuple[float, int]:
        used = self._allocations.used(compute.host)
        share = max(
            amount / (capacity(compute, name) or 1)
            for name, amount in used.items()
        )
        return share, compute.number

    def _obey_group(
        self, server: Server, able: list[Compute]
    ) -> list[Compute]:
        group = self._group_of(server)
        if group is None:
            return able
        mates: dict[str, int] = {}
        for other in self._servers():
            if other.group == group.uuid and other is not server:
                # A server on its way counts where it will be.
                for host in self._allocations.of(other.uuid):
                    mates[host] = mates.get(host, 0) + 1
        if group.policy == "affinity":
            return [c for c in able if not mates or c.host in mates]
        if group.policy == "anti-affinity":
            allowed = group.rules.get("max_server_per_host", 1)
            return [c for c in able if mates.get(c.host, 0) < allowed]
        counts = [mates.get(c.host, 0) for c in able]
        wanted = max if group.policy == "soft-affinity" else min
        best = wanted(counts, default=0)
        return [c for c in able if mates.get(c.host, 0) == best]
