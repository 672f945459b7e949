"""``recovery-ha-status``: whether this release can run here.

Nothing is changed, and no service but the database is asked.
"""

import contextlib
import sys
from collections.abc import Callable

from keystoneauth1 import exceptions as ka_exc
from keystoneauth1 import loading
from keystonemiddleware import auth_token
from oslo_config import cfg
from oslo_messaging import opts as messaging_opts
from oslo_upgradecheck import common_checks, upgradecheck

from recovery_ha import opts
from recovery_ha.clients.session import load_session
from recovery_ha.cmd import start
from recovery_ha.conf import recovery_flows
from recovery_ha.db import migration
from recovery_ha.db.session import Database
from recovery_ha.domain import errors
from recovery_ha.engine.plugins import load_flows
from recovery_ha.policy import Policy

_UNEXPECTED = 255
_ANY = "*"
#: Options of Masakari that somebody may rely on, and what there is instead
#: (reference 5.1); the group's name alone: all of it.
_OF_MASAKARI = {
    ("DEFAULT", "os_privileged_user_name"): "access to Nova is in [nova]",
    ("DEFAULT", "os_privileged_user_password"): "access to Nova is in [nova]",
    ("DEFAULT", "os_privileged_user_tenant"): "access to Nova is in [nova]",
    ("DEFAULT", "os_privileged_user_auth_url"): "access to Nova is in [nova]",
    ("DEFAULT", "masakari_api_listen"): "use [api] host",
    ("DEFAULT", "masakari_api_listen_port"): "use [api] port",
    ("DEFAULT", "auth_strategy"): "use [api] auth_strategy",
    ("DEFAULT", "osapi_max_limit"): "use [api] max_limit",
    ("coordination", _ANY): "the database decides, remove the group",
    ("taskflow", _ANY): "taskflow uses [database] connection",
    ("wsgi", _ANY): "use the options of the WSGI server",
}


class _Doubt(Exception):
    """Something works, but hardly as it was meant; the text says why."""


def _check_options(conf: cfg.ConfigOpts) -> str:
    """Read every option: a value is looked at when it is first used."""
    for group, options in opts.list_all_opts():
        values = conf if group == "DEFAULT" else conf[group]
        for option in options:
            with contextlib.suppress(cfg.NoSuchOptError):
                # those of [nova] depend on the authentication plug-in
                getattr(values, option.dest)
    files = ", ".join(conf.config_file or ()) or "no file"
    return f"Every value is one that its option takes ({files})."


def _check_leftovers(conf: cfg.ConfigOpts) -> str:
    """Find what is set and means nothing, or nothing for much longer."""
    said = [
        f"[{group}] {option.name} is deprecated: "
        f"{option.deprecated_reason or 'remove it'}"
        for group, options in opts.list_all_opts()
        for option in options
        if option.deprecated_for_removal and _is_set(conf, group, option.dest)
    ]
    said += [
        f"{f'[{group}] {name}'.removesuffix(f' {_ANY}')} of Masakari is not"
        f" read: {advice}"
        for (group, name), advice in _OF_MASAKARI.items()
        if _is_written(conf, group, name)
    ]
    if said:
        raise _Doubt("; ".join(said) + ".")
    return "Nothing is set that this release does not read."


def _is_set(conf: cfg.ConfigOpts, group: str, name: str) -> bool:
    """Tell whether an option's value is the operator's."""
    try:
        found = conf.get_location(name, None if group == "DEFAULT" else group)
    except (cfg.NoSuchOptError, cfg.NoSuchGroupError):
        return False
    return found is not None and bool(found.location.is_user_controlled)


def _is_written(conf: cfg.ConfigOpts, group: str, name: str) -> bool:
    """Tell whether a file has an option that nobody knows."""
    for path in conf.config_file or ():
        sections: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(path, sections).parse()
        names = sections.get(group, {})
        if name in names or (name == _ANY and names):
            return True
    return False


