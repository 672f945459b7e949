"""Timing of recoveries, and the event log: Masakari's and Sahara's names.

Masakari's are there where they still mean something.
"""

from typing import Any

from oslo_config import cfg

GROUP = "DEFAULT"

OPTS = [
    cfg.IntOpt(
        "duplicate_notification_detection_interval",
        default=180,
        min=0,
        help="For how many seconds after a COMPUTE_HOST notification has "
        "ended an equal one is still refused as a duplicate. All monitors of "
        "a cluster report the same host, some of them late. Notifications "
        "that have not ended are compared without any limit of time.",
    ),
    cfg.IntOpt(
        "wait_period_after_service_update",
        default=180,
        min=1,
        help="How many seconds a host recovery waits at most for Nova to see "
        "the compute service of the failed host as down. It goes on as soon "
        "as Nova does. When the time is over, nothing is evacuated and the "
        "attempt fails.",
    ),
    cfg.IntOpt(
        "wait_period_after_evacuation",
        default=90,
        min=1,
        help="How many seconds an evacuation may go on without any progress "
        "before it counts as failed. An instance that Nova has not begun "
        "with waits for the others: each step of any instance of the host "
        "counts as progress for it.",
    ),
    cfg.IntOpt(
        "wait_period_after_power_off",
        default=180,
        min=1,
        help="How many seconds to wait for an instance to stop.",
    ),
    cfg.IntOpt(
        "wait_period_after_power_on",
        default=60,
        min=1,
        help="How many seconds to wait for an instance to become active "
        "after it was started.",
    ),
    cfg.IntOpt(
        "host_failure_recovery_threads",
        default=16,
        min=1,
        help="How many instances of one failed host are evacuated at once.",
    ),
    cfg.IntOpt(
        "notifications_expired_interval",
        default=86400,
        min=1,
        help="How many seconds after a notification was accepted its "
        "recovery is given up at the latest, by the database's clock.",
    ),
    cfg.FloatOpt(
        "verify_interval",
        default=1.0,
        min=0.05,
        help="Seconds between two looks at Nova while something is awaited. "
        "One look is one list request for all instances of a host. Right "
        "after something has changed, and when an evacuation is expected to "
        "end, Nova is looked at up to ten times as often.",
    ),
    cfg.BoolOpt(
        "disable_event_log",
        default=False,
        help="Write no events about the provisioning of clusters. Steps with "
        "their counters, and the history of each instance, are written "
        "either way. For the API and the engines alike.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
