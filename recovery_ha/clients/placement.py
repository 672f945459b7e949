"""Placement: what the compute hosts can still take."""

import functools
import math
from typing import Any

from recovery_ha.clients.requests import Api, Requests, Service
from recovery_ha.domain import errors
from recovery_ha.domain.ports import Capacity

#: Hypervisors by the uuids of their resource providers. From 2.88 on Nova
#: asks each compute host for its uptime, and waits for dead ones.
_HYPERVISORS = Api(Service.NOVA, "2.53")
#: Inventories and usages have not changed since the first version.
_PROVIDERS = Api(Service.PLACEMENT, "1.0")


class Placement(Requests):
    """Placement for one piece of work: a :class:`ports.PlacementPort`.

    Which hosts there are is asked once in its life. Nova keeps VCPU,
    MEMORY_MB and DISK_GB on the provider of the hypervisor itself, so what
    hangs below it is not looked at.
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
