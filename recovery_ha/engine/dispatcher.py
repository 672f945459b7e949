"""Finding work, winning it, and handing it to a thread.

A wake-up makes it look at once; without one it looks every sweep interval.
It owns only as much as it has threads for.
"""

import logging
import threading
import time
from concurrent import futures

from oslo_db import exception as db_exc

from recovery_ha import metrics
from recovery_ha.context import RequestContext
from recovery_ha.db import work
from recovery_ha.domain import errors
from recovery_ha.domain.lease import WorkKind
from recovery_ha.engine.lease import Lease, LeaseKeeper
from recovery_ha.engine.recovery.handler import RecoveryHandler

LOG = logging.getLogger(__name__)


class Dispatcher:
    """The loop between the database and the handler."""

    def __init__(
        self,
        ctx: RequestContext,
        keeper: LeaseKeeper,
        handler: RecoveryHandler,
        *,
        workers: int,
        sweep_interval: float,
    ) -> None:
        """Start looking for work.

        :param workers: how many pieces of work at once.
        :param sweep_interval: seconds between two looks without a wake-up.
        """
        self._ctx = ctx
        self._keeper = keeper
        self._handler = handler
        self._sweep_interval = sweep_interval
        self._free = threading.Semaphore(workers)
        self._pool = futures.ThreadPoolExecutor(workers, "work")
        self._woken = threading.Event()
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
            self._woken.wait(self._sweep_interval)
            self._woken.clear()
            began = time.monotonic()
            try:
                while self._claim_one():
                    pass
                metrics.swept(time.monotonic() - began)
            except db_exc.DBError as exc:
                LOG.warning("Looking for work failed: %s", exc)
                self._stopped.wait(self._sweep_interval)
            except Exception:
                LOG.exception("Looking for work failed unexpectedly")
                self._stopped.wait(self._sweep_interval)

    def _claim_one(self) -> bool:
        """Own one piece of work and start it; False if there is none."""
        if self._stopped.is_set() or not self._free.acquire(blocking=False):
            return False
        lease = None
        try:
            asked_at = time.monotonic()
            claim = work.claim_next(
                self._ctx,
                WorkKind.RECOVERY,
                self._keeper.owner,
                self._keeper.lease_seconds,
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
                self._free.release()
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
            self._free.release()
            self.wake()

    def _handle(self, lease: Lease) -> None:
        try:
            self._handler.handle(lease)
        except errors.LeaseLost:
            raise
        except errors.EngineStopping:
            LOG.info("Handing %s over: stopping.", lease.claim.uuid)
            self._handler.hand_over(lease)
        except db_exc.DBError as exc:
            LOG.warning("Work on %s broke off: %s", lease.claim.uuid, exc)
            self._handler.set_aside(
                lease, f"The database failed: {_cause(exc)}", counted=False
            )
        except Exception as exc:
            LOG.exception("Work on %s broke", lease.claim.uuid)
            self._handler.set_aside(
                lease,
                f"Unexpected error: {type(exc).__name__}: {exc}",
                counted=True,
            )


def _cause(exc: db_exc.DBError) -> str:
    """Return what the database said, without the statement and its values."""
    return str(exc.inner_exception or exc).splitlines()[0]
