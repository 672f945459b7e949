"""Clusters that plug-ins provision, and what is kept of their steps."""

from typing import Any

from oslo_config import cfg

GROUP = "provisioning"

OPTS = [
    cfg.IntOpt(
        "workers",
        default=4,
        min=1,
        help="How many clusters this engine provisions at once. They are "
        "besides the notifications of [engine] workers, and never keep one "
        "of those waiting.",
    ),
    cfg.IntOpt(
        "max_attempts",
        default=10,
        min=1,
        help="How many times a run of a cluster is begun or gone on with "
        "before it is failed: an engine that dies in a plug-in, and a "
        "database that fails, leave it to the next attempt. An engine that "
        "is told to stop is not counted.",
    ),
    cfg.IntOpt(
        "retry_delay",
        default=10,
        min=0,
        help="Seconds before a run that broke off is gone on with.",
    ),
    cfg.IntOpt(
        "event_retention_hours",
        default=24,
        min=0,
        help="How many hours after a step of a cluster has succeeded its "
        "events are dropped, once its run has ended. Events of steps that "
        "failed are kept until their run is purged, and what was done with "
        "which instance stays in the history either way.",
    ),
    cfg.IntOpt(
        "max_events_per_step",
        default=10000,
        min=1,
        help="How many events of a step of a cluster, the latest, are kept "
        "once its run has ended.",
    ),
    cfg.IntOpt(
        "event_cleanup_interval",
        default=600,
        min=1,
        help="Seconds between two looks for events that are to be dropped.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
