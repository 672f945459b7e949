"""Loading workflows from their entry points."""

from collections.abc import Mapping
from typing import Any

from stevedore import extension

from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import SESSION, WORKING
from recovery_ha.plugin import Workflow

NAMESPACE = "recovery_ha.workflows"


def load_workflows() -> Mapping[str, type[Workflow]]:
    """Return the workflows that are installed here, by name.

    :raises errors.InvalidConfiguration: one cannot be loaded, is announced
        twice, is no :class:`Workflow`, or has no method for a state; the text
        names it.
    """
    found: Any = extension.ExtensionManager(
        NAMESPACE,
        on_load_failure_callback=lambda _manager, point, exc: _refuse(
            point.name, f"cannot be loaded: {exc}", exc
        ),
    )
    workflows: dict[str, type[Workflow]] = {}
    for ext in found:
        kind = ext.plugin
        if workflows.setdefault(ext.name, kind) is not kind:
            _refuse(ext.name, "is announced by more than one package")
        if not (isinstance(kind, type) and issubclass(kind, Workflow)):
            _refuse(ext.name, "is no subclass of recovery_ha.plugin.Workflow")
        for state, name in kind.states_methods.items():
            if state not in WORKING:
                _refuse(ext.name, f"has a method for {state}, which is none")
            if not callable(getattr(kind, name, None)):
                _refuse(ext.name, f"has no method {name} for state {state}")
        if SESSION.initial not in kind.states_methods:
            _refuse(ext.name, f"has no method for {SESSION.initial}")
    return workflows


def _refuse(name: str, why: str, cause: BaseException | None = None) -> None:
    raise errors.InvalidConfiguration(
        f"Workflow {name!r} of {NAMESPACE} {why}."
    ) from cause
