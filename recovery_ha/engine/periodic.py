"""What an engine does from time to time, whoever owns what."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from oslo_config import cfg
from oslo_db import exception as db_exc

from recovery_ha.context import RequestContext
from recovery_ha.db import purge, recovery, services
from recovery_ha.db.ledger import runs
from recovery_ha.db.step_events import drop_step_events

LOG = logging.getLogger(__name__)

_INTERVAL_SECONDS = 10.0
#: How often an engine reports itself before it counts as down.
_BEATS = 6
#: After how long nobody asks any more which engines there were.
_FORGOTTEN_SECONDS = 30 * 86400.0


@dataclass(slots=True)
class _Job:
    """Something to do, and when next, on the monotonic clock.

    :ivar at_once: the first time as soon as there is a thread for it.
    """

    do: Callable[[], object]
    interval: float
    at_once: bool = False
    due: float = field(default_factory=time.monotonic)


class Periodic:
    """Threads for what is done now and then, by every engine.

    Reports are accepted again whose window is over, runs are ended whose
    reporters have fallen silent, and what nobody needs any more is removed:
    that may take longer, and keeps nothing waiting.
    """

    def __init__(
        self,
        ctx: RequestContext,
        conf: cfg.ConfigOpts,
        beat: Callable[[], object] | None = None,
    ) -> None:
        """Start the threads.

        :param beat: reports the engine as alive.
        """
        self._stopped = threading.Event()
        options, retention = conf.provisioning, conf.retention
        limits = purge.Limits.configured(retention)
        keys = _Job(
            lambda: recovery.clear_expired_keys(ctx), _INTERVAL_SECONDS
        )
        lost = _Job(lambda: _end_lost_runs(ctx), _INTERVAL_SECONDS)
        beating = []
        if beat is not None:
            often = conf.engine.service_down_time / _BEATS
            beating.append(_Job(beat, often, at_once=True))
        cleaning = [
            _Job(
                lambda: drop_step_events(
                    ctx,
                    hours=options.event_retention_hours,
                    most=options.max_events_per_step,
                ),
                options.event_cleanup_interval,
            ),
            _Job(
                lambda: services.forget(ctx, _FORGOTTEN_SECONDS),
                retention.interval,
            ),
            _Job(
                lambda: purge.purge(
                    ctx,
                    limits,
                    batch_size=retention.batch_size,
                    stopped=self._stopped.is_set,
                ),
                retention.interval,
            ),
        ]
        self._threads = [
            threading.Thread(
                target=self._run, args=(jobs,), name=name, daemon=True
            )
            for name, jobs in (
                ("periodic", [*beating, keys, lost]),
                ("cleaning", cleaning),
            )
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(_INTERVAL_SECONDS)

    def _run(self, jobs: list[_Job]) -> None:
        tick = min([_INTERVAL_SECONDS, *(job.interval for job in jobs)])
        for job in jobs:
            if job.at_once:
                job.due += job.interval
                _do(job)
        while not self._stopped.wait(tick):
            for job in jobs:
                if time.monotonic() >= job.due:
                    job.due = time.monotonic() + job.interval
                    _do(job)


def _end_lost_runs(ctx: RequestContext) -> None:
    for run in runs.close_lost(ctx):
        LOG.warning(
            "Transaction %s (%s, reported by %s) is ended: %s",
            run.uuid,
            run.name,
            run.reporter,
            run.message,
        )


def _do(job: _Job) -> None:
    try:
        job.do()
    except db_exc.DBError as exc:
        LOG.warning("Periodic work failed: %s", exc)
    except Exception:
        LOG.exception("Periodic work failed unexpectedly")