def _check_keystone(conf: cfg.ConfigOpts) -> str:
    """Load what the API asks Keystone with, as the API does at its start."""
    if conf.api.auth_strategy != "keystone":
        return "[api] auth_strategy = noauth: Keystone is not asked."
    for group, options in auth_token.list_opts():
        conf.register_opts(options, group=group)
    if conf.keystone_authtoken.auth_section:
        return "[keystone_authtoken] auth_section says where it is."
    auth = loading.load_auth_from_conf_options(conf, "keystone_authtoken")
    if auth is None:
        raise errors.InvalidConfiguration(
            "[keystone_authtoken] auth_type is not set: with [api]"
            " auth_strategy = keystone the API does not start. Set auth_type"
            " = password, auth_url, username, password, project_name,"
            " user_domain_name, project_domain_name."
        )
    return "[keystone_authtoken] says how tokens are checked; none was."


def _check_messages(conf: cfg.ConfigOpts) -> str:
    for group, options in messaging_opts.list_opts():
        if group is None:
            conf.register_opts(options)
    if not _is_set(conf, "DEFAULT", "transport_url"):
        raise _Doubt(
            "[DEFAULT] transport_url is not set: RabbitMQ is expected on this"
            " very machine. Set transport_url = rabbit://USER:PASSWORD@HOST/;"
            " recovery-ha-standalone alone needs none."
        )
    scheme = conf.transport_url.partition(":")[0]
    if scheme in {"fake", "kombu+memory"}:
        raise _Doubt(
            f"[DEFAULT] transport_url = {scheme}:// stays inside one process:"
            " engines find work by their sweep only, and events reach"
            " nobody. Set transport_url = rabbit://USER:PASSWORD@HOST/;"
            " recovery-ha-standalone alone needs none."
        )
    return f"Wake-ups go by {scheme}; it was not connected to."


def _check_database(conf: cfg.ConfigOpts) -> str:
    database = Database(conf)
    try:
        migration.check_ready(database)
    finally:
        database.dispose()
    return f"The database is at revision {migration.head()}."


def _check_policy(conf: cfg.ConfigOpts) -> str:
    unknown = Policy(conf).unknown_rules()
    path = conf.find_file(conf.oslo_policy.policy_file)
    if unknown:
        raise _Doubt(
            f"No rule of this release, and used by none: {', '.join(unknown)}."
            " Correct their names or remove them: they change nothing."
        )
    if path is None:
        return "There is no policy file: the defaults are in force."
    return f"{path} can be used."


def _check_flows(conf: cfg.ConfigOpts) -> str:
    load_flows(conf)
    names = [option.name for option in recovery_flows.OPTS]
    return f"All tasks are there: {', '.join(names)}."


def _check_credentials(conf: cfg.ConfigOpts) -> str:
    load_session(conf)
    return "Group [nova] says how to log in; it was not tried."


class Checks(upgradecheck.UpgradeCommands):
    """The checks; each ends with a sentence, whatever comes out."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._upgrade_checks = (
            ("Options", self._made_of(_check_options, conf)),
            ("Leftovers", self._made_of(_check_leftovers, conf)),
            ("Message queue", self._made_of(_check_messages, conf)),
            ("Database", self._made_of(_check_database, conf)),
            (
                "Policy file is not JSON",
                (common_checks.check_policy_json, {"conf": conf}),
            ),
            ("Policy", self._made_of(_check_policy, conf)),
            ("Recovery flows", self._made_of(_check_flows, conf)),
            ("Keystone", self._made_of(_check_keystone, conf)),
            ("Nova credentials", self._made_of(_check_credentials, conf)),
        )

    @staticmethod
    def _made_of(
        check: Callable[[cfg.ConfigOpts], str], conf: cfg.ConfigOpts
    ) -> Callable[[upgradecheck.UpgradeCommands], upgradecheck.Result]:
        def run(_self: upgradecheck.UpgradeCommands) -> upgradecheck.Result:
            try:
                sentence = check(conf)
            except _Doubt as exc:
                return upgradecheck.Result(upgradecheck.Code.WARNING, str(exc))
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
        help="Check options, message queue, database, policy, recovery "
        "flows and the credentials for Keystone and Nova. Exit status: 0 all "
        "is well, 1 a warning, 2 a failure, 255 the checks could not be "
        "made.",
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
