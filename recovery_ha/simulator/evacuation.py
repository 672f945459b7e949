"""Evacuation as Nova does it, its traps included.

Nova's API does not refuse to evacuate a server that is being evacuated; the
two then destroy it. An evacuation is a message in the queue of its
destination and outlives its destination's death.
"""

import dataclasses
from collections.abc import Callable

from recovery_ha.simulator.computes import Computes
from recovery_ha.simulator.errors import BadRequest, Conflict, NotFound
from recovery_ha.simulator.faults import Faults
from recovery_ha.simulator.migrations import Migrations
from recovery_ha.simulator.placement import (
    Allocations,
    NoValidHost,
    Scheduler,
)
from recovery_ha.simulator.records import (
    RUNNING,
    SHUTDOWN,
    Compute,
    Migration,
    Process,
    Server,
    Work,
    now,
)
from recovery_ha.simulator.settings import Settings
from recovery_ha.simulator.timeline import Timeline

EVACUABLE = ("active", "stopped", "error")
FIGHT = (
    "Conflict updating instance {uuid}. Expected: {{'task_state': "
    "['rebuild_spawning']}}. Actual: {{'task_state': 'rebuilding'}}"
)


@dataclasses.dataclass(eq=False)
class Evacuation:
    """One evacuation that has not ended."""

    server: Server
    migration: Migration
    destination: Compute
    stop: bool
    was: str
    work: Work | None = None
    failure: str | None = None


