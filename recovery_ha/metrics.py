"""What Prometheus may ask of a process: counters, and the port they are on.

Counting costs less than a microsecond and is always done, except in the API,
where ``[metrics] enabled`` puts a layer around each request. The numbers are
those of the process; several applications in one add up.
"""

import contextlib
import os
from collections.abc import Iterator

import prometheus_client
from oslo_config import cfg
from prometheus_client import Counter, Gauge, Histogram, multiprocess

#: Set where several processes of a WSGI server share their numbers.
_SHARED = "PROMETHEUS_MULTIPROC_DIR"
#: Methods that get a label of their own; clients may send any word.
_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}
)
#: What it is called when no response came.
NO_ANSWER = "none"

_REQUESTS = Histogram(
    "recovery_ha_api_request_seconds",
    "Requests to the API, by route.",
    ["route", "method", "status"],
)
_RECOVERIES = Counter(
    "recovery_ha_recoveries_started",
    "Attempts to recover that have begun.",
    ["type"],
)
_RECOVERY_SECONDS = Histogram(
    "recovery_ha_recovery_seconds",
    "Attempts to recover that have ended, and what they took.",
    ["type", "result"],
    buckets=(1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600),
)
_EVACUATIONS = Counter(
    "recovery_ha_evacuations",
    "Evacuations of single instances that have ended.",
    ["result"],
)
_OWNED = Gauge(
    "recovery_ha_work_owned",
    "Pieces of work that this engine owns now.",
    multiprocess_mode="livesum",
)
_LOST = Counter(
    "recovery_ha_leases_lost",
    "Pieces of work that this engine lost while it worked on them.",
)
_CLAIMS = Counter(
    "recovery_ha_claims",
    "Pieces of work that this engine has won.",
    ["taken_over"],
)
_SWEEPS = Histogram(
    "recovery_ha_sweep_seconds",
    "Looks for work in the database.",
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
)
_CLOUD = Histogram(
    "recovery_ha_cloud_request_seconds",
    "Requests to the services of the cloud.",
    ["service", "method", "status"],
)
_DROPPED = Counter(
    "recovery_ha_events_dropped",
    "Events that were dropped because the message queue did not take them.",
)


def request_answered(
    route: str, method: str, status: int, seconds: float
) -> None:
    """Count a request to the API.

    :param route: the template of its URL, never the URL itself.
    """
    known = method if method in _METHODS else "other"
    _REQUESTS.labels(route, known, str(status)).observe(seconds)


def recovery_started(type_: str) -> None:
    """Count an attempt that begins.

    :param type_: of its notification, such as ``COMPUTE_HOST``.
    """
    _RECOVERIES.labels(type_).inc()


def recovery_ended(type_: str, result: str, seconds: float) -> None:
    """Count an attempt that has ended.

    :param result: for example ``succeeded`` or ``failed``.
    :param seconds: since this process began or took over the attempt.
    """
    _RECOVERY_SECONDS.labels(type_, result).observe(seconds)


def evacuation_ended(result: str) -> None:
    """Count the end of one instance's move.

    :param result: the status of its vmove.
    """
    _EVACUATIONS.labels(result).inc()


def work_owned(count: int) -> None:
    """Note how many pieces of work are owned now."""
    _OWNED.set(count)


def lease_lost() -> None:
    """Count a piece of work that was lost while it was worked on."""
    _LOST.inc()


def claimed(*, taken_over: bool) -> None:
    """Count a piece of work that was won.

    :param taken_over: from an engine whose lease had ended.
    """
    _CLAIMS.labels(str(taken_over).lower()).inc()


def swept(seconds: float) -> None:
    """Count a look for work."""
    _SWEEPS.observe(seconds)


def cloud_answered(
    service: str, method: str, status: int | None, seconds: float
) -> None:
    """Count a request to a service of the cloud.

    :param service: for example ``Nova``.
    :param status: of the response; None if there was none.
    """
    kind = NO_ANSWER if status is None else f"{status // 100}xx"
    _CLOUD.labels(service, method, kind).observe(seconds)


def event_dropped() -> None:
    """Count an event that nobody will get."""
    _DROPPED.inc()


@contextlib.contextmanager
def serving(conf: cfg.ConfigOpts, port: int) -> Iterator[None]:
    """Answer ``/metrics`` on a port of its own, if that is configured.

    :raises OSError: the address cannot be listened on; the text names it.
    """
    if not conf.metrics.enabled:
        yield
        return
    host = conf.metrics.host
    try:
        server, thread = prometheus_client.start_http_server(
            port, host, _registry()
        )
    except OSError as exc:
        raise OSError(
            f"Cannot listen on {host}:{port} ([metrics]): {exc}"
        ) from exc
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _registry() -> prometheus_client.CollectorRegistry:
    """Return the numbers of this process, or of all that share theirs."""
    if _SHARED not in os.environ:
        return prometheus_client.REGISTRY
    registry = prometheus_client.CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
