"""Which instances still fit on a host."""

from collections.abc import Iterable
from dataclasses import dataclass

from recovery_ha.domain.ports import Capacity, Server


@dataclass(frozen=True, slots=True)
class Fit:
    """What fits on a host, in the order in which it was asked.

    :ivar fitting: uuids.
    :ivar left: by uuid, why an instance does not fit.
    """

    fitting: tuple[str, ...]
    left: dict[str, str]


def fit(servers: Iterable[Server], host: str, free: Capacity | None) -> Fit:
    """Fill a host, the first ones first; a smaller one may fit later.

    :param free: what the host can still take; None if nobody knows, then
        all are said to fit: Nova decides.
    """
    fitting: list[str] = []
    left: dict[str, str] = {}
    if free is None:
        return Fit(tuple(server.id for server in servers), left)
    vcpus, memory, disk = free.vcpus, free.memory_mb, free.disk_gb
    for server in servers:
        flavor = server.flavor
        short = [
            f"{wanted} {what} needed, {max(there, 0):g} free"
            for wanted, there, what in (
                (flavor.vcpus, vcpus, "VCPU"),
                (flavor.memory_mb, memory, "MB of memory"),
                (flavor.disk_gb, disk, "GB of disk"),
            )
            if wanted > max(there, 0)
        ]
        if short:
            left[server.id] = (
                f"Does not fit on reserved host {host}: {', '.join(short)}."
            )
            continue
        fitting.append(server.id)
        vcpus -= flavor.vcpus
        memory -= flavor.memory_mb
        disk -= flavor.disk_gb
    return Fit(tuple(fitting), left)
