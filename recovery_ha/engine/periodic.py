"""What an engine does from time to time, whoever owns what."""

import logging
import threading

from oslo_db import exception as db_exc

from recovery_ha.context import RequestContext
from recovery_ha.db import recovery

LOG = logging.getLogger(__name__)

_INTERVAL_SECONDS = 10.0


class Periodic:
    """A thread that lets reports be accepted again whose window is over."""

    def __init__(self, ctx: RequestContext) -> None:
        """Start the thread."""
        self._ctx = ctx
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="periodic", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join(_INTERVAL_SECONDS)

    def _run(self) -> None:
        while not self._stopped.wait(_INTERVAL_SECONDS):
            try:
                recovery.clear_expired_keys(self._ctx)
            except db_exc.DBError as exc:
                LOG.warning("Periodic work failed: %s", exc)
            except Exception:
                LOG.exception("Periodic work failed unexpectedly")
