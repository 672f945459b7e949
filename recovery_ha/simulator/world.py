"""The whole state of the simulated cloud, guarded by one lock."""

import dataclasses
import itertools
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from recovery_ha.simulator import actions
from recovery_ha.simulator.alarms import Alarms
from recovery_ha.simulator.computes import Computes
from recovery_ha.simulator.errors import BadRequest, Conflict, NotFound
from recovery_ha.simulator.evacuation import Evacuations
from recovery_ha.simulator.faults import Faults, Outages
from recovery_ha.simulator.identity import Identity
from recovery_ha.simulator.images import TINY, Images
from recovery_ha.simulator.journal import Journal
from recovery_ha.simulator.migrations import Migrations
from recovery_ha.simulator.moves import Moves
from recovery_ha.simulator.placement import (
    Allocations,
    NoValidHost,
    Scheduler,
)
from recovery_ha.simulator.project_manager import Managers
from recovery_ha.simulator.records import (
    NOSTATE,
    PAUSED,
    RUNNING,
    SHUTDOWN,
    SUSPENDED,
    VM_STATES,
    Aggregate,
    Compute,
    Flavor,
    Process,
    Server,
    ServerGroup,
    Work,
    now,
)
from recovery_ha.simulator.settings import Settings
from recovery_ha.simulator.timeline import Timeline

FLAVORS = (
    Flavor("1", "tiny", 1, 64, 1),
    Flavor("2", "small", 2, 2048, 20),
    Flavor("3", "large", 8, 16384, 80),
)
_POWER = {
    "active": RUNNING,
    "resized": RUNNING,
    "rescued": RUNNING,
    "paused": PAUSED,
    "stopped": SHUTDOWN,
    "shelved": SHUTDOWN,
    "suspended": SUSPENDED,
}
_SETTABLE = {
    "name": (str,),
    "vm_state": (str,),
    "task_state": (str, type(None)),
    "power_state": (int,),
    "host": (str, type(None)),
    "locked": (bool,),
    "locked_reason": (str, type(None)),
    "metadata": (dict,),
    "project_id": (str,),
    "user_id": (str,),
    "image_id": (str, type(None)),
    "description": (str, type(None)),
    "group": (str, type(None)),
    "extra_specs": (dict,),
    "fault": (dict, type(None)),
}
# As many deleted servers are kept for lists with changes-since.
DELETED_KEPT = 10000


