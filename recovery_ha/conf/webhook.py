"""Webhooks: where messages to projects may go, and how often."""

from typing import Any

from oslo_config import cfg

GROUP = "webhook"

OPTS = [
    cfg.ListOpt(
        "allowed_networks",
        default=[],
        help="Networks, such as 10.1.0.0/16 or fd00::/8, whose addresses "
        "webhooks may have although they are private, loopback, link-local, "
        "multicast or reserved ones, and without TLS. Name those in which "
        "projects have their receivers, and none that the cloud itself is "
        "run in: a project chooses the address of its webhook, and the "
        "engine sends to it from where it is.",
    ),
    cfg.StrOpt(
        "ca_file",
        help="File of the certificates (PEM) that those of receivers are "
        "checked against; the usual ones if unset.",
    ),
    cfg.FloatOpt(
        "timeout",
        default=10.0,
        min=0.1,
        max=60.0,
        help="Seconds that a receiver may take for its answer, the finding "
        "of its address included.",
    ),
    cfg.IntOpt(
        "max_attempts",
        default=8,
        min=1,
        help="How many times a message is sent to a webhook that does not "
        "accept it before it is given up. The pauses between them double, "
        "from 1 second to longest_pause.",
    ),
    cfg.IntOpt(
        "longest_pause",
        default=60,
        min=1,
        help="Seconds at most between two attempts.",
    ),
    cfg.IntOpt(
        "workers",
        default=16,
        min=1,
        help="How many messages one engine sends to webhooks at once: one "
        "at a time to each, and to all those of one project at most a "
        "quarter of them.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
