"""How one failed instance is brought back: decided from what Nova says.

Reference 3.5, with what it does wrong put right: an instance that its user
had stopped stays stopped, and one in error is rebooted hard instead of being
given up.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from recovery_ha.domain.evacuation import is_ha_enabled
from recovery_ha.domain.ports import InstanceAction, Server

#: Found like this, an instance is not touched.
_LEFT_ALONE = frozenset({"paused", "rescued"})
_LEAVING = frozenset({"deleting", "soft-deleting"})
_GONE = frozenset({"deleted", "soft-delete"})
#: Actions that end with a running instance.
_STARTS = frozenset({"start", "reboot", "create", "rebuild", "evacuate"})


class InstanceStep(StrEnum):
    """The next thing to do for an instance."""

    STOP = "stop"
    RESET = "reset"
    START = "start"
    REBOOT = "reboot"
    WAIT = "wait"
    DONE = "done"
    SKIP = "skip"
    IGNORE = "ignore"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class InstanceDecision:
    """A step and the sentence that says why."""

    step: InstanceStep
    sentence: str


def stopped_by_user(actions: Iterable[InstanceAction]) -> bool:
    """Tell whether a stopped instance is so because somebody wanted it.

    Nova itself stops an instance whose guest has gone, in nobody's name.
    What cannot be told is taken for wanted: an instance that is off by
    mistake can be started, one that was started by mistake has done harm.

    :param actions: Nova's records, the newest first.
    """
    for action in actions:
        if action.action == "stop":
            return action.user_id is not None
        if action.action in _STARTS:
            break
    return True


def examine(
    server: Server | None,
    *,
    host: str,
    ha_key: str,
    process_all: bool,
    stopped_by_user: bool,
) -> InstanceDecision:
    """Decide whether a reported instance is recovered at all.

    :param server: None if Nova does not know it any more.
    :param host: where it was reported to have failed.
    :param ha_key: the metadata key that marks an HA-enabled instance.
    :param process_all: also those without the mark.
    :param stopped_by_user: see the function of that name; only looked at
        when the instance is stopped.
    :returns: SKIP, IGNORE, or DONE: go on.
    """
    if server is None or server.vm_state in _GONE:
        return _ignore("The instance was deleted meanwhile.")
    if server.task_state in _LEAVING:
        return _ignore(f"{_called(server)} is being deleted.")
    if server.host and server.host != host:
        return _ignore(
            f"{_called(server)} is on {server.host} now: whatever happened on"
            f" {host} is over."
        )
    if not process_all and not is_ha_enabled(server.metadata, ha_key):
        return InstanceDecision(
            InstanceStep.SKIP,
            f"{_called(server)} is not HA-enabled, and only such instances"
            " are recovered.",
        )
    if server.vm_state in _LEFT_ALONE:
        return _ignore(
            f"{_called(server)} is {server.vm_state}; such instances are left"
            " alone."
        )
    if server.vm_state == "stopped" and stopped_by_user:
        return _ignore(
            f"{_called(server)} was stopped by its user, and stays stopped."
        )
    return InstanceDecision(InstanceStep.DONE, "It is to be recovered.")


def _ignore(sentence: str) -> InstanceDecision:
    return InstanceDecision(InstanceStep.IGNORE, sentence)


def _called(server: Server) -> str:
    return f"Instance {server.name} ({server.id})"


def to_stop(server: Server, *, asked: bool) -> InstanceDecision:
    """Return the next step to a stopped instance.

    :param asked: Nova has accepted to stop it. It shows that at once; an
        active instance that does nothing could not be stopped then, as when
        its guest has gone without a trace.
    """
    if server.vm_state == "stopped":
        return InstanceDecision(InstanceStep.DONE, "It is stopped.")
    if server.vm_state == "error":
        return InstanceDecision(
            InstanceStep.DONE,
            f"It is in error and will be rebooted hard: {_fault(server)}",
        )
    if server.task_state == "powering-off":
        return InstanceDecision(InstanceStep.WAIT, "It is stopping.")
    if server.vm_state == "resized":
        return InstanceDecision(
            InstanceStep.RESET, "It is resized; made active to be stopped."
        )
    if asked and server.vm_state == "active" and server.task_state is None:
        return InstanceDecision(
            InstanceStep.DONE,
            "Nova could not stop it; it will be rebooted hard.",
        )
    return InstanceDecision(
        InstanceStep.WAIT if asked else InstanceStep.STOP,
        f"It is {server.vm_state}, task state {server.task_state}.",
    )


def to_start(server: Server, *, stop_failed: bool) -> InstanceDecision:
    """Return the next step to an instance that starts.

    :param stop_failed: it is active in name only: see :func:`to_stop`.
    """
    idle = server.task_state is None
    if stop_failed and server.vm_state == "active" and idle:
        return InstanceDecision(
            InstanceStep.REBOOT, "It is active, but could not be stopped."
        )
    if server.vm_state == "active" and server.task_state is None:
        return InstanceDecision(InstanceStep.DONE, "It is active.")
    if server.task_state is not None:
        return InstanceDecision(
            InstanceStep.DONE,
            f"It is {server.vm_state}, task state {server.task_state}.",
        )
    if server.vm_state == "stopped":
        return InstanceDecision(InstanceStep.START, "It is stopped.")
    if server.vm_state == "error":
        return InstanceDecision(
            InstanceStep.REBOOT, f"It is in error: {_fault(server)}"
        )
    return InstanceDecision(
        InstanceStep.FAIL,
        f"instance {server.name} ({server.id}) is {server.vm_state} and not"
        " stopped",
    )


def confirmed(server: Server) -> InstanceDecision:
    """Tell whether an instance that was started is active."""
    if server.vm_state == "active" and server.task_state is None:
        return InstanceDecision(InstanceStep.DONE, "It is active.")
    if server.vm_state == "error" and server.task_state is None:
        return InstanceDecision(
            InstanceStep.FAIL,
            f"{server.name} ({server.id}) is in error: {_fault(server)}",
        )
    return InstanceDecision(
        InstanceStep.WAIT,
        f"{server.name} ({server.id}) is {server.vm_state}, task state"
        f" {server.task_state}",
    )


def _fault(server: Server) -> str:
    return server.fault or "Nova says no why"
