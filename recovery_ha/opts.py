"""The ``oslo.config.opts`` entry point: every option of the service."""

from typing import Any

from recovery_ha import conf


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return (group, options) of each module of ``recovery_ha.conf``."""
    return [pair for module in conf.MODULES for pair in module.list_opts()]
