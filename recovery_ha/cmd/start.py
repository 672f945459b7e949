"""How every command starts: configuration, log, and clear last words."""

import functools
import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any

from oslo_config import cfg
from oslo_log import log

from recovery_ha import conf as recovery_conf
from recovery_ha.db import migration
from recovery_ha.db.session import Database
from recovery_ha.domain import errors

LOG = logging.getLogger(__name__)


def command(main: Callable[[], int]) -> Callable[[], int]:
    """Turn what an operator can mend into one line and exit status 1."""

    @functools.wraps(main)
    def run() -> int:
        try:
            return main()
        except (
            errors.InvalidConfiguration,
            errors.DatabaseNotReady,
            cfg.Error,
            OSError,
        ) as exc:
            line = " ".join(str(exc).split())
            sys.stderr.write(f"{sys.argv[0].rpartition('/')[2]}: {line}\n")
            return 1

    return run


def configure(
    prog: str,
    argv: Sequence[str] | None = None,
    cli_opts: Sequence[Any] = (),
) -> cfg.ConfigOpts:
    """Read the configuration of a command and set up its log.

    :param argv: the command line; None takes the process's.
    """
    conf = recovery_conf.new_config(
        sys.argv[1:] if argv is None else argv, prog=prog, cli_opts=cli_opts
    )
    log.setup(conf, "recovery_ha")
    return conf


def open_database(conf: cfg.ConfigOpts) -> Database:
    """Return the database, which has the tables that this release needs.

    :raises errors.DatabaseNotReady: it cannot be used; the text says why.
    """
    database = Database(conf)
    migration.check_ready(database)
    return database
