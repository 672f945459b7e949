"""Loading provisioning plug-ins from their entry points."""

import inspect
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg
from stevedore import extension

from recovery_ha.domain import errors
from recovery_ha.plugin import ProvisioningPlugin
from recovery_ha.provisioning import NAMESPACE


def load_plugins(conf: cfg.ConfigOpts) -> Mapping[str, ProvisioningPlugin]:
    """Return the provisioning plug-ins that are installed here, by name.

    :raises errors.InvalidConfiguration: one cannot be loaded, is announced
        twice, is no :class:`ProvisioningPlugin` or lacks a method; the text
        names it.
    """
    found: Any = extension.ExtensionManager(
        NAMESPACE,
        on_load_failure_callback=lambda _manager, point, exc: _refuse(
            point.name, f"cannot be loaded: {exc}", exc
        ),
    )
    plugins: dict[str, ProvisioningPlugin] = {}
    for ext in found:
        kind = ext.plugin
        if ext.name in plugins:
            _refuse(ext.name, "is announced by more than one package")
        if not (
            isinstance(kind, type) and issubclass(kind, ProvisioningPlugin)
        ):
            _refuse(
                ext.name,
                "is no subclass of recovery_ha.plugin.ProvisioningPlugin",
            )
        if inspect.isabstract(kind):
            missing = ", ".join(sorted(kind.__abstractmethods__))
            _refuse(ext.name, f"has no method {missing}")
        plugins[ext.name] = kind(conf)
    return plugins


def _refuse(name: str, why: str, cause: BaseException | None = None) -> None:
    raise errors.InvalidConfiguration(
        f"Provisioning plug-in {name!r} of {NAMESPACE} {why}."
    ) from cause
