"""What the engine needs of the world outside, as protocols.

The adapters are in ``recovery_ha.clients``. Each call that changes something
checks the caller's lease as late as it can and raises
:class:`~recovery_ha.domain.errors.LeaseLost` instead of sending.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ComputeService:
    """A nova-compute service as Nova sees it.

    :ivar enabled: the scheduler may place instances on it.
    :ivar up: Nova has heard of it lately and it is not forced down.
    """

    id: str
    host: str
    enabled: bool
    up: bool
    forced_down: bool
    disabled_reason: str | None


@dataclass(frozen=True, slots=True)
class Server:
    """An instance as Nova sees it.

    :ivar host: the compute host's name (not the hypervisor's).
    :ivar power_state: 1 running, 3 paused, 4 shut down, 0 unknown, ...
    :ivar fault: Nova's own words on why it is in error, if it says.
    """

    id: str
    name: str
    host: str
    vm_state: str
    task_state: str | None
    power_state: int
    locked: bool
    metadata: dict[str, str]
    fault: str | None


@dataclass(frozen=True, slots=True)
class Migration:
    """Nova's record of one evacuation."""

    id: int
    instance_uuid: str
    status: str
    source_compute: str
    dest_compute: str | None


class ComputePort(Protocol):
    """Nova.

    All raise :class:`errors.ComputeError` or one of its subclasses with
    Nova's own words; reads are repeated a bounded number of times first.
    """

    def find_service(self, host: str) -> ComputeService | None:
        """Return the nova-compute service of a host, or None."""

    def disable_service(self, service_id: str, reason: str) -> None:
        """Keep the scheduler from placing instances on a service."""

    def force_service_down(self, service_id: str) -> None:
        """Have Nova take a service for down at once."""

    def list_servers(self, host: str) -> list[Server]:
        """Return every project's servers on a host, all pages."""

    def find_server(self, server_id: str) -> Server | None:
        """Return one server, or None if it is gone."""

    def list_evacuations(
        self, source: str, since: datetime | None = None
    ) -> list[Migration]:
        """Return the evacuation records of a source host, all pages.

        :param since: naive UTC; only those that changed then or later.
        """

    def lock_server(self, server_id: str, reason: str) -> None:
        """Keep the server's user from acting on it."""

    def unlock_server(self, server_id: str) -> None:
        """Let the server's user act on it again."""

    def evacuate_server(self, server_id: str, target: str | None) -> None:
        """Have Nova rebuild a server elsewhere; never sent twice by itself.

        :param target: the host to use; None leaves it to the scheduler.
        """

    def stop_server(self, server_id: str) -> None:
        """Have Nova stop a server."""

    def reset_server_state(self, server_id: str, state: str) -> None:
        """Set a server's vm_state to ``error`` or ``active``, no task."""
