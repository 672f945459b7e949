"""The things a cloud consists of, as plain records, and their vocabulary."""

import dataclasses
import datetime as dt
import enum
import functools
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any

from recovery_ha.simulator.timeline import Event

NAMESPACE = uuid.UUID("5a3f0d0e-6f0b-4e9e-9c7a-0d6a2a9a7c11")

RUNNING = 1
PAUSED = 3
SHUTDOWN = 4
SUSPENDED = 7
NOSTATE = 0

# Nova's words; what is not named here shows the word of its vm_state.
_STATUS = {
    "active": "ACTIVE",
    "building": "BUILD",
    "stopped": "SHUTOFF",
    "resized": "VERIFY_RESIZE",
    "paused": "PAUSED",
    "suspended": "SUSPENDED",
    "rescued": "RESCUE",
    "error": "ERROR",
    "deleted": "DELETED",
    "soft-delete": "SOFT_DELETED",
    "shelved": "SHELVED",
    "shelved_offloaded": "SHELVED_OFFLOADED",
}
_REBUILDING = {
    "rebuilding": "REBUILD",
    "rebuild_block_device_mapping": "REBUILD",
    "rebuild_spawning": "REBUILD",
}
_RESIZING = {
    "resize_prep": "RESIZE",
    "resize_migrating": "RESIZE",
    "resize_migrated": "RESIZE",
    "resize_finish": "RESIZE",
}
_STATUS_IN_TASK: dict[str, dict[str, str]] = {
    "active": {
        "rebooting": "REBOOT",
        "reboot_pending": "REBOOT",
        "reboot_started": "REBOOT",
        "rebooting_hard": "HARD_REBOOT",
        "reboot_pending_hard": "HARD_REBOOT",
        "reboot_started_hard": "HARD_REBOOT",
        "updating_password": "PASSWORD",
        "migrating": "MIGRATING",
        **_REBUILDING,
        **_RESIZING,
    },
    "stopped": {**_REBUILDING, **_RESIZING},
    "resized": {"resize_reverting": "REVERT_RESIZE"},
    "paused": {"migrating": "MIGRATING"},
    "error": _REBUILDING,
}
STATUSES = frozenset(_STATUS.values()) | {
    word for words in _STATUS_IN_TASK.values() for word in words.values()
}
VM_STATES = frozenset(_STATUS)


def status_of(vm_state: str, task_state: str | None) -> str:
    """Return the status that Nova shows for a server in these states."""
    in_task = _STATUS_IN_TASK.get(vm_state, {})
    return in_task.get(task_state or "", _STATUS.get(vm_state, "UNKNOWN"))


@functools.cache
def stable_uuid(*names: str) -> str:
    """Return a UUID that is the same in every run for the same names."""
    return str(uuid.uuid5(NAMESPACE, "/".join(names)))


def now() -> dt.datetime:
    """Return the time as clouds store it: UTC."""
    return dt.datetime.now(dt.UTC)


class Process(enum.StrEnum):
    """What has become of a host's nova-compute."""

    RUNNING = "running"
    DEAD = "dead"
    STARTING = "starting"
    FROZEN = "frozen"


@dataclasses.dataclass(eq=False)
class Work:
    """A message to a nova-compute, which waits when that cannot act.

    :param begin: called when the host takes it; returns the seconds it takes,
        or None when it never ends
    :param finish: called when the time is over
    :param interrupted: called when the host dies while it is at it
    """

    server: str
    begin: Callable[[], float | None]
    finish: Callable[[], None]
    interrupted: Callable[[], None] | None = None
    build: bool = False
    event: Event | None = None
    overdue: bool = False


@dataclasses.dataclass
class Compute:
    """A compute host: its service, its hypervisor, its guests."""

    host: str
    number: int
    hypervisor_hostname: str
    inventory: dict[str, int]
    zone: str = "nova"
    disabled: bool = False
    disabled_reason: str | None = None
    forced_down: bool = False
    process: Process = Process.RUNNING
    starting: Event | None = None
    # Of the monotonic and the wall clock: when it was last heard of.
    silent_since: float = 0.0
    last_heard: dt.datetime | None = None
    changed: dt.datetime | None = None
    generation: int = 1
    # The servers whose guests really run here, which Nova may not know.
    guests: set[str] = dataclasses.field(default_factory=set)
    waiting: deque[Work] = dataclasses.field(default_factory=deque)
    working: list[Work] = dataclasses.field(default_factory=list)

    @property
    def service_uuid(self) -> str:
        """Return the UUID of its compute service."""
        return stable_uuid("service", self.host)

    @property
    def uuid(self) -> str:
        """Return the UUID of its hypervisor and resource provider."""
        return stable_uuid("provider", self.host)


