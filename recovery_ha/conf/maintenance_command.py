"""The commands that sessions may have run on their hosts."""

import json
from typing import Any

from oslo_config import cfg, types

GROUP = "maintenance_command"


class Commands(types.ConfigType):
    """A JSON object: argument lists by name."""

    def __init__(self) -> None:
        super().__init__(type_name="JSON object of lists of strings")

    def __call__(self, value: Any) -> dict[str, list[str]]:
        """Return what a value says.

        :raises ValueError: it is no object of lists of strings; the text
            says what is wrong.
        """
        if not isinstance(value, dict):
            try:
                value = json.loads(value)
            except ValueError as exc:
                raise ValueError(f"it is not JSON: {exc}") from exc
        if not isinstance(value, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004 - theirs
        for name, argv in value.items():
            if not (
                isinstance(argv, list)
                and argv
                and all(isinstance(word, str) and word for word in argv)
            ):
                raise ValueError(
                    f"command {name!r} is no list of words, such as"
                    ' ["ssh", "{host}", "update"]'
                )
        return value

    def __repr__(self) -> str:
        return "Commands"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Commands)

    def __hash__(self) -> int:
        return hash(Commands)

    def _formatter(self, value: Any) -> str:
        return json.dumps(value)


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
