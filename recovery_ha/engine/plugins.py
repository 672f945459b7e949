"""Loading the tasks of recovery flows from their entry points."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from oslo_config import cfg
from stevedore import named
from stevedore.exception import NoMatches

from recovery_ha.conf import recovery_flows
from recovery_ha.domain import errors
from recovery_ha.plugin import RecoveryTask

NAMESPACE = "recovery_ha.task_flow.tasks"

#: What the tasks of a host's flow are given.
HOST_INPUTS = ("notification_uuid", "host_name")


def load_flow(conf: cfg.ConfigOpts, option: str) -> list[type[RecoveryTask]]:
    """Return the task classes of a configured flow, in order.

    :param option: its name in ``[taskflow_driver_recovery_flows]``.
    :raises errors.InvalidConfiguration: see :func:`load_tasks`.
    """
    group = recovery_flows.GROUP
    return load_tasks(f"[{group}] {option}", conf[group][option])


def load_tasks(
    option: str,
    phases: Mapping[str, list[str]],
    inputs: Collection[str] = HOST_INPUTS,
) -> list[type[RecoveryTask]]:
    """Return the task classes that an option names, in order.

    :param option: its name with the group, for messages.
    :param phases: ``pre``, ``main`` and ``post`` with names of entry points.
    :param inputs: what the tasks are given that no task provides.
    :raises errors.InvalidConfiguration: for a task that is unknown, cannot
        be imported, is no :class:`RecoveryTask`, is named twice or needs
        what no task before it provides; the text names option and task.
    """
    names = [
        name for phase in ("pre", "main", "post") for name in phases[phase]
    ]
    for name in names:
        if names.count(name) > 1:
            raise errors.InvalidConfiguration(
                f"{option}: task {name!r} is named more than once."
            )
    broken: dict[str, BaseException] = {}
    try:
        found: Any = named.NamedExtensionManager(
            NAMESPACE,
            names,
            on_load_failure_callback=lambda _manager, point, exc: (
                broken.__setitem__(point.name, exc)
            ),
            on_missing_entrypoints_callback=None,
        )
        classes = {ext.name: ext.plugin for ext in found}
    except NoMatches:
        classes = {}
    for name in names:
        if name in broken:
            raise errors.InvalidConfiguration(
                f"{option}: task {name!r} cannot be loaded: {broken[name]}"
            ) from broken[name]
        if name not in classes:
            raise errors.InvalidConfiguration(
                f"{option}: there is no task {name!r} among the entry points"
                f" of {NAMESPACE}."
            )
        if not (
            isinstance(classes[name], type)
            and issubclass(classes[name], RecoveryTask)
        ):
            raise errors.InvalidConfiguration(
                f"{option}: task {name!r} is no subclass of"
                " recovery_ha.plugin.RecoveryTask."
            )
    _check_inputs(option, names, classes, inputs)
    return [classes[name] for name in names]


def _check_inputs(
    option: str,
    names: Sequence[str],
    classes: Mapping[str, type[RecoveryTask]],
    inputs: Collection[str],
) -> None:
    known = set(inputs)
    for name in names:
        _self, *wanted = inspect.signature(
            classes[name].execute
        ).parameters.values()
        for item in wanted:
            optional = item.default is not item.empty or item.kind in {
                item.VAR_POSITIONAL,
                item.VAR_KEYWORD,
            }
            if item.name not in known and not optional:
                raise errors.InvalidConfiguration(
                    f"{option}: task {name!r} needs {item.name!r}, which no"
                    " task before it provides."
                )
        provided = classes[name].default_provides or ()
        known |= {provided} if isinstance(provided, str) else set(provided)
