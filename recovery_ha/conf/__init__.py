"""Options, one module per group; configuration is a value, never a global."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from oslo_config import cfg
from oslo_log import log
from oslo_policy import opts as policy_opts
from stevedore import named

from recovery_ha import entry_points
from recovery_ha.conf import (
    alarm,
    api,
    database,
    default,
    engine,
    host_failure,
    instance_failure,
    maintenance,
    maintenance_command,
    maintenance_download,
    metrics,
    nova,
    outbox,
    policy,
    process_failure,
    provisioning,
    recovery_flows,
    reporting,
    retention,
    standalone,
    webhook,
)
from recovery_ha.domain import errors

MODULES = (
    default,
    alarm,
    api,
    database,
    engine,
    maintenance,
    maintenance_command,
    maintenance_download,
    metrics,
    nova,
    outbox,
    policy,
    host_failure,
    instance_failure,
    process_failure,
    provisioning,
    recovery_flows,
    reporting,
    retention,
    standalone,
    webhook,
)

#: The file that holds the operator's own recovery flows.
CUSTOM_FLOWS_FILE = "recovery-ha-custom-recovery-methods.conf"
#: The groups of entry points that make a package a plug-in.
_PLUGINS = (
    "recovery_ha.task_flow.tasks",
    "recovery_ha.provisioning_plugins",
    "recovery_ha.workflows",
    "recovery_ha.actions",
)
_OPTIONS = "oslo.config.opts"
_DEFAULT_LEVELS = [
    "alembic=WARN",
    "amqp=WARN",
    "amqplib=WARN",
    "keystoneauth=WARN",
    "keystonemiddleware=WARN",
    "openstack=WARN",
    "oslo.messaging=INFO",
    "oslo_messaging=INFO",
    "sqlalchemy=WARN",
    "stevedore=WARN",
    "taskflow=WARN",
    "urllib3=WARN",
]


def new_config(
    argv: Sequence[str],
    *,
    prog: str = "recovery-ha",
    cli_opts: Sequence[Any] = (),
    default_config_files: Sequence[str] | None = None,
) -> cfg.ConfigOpts:
    """Read the configuration and set nothing global.

    :param argv: command line without the program's name; ``--config-file``
        (repeatable) and ``--config-dir`` are understood, as are oslo.log's.
    :param prog: the program's name, for its help text.
    :param cli_opts: further options of the command line.
    :param default_config_files: read when the command line names none; None
        looks in ``/etc/recovery_ha`` and the other usual places.
    :raises SystemExit: for ``--help`` and for bad command lines.
    :raises oslo_config.cfg.Error: for a file that cannot be read or holds a
        value that its option does not take.
    :raises errors.InvalidConfiguration: for a package with tasks of recovery
        flows whose options cannot be registered.
    """
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    log.set_defaults(default_log_levels=_DEFAULT_LEVELS)
    register_all(conf)
    _register_third_party(conf)
    conf.register_cli_opts(list(cli_opts))
    if default_config_files is None:
        default_config_files = cfg.find_config_files(
            project="recovery_ha", prog="recovery-ha"
        )

    def parse(arguments: Sequence[str], files: Sequence[str]) -> None:
        conf(
            list(arguments),
            project="recovery_ha",
            prog=prog,
            default_config_files=list(files),
            default_config_dirs=[],
        )

    parse(argv, default_config_files)
    # oslo.config cannot add a file to what it has read, so a file of custom
    # flows that lies beside a main one means reading all of them again.
    custom = _custom_flow_files(conf.config_file or [])
    if custom and any(word.startswith("--config-file") for word in argv):
        parse(_name_after_last(argv, custom), default_config_files)
    elif custom:
        parse(argv, [*default_config_files, *custom])
    return conf


def _name_after_last(argv: Sequence[str], files: Sequence[str]) -> list[str]:
    """Return a command line that names files after those it names.

    Not at its end, where the words of a subcommand may stand.
    """
    last = max(
        place
        for place, word in enumerate(argv)
        if word.startswith("--config-file")
    )
    after = last + (1 if "=" in argv[last] else 2)
    words = [word for name in files for word in ("--config-file", name)]
    return [*argv[:after], *words, *argv[after:]]


def _custom_flow_files(named: Sequence[str]) -> list[str]:
    """Return the files of custom flows beside the named ones, once each."""
    beside = {
        str(Path(name).with_name(CUSTOM_FLOWS_FILE)): None for name in named
    }
    return [
        name for name in beside if name not in named and Path(name).is_file()
    ]


def register_all(conf: cfg.ConfigOpts) -> None:
    """Register every option of the service on a configuration."""
    for module in MODULES:
        module.register_opts(conf)
    for group, options in policy_opts.list_opts():
        conf.register_opts(options, group=group)


def _register_third_party(conf: cfg.ConfigOpts) -> None:
    """Register the options of packages that have tasks or plug-ins.

    Only those packages are imported; many others on a machine announce
    options, too.
    """
    owners = {
        point.dist.name
        for group in _PLUGINS
        for point in entry_points.of_group(group)
        if point.dist and not point.value.startswith("recovery_ha.")
    }
    if not owners:
        return
    points = {
        point.name: point.dist.name
        for point in entry_points.of_group(_OPTIONS)
        if point.dist and point.dist.name in owners
    }
    if not points:
        return
    found: Iterable[Any] = named.NamedExtensionManager(
        _OPTIONS,
        list(points),
        invoke_on_load=True,
        on_load_failure_callback=lambda _manager, point, exc: _refuse(
            points[point.name], exc
        ),
        on_missing_entrypoints_callback=None,
    )
    for ext in found:
        try:
            for group, options in ext.obj:
                named_group = None if group == "DEFAULT" else group
                conf.register_opts(options, group=named_group)
        except (cfg.Error, AttributeError, TypeError, ValueError) as exc:
            _refuse(points[ext.name], exc)


def _refuse(package: str, cause: BaseException) -> NoReturn:
    raise errors.InvalidConfiguration(
        f"The options of package {package}, which has tasks of recovery"
        " flows or plug-ins, cannot be registered:"
        f" {type(cause).__name__}: {cause}"
    ) from cause
