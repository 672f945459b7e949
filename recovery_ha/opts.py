"""The ``oslo.config.opts`` entry points: every option of the service.

The sample configuration is generated from them. Recovery flows have a file
of their own, and so an entry point of their own.
"""

from typing import Any

from recovery_ha import conf
from recovery_ha.conf import recovery_flows


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return (group, options) of each module but that of the flows."""
    return [
        pair
        for module in conf.MODULES
        if module is not recovery_flows
        for pair in module.list_opts()
    ]


def list_flow_opts() -> list[tuple[str, list[Any]]]:
    """Return (group, options) of the recovery flows."""
    return recovery_flows.list_opts()


def list_all_opts() -> list[tuple[str, list[Any]]]:
    """Return (group, options) of every module."""
    return [*list_opts(), *list_flow_opts()]
