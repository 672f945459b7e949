"""What the engine needs of the world outside, as protocols.

The adapters are in ``recovery_ha.clients``. Each call that changes something
checks the caller's lease as late as it can and raises
:class:`~recovery_ha.domain.errors.LeaseLost` instead of sending.
"""

from collections.abc import Collection, Mapping
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
class Flavor:
    """What a server takes of a host, as written down when it was built.

    :ivar disk_gb: root, ephemeral and swap disk; the root disk counts as 0
        for a server booted from a volume.
    """

    name: str
    vcpus: int
    memory_mb: int
    disk_gb: int
    extra_specs: dict[str, str]


@dataclass(frozen=True, slots=True)
class Server:
    """An instance as Nova sees it.

    :ivar host: the compute host's name (not the hypervisor's).
    :ivar power_state: 1 running, 3 paused, 4 shut down, 0 unknown, ...
    :ivar fault: Nova's own words on why it is in error, if it says.
    :ivar image_id: None when it was booted from a volume.
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
    project_id: str
    user_id: str
    flavor: Flavor
    image_id: str | None


@dataclass(frozen=True, slots=True)
class Migration:
    """Nova's record of one move of a server.

    :ivar type: ``evacuation``, ``live-migration``, ``migration`` or
        ``resize``.
    """

    id: int
    instance_uuid: str
    status: str
    source_compute: str
    dest_compute: str | None
    type: str = "evacuation"


@dataclass(frozen=True, slots=True)
class NovaService:
    """One of Nova's services, of whichever binary.

    :ivar binary: ``nova-compute``, ``nova-conductor``, ``nova-scheduler``...
    """

    id: str
    binary: str
    host: str
    enabled: bool
    up: bool


@dataclass(frozen=True, slots=True)
class InstanceAction:
    """Nova's record of something done to a server.

    :ivar action: Nova's name of it: ``stop``, ``reboot``, ``evacuate``, ...
    :ivar user_id: who asked for it; None when Nova did it by itself.
    :ivar start_time: naive UTC.
    """

    action: str
    user_id: str | None
    request_id: str
    start_time: datetime


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A host aggregate."""

    id: int
    name: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a compute host can still take.

    Each may be negative, when more is promised than there is, and
    ``math.inf`` where Placement does not count it for that host.
    """

    vcpus: float
    memory_mb: float
    disk_gb: float


@dataclass(frozen=True, slots=True)
class Amounts:
    """What a compute host has, by resource class, and who takes what of it.

    :ivar total: what all servers together may take of the class.
    :ivar free: what is left of that; may be negative.
    :ivar largest: what one server may take at most.
    :ivar taken: what each consumer takes, by its uuid.
    """

    total: Mapping[str, float]
    free: Mapping[str, float]
    largest: Mapping[str, float]
    taken: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class ServerGroup:
    """A server group of Nova, of whichever project.

    :ivar policy: ``affinity``, ``anti-affinity``, ``soft-affinity`` or
        ``soft-anti-affinity``.
    :ivar members: the uuids of its servers.
    :ivar max_per_host: with ``anti-affinity``, how many may share a host.
    """

    id: str
    name: str
    policy: str
    members: tuple[str, ...]
    max_per_host: int = 1


class ComputePort(Protocol):
    """Nova.

    All raise :class:`errors.ComputeError` or one of its subclasses with
    Nova's own words; reads are repeated a bounded number of times first.
    """

    def find_service(self, host: str) -> ComputeService | None:
        """Return the nova-compute service of a host, or None."""

    def list_services(self) -> list[ComputeService]:
        """Return the nova-compute services of all hosts."""

    def disable_service(self, service_id: str, reason: str) -> None:
        """Keep the scheduler from placing instances on a service."""

    def force_service_down(self, service_id: str) -> None:
        """Have Nova take a service for down at once."""

    def enable_service(self, service_id: str) -> None:
        """Let the scheduler place instances on a service again."""

    def clear_forced_down(self, service_id: str) -> None:
        """Have Nova judge a service by its heartbeats again.

        :raises errors.ComputeError: with status 400, as long as a server was
            evacuated from its host whose nova-compute has not started since.
        """

    def list_servers(self, host: str) -> list[Server]:
        """Return every project's servers on a host, all pages."""

    def list_servers_of(
        self, hosts: Collection[str]
    ) -> dict[str, list[Server]]:
        """Return every project's servers on hosts, by host.

        Host by host if they are few; else all servers of the cloud are
        listed, which takes a request for each page only.
        """

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

    def start_server(self, server_id: str) -> None:
        """Have Nova start a stopped server."""

    def reboot_server(self, server_id: str) -> None:
        """Have Nova reboot a server hard, whether its guest runs or not."""

    def reset_server_state(self, server_id: str, state: str) -> None:
        """Set a server's vm_state to ``error`` or ``active``, no task."""

    def list_actions(self, server_id: str) -> list[InstanceAction]:
        """Return what was done to a server, the newest first.

        Of one that is gone too, as long as Nova keeps it.

        :raises errors.ComputeNotFound: Nova does not know it any more.
        """

    def list_aggregates(self) -> list[Aggregate]:
        """Return all host aggregates."""

    def add_to_aggregate(self, aggregate_id: int, host: str) -> None:
        """Have a host in an aggregate; nothing to do if it is in it."""

    def remove_from_aggregate(self, aggregate_id: int, host: str) -> None:
        """Have a host not in an aggregate; fine if it is not in it."""

    def user_id(self) -> str:
        """Return the id of the user that this session acts as."""


