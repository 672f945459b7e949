"""The embedded default: API and engine in one process on one file."""

from typing import Any

from oslo_config import cfg

GROUP = "standalone"

OPTS = [
    cfg.StrOpt(
        "state_dir",
        default="~/.local/state/recovery_ha",
        help="Where recovery-ha-standalone keeps its SQLite database when "
        "[database] connection is not set. It is created if need be.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