class World:
    """The cloud. Every method may be called from any thread.

    Whoever uses the parts directly (`servers`, `computes`, `migrations`, …)
    holds `lock` while doing so.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lock = threading.RLock()
        self._changed = threading.Condition(self.lock)
        self.timeline = Timeline(self.lock, self.changed)
        self.identity = Identity(settings)
        self.faults = Faults()
        self.outages = Outages()
        self.journal = Journal()
        self.alarms = Alarms()
        self.managers = Managers(self.identity, self.lock)
        self.servers: dict[str, Server] = {}
        self.deleted: dict[str, Server] = {}
        self.images = Images(self.identity.project("admin").id)
        self.flavors: dict[str, Flavor] = {}
        self.aggregates: dict[int, Aggregate] = {}
        self.groups: dict[str, ServerGroup] = {}
        self.migrations = Migrations()
        self._numbers = itertools.count(1)
        self.computes = Computes(
            settings, self.timeline, self._compute_started
        )
        self.allocations = Allocations(self.computes)
        self.scheduler = Scheduler(
            self.computes,
            self.allocations,
            lambda server: self.groups.get(server.group or ""),
            self.servers.values,
        )
        self.evacuations = Evacuations(
            settings=settings,
            timeline=self.timeline,
            computes=self.computes,
            allocations=self.allocations,
            scheduler=self.scheduler,
            migrations=self.migrations,
            faults=self.faults,
            exists=self.exists,
        )
        self.moves = Moves(
            settings=settings,
            computes=self.computes,
            allocations=self.allocations,
            scheduler=self.scheduler,
            migrations=self.migrations,
            faults=self.faults,
            exists=self.exists,
        )
        self.actions = actions.Actions(settings, self.computes, self.exists)
        self.reset(settings.computes, settings.servers_per_compute)

    def changed(self) -> None:
        """Wake everyone in `wait`."""
        with self._changed:
            self._changed.notify_all()

    def wait(
        self, condition: Callable[[], Any], seconds: float = 10.0
    ) -> None:
        """Wait until something is true of the world.

        :param condition: called with the lock held, after each change
        :param seconds: how long at most
        :raises TimeoutError: it did not become true
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"not true after {seconds} s")
                # A service falls down by time alone, which wakes nobody.
                self._changed.wait(min(left, 0.05))

    def reset(self, computes: int, servers_per_compute: int) -> None:
        """Start anew with that many hosts; only tokens and settings stay."""
        with self.lock:
            self.timeline.clear()
            self.faults.clear()
            self.outages.end()
            self.journal.clear()
            for store in (
                self.servers,
                self.deleted,
                self.aggregates,
                self.groups,
                self.flavors,
            ):
                store.clear()
            self.flavors |= {flavor.id: flavor for flavor in FLAVORS}
            for part in (
                self.alarms,
                self.managers,
                self.images,
                self.migrations,
                self.evacuations,
                self.moves,
                self.allocations,
                self.computes,
            ):
                part.clear()
            for _ in range(computes):
                compute = self.computes.add()
                if servers_per_compute:
                    self.create_servers(compute.host, servers_per_compute)
            self.changed()

    # Hosts

    def add_compute(self, host: str | None = None) -> Compute:
        """Add a host which is up; without a name it becomes compute-N.

        :raises Conflict: the name is taken
        """
        with self.lock:
            return self.computes.add(host)

    def set_capacity(self, host: str, **amounts: int | None) -> Compute:
        """Set what a host offers. See `Computes.set_inventory`."""
        with self.lock:
            return self.computes.set_inventory(host, **amounts)

    def remove_compute(self, host: str) -> None:
        """Take a host out of the cloud.

        :raises NotFound: there is none
        :raises Conflict: it has servers
        """
        with self.lock:
            if any(server.host == host for server in self.servers.values()):
                raise Conflict(f"{host} has servers")
            self.computes.remove(host)
            for aggregate in self.aggregates.values():
                if host in aggregate.hosts:
                    aggregate.hosts.remove(host)

    def kill(self, host: str) -> None:
        """Power a host off. See `Computes.kill`."""
        self._control(self.computes.kill, host)

    def start(self, host: str) -> None:
        """Start a dead host. See `Computes.start`."""
        self._control(self.computes.start, host)

    def freeze(self, host: str) -> None:
        """Silence a host whose guests go on. See `Computes.freeze`."""
        self._control(self.computes.freeze, host)

    def thaw(self, host: str) -> None:
        """Let a frozen host go on. See `Computes.thaw`."""
        self._control(self.computes.thaw, host)

    def up(self, host: str) -> bool:
        """Return whether Nova believes that the host is up.

        :raises NotFound: there is none
        """
        with self.lock:
            return self.computes.up(self.computes.get(host))

    def _control(self, what: Callable[[str], None], host: str) -> None:
        with self.lock:
            what(host)
            self.changed()

    def _compute_started(self, compute: Compute) -> None:
        self.evacuations.source_started(compute)

    # Servers

    def exists(self, server: Server) -> bool:
        """Return whether a server has not been deleted."""
        return self.servers.get(server.uuid) is server

    def server(self, server_uuid: str) -> Server:
        """Return a server.

        :raises NotFound: there is none
        """
        found = self.servers.get(server_uuid)
        if found is None:
            raise NotFound(f"Instance {server_uuid} could not be found.")
        return found

    def create_servers(
        self,
        host: str,
        count: int = 1,
        name_prefix: str = "server",
        flavor: str = "1",
        **fields: Any,
    ) -> list[str]:
        """Have servers on a host at once, in any state.

        :param flavor: id or name
        :param fields: as for `set_server`
        :returns: their UUIDs
        :raises NotFound: the host does not exist
        :raises BadRequest: a field or a flavor does not exist
        """
        with self.lock:
            compute = self.computes.get(host)
            kind = self.flavor(flavor)
            uuids = []
            for _ in range(count):
                server = self.new_server(name_prefix, kind)
                server.name = f"{name_prefix}-{server.number}"
                server.host = host
                server.launched = server.created
                uuids.append(server.uuid)
                try:
                    self.set_server(server.uuid, **fields)
                except BadRequest:
                    for made in uuids:
                        self.delete_server(self.servers[made])
                    raise
                server.record("create", None, server.user_id)
                self.allocations.claim(server, host)
                if server.power_state not in {SHUTDOWN, NOSTATE}:
                    compute.guests.add(server.uuid)
            self.changed()
            return uuids

    def new_server(
        self,
        name: str,
        flavor: Flavor,
        project_id: str | None = None,
        user_id: str | None = None,
    ) -> Server:
        """Add a server that is on no host yet."""
        owner = self.identity.user("admin")
        server = Server(
            uuid=str(uuid.uuid4()),
            number=next(self._numbers),
            name=name,
            project_id=project_id or self.identity.project("admin").id,
            user_id=user_id or owner.id,
            flavor=flavor,
            image_id=TINY,
        )
        self.servers[server.uuid] = server
        return server

    def boot(
        self, server: Server, host: str | None, zone: str | None = None
    ) -> None:
        """Build a new server, on the host asked for or a chosen one."""
        server.vm_state = "building"
        server.task_state = "scheduling"
        server.power_state = NOSTATE
        try:
            compute = self.scheduler.choose(server, only=host, zone=zone)
        except NoValidHost as error:
            server.fail(str(error))
            return
        server.host = compute.host
        server.task_state = "spawning"

        def built() -> None:
            if self.exists(server) and server.vm_state == "building":
                server.vm_state, server.task_state = "active", None
                server.power_state = RUNNING
                server.launched = server.updated = now()
                compute.guests.add(server.uuid)

        seconds = self.settings.boot_seconds
        self.computes.send(
            compute,
            Work(server.uuid, lambda: seconds, built, build=True),
        )

    def set_server(self, server_uuid: str, **fields: Any) -> Server:
        """Set what Nova says of a server; a host set moves its guest too.

        :param fields: name, vm_state, task_state, power_state, host, locked,
            locked_reason, metadata, project_id, user_id, image_id (None: it
            is on a volume), description, group, fault, extra_specs (those of
            its flavor)
        :raises NotFound: there is no such server or host
        :raises BadRequest: a field does not exist or has a wrong value
        """
        with self.lock:
            server = self.server(server_uuid)
            _check_fields(fields)
            if fields.get("fault"):
                fields["fault"] = {"code": 500, "created": now()} | fields[
                    "fault"
                ]
            if fields.get("host"):
                self._place(server, self.computes.get(fields["host"]))
            vm_state = fields.get("vm_state")
            if vm_state and "power_state" not in fields:
                fields["power_state"] = _POWER.get(vm_state, NOSTATE)
            if "extra_specs" in fields:
                fields["flavor"] = dataclasses.replace(
                    server.flavor, extra_specs=fields.pop("extra_specs")
                )
            for name, value in fields.items():
                setattr(server, name, value)
            for held in list(self.allocations.of(server_uuid)):
                self.allocations.claim(server, held)
            server.updated = now()
            self.changed()
            return server

    def _place(self, server: Server, compute: Compute) -> None:
        if server.host == compute.host:
            return
        old = self.computes.find(server.host)
        if old is not None:
            old.guests.discard(server.uuid)
        self.allocations.release_all(server.uuid)
        self.allocations.claim(server, compute.host)
        if compute.process is not Process.DEAD:
            compute.guests.add(server.uuid)

    def delete_server(self, server: Server) -> None:
        """Delete a server; a guest on a host that is silent stays there."""
        with self.lock:
            self.servers.pop(server.uuid, None)
            self.allocations.release_all(server.uuid)
            for compute in self.computes:
                if compute.process is Process.RUNNING:
                    compute.guests.discard(server.uuid)
            server.vm_state, server.task_state = "deleted", None
            server.power_state = NOSTATE
            server.updated = now()
            self.deleted[server.uuid] = server
            if len(self.deleted) > DELETED_KEPT:
                del self.deleted[next(iter(self.deleted))]
            self.changed()

    def crash(self, server_uuid: str, *, noticed: bool = False) -> None:
        """Let the guest of a server end. See `Actions.crash`.

        :raises NotFound: there is no such server, or no host under it
        """
        with self.lock:
            self.actions.crash(self.server(server_uuid), noticed=noticed)
            self.changed()

    def add_flavor(
        self,
        name: str,
        vcpus: int = 1,
        ram: int = 64,
        disk: int = 1,
        extra_specs: dict[str, str] | None = None,
    ) -> Flavor:
        """Add a size of servers.

        :param ram: MiB
        :param disk: GiB
        :raises Conflict: there is one of that name
        """
        with self.lock:
            if any(one.name == name for one in self.flavors.values()):
                raise Conflict(f"Flavor with name {name} already exists.")
            number = str(len(self.flavors) + 1)
            flavor = Flavor(number, name, vcpus, ram, disk, extra_specs or {})
            self.flavors[number] = flavor
            return flavor

    def flavor(self, reference: str) -> Flavor:
        """Return a flavor by its id or name.

        :raises BadRequest: there is none
        """
        for flavor in self.flavors.values():
            if reference in {flavor.id, flavor.name}:
                return flavor
        raise BadRequest(f"Flavor {reference} could not be found.")


def _check_fields(fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if name not in _SETTABLE:
            raise BadRequest(f"{name} cannot be set")
        if not isinstance(value, _SETTABLE[name]):
            raise BadRequest(f"{name} cannot be {value!r}")
    if fields.get("vm_state", "active") not in VM_STATES:
        raise BadRequest(f"{fields['vm_state']} is not a vm_state")
