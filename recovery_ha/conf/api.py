"""How the REST API is served."""

from typing import Any

from oslo_config import cfg

GROUP = "api"

OPTS = [
    cfg.HostAddressOpt(
        "host",
        default="127.0.0.1",
        help="The address recovery-ha-api and recovery-ha-standalone listen "
        "on. A WSGI server has an option of its own.",
    ),
    cfg.PortOpt(
        "port",
        default=15868,
        help="The port recovery-ha-api and recovery-ha-standalone listen on.",
    ),
    cfg.IntOpt(
        "threads",
        default=4,
        min=1,
        help="How many requests recovery-ha-api and recovery-ha-standalone "
        "serve at once.",
    ),
    cfg.StrOpt(
        "auth_strategy",
        default="keystone",
        choices=[
            (
                "keystone",
                (
                    "Each request carries a token, which Keystone "
                    "validates (group [keystone_authtoken])."
                ),
            ),
            (
                "noauth",
                (
                    "Every caller is an administrator. For use on one "
                    "machine only."
                ),
            ),
        ],
        help="How callers are known.",
    ),
    cfg.BoolOpt(
        "allow_remote_noauth",
        default=False,
        help="Serve auth_strategy = noauth on an address other than "
        "loopback too. Whoever reaches that address is an administrator.",
    ),
    cfg.IntOpt(
        "max_limit",
        default=1000,
        min=1,
        help="The largest page a list answers with, whatever limit a "
        "request asks for.",
    ),
    cfg.IntOpt(
        "max_waiting",
        default=2,
        min=0,
        help="How many requests of one process may wait for news (wait=) at "
        "once. Each keeps one of the process's threads busy, so it must be "
        "less than their number. Beyond it the answer is immediate and says "
        "Retry-After.",
    ),
    cfg.URIOpt(
        "link_prefix",
        help="What links in answers begin with, for example "
        "https://cloud.example.org/instance-ha. Unset, they are built from "
        "the request, X-Forwarded headers included where [oslo_middleware] "
        "enable_proxy_headers_parsing is set.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
