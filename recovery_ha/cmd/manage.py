"""``recovery-ha-manage``: the database's tables and their contents."""

import sys

from oslo_config import cfg

from recovery_ha.cmd import start
from recovery_ha.context import internal_context
from recovery_ha.db import migration, purge
from recovery_ha.db.session import Database


def _sync(_conf: cfg.ConfigOpts, database: Database) -> int:
    migration.upgrade(database)
    sys.stdout.write(f"The database is at revision {migration.head()}.\n")
    return 0


def _version(_conf: cfg.ConfigOpts, database: Database) -> int:
    found = migration.current(database) or "none (never synced)"
    sys.stdout.write(f"database: {found}\nthis release: {migration.head()}\n")
    return 0


def _purge(conf: cfg.ConfigOpts, database: Database) -> int:
    migration.check_ready(database)
    limits = purge.Limits.all(conf.command.age_in_days)
    if conf.command.configured:
        limits = purge.Limits.configured(conf.retention)
    removed = purge.purge(
        internal_context(database),
        limits,
        max_rows=conf.command.max_rows,
        batch_size=conf.retention.batch_size,
    )
    for name, count in removed.items():
        sys.stdout.write(f"{name}: {count} removed\n")
    return 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _row_limit(text: str) -> int:
    value = int(text)
    if value == 0 or value < -1:
        raise ValueError(text)
    return value


_positive.__name__ = "number of days from 0"
_row_limit.__name__ = "number of rows from 1, or -1 for all"


def _add_commands(subparsers: object) -> None:
    add = subparsers.add_parser  # type: ignore[attr-defined]
    commands = add(
        "db", help="The database's tables and their contents."
    ).add_subparsers(dest="action", required=True)
    commands.add_parser(
        "sync", help="Create or upgrade the tables; harmless when repeated."
    ).set_defaults(run=_sync)
    commands.add_parser(
        "version", help="Show the database's revision and this release's."
    ).set_defaults(run=_version)
    purging = commands.add_parser(
        "purge",
        help="Remove ended notifications with their vmoves and progress, "
        "ended transactions, and deleted segments, hosts and clusters.",
    )
    purging.add_argument(
        "--age-in-days",
        "--age_in_days",
        type=_positive,
        default=30,
        help="Only what ended or was deleted this many days ago (default 30).",
    )
    purging.add_argument(
        "--max-rows",
        "--max_rows",
        type=_row_limit,
        default=-1,
        help="At most so many notifications, segments and so on each; -1, "
        "the default, means all.",
    )
    purging.add_argument(
        "--configured",
        action="store_true",
        help="Take the days of group [retention] instead, as engines do.",
    )
    purging.set_defaults(run=_purge)


@start.command
def main() -> int:
    """Run the command that the command line names.

    :returns: the exit status.
    """
    conf = start.configure(
        "recovery-ha-manage",
        cli_opts=[
            cfg.SubCommandOpt(
                "command",
                title="commands",
                handler=_add_commands,
            )
        ],
    )
    if conf.command.name is None:
        conf.print_usage(sys.stderr)
        return 2
    database = Database(conf, statement_seconds=None)
    status: int = conf.command.run(conf, database)
    return status


if __name__ == "__main__":
    sys.exit(main())
