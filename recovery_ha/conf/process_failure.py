"""Recovery of failed processes."""

from typing import Any

from oslo_config import cfg

GROUP = "process_failure"

OPTS = [
    cfg.StrOpt(
        "service_disable_reason",
        default="Masakari detected process failed.",
        help="The reason given to Nova when the compute service of a host is "
        "disabled because one of its processes failed.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
