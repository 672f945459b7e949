"""Maintenance sessions."""

from typing import Any

from oslo_config import cfg

GROUP = "maintenance"

OPTS = [
    cfg.StrOpt(
        "api_url",
        default="http://127.0.0.1:15868",
        help="Where projects reach the API of this service; what they are "
        "told has links that begin with it.",
    ),
    cfg.IntOpt(
        "workers",
        default=8,
        min=1,
        help="How many sessions this engine works on at once. A session that "
        "waits takes none. They are besides the notifications of [engine] "
        "workers, and never keep one of those waiting.",
    ),
    cfg.IntOpt(
        "project_maintenance_reply",
        default=40,
        min=1,
        help="Seconds that projects have to reply when a session begins, and "
        "before a host with instances of theirs is emptied.",
    ),
    cfg.IntOpt(
        "project_scale_in_reply",
        default=60,
        min=1,
        help="Seconds that projects have to reply when they are to scale in, "
        "and when they may scale out again.",
    ),
    cfg.StrOpt(
        "projects_without_alarm",
        default="fail",
        choices=[
            ("fail", "The session fails, and names the project."),
            (
                "migrate",
                (
                    "Its instances are moved by cold migration, unasked, "
                    "unless their constraints name the other kind."
                ),
            ),
            ("live_migrate", "Likewise, by live migration."),
            (
                "skip",
                (
                    "They stay where they are, and a host with only such "
                    "instances is maintained with them on it."
                ),
            ),
        ],
        help="What becomes of a project with instances on the hosts of a "
        "session that has no alarm in Aodh for maintenance, so that nobody "
        "would reply for it.",
    ),
    cfg.StrOpt(
        "missing_constraints",
        default="fail",
        choices=[
            ("fail", "The session fails, and lists them."),
            (
                "default",
                (
                    "An instance without them has no group: it is asked "
                    "about at any time, and moved to where it fits."
                ),
            ),
        ],
        help="What becomes of a session of the workflow vnf when a project "
        "has said nothing of an instance of its own, or of its group.",
    ),
    cfg.IntOpt(
        "max_scale_in_rounds",
        default=3,
        min=1,
        help="How many times projects are asked to scale in before a session "
        "fails for want of room.",
    ),
    cfg.IntOpt(
        "max_empty_rounds",
        default=3,
        min=1,
        help="How many times in a row the projects on a host are asked about "
        "their instances, because there were others after the first had "
        "left, before a session fails.",
    ),
    cfg.IntOpt(
        "max_parallel_hosts",
        default=4,
        min=1,
        help="How many empty hosts of a session are maintained at once.",
    ),
    cfg.IntOpt(
        "max_parallel_moves",
        default=4,
        min=1,
        help="How many instances of a session are moved at once.",
    ),
    cfg.FloatOpt(
        "poll_interval",
        default=2.0,
        min=0.1,
        help="Seconds between two looks at what Nova is doing.",
    ),
    cfg.IntOpt(
        "live_migration_timeout",
        default=600,
        min=1,
        help="Seconds that a live migration may take, unless the instance's "
        "own max_interruption_time says so. Then it is aborted.",
    ),
    cfg.StrOpt(
        "live_migration_fallback",
        default="migrate",
        choices=[
            ("migrate", "The instance is moved by cold migration."),
            ("fail", "The session fails."),
        ],
        help="What follows a live migration that failed or took too long.",
    ),
    cfg.IntOpt(
        "cold_migration_timeout",
        default=1800,
        min=1,
        help="Seconds that a cold migration may take, its confirmation "
        "included.",
    ),
    cfg.IntOpt(
        "own_action_timeout",
        default=600,
        min=1,
        help="Seconds within which an instance whose project wants to act "
        "itself must have left the host.",
    ),
    cfg.IntOpt(
        "max_move_attempts",
        default=3,
        min=1,
        help="How many times Nova is asked to move an instance.",
    ),
    cfg.StrOpt(
        "service_disable_reason",
        default="Maintenance session %(session_id)s",
        help="The reason that Nova is told when the nova-compute service of "
        "a host is disabled. %(session_id)s is replaced.",
    ),
    cfg.IntOpt(
        "retry_delay",
        default=5,
        min=1,
        help="Seconds before a session goes on for which Nova, Placement, "
        "Aodh or Keystone did not answer. Each further time it waits twice as "
        "long as before, up to retry_delay_max.",
    ),
    cfg.IntOpt(
        "retry_delay_max",
        default=120,
        min=1,
        help="The longest time, in seconds, between two such attempts.",
    ),
    cfg.IntOpt(
        "max_attempts",
        default=60,
        min=1,
        help="How many times in a row a session is gone on with after such "
        "an outage, or after an unforeseen error, before it fails. With the "
        "defaults it takes two hours of an outage.",
    ),
    cfg.FloatOpt(
        "lock_interval",
        default=5.0,
        min=0.1,
        help="Seconds between two looks whether a recovery that has a host "
        "of the session has ended.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
