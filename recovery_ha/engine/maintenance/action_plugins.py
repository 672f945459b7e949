"""Loading the action plug-ins of sessions from their entry points."""

import inspect
from collections.abc import Mapping
from typing import Any

from stevedore import extension

from recovery_ha.domain import errors
from recovery_ha.plugin import HostAction

NAMESPACE = "recovery_ha.actions"


def load_actions() -> Mapping[str, type[HostAction]]:
    """Return the action plug-ins that are installed here, by name.

    :raises errors.InvalidConfiguration: one cannot be loaded, is announced
        twice, is no :class:`HostAction`, or has no method ``run``; the text
        names it.
    """
    found: Any = extension.ExtensionManager(
        NAMESPACE,
        on_load_failure_callback=lambda _manager, point, exc: _refuse(
            point.name, f"cannot be loaded: {exc}", exc
        ),
    )
    actions: dict[str, type[HostAction]] = {}
    for ext in found:
        kind = ext.plugin
        if actions.setdefault(ext.name, kind) is not kind:
            _refuse(ext.name, "is announced by more than one package")
        if not (isinstance(kind, type) and issubclass(kind, HostAction)):
            _refuse(
                ext.name, "is no subclass of recovery_ha.plugin.HostAction"
            )
        if inspect.isabstract(kind) or kind.run is HostAction.run:
            _refuse(ext.name, "has no method run")
    return actions


def _refuse(name: str, why: str, cause: BaseException | None = None) -> None:
    raise errors.InvalidConfiguration(
        f"Action {name!r} of {NAMESPACE} {why}."
    ) from cause
