"""Recovery of failed hosts."""

from typing import Any

from oslo_config import cfg

GROUP = "host_failure"

OPTS = [
    cfg.BoolOpt(
        "evacuate_all_instances",
        default=True,
        help="Evacuate all instances of a failed host, the HA-enabled ones "
        "first. If false, only the HA-enabled ones.",
    ),
    cfg.StrOpt(
        "ha_enabled_instance_metadata_key",
        default="HA_Enabled",
        help="The metadata key that marks an instance as HA-enabled when its "
        "value is true.",
    ),
    cfg.BoolOpt(
        "ignore_instances_in_error_state",
        default=False,
        help="Leave instances in vm_state error where they are. If false, "
        "they are evacuated and end in error again.",
    ),
    cfg.StrOpt(
        "service_disable_reason",
        default="Masakari detected host failed.",
        help="The reason given to Nova when the compute service of a failed "
        "host is disabled.",
    ),
    cfg.BoolOpt(
        "add_reserved_host_to_aggregate",
        default=False,
        help="Add a reserved host that is used to every host aggregate that "
        "the failed host is in. If nothing could be evacuated to it, it is "
        "taken out of them again.",
    ),
    cfg.ListOpt(
        "exclude_projects",
        default=[],
        help="Ids of projects whose instances are left alone when their host "
        "fails. This and the other exclude options fail open: what cannot "
        "be read matches no rule, and the instance is evacuated.",
    ),
    cfg.ListOpt(
        "exclude_names",
        default=["amphora-????????-????-????-????-????????????"],
        help="Shell patterns of the names of instances that are left alone "
        "when their host fails. The default are Octavia's amphorae, which "
        "Octavia itself replaces; rebuilt, they lack their configuration.",
    ),
    cfg.ListOpt(
        "exclude_metadata",
        default=[],
        help="Instances are left alone when their metadata have one of these "
        "keys, or values where the rule is key=value.",
    ),
    cfg.ListOpt(
        "exclude_extra_specs",
        default=[],
        help="Instances are left alone when the extra specs of their flavor "
        "have one of these keys, or values where the rule is key=value.",
    ),
    cfg.ListOpt(
        "exclude_image_properties",
        default=[],
        help="Instances are left alone when the image that they were booted "
        "from has one of these properties, or values where the rule is "
        "key=value; tags=A,B are all tags of an image, in alphabetical "
        "order. Glance is asked only if there are rules.",
    ),
    cfg.StrOpt(
        "lock_instances",
        default="when_needed",
        choices=[
            (
                "always",
                (
                    "Every instance, so that its user can neither act on it "
                    "nor delete it meanwhile. It takes two more requests to "
                    "Nova per instance."
                ),
            ),
            (
                "when_needed",
                (
                    "Only those that need more than the evacuation: they "
                    "are brought to error before or stopped after it. The "
                    "others are protected by Nova's own task state from "
                    "everything but their deletion, which the recovery "
                    "takes note of."
                ),
            ),
        ],
        help="Which instances are locked while they are evacuated. Those that "
        "somebody had locked before stay locked.",
    ),
    cfg.StrOpt(
        "force_down",
        default="never",
        choices=[
            ("never", "Wait until Nova itself sees the service down."),
            (
                "always",
                (
                    "Tell Nova at once that the service is down. Only "
                    "safe where something has made sure that the host is "
                    "off: an instance that still runs there would run "
                    "twice."
                ),
            ),
        ],
        help="How the compute service of a failed host comes to be down.",
    ),
    cfg.IntOpt(
        "max_hosts_out",
        default=0,
        min=0,
        help="How many hosts may be out of service at once: those that are "
        "being recovered and those that maintenance sessions work on "
        "together. What would be one more waits: a recovery until a host is "
        "back, a session before it takes the next host. 0 means any number.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
