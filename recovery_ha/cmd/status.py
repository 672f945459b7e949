"""``recovery-ha-status``: whether this release can run here.

Nothing is changed, and no service but the database is asked.
"""

import contextlib
import sys
from collections.abc import Callable

from keystoneauth1 import exceptions as ka_exc
from oslo_config import cfg
from oslo_upgradecheck import common_checks, upgradecheck

from recovery_ha import opts
from recovery_ha.clients.session import load_session
from recovery_ha.cmd import start
from recovery_ha.conf import recovery_flows
from recovery_ha.db import migration
from recovery_ha.db.session import Database
from recovery_ha.domain import errors
from recovery_ha.engine.plugins import load_flow
from recovery_ha.policy import Policy

_UNEXPECTED = 255


def _check_options(conf: cfg.ConfigOpts) -> str:
    """Read every option: a value is looked at when it is first used."""
    for group, options in opts.list_opts():
        values = conf if group == "DEFAULT" else conf[group]
        for option in options:
            with contextlib.suppress(cfg.NoSuchOptError):
                # those of [nova] depend on the authentication plug-in
                getattr(values, option.dest)
    files = ", ".join(conf.config_file or ()) or "no file"
    return f"Every value is one that its option takes ({files})."


def _check_database(conf: cfg.ConfigOpts) -> str:
    database = Database(conf)
    try:
        migration.check_ready(database)
    finally:
        database.dispose()
    return f"The database is at revision {migration.head()}."


def _check_policy(conf: cfg.ConfigOpts) -> str:
    Policy(conf)
    path = conf.find_file(conf.oslo_policy.policy_file)
    if path is None:
        return "There is no policy file: the defaults are in force."
    return f"{path} can be used."


def _check_flows(conf: cfg.ConfigOpts) -> str:
    names = [option.name for option in recovery_flows.OPTS]
    for name in names:
        load_flow(conf, name)
    return f"All tasks are there: {', '.join(names)}."


def _check_credentials(conf: cfg.ConfigOpts) -> str:
    load_session(conf)
    return "Group [nova] says how to log in; it was not tried."


class Checks(upgradecheck.UpgradeCommands):
    """The checks; each ends with a sentence, whatever comes out."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._upgrade_checks = (
            ("Options", self._made_of(_check_options, conf)),
            ("Database", self._made_of(_check_database, conf)),
            (
                "Policy file is not JSON",
                (common_checks.check_policy_json, {"conf": conf}),
            ),
            ("Policy", self._made_of(_check_policy, conf)),
            ("Recovery flows", self._made_of(_check_flows, conf)),
            ("Nova credentials", self._made_of(_check_credentials, conf)),
        )

    @staticmethod
    def _made_of(
        check: Callable[[cfg.ConfigOpts], str], conf: cfg.ConfigOpts
    ) -> Callable[[upgradecheck.UpgradeCommands], upgradecheck.Result]:
        def run(_self: upgradecheck.UpgradeCommands) -> upgradecheck.Result:
            try:
                sentence = check(conf)
            except (
                errors.InvalidConfiguration,
                errors.DatabaseNotReady,
                ka_exc.ClientException,
                cfg.Error,
            ) as exc:
                text = " ".join(str(exc).split())
                return upgradecheck.Result(upgradecheck.Code.FAILURE, text)
            return upgradecheck.Result(upgradecheck.Code.SUCCESS, sentence)

        return run


def _add_commands(subparsers: object) -> None:
    add = subparsers.add_parser  # type: ignore[attr-defined]
    commands = add(
        "upgrade", help="Whether services of this release can be started."
    ).add_subparsers(dest="action", required=True)
    commands.add_parser(
        "check",
        help="Check options, database, policy, recovery flows and the "
        "credentials for Nova. Exit status: 0 all is well, 1 a warning, 2 a "
        "failure, 255 the checks could not be made.",
    )


def main() -> int:
    """Run the checks.

    :returns: the exit status: 0, 1 or 2 like the worst result, or 255.
    """
    status = start.command(_run)()
    if isinstance(status, upgradecheck.Code):
        return int(status)
    # Anything else is no result of a check and must not look like one.
    return _UNEXPECTED


def _run() -> int:
    conf = start.configure(
        "recovery-ha-status",
        cli_opts=[
            cfg.SubCommandOpt(
                "command", title="commands", handler=_add_commands
            )
        ],
    )
    if conf.command.name is None:
        conf.print_usage(sys.stderr)
        return _UNEXPECTED
    result: upgradecheck.Code = Checks(conf).check()
    return result


if __name__ == "__main__":
    sys.exit(main())
