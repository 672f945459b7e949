"""The service's own database: oslo.db's options and two of ours."""

from typing import Any

from oslo_config import cfg
from oslo_db import options as oslo_db_options

GROUP = "database"

#: Connections a process keeps, as far as it has needed them.
_POOL_SIZE = 32

OPTS = [
    cfg.StrOpt(
        "sqlite_journal_synchronous",
        default="FULL",
        choices=[
            ("FULL", "An accepted notification survives a power failure."),
            (
                "NORMAL",
                (
                    "Faster; the last commits may be lost when the machine "
                    "loses power, never when a process dies."
                ),
            ),
        ],
        help="SQLite only: how careful a commit is.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options, and oslo.db's, on a configuration."""
    conf.register_opts(oslo_db_options.database_opts, group=GROUP)
    # oslo.db keeps 5 connections and closes what was used beyond them, which
    # has busy processes connect all the time.
    conf.set_default("max_pool_size", _POOL_SIZE, group=GROUP)
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration.

    oslo.db lists its own.
    """
    return [(GROUP, OPTS)]
