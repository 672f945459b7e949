"""The engine daemon."""

from typing import Any

from oslo_config import cfg

GROUP = "engine"

OPTS = [
    cfg.StrOpt(
        "host",
        sample_default="<the name of this machine>",
        help="The name of this engine, in logs and as the owner of running "
        "work. It must be unique per engine. Unset, it is the name of the "
        "machine.",
    ),
    cfg.IntOpt(
        "workers",
        default=16,
        min=1,
        help="How many notifications this engine works on at once.",
    ),
    cfg.IntOpt(
        "max_evacuations",
        default=64,
        min=1,
        help="How many evacuations this engine has under way at once, over "
        "all hosts it recovers. The limit per host is [DEFAULT] "
        "host_failure_recovery_threads.",
    ),
    cfg.IntOpt(
        "lease_seconds",
        default=10,
        min=1,
        help="For how long an engine owns a piece of work without renewing "
        "its ownership, which it does every third of this time. When an "
        "engine dies, another one takes its work over within this time and "
        "the sweep interval.",
    ),
    cfg.FloatOpt(
        "sweep_interval",
        default=1.0,
        min=0.1,
        help="Seconds between two looks for work that no wake-up announced: "
        "new work whose message was lost, work whose waiting time is over, "
        "and work of engines that died.",
    ),
    cfg.IntOpt(
        "max_attempts",
        default=3,
        min=1,
        help="How many times the recovery of a notification is attempted "
        "before it is failed. An attempt that another engine goes on with "
        "after a crash is not a new one, and an attempt that ended because "
        "Nova or Keystone did not answer is not counted: those are repeated "
        "until [DEFAULT] notifications_expired_interval is over.",
    ),
    cfg.IntOpt(
        "retry_delay",
        default=10,
        min=0,
        help="Seconds before the second attempt; each further one waits "
        "twice as long as the one before, up to retry_delay_max.",
    ),
    cfg.IntOpt(
        "retry_delay_max",
        default=300,
        min=0,
        help="The longest time, in seconds, between two attempts.",
    ),
    cfg.StrOpt(
        "disabled_segment",
        default="ignore",
        choices=[
            (
                "ignore",
                (
                    "A report of a host in a disabled segment ends as "
                    "ignored, as in Masakari."
                ),
            ),
            (
                "hold",
                (
                    "It waits, as new, until the segment is enabled or the "
                    "report has expired."
                ),
            ),
        ],
        help="What becomes of reports while their segment is disabled. A "
        "recovery that has begun is brought to its end either way.",
    ),
    cfg.FloatOpt(
        "hold_interval",
        default=10.0,
        min=0.1,
        help="Seconds after which a notification that is held is looked at "
        "again by itself. Enabling a segment does that at once.",
    ),
    cfg.FloatOpt(
        "service_down_time",
        default=60.0,
        min=1.0,
        help="Seconds after which an engine that was not heard of counts as "
        "down: sessions with workflows or actions that only it has are not "
        "accepted any more. Engines report themselves six times as often.",
    ),
    cfg.IntOpt(
        "stop_timeout",
        default=30,
        min=1,
        help="How many seconds an engine that is told to stop waits for "
        "requests that are under way. Work that is not done by then is left "
        "to the other engines.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
