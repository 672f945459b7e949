"""How long what has ended is kept."""

from typing import Any

from oslo_config import cfg

GROUP = "retention"


def _days(name: str, what: str) -> cfg.IntOpt:
    return cfg.IntOpt(
        name,
        default=0,
        min=0,
        help=f"How many days {what}; 0 keeps them for ever.",
    )


OPTS = [
    _days(
        "recoveries",
        "after they have ended notifications are kept, with their vmoves, "
        "decisions, transactions, history, events and progress",
    ),
    _days(
        "maintenances",
        "after they have ended transactions of maintenance are kept, with "
        "their steps, history and events",
    ),
    _days(
        "deployments",
        "after they have ended transactions of deployments are kept, with "
        "their steps, history and events",
    ),
    _days(
        "clusters",
        "after they have ended runs of clusters are kept, with their steps, "
        "history and events; and clusters after they were deleted",
    ),
    _days(
        "events",
        "events are kept of what has ended as long ago, where that itself "
        "is kept longer",
    ),
    _days(
        "messages",
        "messages of maintenance are kept that were sent to the message "
        "queue and to webhooks, or given up",
    ),
    cfg.IntOpt(
        "interval",
        default=3600,
        min=1,
        help="Seconds between two looks of an engine for what is to be "
        "removed.",
    ),
    cfg.IntOpt(
        "batch_size",
        default=1000,
        min=10,
        help="How many rows one database transaction removes at most of each "
        "table whose rows may be many. Smaller ones keep others waiting for "
        "less.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
