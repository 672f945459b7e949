"""The options of the action, in a group of their own.

An operator sets them in the engine's file. In the action they are
``self.conf.recovery_ha_firmware.<name>``.
"""

from typing import Any

from oslo_config import cfg

GROUP = "recovery_ha_firmware"

OPTS = [
    cfg.StrOpt(
        "path",
        default="/var/lib/recovery_ha/firmware",
        help="The directory with the firmware of hosts, a file each.",
    ),
    cfg.FloatOpt(
        "restart_seconds",
        default=60.0,
        min=0.0,
        help="Seconds that a host may take to come back with new firmware.",
    ),
]


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options: the ``oslo.config.opts`` entry point."""
    return [(GROUP, OPTS)]
