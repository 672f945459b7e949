"""The compute hosts: their life, their heartbeats and their message queues.

A message to a nova-compute survives its death and is carried out when it
starts again, as in a cloud whose message bus is durable.
"""

import datetime as dt
import time
from collections.abc import Callable, Iterator

from recovery_ha.simulator.errors import Conflict, NotFound
from recovery_ha.simulator.records import Compute, Process, Work, now
from recovery_ha.simulator.settings import Settings
from recovery_ha.simulator.timeline import Timeline


class Computes:
    """All compute hosts. Callers hold the lock of the world.

    :param started: called with the host when its nova-compute has started
        and before it takes messages
    """

    def __init__(
        self,
        settings: Settings,
        timeline: Timeline,
        started: Callable[[Compute], None],
    ) -> None:
        self._settings = settings
        self._timeline = timeline
        self._started = started
        self._by_host: dict[str, Compute] = {}
        self._count = 0

    def __iter__(self) -> Iterator[Compute]:
        return iter(self._by_host.values())

    def __len__(self) -> int:
        return len(self._by_host)

    def find(self, host: str | None) -> Compute | None:
        """Return the host of that name, or None."""
        return self._by_host.get(host or "")

    def get(self, host: str) -> Compute:
        """Return the host of that name.

        :raises NotFound: there is none
        """
        compute = self._by_host.get(host)
        if compute is None:
            raise NotFound(f"Compute host {host} could not be found.")
        return compute

    def add(self, host: str | None = None) -> Compute:
        """Add a host which is up.

        :param host: its name; None takes the next compute-N
        :raises Conflict: the name is taken
        """
        if host in self._by_host:
            raise Conflict(f"Compute host {host} already exists.")
        self._count += 1
        number = self._count
        while host is None or host in self._by_host:
            host = f"compute-{number}"
            number += 1
        settings = self._settings
        compute = Compute(
            host=host,
            number=self._count,
            hypervisor_hostname=host + settings.hypervisor_suffix,
            inventory={
                "VCPU": settings.vcpus,
                "MEMORY_MB": settings.memory_mb,
                "DISK_GB": settings.disk_gb,
            },
        )
        self._by_host[host] = compute
        return compute

    def set_inventory(self, host: str, **amounts: int | None) -> Compute:
        """Set what a host offers in Placement; its servers stay.

        :param amounts: by VCPU, MEMORY_MB and DISK_GB; None offers none of
            it, as a host does whose disks are on shared storage
        :raises NotFound: there is no such host
        """
        compute = self.get(host)
        given = compute.inventory | amounts
        compute.inventory = {
            name: amount
            for name, amount in given.items()
            if amount is not None
        }
        compute.generation += 1
        return compute

    def remove(self, host: str) -> None:
        """Take a host out of the cloud; what it was doing is lost.

        :raises NotFound: there is none
        """
        compute = self.get(host)
        self._stop_working(compute)
        compute.process = Process.DEAD
        del self._by_host[host]

    def clear(self) -> None:
        """Forget all hosts."""
        self._by_host.clear()
        self._count = 0

    def up(self, compute: Compute) -> bool:
        """Return whether Nova believes that the service is up."""
        if compute.forced_down:
            return False
        if compute.process is Process.RUNNING:
            return True
        silent = time.monotonic() - compute.silent_since
        return silent < self._settings.down_time_seconds

    def updated_at(self, compute: Compute) -> dt.datetime:
        """Return the time of the last heartbeat or the last change."""
        heard = compute.last_heard
        if compute.process is Process.RUNNING or heard is None:
            interval = self._settings.report_interval
            beat = time.time() // interval * interval
            heard = dt.datetime.fromtimestamp(beat, dt.UTC)
        return max(heard, compute.changed or heard)

    def kill(self, host: str) -> None:
        """Power a host off: nothing runs on it any more, guests included.

        :raises NotFound: there is none
        """
        compute = self.get(host)
        if compute.process is Process.DEAD:
            return
        self._fall_silent(compute)
        if compute.starting is not None:
            compute.starting.cancel()
        compute.process = Process.DEAD
        compute.guests.clear()
        self._stop_working(compute)

    def start(self, host: str) -> None:
        """Start a dead host; it is up after `start_seconds`.

        Its guests are not started: a server that Nova has there runs again
        after a hard reboot. Starting a host that runs, or is frozen, kills
        and starts it.

        :raises NotFound: there is none
        """
        self.kill(host)
        compute = self.get(host)
        compute.process = Process.STARTING

        def running() -> None:
            compute.process = Process.RUNNING
            self._started(compute)
            self._take(compute)

        compute.starting = self._timeline.after(
            self._settings.start_seconds, running
        )

    def freeze(self, host: str) -> None:
        """Silence the nova-compute of a host while its guests go on.

        :raises NotFound: there is none
        :raises Conflict: it does not run
        """
        compute = self.get(host)
        if compute.process is not Process.RUNNING:
            raise Conflict(f"{host} is {compute.process}")
        self._fall_silent(compute)
        compute.process = Process.FROZEN

    def thaw(self, host: str) -> None:
        """Let a frozen nova-compute go on where it was.

        :raises NotFound: there is none
        :raises Conflict: it is not frozen
        """
        compute = self.get(host)
        if compute.process is not Process.FROZEN:
            raise Conflict(f"{host} is {compute.process}")
        compute.process = Process.RUNNING
        for work in list(compute.working):
            if work.overdue:
                self._finish(compute, work)
        self._take(compute)

    def send(self, compute: Compute, work: Work) -> None:
        """Give a host something to do, now or when it can."""
        compute.waiting.append(work)
        self._take(compute)

    def forget(self, compute: Compute, work: Work) -> None:
        """Take back something that a host has not finished."""
        if work.event is not None:
            work.event.cancel()
        if work in compute.working:
            compute.working.remove(work)
        elif work in compute.waiting:
            compute.waiting.remove(work)
        self._take(compute)

    def _fall_silent(self, compute: Compute) -> None:
        if compute.process is Process.RUNNING:
            compute.last_heard = now()
            compute.silent_since = time.monotonic()

    def _take(self, compute: Compute) -> None:
        """Let a running host begin what waits, as far as it may."""
        if compute.process is not Process.RUNNING:
            return
        builds = sum(work.build for work in compute.working)
        for work in list(compute.waiting):
            if work.build:
                if builds >= self._settings.rebuild_concurrency:
                    continue
                builds += 1
            # Beginning one may have taken others out of the queue.
            if work in compute.waiting:
                compute.waiting.remove(work)
                self._begin(compute, work)

    def _begin(self, compute: Compute, work: Work) -> None:
        compute.working.append(work)
        work.overdue = False
        seconds = work.begin()
        if seconds is None or work not in compute.working:
            return
        work.event = self._timeline.after(
            seconds, lambda: self._finish(compute, work)
        )

    def _finish(self, compute: Compute, work: Work) -> None:
        if work not in compute.working:
            return
        if compute.process is not Process.RUNNING:
            work.overdue = True
            return
        compute.working.remove(work)
        work.finish()
        self._take(compute)

    def _stop_working(self, compute: Compute) -> None:
        for work in reversed(compute.working):
            if work.event is not None:
                work.event.cancel()
            if work.interrupted is not None:
                work.interrupted()
            compute.waiting.appendleft(work)
        compute.working.clear()
