"""The commands that sessions may have run on their hosts."""

from typing import Any

from oslo_config import cfg

from recovery_ha.conf.json_types import JSONObject

GROUP = "maintenance_command"


class Commands(JSONObject):
    """Argument lists by name."""

    of = "lists of strings"

    def member(self, name: str, value: Any) -> list[str]:
        """Return the arguments of a command.

        :raises ValueError: they are no list of words.
        """
        if (
            isinstance(value, list)
            and value
            and all(isinstance(word, str) and word for word in value)
        ):
            return value
        raise ValueError(
            f"command {name!r} is no list of words, such as"
            ' ["ssh", "{host}", "update"]'
        )


OPTS = [
    cfg.Opt(
        "commands",
        type=Commands(),
        default={},
        sample_default='{"firmware": ["ssh", "root@{host}", "update-fw"]}',
        help="The commands that the action 'command' runs, by the name that "
        'a session says in the metadata of its action: {"name": '
        '"firmware"}. Each is the list of its arguments, run on the engine\'s '
        "machine as the engine's user and without a shell; {host} is replaced "
        "by the host's name, and a dollar sign is written twice. Nothing else "
        "of a request gets into a command.",
    ),
    cfg.IntOpt(
        "kill_after",
        default=3600,
        min=1,
        help="Seconds after which a command that still runs is killed, with "
        "all that it has started, and has failed.",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
