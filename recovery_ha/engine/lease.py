"""Keeping leases alive, and knowing when one can no longer be relied on."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator

from oslo_db import exception as db_exc

from recovery_ha import metrics
from recovery_ha.context import RequestContext
from recovery_ha.db import work
from recovery_ha.domain import errors
from recovery_ha.domain.lease import Claim, WorkKind, safe_until

LOG = logging.getLogger(__name__)


class Lease:
    """One piece of owned work, seen from the threads that do it.

    Whether it may still be acted on is decided without asking anybody: the
    time is over, or it is not. A process that was stopped and continued
    finds out at its next look at the clock.
    """

    def __init__(self, claim: Claim, deadline: float) -> None:
        """Hold a claim.

        :param claim: what was won.
        :param deadline: until when it is safe, on the monotonic clock.
        """
        self.claim = claim
        self._deadline = deadline
        self._lost = False
        self._stopping = False
        self._action: str | None = None
        self._undoing = threading.local()
        self._changed = threading.Event()

    def prolong(self, deadline: float) -> None:
        """Move the deadline; a lease that was lost stays lost."""
        self._deadline = deadline

    def lose(self) -> None:
        """Give up for good; threads that wait wake up and find out."""
        self._lost = True
        self._changed.set()

    def stop(self) -> None:
        """Have the work end at its next safe point."""
        self._stopping = True
        self._changed.set()

    def interrupt(self, action: str) -> None:
        """Have the work do what an operator wants at its next safe point."""
        if self._action is None:
            self._action = action
            self._changed.set()

    @contextlib.contextmanager
    def undoing(self) -> Iterator[None]:
        """Let this thread undo things although it has been interrupted."""
        before = getattr(self._undoing, "on", False)
        self._undoing.on = True
        try:
            yield
        finally:
            self._undoing.on = before

    @property
    def remaining(self) -> float:
        """Seconds for which the lease is safe; 0 or less when it is not."""
        return 0.0 if self._lost else self._deadline - time.monotonic()

    def still_mine(self) -> bool:
        """Tell whether the work may be acted on at this very moment.

        An answer "no" is final, also if the lease is renewed in the next
        moment: whoever asked has left something out, a write for example,
        and nothing may be built on that.
        """
        if self.remaining <= 0:
            self.lose()
        return not (self._lost or self._stopping)

    def check(self) -> None:
        """Refuse to go on with work that must not be acted on.

        :raises errors.LeaseLost: somebody else may own it. That is final, as
            the "no" of :meth:`still_mine`.
        :raises errors.EngineStopping: this engine is to stop.
        :raises errors.RecoveryInterrupted: an operator wants something else.
        """
        if self.remaining <= 0:
            self.lose()
            raise errors.LeaseLost(
                f"The lease on {self.claim.kind} {self.claim.uuid} was not"
                " renewed in time."
            )
        if self._stopping:
            raise errors.EngineStopping("The engine is stopping.")
        if self._action and not getattr(self._undoing, "on", False):
            raise errors.RecoveryInterrupted(self._action)

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than the work may be acted on.

        :raises errors.LeaseLost: (or another) see :meth:`check`.
        """
        end = time.monotonic() + seconds
        self.check()
        while (left := end - time.monotonic()) > 0:
            pause = min(left, max(self.remaining, 0.0) + 0.01)
            if self._changed.is_set():  # and yet it may go on: it is undoing
                time.sleep(min(pause, 0.1))
            else:
                self._changed.wait(pause)
            self.check()


class LeaseKeeper:
    """Renews all leases of this engine, one statement per kind of work.

    A lease that the database no longer grants is lost at once; one that
    could not be renewed runs out by itself.
    """

    def __init__(
        self, ctx: RequestContext, owner: str, lease_seconds: float
    ) -> None:
        """Start renewing.

        :param ctx: where the work is.
        :param owner: this engine, unique per process start.
        :param lease_seconds: how long a lease is; renewed every third of it.
        """
        self.owner = owner
        self.lease_seconds = lease_seconds
        self._ctx = ctx
        self._leases: dict[tuple[str, int], Lease] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._asked = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="lease-keeper", daemon=True
        )
        self._thread.start()

    def hold(self, claim: Claim, asked_at: float) -> Lease:
        """Keep a claim alive from now on.

        :param asked_at: monotonic time before the claim was asked for.
        """
        lease = Lease(claim, safe_until(asked_at, self.lease_seconds))
        with self._lock:
            self._leases[claim.uuid, claim.epoch] = lease
        metrics.work_owned(self.count())
        return lease

    def drop(self, lease: Lease) -> None:
        """Stop renewing; the work has been given back or lost."""
        with self._lock:
            self._leases.pop((lease.claim.uuid, lease.claim.epoch), None)
        metrics.work_owned(self.count())
        lease.lose()

    def wake(self) -> None:
        """Renew now: an operator may have asked for something."""
        self._asked.set()

    def stop_work(self) -> None:
        """Have all owned work end at its next safe point."""
        for lease in self._held():
            lease.stop()

    def report(self) -> str:
        """Return what is owned, in words; safe in a signal handler."""
        held = list(self._leases)
        return "\n".join(f"{uuid} epoch {n}" for uuid, n in held) or "nothing"

    def count(self) -> int:
        """Return how many pieces of work are owned."""
        return len(self._held())

    def close(self) -> None:
        """Stop renewing anything."""
        self._stopped.set()
        self._asked.set()
        self._thread.join(timeout=self.lease_seconds)

    def _held(self) -> list[Lease]:
        with self._lock:
            return list(self._leases.values())

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._asked.wait(self.lease_seconds / 3)
            self._asked.clear()
            while not self._stopped.is_set() and not self._renew():
                # The database does not answer: ask again before the leases
                # run out, but leave it the room to recover.
                if self._stopped.wait(self.lease_seconds / 10):
                    return

    def _renew(self) -> bool:
        held = self._held()
        if not held:
            return True
        asked_at = time.monotonic()
        try:
            owned = self._renew_all(held)
        except (db_exc.DBError, errors.DatabaseUnavailable) as exc:
            LOG.warning("Leases were not renewed: %s", exc)
            return False
        except Exception:
            # This thread must not end: without it nothing can be owned.
            LOG.exception("Leases were not renewed")
            return False
        deadline = safe_until(asked_at, self.lease_seconds)
        for lease in held:
            if (lease.claim.uuid, lease.claim.epoch) in owned:
                lease.prolong(deadline)
                action = owned[lease.claim.uuid, lease.claim.epoch]
                if action is not None:
                    lease.interrupt(action)
            elif lease in self._held():
                LOG.info(
                    "%s %s is not owned by this engine any more.",
                    lease.claim.kind,
                    lease.claim.uuid,
                )
                lease.lose()
        return True

    def _renew_all(
        self, held: list[Lease]
    ) -> dict[tuple[str, int], str | None]:
        """Return what :func:`work.renew` says of all kinds of work."""
        owned: dict[tuple[str, int], str | None] = {}
        for kind in WorkKind:
            claims = [
                (lease.claim.uuid, lease.claim.epoch)
                for lease in held
                if lease.claim.kind is kind
            ]
            if claims:
                owned |= work.renew(
                    self._ctx, kind, self.owner, self.lease_seconds, claims
                )
        return owned
