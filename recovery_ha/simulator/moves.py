"""Moving servers between living hosts: live and cold migration."""

from collections.abc import Callable

from recovery_ha.simulator.computes import Computes
from recovery_ha.simulator.errors import BadRequest, NotFound
from recovery_ha.simulator.faults import Faults
from recovery_ha.simulator.migrations import Migrations
from recovery_ha.simulator.placement import (
    Allocations,
    NoValidHost,
    Scheduler,
)
from recovery_ha.simulator.records import (
    RUNNING,
    Compute,
    Migration,
    Process,
    Server,
    Work,
    now,
)
from recovery_ha.simulator.settings import Settings

#: The types of these actions, as Nova records them.
LIVE = "live-migration"
COLD = "migrate"
IN_PROGRESS = ("queued", "preparing", "running", "post-migrating")


class Moves:
    """Live and cold migrations. Callers hold the lock of the world."""

    def __init__(
        self,
        *,
        settings: Settings,
        computes: Computes,
        allocations: Allocations,
        scheduler: Scheduler,
        migrations: Migrations,
        faults: Faults,
        exists: Callable[[Server], bool],
    ) -> None:
        self._settings = settings
        self._computes = computes
        self._allocations = allocations
        self._scheduler = scheduler
        self._migrations = migrations
        self._faults = faults
        self._exists = exists
        self._live: dict[str, tuple[Migration, Compute, Work]] = {}
        self._resized: dict[str, tuple[Migration, str]] = {}

    def clear(self) -> None:
        """Forget all moves."""
        self._live.clear()
        self._resized.clear()

    def live_migrate(self, server: Server, host: str | None) -> None:
        """Move a running server; refusals show in the migration record.

        :param host: the destination asked for, or None
        :raises BadRequest: the destination does not exist
        """
        source = self._computes.get(server.host or "")
        if host and self._computes.find(host) is None:
            raise BadRequest(f"Compute host {host} could not be found.")
        server.task_state = "migrating"
        server.failures.pop(LIVE, None)
        server.updated = now()
        migration = self._migrations.add(LIVE, server, source)
        destination = self._choose(server, source, host, migration)
        if destination is None:
            return
        migration.become("preparing")
        work = Work(
            server.uuid,
            begin=lambda: self._begin_live(server, migration, destination),
            finish=lambda: self._end_live(server, "completed"),
            interrupted=lambda: self._interrupt_live(server),
        )
        self._live[server.uuid] = (migration, destination, work)
        self._computes.send(source, work)

    def in_progress(self, server: Server) -> list[Migration]:
        """Return the live migrations of a server that have not ended."""
        migration = self._live.get(server.uuid, (None,))[0]
        return [] if migration is None else [migration]

    def abort(self, server: Server, migration_id: int) -> None:
        """Cancel a live migration which has not ended.

        :raises NotFound: that migration is not under way
        """
        migration, _, work = self._live.get(server.uuid, (None, None, None))
        if migration is None or work is None or migration.id != migration_id:
            raise NotFound(
                f"Migration {migration_id} could not be found for instance "
                f"{server.uuid}."
            )
        source = self._computes.find(migration.source_compute)
        self._end_live(server, "cancelled")
        if source is not None:
            self._computes.forget(source, work)

    def cold_migrate(self, server: Server, host: str | None) -> None:
        """Move a server with a stop; it then waits to be confirmed.

        :param host: the destination asked for, or None
        :raises BadRequest: the destination does not exist or is the source
        """
        source = self._computes.get(server.host or "")
        if host and self._computes.find(host) is None:
            raise BadRequest(f"Compute host {host} could not be found.")
        if host == source.host:
            raise BadRequest(
                "Cannot migrate to the host where the server exists."
            )
        server.task_state = "resize_prep"
        server.failures.pop(COLD, None)
        server.updated = now()
        migration = self._migrations.add("migration", server, source)
        destination = self._choose(server, source, host, migration)
        if destination is None:
            return
        migration.become("migrating")
        was = server.vm_state
        work = Work(
            server.uuid,
            begin=lambda: self._begin_cold(server, migration, destination),
            finish=lambda: self._end_cold(server, migration, destination, was),
        )
        self._computes.send(source, work)

    def confirm(self, server: Server) -> None:
        """Accept the new place of a server that was moved cold."""
        migration, was = self._resized.pop(server.uuid, (None, "active"))
        if migration is not None:
            migration.become("confirmed")
            self._allocations.release(server.uuid, migration.source_compute)
        server.vm_state = _settled(server, was)
        server.task_state = None
        server.updated = now()

    def revert(self, server: Server) -> None:
        """Bring a server that was moved cold back to where it was."""
        migration, was = self._resized.pop(server.uuid, (None, "active"))
        if migration is not None:
            migration.become("reverted")
            self._allocations.release(server.uuid, server.host)
            self._settle(server, migration.source_compute)
        server.vm_state = _settled(server, was)
        server.task_state = None
        server.updated = now()

    def _choose(
        self,
        server: Server,
        source: Compute,
        host: str | None,
        migration: Migration,
    ) -> Compute | None:
        try:
            self._require_up(source)
            chosen = self._scheduler.choose(
                server, only=host or None, exclude=source.host
            )
        except NoValidHost as error:
            migration.dest_compute = host or None
            migration.become("error")
            server.task_state = None
            server.blame(str(error), 400)
            live = migration.migration_type == LIVE
            server.failures[LIVE if live else COLD] = str(error)
            return None
        migration.dest_compute = chosen.host
        migration.dest_node = chosen.hypervisor_hostname
        return chosen

    def _require_up(self, source: Compute) -> None:
        if not self._computes.up(source):
            raise NoValidHost(
                f"Compute service of {source.host} is unavailable at this "
                "time."
            )

    def _begin_live(
        self, server: Server, migration: Migration, destination: Compute
    ) -> float | None:
        if server.uuid not in self._live:
            return 0.0
        migration.become("running")
        fault = self._faults.take("migration", server.uuid, destination.host)
        if fault is not None and fault.result == "stuck":
            return None
        if fault is not None:
            server.blame(fault.message)
            server.failures[LIVE] = fault.message
            self._end_live(server, "error")
            return 0.0
        return self._settings.migrate_seconds

    def _begin_cold(
        self, server: Server, migration: Migration, destination: Compute
    ) -> float | None:
        fault = self._faults.take(
            "cold-migration", server.uuid, destination.host
        )
        if fault is None:
            return self._settings.migrate_seconds
        if fault.result == "stuck":
            return None
        migration.become("error")
        self._allocations.release(server.uuid, destination.host)
        server.failures[COLD] = fault.message
        if fault.result == "refused":
            server.task_state = None
            server.blame(fault.message)
        else:
            server.fail(fault.message)
        return 0.0

    def _interrupt_live(self, server: Server) -> None:
        """Fail, because the source died under the migration."""
        if server.uuid in self._live:
            self._end_live(server, "error")
            server.fail("Live migration aborted: the source host died.")

    def _end_live(self, server: Server, status: str) -> None:
        migration, destination, _ = self._live.pop(
            server.uuid, (None, None, None)
        )
        if migration is None or destination is None:
            return
        gone = destination.process is Process.DEAD
        if status == "completed" and (gone or not self._exists(server)):
            status = "error"
        migration.become(status)
        server.task_state = None
        server.updated = now()
        if status == "completed":
            self._allocations.release(server.uuid, server.host)
            self._settle(server, destination.host)
        else:
            self._allocations.release(server.uuid, destination.host)

    def _end_cold(
        self,
        server: Server,
        migration: Migration,
        destination: Compute,
        was: str,
    ) -> None:
        if migration.status == "error":
            return
        if not self._exists(server) or server.task_state != "resize_prep":
            migration.become("error")
            self._allocations.release(server.uuid, destination.host)
            return
        migration.become("finished")
        self._resized[server.uuid] = (migration, was)
        self._settle(server, destination.host)
        server.vm_state = "resized"
        server.task_state = None
        server.updated = now()

    def _settle(self, server: Server, host: str) -> None:
        """Put the server and its guest on a host."""
        old = self._computes.find(server.host)
        runs = old is None or server.uuid in old.guests
        if old is not None:
            old.guests.discard(server.uuid)
        server.host = host
        new = self._computes.find(host)
        if runs and new is not None and new.process is not Process.DEAD:
            new.guests.add(server.uuid)


def _settled(server: Server, was: str) -> str:
    if was == "stopped" and server.power_state != RUNNING:
        return "stopped"
    return "active"
