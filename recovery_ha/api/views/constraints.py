"""Constraints of instances and groups in Fenix's form."""

from dataclasses import asdict
from typing import Any

from recovery_ha.domain.maintenance import (
    GroupConstraints,
    InstanceAction,
    InstanceConstraints,
)


def entry(item: InstanceConstraints | GroupConstraints) -> dict[str, Any]:
    """Return what is asked for an instance, or a group."""
    return {
        name: str(value) if isinstance(value, InstanceAction) else value
        for name, value in asdict(item).items()
    }
