"""Loading the tasks of recovery flows from their entry points."""

from collections.abc import Mapping
from typing import Any

from stevedore import named
from stevedore.exception import NoMatches

from recovery_ha.domain import errors
from recovery_ha.plugin import RecoveryTask

NAMESPACE = "recovery_ha.task_flow.tasks"


def load_tasks(
    option: str, phases: Mapping[str, list[str]]
) -> list[type[RecoveryTask]]:
    """Return the task classes that an option names, in order.

    :param option: its name with the group, for messages.
    :param phases: ``pre``, ``main`` and ``post`` with names of entry points.
    :raises errors.InvalidConfiguration: for a task that is unknown, cannot
        be imported, is no :class:`RecoveryTask` or is named twice; the text
        names option and task.
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
        if not issubclass(classes[name], RecoveryTask):
            raise errors.InvalidConfiguration(
                f"{option}: task {name!r} is no subclass of"
                " recovery_ha.plugin.RecoveryTask."
            )
    return [classes[name] for name in names]
