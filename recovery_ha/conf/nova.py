"""Access to Nova: keystoneauth's options and how often it is asked.

Placement and Glance are reached with the same credentials; where they are is
in the catalog.
"""

from typing import Any

from keystoneauth1 import loading
from oslo_config import cfg

GROUP = "nova"
SERVICE_TYPE = "compute"

#: Seconds an answer may take where ``timeout`` is not set.
DEFAULT_TIMEOUT = 60

OPTS = [
    cfg.IntOpt(
        "read_retries",
        default=5,
        min=0,
        help="How many times a request that only reads is repeated, with "
        "growing pauses, when Nova, Placement, Glance or Keystone do not "
        "answer or answer that they are busy. Unlocking an instance is "
        "repeated likewise; other requests that change something are not "
        "repeated before Nova was asked what became of them.",
    ),
    cfg.IntOpt(
        "settle_seconds",
        default=30,
        min=0,
        help="For how many seconds an evacuation that may have been asked "
        "for, by an engine that died or without an answer, may stay "
        "invisible in Nova before it is asked for again. Nova does not "
        "refuse a second evacuation of the same instance, and the two "
        "destroy it: this must be longer than Nova's API ever leaves a "
        "request waiting. At least the lease's length is waited.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options, and keystoneauth's, on a configuration."""
    loading.register_auth_conf_options(conf, GROUP)
    loading.register_session_conf_options(conf, GROUP)
    loading.register_adapter_conf_options(conf, GROUP)
    conf.register_opts(OPTS, group=GROUP)
    conf.set_default("service_type", SERVICE_TYPE, group=GROUP)
    conf.set_default("timeout", DEFAULT_TIMEOUT, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    password = loading.get_auth_plugin_conf_options("password")
    return [
        (
            GROUP,
            [
                *loading.get_auth_common_conf_options(),
                *password,
                *loading.get_session_conf_options(),
                *loading.get_adapter_conf_options(),
                *OPTS,
            ],
        )
    ]