class Evacuations:
    """All evacuations. Callers hold the lock of the world."""

    def __init__(
        self,
        *,
        settings: Settings,
        timeline: Timeline,
        computes: Computes,
        allocations: Allocations,
        scheduler: Scheduler,
        migrations: Migrations,
        faults: Faults,
        exists: Callable[[Server], bool],
    ) -> None:
        self._settings = settings
        self._timeline = timeline
        self._computes = computes
        self._allocations = allocations
        self._scheduler = scheduler
        self._migrations = migrations
        self._faults = faults
        self._exists = exists
        self._open: dict[str, list[Evacuation]] = {}

    def clear(self) -> None:
        """Forget every evacuation."""
        self._open.clear()

    def evacuate(
        self,
        server: Server,
        host: str | None = None,
        *,
        force: bool = False,
        stop: bool = False,
    ) -> Migration:
        """Accept an evacuation.

        :param host: the destination asked for, or None
        :param force: send it there without asking the scheduler
        :param stop: leave the server shut off, as from microversion 2.95 on
        :returns: the migration record
        :raises NotFound: the destination does not exist
        :raises BadRequest: the source is up, or is the destination
        :raises Conflict: the state of the server does not allow it
        """
        source = self._check(server, host, force=force)
        server.task_state = "rebuilding"
        server.updated = now()
        migration = self._migrations.add("evacuation", server, source)
        try:
            destination = self._destination(server, host, force=force)
        except NoValidHost as error:
            migration.dest_compute = host
            migration.become("error")
            server.fail(str(error))
            return migration
        migration.dest_compute = destination.host
        migration.dest_node = destination.hypervisor_hostname
        self._send(
            Evacuation(server, migration, destination, stop, server.vm_state)
        )
        return migration

    def source_started(self, source: Compute) -> None:
        """Do what a starting nova-compute does about its lost servers."""
        for migration in self._migrations.of_source(source.host):
            if migration.status in {"accepted", "pre-migrating", "done"}:
                uuid = migration.server.uuid
                source.guests.discard(uuid)
                self._allocations.release(uuid, source.host)
                migration.become("completed")

    def _check(
        self, server: Server, host: str | None, *, force: bool
    ) -> Compute:
        if force and not host:
            raise BadRequest("Can't force to a non-provided destination")
        if host is not None and self._computes.find(host) is None:
            raise NotFound(f"Compute host {host} not found.")
        if host is not None and host == server.host:
            raise BadRequest("The target host can't be the same one.")
        if server.vm_state not in EVACUABLE or server.host is None:
            raise Conflict(
                f"Cannot 'evacuate' instance {server.uuid} while it is in "
                f"vm_state {server.vm_state}"
            )
        source = self._computes.get(server.host)
        if self._computes.up(source):
            raise BadRequest(
                f"Compute service of {source.host} is still in use."
            )
        return source

    def _destination(
        self, server: Server, host: str | None, *, force: bool
    ) -> Compute:
        if force and host is not None:
            destination = self._computes.get(host)
            self._allocations.claim(server, host)
            return destination
        return self._scheduler.choose(server, only=host, exclude=server.host)

    def _send(self, evacuation: Evacuation) -> None:
        server = evacuation.server
        self._open.setdefault(server.uuid, []).append(evacuation)
        evacuation.work = Work(
            server.uuid,
            begin=lambda: self._begin(evacuation),
            finish=lambda: self._finish(evacuation),
            # The message goes back to the queue of the dead host.
            interrupted=lambda: evacuation.migration.become("accepted"),
            build=True,
        )
        self._computes.send(evacuation.destination, evacuation.work)

    def _begin(self, evacuation: Evacuation) -> float | None:
        server, migration = evacuation.server, evacuation.migration
        evacuation.failure = None
        if not self._exists(server):
            return 0.0
        if server.host != migration.source_compute:
            # It was recovered elsewhere while this message lay in the queue
            # of a dead host: Nova leaves such a server rebuilding for good.
            server.task_state = "rebuilding"
            self._close(evacuation)
            return 0.0
        migration.become("pre-migrating")
        fault = self._faults.take(
            "rebuild", server.uuid, evacuation.destination.host
        )
        if fault is not None and fault.result == "stuck":
            return None
        if fault is not None:
            evacuation.failure = fault.message
        return self._settings.rebuild_seconds

    def _finish(self, evacuation: Evacuation) -> None:
        if evacuation not in self._open.get(evacuation.server.uuid, []):
            return
        server, migration = evacuation.server, evacuation.migration
        destination = evacuation.destination
        rivals = self._rivals(evacuation)
        self._close(evacuation)
        if not self._exists(server):
            migration.become("failed")
        elif rivals:
            self._fight(evacuation, rivals)
        elif evacuation.failure is not None:
            migration.become("failed")
            self._allocations.release(server.uuid, destination.host)
            server.fail(evacuation.failure)
        else:
            self._succeed(evacuation)

    def _succeed(self, evacuation: Evacuation) -> None:
        server, migration = evacuation.server, evacuation.migration
        server.host = evacuation.destination.host
        server.vm_state = "active"
        server.task_state = None
        server.power_state = RUNNING
        server.fault = None
        server.launched = server.updated = now()
        evacuation.destination.guests.add(server.uuid)
        if evacuation.stop or evacuation.was == "stopped":
            server.task_state = "powering-off"
            self._timeline.after(
                self._settings.action_seconds, lambda: _powered_off(server)
            )
        self._timeline.after(
            self._settings.done_delay_seconds,
            lambda: migration.become("done"),
        )

    def _rivals(self, evacuation: Evacuation) -> list[Evacuation]:
        return [
            other
            for other in self._open.get(evacuation.server.uuid, [])
            if other is not evacuation
            and other.destination.process is not Process.DEAD
        ]

    def _fight(self, evacuation: Evacuation, rivals: list[Evacuation]) -> None:
        """End as two evacuations of one server do: both are lost."""
        server = evacuation.server
        fighting = sorted(
            [evacuation, *rivals], key=lambda one: one.migration.id
        )
        for one in fighting:
            # A fault may have stuck one of them; the fight ends that too.
            self._close(one)
            if one.work is not None:
                self._computes.forget(one.destination, one.work)
            self._allocations.release(server.uuid, one.destination.host)
            one.migration.become("accepted")
        fighting[0].migration.become("failed")
        server.fail(FIGHT.format(uuid=server.uuid))

    def _close(self, evacuation: Evacuation) -> None:
        open_ = self._open.get(evacuation.server.uuid, [])
        if evacuation in open_:
            open_.remove(evacuation)
        if not open_:
            self._open.pop(evacuation.server.uuid, None)


def _powered_off(server: Server) -> None:
    if server.task_state == "powering-off":
        server.vm_state = "stopped"
        server.task_state = None
        server.power_state = SHUTDOWN
        server.updated = now()
