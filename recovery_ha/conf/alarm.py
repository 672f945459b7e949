"""Access to Aodh: keystoneauth's options of an endpoint.

Who logs in is said in [nova], and where Aodh is in the catalog.
"""

from typing import Any

from keystoneauth1 import loading
from oslo_config import cfg

GROUP = "alarm"
SERVICE_TYPE = "alarming"

OPTS = [
    cfg.IntOpt(
        "page_size",
        default=500,
        min=1,
        help="How many alarms Aodh is asked for at once.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options, and keystoneauth's, on a configuration."""
    loading.register_adapter_conf_options(conf, GROUP)
    conf.register_opts(OPTS, group=GROUP)
    conf.set_default("service_type", SERVICE_TYPE, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, [*loading.get_adapter_conf_options(), *OPTS])]