@dataclasses.dataclass(frozen=True)
class Flavor:
    """A size of servers."""

    id: str
    name: str
    vcpus: int
    ram: int
    disk: int
    extra_specs: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def resources(self) -> dict[str, int]:
        """Return what a server of this size takes in Placement."""
        amounts = {
            "VCPU": self.vcpus,
            "MEMORY_MB": self.ram,
            "DISK_GB": self.disk,
        }
        return {name: amount for name, amount in amounts.items() if amount}


@dataclasses.dataclass(frozen=True)
class InstanceAction:
    """What was done to a server, as Nova remembers it.

    :param user_id: who asked for it; None when Nova did it by itself
    """

    action: str
    request_id: str
    user_id: str | None
    project_id: str | None
    start_time: dt.datetime


@dataclasses.dataclass
class Server:
    """A server as Nova's database has it."""

    uuid: str
    number: int
    name: str
    project_id: str
    user_id: str
    flavor: Flavor
    host: str | None = None
    image_id: str | None = None
    vm_state: str = "active"
    task_state: str | None = None
    power_state: int = RUNNING
    locked: bool = False
    locked_reason: str | None = None
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    created: dt.datetime = dataclasses.field(default_factory=now)
    updated: dt.datetime = dataclasses.field(default_factory=now)
    launched: dt.datetime | None = None
    fault: dict[str, Any] | None = None
    description: str | None = None
    group: str | None = None
    actions: list[InstanceAction] = dataclasses.field(default_factory=list)
    # What went wrong with the latest action of a name.
    failures: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def resources(self) -> dict[str, int]:
        """Return what it takes in Placement; its volumes count elsewhere."""
        amounts = self.flavor.resources
        if self.image_id is None:
            amounts.pop("DISK_GB", None)
        return amounts

    @property
    def status(self) -> str:
        """Return the status that Nova computes from the states."""
        return status_of(self.vm_state, self.task_state)

    def record(
        self,
        action: str,
        request_id: str | None = None,
        user_id: str | None = None,
        project_id: str | None = None,
    ) -> None:
        """Remember that something was done to the server.

        :param request_id: None makes one up
        """
        request_id = request_id or f"req-{uuid.uuid4()}"
        self.actions.append(
            InstanceAction(action, request_id, user_id, project_id, now())
        )

    def fail(self, message: str, code: int = 500) -> None:
        """Put the server in error and say why."""
        self.vm_state = "error"
        self.task_state = None
        self.blame(message, code)

    def blame(self, message: str, code: int = 500) -> None:
        """Keep what went wrong; it shows while the server is in error."""
        self.fault = {"code": code, "created": now(), "message": message}
        self.updated = now()


@dataclasses.dataclass
class Migration:
    """A migration record."""

    id: int
    uuid: str
    migration_type: str
    server: Server
    source_compute: str
    source_node: str
    status: str = "accepted"
    dest_compute: str | None = None
    dest_node: str | None = None
    created_at: dt.datetime = dataclasses.field(default_factory=now)
    updated_at: dt.datetime | None = None

    def become(self, status: str) -> None:
        """Write the next status."""
        self.status = status
        self.updated_at = now()


@dataclasses.dataclass
class Aggregate:
    """A host aggregate."""

    id: int
    name: str
    availability_zone: str | None = None
    hosts: list[str] = dataclasses.field(default_factory=list)
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    created_at: dt.datetime = dataclasses.field(default_factory=now)
    updated_at: dt.datetime | None = None

    @property
    def uuid(self) -> str:
        """Return the UUID of the aggregate."""
        return stable_uuid("aggregate", str(self.id))


@dataclasses.dataclass
class ServerGroup:
    """A server group; its members are found through the servers."""

    uuid: str
    name: str
    policy: str
    project_id: str
    user_id: str
    rules: dict[str, int] = dataclasses.field(default_factory=dict)
