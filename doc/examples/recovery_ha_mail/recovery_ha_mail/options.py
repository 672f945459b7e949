"""The options of the tasks, in a group of their own.

An operator sets them in the file that names the tasks, or in the engine's
main file. In a task they are ``self.conf.recovery_ha_mail.<name>``.
"""

from typing import Any

from oslo_config import cfg

GROUP = "recovery_ha_mail"

OPTS = [
    cfg.StrOpt(
        "smtp_host",
        default="localhost",
        help="The mail server that takes the mails.",
    ),
    cfg.PortOpt(
        "smtp_port",
        default=25,
        help="The port of the mail server.",
    ),
    cfg.BoolOpt(
        "starttls",
        default=False,
        help="Encrypt the connection to the mail server, and refuse one that "
        "cannot show a valid certificate.",
    ),
    cfg.StrOpt(
        "smtp_user",
        help="Log in to the mail server as this user. Unset: do not log in.",
    ),
    cfg.StrOpt(
        "smtp_password",
        secret=True,  # oslo.config does not write it to any log
        help="The password of that user.",
    ),
    cfg.FloatOpt(
        "timeout",
        default=10.0,
        min=0.1,
        help="Seconds that handing over one mail may take. The recovery goes "
        "on without the mail then.",
    ),
    cfg.StrOpt(
        "sender",
        default="recovery-ha@localhost",
        help="The address that mails come from.",
    ),
    cfg.ListOpt(
        "recipients",
        default=["root@localhost"],
        help="The addresses that mails go to, separated by commas.",
    ),
    cfg.StrOpt(
        "metering_file",
        default="/var/lib/recovery_ha/metering.sqlite",
        help="The database that update_metering_task writes to.",
    ),
]


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return groups and their options: the form of ``oslo.config.opts``."""
    return [(GROUP, OPTS)]
