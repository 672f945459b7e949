"""The options of the simulator, as oslo.config options and as one value.

A `Settings` object is what the simulator runs on; the option group
`[simulator]` and the control interface are two ways to fill one in.
"""

import dataclasses
from typing import Any

from oslo_config import cfg

GROUP = cfg.OptGroup(
    "simulator",
    title="Simulated OpenStack",
    help="Options of recovery-ha-simulator, a simulated OpenStack cloud.",
)

OPTIONS: list[cfg.Opt] = [
    cfg.StrOpt(
        "host",
        default="127.0.0.1",
        help="Address on which the simulator listens. It has no protection "
        "but its passwords and an open control interface, so it should not "
        "listen where strangers can reach it.",
    ),
    cfg.PortOpt(
        "port",
        default=15900,
        help="TCP port for every simulated service. 0 takes a free port.",
    ),
    cfg.IntOpt(
        "threads",
        default=32,
        min=2,
        help="Number of threads that answer requests. Each request that a "
        "fault holds occupies one of them.",
    ),
    cfg.IntOpt(
        "computes",
        default=4,
        min=0,
        help="Number of compute hosts, named compute-1, compute-2 and so on.",
    ),
    cfg.IntOpt(
        "controllers",
        default=1,
        min=1,
        help="Number of hosts with Nova's other services, named controller, "
        "controller-2 and so on. They never fail.",
    ),
    cfg.IntOpt(
        "servers_per_compute",
        default=0,
        min=0,
        help="Number of active servers that each host has at the start.",
    ),
    cfg.StrOpt(
        "hypervisor_suffix",
        default="",
        help="Text added to a host's name to make its hypervisor_hostname, "
        "for example .example.org, as in clouds whose hypervisors report a "
        "fully qualified name.",
    ),
    cfg.IntOpt(
        "vcpus",
        default=1000,
        min=1,
        help="VCPUs that each compute host offers in Placement.",
    ),
    cfg.IntOpt(
        "memory_mb",
        default=800000,
        min=1,
        help="Memory in MiB that each compute host offers in Placement.",
    ),
    cfg.IntOpt(
        "disk_gb",
        default=600000,
        min=1,
        help="Disk in GiB that each compute host offers in Placement.",
    ),
    cfg.FloatOpt(
        "rebuild_seconds",
        default=2.0,
        min=0,
        help="Time that rebuilding one evacuated server takes.",
    ),
    cfg.IntOpt(
        "rebuild_concurrency",
        default=10,
        min=1,
        help="Number of rebuilds that one host does at a time; further ones "
        "wait, as with Nova's max_concurrent_builds.",
    ),
    cfg.FloatOpt(
        "done_delay_seconds",
        default=0.3,
        min=0,
        help="Time between an evacuated server being ready and its migration "
        "record saying done.",
    ),
    cfg.FloatOpt(
        "action_seconds",
        default=0.2,
        min=0,
        help="Time that starting, stopping, rebooting, pausing and similar "
        "actions take.",
    ),
    cfg.FloatOpt(
        "boot_seconds",
        default=0.5,
        min=0,
        help="Time that building a new server takes.",
    ),
    cfg.FloatOpt(
        "migrate_seconds",
        default=1.0,
        min=0,
        help="Time that a live or a cold migration takes.",
    ),
    cfg.FloatOpt(
        "start_seconds",
        default=2.0,
        min=0,
        help="Time from starting a compute host until it reports itself up.",
    ),
    cfg.FloatOpt(
        "down_time_seconds",
        default=6.0,
        min=0,
        help="Silence after which a compute service is called down.",
    ),
    cfg.FloatOpt(
        "report_interval",
        default=2.0,
        min=0.001,
        help="Seconds between two heartbeats of a compute service. It only "
        "shows in the updated_at of a service.",
    ),
    cfg.FloatOpt(
        "latency_seconds",
        default=0.0,
        min=0,
        help="Time that every answer is delayed, the control interface "
        "excepted.",
    ),
    cfg.IntOpt(
        "page_limit",
        default=1000,
        min=1,
        help="Largest number of items in one page of a list of Nova.",
    ),
    cfg.FloatOpt(
        "token_seconds",
        default=86400.0,
        min=0,
        help="Life time of a token.",
    ),
    cfg.StrOpt(
        "region",
        default="RegionOne",
        help="Name of the only region of the catalog.",
    ),
    cfg.StrOpt(
        "instance_ha_url",
        default="http://127.0.0.1:15868/v1",
        help="Endpoint of the instance-ha service in the catalog.",
    ),
    cfg.StrOpt(
        "transport_url",
        default="",
        help="Message queue whose notifications the simulated Ceilometer and "
        "Aodh listen to, for example rabbit://guest:guest@127.0.0.1:5672/; "
        "if empty there are no events and no alarm is raised.",
    ),
    cfg.StrOpt(
        "notification_topic",
        default="notifications",
        help="Topic of those notifications.",
    ),
]

# Changing these in a running simulator would have no effect.
FIXED = frozenset(
    {"host", "port", "threads", "transport_url", "notification_topic"}
)


@dataclasses.dataclass
class Settings:
    """What the simulator runs on; the options say what each field means."""

    host: str = "127.0.0.1"
    port: int = 0
    threads: int = 32
    computes: int = 4
    controllers: int = 1
    servers_per_compute: int = 0
    hypervisor_suffix: str = ""
    vcpus: int = 1000
    memory_mb: int = 800000
    disk_gb: int = 600000
    rebuild_seconds: float = 2.0
    rebuild_concurrency: int = 10
    done_delay_seconds: float = 0.3
    action_seconds: float = 0.2
    boot_seconds: float = 0.5
    migrate_seconds: float = 1.0
    start_seconds: float = 2.0
    down_time_seconds: float = 6.0
    report_interval: float = 2.0
    latency_seconds: float = 0.0
    page_limit: int = 1000
    token_seconds: float = 86400.0
    region: str = "RegionOne"
    instance_ha_url: str = "http://127.0.0.1:15868/v1"
    transport_url: str = ""
    notification_topic: str = "notifications"

    def change(self, values: dict[str, Any]) -> None:
        """Change settings while the simulator runs, all of them or none.

        :param values: new values by the names of the options
        :raises ValueError: a name is unknown or fixed, or a value is not
            allowed
        """
        options = {option.name: option for option in OPTIONS}
        checked = {}
        for name, value in values.items():
            if name not in options or name in FIXED:
                raise ValueError(f"{name} cannot be set")
            checked[name] = options[name].type(value)
        for name, value in checked.items():
            setattr(self, name, value)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the option group with `conf`."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)


def list_opts() -> list[tuple[cfg.OptGroup, list[cfg.Opt]]]:
    """Return the options in the form of the entry point oslo.config.opts."""
    return [(GROUP, OPTIONS)]


def from_conf(conf: cfg.ConfigOpts) -> Settings:
    """Return the settings that the registered and parsed `conf` holds."""
    return Settings(
        **{option.name: conf.simulator[option.name] for option in OPTIONS}
    )
