"""The options of the example."""

from typing import Any

from oslo_config import cfg

GROUP = "recovery_ha_rolling"

OPTS = [
    cfg.IntOpt(
        "rest",
        default=60,
        min=0,
        help="Seconds between the end of one host's maintenance and the "
        "emptying of the next.",
    ),
]


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options; the engine registers them by this."""
    return [(GROUP, OPTS)]
