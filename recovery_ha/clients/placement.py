"""Placement: what the compute hosts can still take."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from recovery_ha.clients.requests import Api, Requests, Service
from recovery_ha.domain import errors
from recovery_ha.domain.ports import Amounts, Capacity

#: Hypervisors by the uuids of their resource providers. From 2.88 on Nova
#: asks each compute host for its uptime, and waits for dead ones.
_HYPERVISORS = Api(Service.NOVA, "2.53")
#: Inventories and usages have not changed since the first version.
_PROVIDERS = Api(Service.PLACEMENT, "1.0")
#: Which provider hangs below which.
_TREES = Api(Service.PLACEMENT, "1.14")
#: What hangs below a host, devices for instance, is looked at if it is not
#: more than that; else its classes count as not there.
_MAX_NESTED = 8


class Placement(Requests):
    """Placement for one piece of work: a :class:`ports.PlacementPort`.

    Which hosts there are, and which providers, is asked once in its life.
    Nova keeps VCPU, MEMORY_MB and DISK_GB on the provider of the hypervisor
    itself, so that :meth:`free` does not look at what hangs below it.
    """

    def free(self, host: str) -> Capacity | None:
        """See :meth:`ports.PlacementPort.free`."""
        providers = map(self._of_provider, self._hypervisors.get(host, ()))
        found = [free for free in providers if free is not None]
        if not found:
            return None
        return Capacity(
            vcpus=_sum("VCPU", found),
            memory_mb=_sum("MEMORY_MB", found),
            disk_gb=_sum("DISK_GB", found),
        )

    def users(self, host: str) -> list[str] | None:
        """See :meth:`ports.PlacementPort.users`."""
        found: set[str] = set()
        known = False
        for uuid in self._hypervisors.get(host, ()):
            path = f"/resource_providers/{uuid}/allocations"
            try:
                found |= self._get(_PROVIDERS, path)["allocations"].keys()
            except errors.ComputeNotFound:
                continue
            known = True
        return sorted(found) if known else None

    def amounts(self, host: str) -> Amounts | None:
        """See :meth:`ports.PlacementPort.amounts`.

        One request for each provider, and one more when it has changed since
        it was asked about last. Where several providers of a host
        have a class, an instance takes it from one of them: the one with
        the most left counts, so that never too much is said to be free.
        """
        found = [
            one
            for uuid in self._hypervisors.get(host, ())
            for one in self._tree(uuid)
        ]
        if not found:
            return None
        taken: dict[str, dict[str, int]] = {}
        for one in found:
            for consumer, resources in one.taken.items():
                sums = taken.setdefault(consumer, {})
                for name, amount in resources.items():
                    sums[name] = sums.get(name, 0) + amount
        return Amounts(
            total=_sums([one.total for one in found]),
            free=_most([one.free for one in found]),
            largest=_most(
                [
                    {
                        name: min(most, one.free[name])
                        for name, most in one.largest.items()
                    }
                    for one in found
                ]
            ),
            taken=taken,
        )

    def _tree(self, root: str) -> list[Amounts]:
        """Return what a provider has, and those below it; [] if none."""
        first = self._amounts_of(root)
        if first is None:
            return []
        below = self._nested.get(root, [])
        if len(below) > _MAX_NESTED:
            return [first]
        others = map(self._amounts_of, below)
        return [first, *(one for one in others if one is not None)]

    def _amounts_of(self, uuid: str) -> Amounts | None:
        """Return what one provider has, and who takes it."""
        path = f"/resource_providers/{uuid}"
        try:
            users = self._get(_PROVIDERS, f"{path}/allocations")
            inventories = self._inventories(
                uuid, users["resource_provider_generation"]
            )
        except errors.ComputeNotFound:
            return None
        taken = {
            consumer: dict(what["resources"])
            for consumer, what in users["allocations"].items()
        }
        used = _sums(list(taken.values()))
        total = {
            name: _capacity(inventory)
            for name, inventory in inventories.items()
        }
        return Amounts(
            total=total,
            free={
                name: most - used.get(name, 0) for name, most in total.items()
            },
            largest={
                name: float(inventory["max_unit"])
                for name, inventory in inventories.items()
            },
            taken=taken,
        )

    def _inventories(self, uuid: str, generation: int) -> dict[str, Any]:
        """Return what a provider offers; not asked for twice.

        :param generation: the provider's, which is another one after each
            change of its inventories.
        """
        known = self._api.inventories.get(uuid)
        if known is None or known[0] != generation:
            path = f"/resource_providers/{uuid}/inventories"
            body = self._get(_PROVIDERS, path)
            known = body["resource_provider_generation"], body["inventories"]
            self._api.inventories[uuid] = known
        return known[1]

    @functools.cached_property
    def _nested(self) -> dict[str, list[str]]:
        """The uuids of the providers below others, by that of their root."""
        found: dict[str, list[str]] = {}
        body = self._get(_TREES, "/resource_providers")
        for one in body["resource_providers"]:
            root = one["root_provider_uuid"]
            if root != one["uuid"]:
                found.setdefault(root, []).append(one["uuid"])
        return found

    @functools.cached_property
    def _hypervisors(self) -> dict[str, list[str]]:
        """The uuids of the hypervisors by host; Ironic's have several."""
        found: dict[str, list[str]] = {}
        for one in self._pages(
            _HYPERVISORS, "/os-hypervisors/detail", "hypervisors", {}
        ):
            found.setdefault(one["service"]["host"], []).append(one["id"])
        return found

    def _of_provider(self, uuid: str) -> dict[str, float] | None:
        """Return what is free by class; None if there is no such provider."""
        path = f"/resource_providers/{uuid}"
        try:
            offered = self._get(_PROVIDERS, f"{path}/inventories")
            used = self._get(_PROVIDERS, f"{path}/usages")
        except errors.ComputeNotFound:
            return None
        return {
            name: _capacity(inventory) - used["usages"].get(name, 0)
            for name, inventory in offered["inventories"].items()
        }


def _capacity(inventory: dict[str, Any]) -> float:
    """Return what all servers together may take, as Placement reckons."""
    own = inventory["total"] - inventory["reserved"]
    return float(own * inventory["allocation_ratio"])


def _sum(name: str, found: list[dict[str, float]]) -> float:
    """Return what is free of a class on all providers that have it.

    What none of them has is elsewhere, such as disks on shared storage, and
    nothing that a host runs out of.
    """
    amounts = [free[name] for free in found if name in free]
    return sum(amounts) if amounts else math.inf


def _sums(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the sums by class."""
    names = sorted({name for one in found for name in one})
    return {name: sum(one.get(name, 0) for one in found) for name in names}


def _most(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the largest amount of each class."""
    names = sorted({name for one in found for name in one})
    return {
        name: max(one[name] for one in found if name in one) for name in names
    }
