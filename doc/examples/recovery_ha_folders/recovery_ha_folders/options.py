"""The options of the plug-in, in a group of their own.

An operator sets them in the engine's file. In the plug-in they are
``self.conf.recovery_ha_folders.<name>``.
"""

from typing import Any

from oslo_config import cfg

GROUP = "recovery_ha_folders"

OPTS = [
    cfg.StrOpt(
        "path",
        default="/var/lib/recovery_ha/folders",
        help="The directory in which clusters are.",
    ),
    cfg.IntOpt(
        "attempts",
        default=5,
        min=1,
        help="How often to try to log in to an instance.",
    ),
    cfg.FloatOpt(
        "retry_seconds",
        default=1.0,
        min=0.0,
        help="Seconds between two of these attempts.",
    ),
]


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options: the ``oslo.config.opts`` entry point."""
    return [(GROUP, OPTS)]
