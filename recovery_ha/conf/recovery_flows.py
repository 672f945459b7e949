"""Which tasks a recovery is made of, and the syntax they are given in."""

import re
from typing import Any

from oslo_config import cfg, types

GROUP = "taskflow_driver_recovery_flows"
PHASES = ("pre", "main", "post")

_EXAMPLE = "pre:['task_a'],main:['task_b','task_c'],post:[]"
_TOKEN = re.compile(
    r"""\s*(?:(?P<phase>pre|main|post)\s*:\s*(?P<list>\[[^\[\]]*\])\s*,?)"""
)
_NAME = re.compile(r"""(?P<quote>['"]?)(?P<name>[^\W\d][\w.-]*)(?P=quote)""")


class TaskLists(types.ConfigType):
    """The type ``pre:[...],main:[...],post:[...]``.

    Each phase at most once and in any order, each a list of task names.
    Line breaks, both quotes, none, and a missing comma between two phases
    are fine. The value is a dict with the three phases as keys.
    """

    def __init__(self) -> None:
        super().__init__(type_name="task lists")

    def __call__(self, value: Any) -> dict[str, list[str]]:
        """Return the parsed value.

        :raises ValueError: with the position of what is wrong and an
            example.
        """
        if isinstance(value, dict):
            return {phase: list(value.get(phase, ())) for phase in PHASES}
        text, position = str(value), 0
        found: dict[str, list[str]] = {}
        while text[position:].strip():
            match = _TOKEN.match(text, position)
            if match is None:
                raise self._error("what is read here", text, position)
            phase = match["phase"]
            if phase in found:
                raise self._error(f"a second {phase!r}", text, position)
            found[phase] = self._names(match, text)
            position = match.end()
        if not found:
            raise self._error("an empty value", text, 0)
        return {phase: found.get(phase, []) for phase in PHASES}

    def _names(self, match: re.Match[str], text: str) -> list[str]:
        items = match["list"][1:-1].split(",")
        if not items[-1].strip():
            items.pop()  # nothing, or a comma at the end
        names = [_NAME.fullmatch(item.strip()) for item in items]
        if not all(names):
            raise self._error(
                "a list that is not of task names",
                text,
                match.start("list"),
            )
        return [name["name"] for name in names if name]

    def _error(self, what: str, text: str, position: int) -> ValueError:
        rest = " ".join(text[position:].split())[:40]
        return ValueError(
            f"at character {position + 1} ({rest!r}): {what} is not"
            f" understood. Example: {_EXAMPLE}"
        )

    def __repr__(self) -> str:
        return "TaskLists"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))

    def _formatter(self, value: Any) -> str:
        found = self(value)
        return ",".join(f"{phase}:{found[phase]!r}" for phase in PHASES)


_ENTRY_POINTS = (
    "as entry points in recovery_ha.task_flow.tasks. They run one after "
    "another, those of pre first, then main, then post."
)

# The defaults are written as a file has them, so that the sample can be used
# as it is.
OPTS = [
    cfg.Opt(
        "host_auto_failure_recovery_tasks",
        type=TaskLists(),
        default="pre:['disable_compute_service_task'],"
        "main:['prepare_HA_enabled_instances_task'],"
        "post:['evacuate_instances_task']",
        help="The tasks that recover a failed host whose segment has the "
        f"recovery method auto, {_ENTRY_POINTS}",
    ),
    cfg.Opt(
        "host_rh_failure_recovery_tasks",
        type=TaskLists(),
        default="pre:['disable_compute_service_task'],"
        "main:['prepare_HA_enabled_instances_task',"
        "'evacuate_instances_task'],post:[]",
        help="The tasks that recover a failed host whose segment has the "
        "recovery method reserved_host (and those of the other method that "
        f"go to reserved hosts), {_ENTRY_POINTS}",
    ),
    cfg.Opt(
        "instance_failure_recovery_tasks",
        type=TaskLists(),
        default="pre:['stop_instance_task'],main:['start_instance_task'],"
        "post:['confirm_instance_active_task']",
        help=f"The tasks that recover a failed instance, {_ENTRY_POINTS}",
    ),
    cfg.Opt(
        "process_failure_recovery_tasks",
        type=TaskLists(),
        default="pre:['disable_compute_node_task'],"
        "main:['confirm_compute_node_disabled_task'],post:[]",
        help="The tasks that follow the failure of a process on a compute "
        f"host, {_ENTRY_POINTS}",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register these options on a configuration."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Return group and options, for the sample configuration."""
    return [(GROUP, OPTS)]