class MovingPort(ComputePort, Protocol):
    """Nova, as maintenance asks it: moves between living hosts.

    None of the requests for a move is ever sent twice by itself.
    """

    def live_migrate_server(
        self, server_id: str, target: str | None = None
    ) -> None:
        """Have Nova move a running server.

        Nova answers before it has looked for a host: that it finds none is
        in the migration record.

        :param target: the host to use; None leaves it to the scheduler.
        """

    def migrate_server(
        self, server_id: str, target: str | None = None
    ) -> None:
        """Have Nova stop a server and move it.

        When it has arrived it waits for :meth:`confirm_migration`.

        :param target: the host to use; None leaves it to the scheduler.
        """

    def confirm_migration(self, server_id: str) -> None:
        """Accept the new place of a server that was moved cold."""

    def abort_live_migration(self, server_id: str, migration_id: int) -> None:
        """Have Nova give up a live migration that is under way.

        :raises errors.ComputeError: with status 400 or 404, when it has
            ended, or has come too far.
        """

    def list_migrations(
        self,
        source: str,
        type_: str | None = None,
        since: datetime | None = None,
    ) -> list[Migration]:
        """Return the records of all moves away from a host, all pages.

        :param type_: ``live-migration``, ``migration``, ...; None: all.
        :param since: naive UTC; only those that changed then or later.
        """

    def find_failure(self, server_id: str, action: str) -> str | None:
        """Return why the latest such action failed, in Nova's own words.

        :param action: Nova's name of it: ``live-migration``, ``migrate``.
        :returns: None when Nova does not say, or does not answer.
        """

    def list_all_services(self) -> list[NovaService]:
        """Return Nova's services of all binaries."""

    def list_server_groups(self) -> list[ServerGroup]:
        """Return the server groups of all projects."""


class PlacementPort(Protocol):
    """Placement; raises as :class:`ComputePort` does."""

    def free(self, host: str) -> Capacity | None:
        """Return what a compute host can still take.

        :returns: None when Nova or Placement has no such host.
        """

    def users(self, host: str) -> list[str] | None:
        """Return the uuids of what takes something of a compute host.

        These are servers, and perhaps migrations of some.

        :returns: None when Nova or Placement has no such host.
        """

    def amounts(self, host: str) -> Amounts | None:
        """Return what a compute host has of each resource class.

        :returns: None when Nova or Placement has no such host.
        """


class ImagePort(Protocol):
    """Glance; raises as :class:`ComputePort` does."""

    def properties(self, image_id: str) -> dict[str, str]:
        """Return an image's properties, as text, by their names.

        Its tags are one of them: ``tags``, separated by commas. An image
        that is gone has none.
        """
