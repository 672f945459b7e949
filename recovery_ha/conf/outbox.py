"""What is told of maintenance on the message queue, and how."""

from typing import Any

from oslo_config import cfg

GROUP = "outbox"

OPTS = [
    cfg.StrOpt(
        "topic",
        default="notifications",
        help="Topic of the notifications about maintenance; Ceilometer's "
        "agent listens to the default.",
    ),
    cfg.StrOpt(
        "publisher_id",
        help="Who the notifications come from. If unset: recovery_ha and the "
        "name of the engine, with a dot between them.",
    ),
    cfg.StrOpt(
        "project_events",
        default="both",
        choices=[
            ("both", "Under both names, with one message id."),
            ("maintenance.scheduled", "What known clients listen to."),
            ("maintenance.planned", "What the specification calls it."),
        ],
        help="Under which name projects are told of maintenance. A project "
        "counts as one that listens if it has an alarm for it, or for one "
        "of both.",
    ),
    cfg.IntOpt(
        "longest_pause",
        default=30,
        min=1,
        help="Seconds at most between two attempts to send to a message "
        "queue that does not accept messages. They are not given up.",
    ),
    cfg.IntOpt(
        "lease_seconds",
        default=15,
        min=5,
        help="Seconds after which another engine sends what one that died "
        "was about to send to the message queue; to a webhook, it is twice "
        "the timeout of [webhook], 10 at least. Projects have this much less "
        "time to reply then. A message that takes longer to send may be sent "
        "twice.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
