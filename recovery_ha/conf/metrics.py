"""Where Prometheus finds the numbers of a process."""

from typing import Any

from oslo_config import cfg

GROUP = "metrics"

OPTS = [
    cfg.BoolOpt(
        "enabled",
        default=False,
        help="Count the API's requests and serve /metrics on a port of its "
        "own, without authentication. A WSGI server only counts; what serves "
        "its numbers is in its own configuration.",
    ),
    cfg.HostAddressOpt(
        "host",
        default="127.0.0.1",
        help="The address that /metrics is served on.",
    ),
    cfg.PortOpt(
        "port",
        default=15869,
        help="The port on which recovery-ha-api and recovery-ha-standalone "
        "serve /metrics.",
    ),
    cfg.PortOpt(
        "engine_port",
        default=15870,
        help="The port on which recovery-ha-engine serves /metrics. Each "
        "engine of a machine needs its own.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
