"""Who counts as what when access is decided; oslo.policy has its own group."""

from typing import Any

from oslo_config import cfg

GROUP = "policy"

OPTS = [
    cfg.StrOpt(
        "auditor",
        default="recovery_auditor",
        regex=r"^[^\s()'\":]+$",
        help="The role whose holder may read the segments, hosts, "
        "notifications and vmoves of the whole cloud with a token of any "
        "project.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
