"""Recovery of failed instances."""

from typing import Any

from oslo_config import cfg

GROUP = "instance_failure"

OPTS = [
    cfg.BoolOpt(
        "process_all_instances",
        default=False,
        help="Recover every instance that fails. If false, only the "
        "HA-enabled ones.",
    ),
    cfg.StrOpt(
        "ha_enabled_instance_metadata_key",
        default="HA_Enabled",
        help="The metadata key that marks an instance as HA-enabled when its "
        "value is true.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
