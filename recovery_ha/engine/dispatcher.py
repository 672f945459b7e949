"""Finding work, winning it, and handing it to a thread.

A wake-up makes it look at once; without one it looks every sweep interval.
It owns only as much as it has threads for.
"""

import heapq
import logging
import math
import threading
import time
from collections.abc import Sequence
from concurrent import futures
from dataclasses import dataclass
from typing import Protocol

from oslo_db import exception as db_exc

from recovery_ha import metrics
from recovery_ha.context import RequestContext
from recovery_ha.db import work
from recovery_ha.domain import errors
from recovery_ha.domain.lease import WorkKind
from recovery_ha.engine.lease import Lease, LeaseKeeper

LOG = logging.getLogger(__name__)


class Handler(Protocol):
    """What does one kind of work, in any thread."""

    def handle(self, lease: Lease) -> float | None:
        """Bring a piece of work as far as it goes now.

        :returns: seconds until there is more to do for it; None: no matter.
        """

    def hand_over(self, lease: Lease) -> None:
        """Give it back because this engine stops."""

    def set_aside(self, lease: Lease, reason: str, *, counted: bool) -> None:
        """Give it back because something unforeseen has happened."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Where one kind of work is done.

    :ivar workers: how many pieces of it at once.
    :ivar plugins: the names of those whose clusters are wanted.
    """

    kind: WorkKind
    handler: Handler
    workers: int
    plugins: frozenset[str] = frozenset()


class Dispatcher:
    """The loop between the database and those who do the work."""

    def __init__(
        self,
        ctx: RequestContext,
        keeper: LeaseKeeper,
        desks: Sequence[Desk],
        *,
        sweep_interval: float,
    ) -> None:
        """Start looking for work.

        :param desks: one per kind of work, the most urgent first.
        :param sweep_interval: seconds between two looks without a wake-up.
        """
        self._ctx = ctx
        self._keeper = keeper
        self._desks = {desk.kind: desk for desk in desks}
        self._sweep_interval = sweep_interval
        self._free = {
            desk.kind: threading.Semaphore(desk.workers) for desk in desks
        }
        self._pool = futures.ThreadPoolExecutor(
            sum(desk.workers for desk in desks), "work"
        )
        self._woken = threading.Event()
        self._lock = threading.Lock()
        #: When there is more to do, a heap of times on the monotonic clock.
        self._due: list[float] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="dispatcher", daemon=True
        )
        self._thread.start()

    def wake(self) -> None:
        """Look for work now."""
        self._woken.set()

    def stop(self, timeout: float) -> None:
        """Own nothing new, and have what is owned handed over.

        :param timeout: seconds to wait for requests that are under way.
        """
        end = time.monotonic() + timeout
        self._stopped.set()
        self._woken.set()
        self._thread.join(timeout)
        self._keeper.stop_work()
        # Not the pool's own shutdown: that has no deadline.
        while not self._idle() and time.monotonic() < end:
            time.sleep(0.05)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _idle(self) -> bool:
        return self._keeper.count() == 0

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._rest()
            began = time.monotonic()
            try:
                for desk in self._desks.values():
                    while self._claim_one(desk):
                        pass
                metrics.swept(time.monotonic() - began)
            except db_exc.DBError as exc:
                LOG.warning("Looking for work failed: %s", exc)
                self._stopped.wait(self._sweep_interval)
            except Exception:
                LOG.exception("Looking for work failed unexpectedly")
                self._stopped.wait(self._sweep_interval)

    def _rest(self) -> None:
        """Wait for a wake-up or the next look.

        That is a sweep interval away, or less where work that was here has
        said when it is to go on.
        """
        now = time.monotonic()
        with self._lock:
            while self._due and self._due[0] <= now:
                heapq.heappop(self._due)
            soonest = self._due[0] - now if self._due else math.inf
        self._woken.wait(min(self._sweep_interval, soonest))
        self._woken.clear()

    def _claim_one(self, desk: Desk) -> bool:
        """Own one piece of work and start it; False if there is none."""
        free = self._free[desk.kind]
        if self._stopped.is_set() or not free.acquire(blocking=False):
            return False
        lease = None
        try:
            asked_at = time.monotonic()
            claim = work.claim_next(
                self._ctx,
                desk.kind,
                self._keeper.owner,
                self._keeper.lease_seconds,
                plugins=desk.plugins,
            )
            if claim is not None:
                lease = self._keeper.hold(claim, asked_at)
                metrics.claimed(taken_over=claim.taken_over)
                if claim.taken_over:
                    LOG.info(
                        "%s %s is taken over from an engine whose lease has"
                        " ended (epoch %d).",
                        claim.kind,
                        claim.uuid,
                        claim.epoch,
                    )
                self._pool.submit(self._work, lease)
        finally:
            if lease is None:
                free.release()
        return lease is not None

    def _work(self, lease: Lease) -> None:
        """Handle one piece of work: the border that nothing gets past."""
        try:
            self._handle(lease)
        except errors.LeaseLost as exc:
            metrics.lease_lost()
            LOG.warning("%s It goes on elsewhere.", exc)
        except Exception:
            # The lease ends by itself and somebody tries again.
            LOG.exception(
                "Giving %s back failed unexpectedly", lease.claim.uuid
            )
        finally:
            self._keeper.drop(lease)
            self._free[lease.claim.kind].release()
            self.wake()

    def _handle(self, lease: Lease) -> None:
        handler = self._desks[lease.claim.kind].handler
        try:
            seconds = handler.handle(lease)
            if seconds is not None and seconds < self._sweep_interval:
                with self._lock:
                    heapq.heappush(self._due, time.monotonic() + seconds)
        except errors.LeaseLost:
            raise
        except errors.EngineStopping:
            LOG.info("Handing %s over: stopping.", lease.claim.uuid)
            handler.hand_over(lease)
        except db_exc.DBError as exc:
            LOG.warning("Work on %s broke off: %s", lease.claim.uuid, exc)
            handler.set_aside(
                lease, f"The database failed: {_cause(exc)}", counted=False
            )
        except Exception as exc:
            LOG.exception("Work on %s broke", lease.claim.uuid)
            handler.set_aside(
                lease,
                f"Unexpected error: {type(exc).__name__}: {exc}",
                counted=True,
            )


def _cause(exc: db_exc.DBError) -> str:
    """Return what the database said, without the statement and its values."""
    return str(exc.inner_exception or exc).splitlines()[0]
