"""Deployers outside that report their runs over REST."""

from typing import Any

from oslo_config import cfg

GROUP = "reporting"

OPTS = [
    cfg.IntOpt(
        "default_lease",
        default=300,
        min=1,
        help="Seconds for which the reporter of a run may be silent. After "
        "that the run is closed as lost, in error. A reporter can ask for "
        "another time with lease_seconds.",
    ),
    cfg.IntOpt(
        "max_lease",
        default=86400,
        min=1,
        help="The largest lease_seconds, in seconds, that a reporter can ask "
        "for.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
