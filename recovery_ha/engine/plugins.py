"""Loading the tasks of recovery flows from their entry points."""

import contextlib
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg
from stevedore import named
from stevedore.exception import NoMatches

from recovery_ha.conf import recovery_flows
from recovery_ha.domain import errors
from recovery_ha.plugin import RecoveryTask

NAMESPACE = "recovery_ha.task_flow.tasks"

#: What the tasks of each option are given that no task provides, by
#: Masakari's names.
INPUTS: dict[str, tuple[str, ...]] = {
    "instance_failure_recovery_tasks": (
        "notification_uuid",
        "instance_uuid",
        "host_name",
    ),
    "process_failure_recovery_tasks": (
        "notification_uuid",
        "process_name",
        "host_name",
    ),
    "host_auto_failure_recovery_tasks": ("notification_uuid", "host_name"),
    "host_rh_failure_recovery_tasks": (
        "notification_uuid",
        "host_name",
        "reserved_host",
        "reserved_host_list",
    ),
}
#: What taskflow gives to ``revert`` by itself.
_OF_REVERT = frozenset({"result", "flow_failures"})


@dataclass(frozen=True, slots=True)
class Flow:
    """The task classes of one kind of recovery."""

    pre: tuple[type[RecoveryTask], ...]
    main: tuple[type[RecoveryTask], ...]
    post: tuple[type[RecoveryTask], ...]

    @property
    def tasks(self) -> tuple[type[RecoveryTask], ...]:
        """All of them, in the order in which they run."""
        return self.pre + self.main + self.post


@dataclass(frozen=True, slots=True)
class Flows:
    """The flow of each kind of recovery."""

    instance: Flow
    process: Flow
    host_auto: Flow
    host_rh: Flow


def load_flows(conf: cfg.ConfigOpts) -> Flows:
    """Return all configured flows.

    :raises errors.InvalidConfiguration: see :func:`load_tasks`.
    :raises oslo_config.cfg.Error: an option cannot be read.
    """
    return Flows(
        instance=load_flow(conf, "instance_failure_recovery_tasks"),
        process=load_flow(conf, "process_failure_recovery_tasks"),
        host_auto=load_flow(conf, "host_auto_failure_recovery_tasks"),
        host_rh=load_flow(conf, "host_rh_failure_recovery_tasks"),
    )


def load_flow(conf: cfg.ConfigOpts, option: str) -> Flow:
    """Return a configured flow.

    :param option: its name in ``[taskflow_driver_recovery_flows]``.
    :raises errors.InvalidConfiguration: see :func:`load_tasks`.
    :raises oslo_config.cfg.Error: the option cannot be read.
    """
    group = recovery_flows.GROUP
    label = f"[{group}] {option}"
    return load_tasks(label, conf[group][option], INPUTS[option])


def load_tasks(
    option: str, phases: Mapping[str, list[str]], inputs: Collection[str]
) -> Flow:
    """Return the flow that an option names.

    :param option: its name with the group, for messages.
    :param phases: ``pre``, ``main`` and ``post`` with names of entry points.
    :param inputs: what the tasks are given that no task provides.
    :raises errors.InvalidConfiguration: for a task that is unknown or
        announced twice, cannot be imported, is no :class:`RecoveryTask` or
        lacks ``execute``, is named twice, has the class name of another, or
        needs what no task before it provides; the text names option and
        task.
    """
    names = [name for phase in recovery_flows.PHASES for name in phases[phase]]
    for name in names:
        if names.count(name) > 1:
            raise errors.InvalidConfiguration(
                f"{option}: task {name!r} is named more than once."
            )
    classes = _load(option, names)
    _check_names(option, names, classes)
    _check_inputs(option, names, classes, inputs)
    return Flow(
        *(
            tuple(classes[name] for name in phases[phase])
            for phase in recovery_flows.PHASES
        )
    )


def _load(option: str, names: list[str]) -> dict[str, type[RecoveryTask]]:
    """Return the task classes of some entry points, by name."""
    broken: dict[str, BaseException] = {}
    found: list[Any] = []
    with contextlib.suppress(NoMatches):
        found += named.NamedExtensionManager(
            NAMESPACE,
            names,
            on_load_failure_callback=lambda _manager, point, exc: (
                broken.__setitem__(point.name, exc)
            ),
            on_missing_entrypoints_callback=None,
        )
    classes: dict[str, Any] = {}
    for ext in found:
        if classes.setdefault(ext.name, ext.plugin) is not ext.plugin:
            raise errors.InvalidConfiguration(
                f"{option}: task {ext.name!r} is announced by more than one"
                f" package: as {_path(classes[ext.name])} and as"
                f" {_path(ext.plugin)}."
            )
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
        if inspect.isabstract(classes[name]):
            raise errors.InvalidConfiguration(
                f"{option}: task {name!r} has no method execute."
            )
    return classes


def _path(item: Any) -> str:
    return f"{item.__module__}:{item.__qualname__}"


def _check_names(
    option: str,
    names: Sequence[str],
    classes: Mapping[str, type[RecoveryTask]],
) -> None:
    """Refuse two tasks with one class name: progress is kept under it."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(classes[name].__name__, name)
        if other != name:
            raise errors.InvalidConfiguration(
                f"{option}: tasks {other!r} and {name!r} are both of a class"
                f" named {classes[name].__name__}; within a flow they need"
                " different ones."
            )


def _check_inputs(
    option: str,
    names: Sequence[str],
    classes: Mapping[str, type[RecoveryTask]],
    inputs: Collection[str],
) -> None:
    known = set(inputs)
    for name in names:
        task = classes[name]
        wanted = [
            *_wanted(task.execute),
            *(n for n in _wanted(task.revert) if n not in _OF_REVERT),
        ]
        for item in wanted:
            if item not in known:
                raise errors.InvalidConfiguration(
                    f"{option}: task {name!r} needs {item!r}, which no"
                    " task before it provides."
                )
        provided = task.default_provides or ()
        known |= {provided} if isinstance(provided, str) else set(provided)


def _wanted(method: Callable[..., Any]) -> list[str]:
    """Return the names of a method's inputs that it cannot do without."""
    _self, *parameters = inspect.signature(method).parameters.values()
    return [
        item.name
        for item in parameters
        if item.default is item.empty
        and item.kind not in {item.VAR_POSITIONAL, item.VAR_KEYWORD}
    ]
