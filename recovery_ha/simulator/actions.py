"""What can be done to one server, and in which states.

Evacuation and migration have modules of their own; this one knows the rules
of all actions and carries out the short ones.
"""

import dataclasses
from collections.abc import Callable

from recovery_ha.simulator.computes import Computes
from recovery_ha.simulator.errors import Conflict
from recovery_ha.simulator.records import (
    PAUSED,
    RUNNING,
    SHUTDOWN,
    SUSPENDED,
    Compute,
    Server,
    Work,
    now,
)
from recovery_ha.simulator.settings import Settings

ANY = frozenset[str]()
NO_TASK = frozenset({None})
REBOOTABLE = frozenset(
    {
        None,
        "rebooting",
        "reboot_pending",
        "reboot_started",
        "resuming",
        "rebooting_hard",
        "unpausing",
        "pausing",
        "suspending",
    }
)


@dataclasses.dataclass(frozen=True)
class Rule:
    """When an action is allowed.

    :param name: what Nova's messages call it
    :param vm_states: the states it is allowed in; empty means all
    :param task_states: likewise; None means all
    :param launched: whether the server must have run once
    :param locked: whether it is allowed, to all, on a locked server
    :param admin: whether it needs the admin role
    """

    name: str
    vm_states: frozenset[str]
    task_states: frozenset[str | None] | None = NO_TASK
    launched: bool = True
    locked: bool = False
    admin: bool = False


def _rule(name: str, *vm_states: str, admin: bool = False) -> Rule:
    return Rule(name, frozenset(vm_states), admin=admin)


# Keyed by the name of the action in a request's body.
RULES: dict[str, Rule] = {
    "os-start": _rule("start", "stopped"),
    "os-stop": _rule("stop", "active", "error"),
    "reboot": _rule("reboot", "active"),
    "reboot-hard": Rule(
        "reboot",
        frozenset({"active", "stopped", "paused", "suspended", "error"}),
        REBOOTABLE,
    ),
    "pause": _rule("pause", "active"),
    "unpause": _rule("unpause", "paused"),
    "suspend": _rule("suspend", "active"),
    "resume": _rule("resume", "suspended"),
    "rescue": _rule("rescue", "active", "stopped", "error"),
    "unrescue": _rule("unrescue", "rescued"),
    "shelve": _rule("shelve", "active", "stopped", "paused", "suspended"),
    "unshelve": _rule("unshelve", "shelved", "shelved_offloaded"),
    "os-migrateLive": _rule("os-migrateLive", "active", "paused", admin=True),
    "migrate": _rule("migrate", "active", "stopped", admin=True),
    "confirmResize": _rule("confirmResize", "resized"),
    "revertResize": _rule("revertResize", "resized"),
    "evacuate": Rule("evacuate", ANY, None, locked=True, admin=True),
    "lock": Rule("lock", ANY, None, launched=False, locked=True),
    "unlock": Rule("unlock", ANY, None, launched=False, locked=True),
    "os-resetState": Rule(
        "os-resetState", ANY, None, launched=False, locked=True, admin=True
    ),
}
# Where the name that Nova records is not the one of its messages.
RECORDED = {"os-migrateLive": "live-migration", "os-resetState": "resetState"}


def check(action: str, server: Server, *, admin: bool) -> None:
    """See whether the state of a server allows an action.

    :param action: a key of `RULES`
    :param admin: whether the caller may act on locked servers
    :raises Conflict: it does not; the message is Nova's
    """
    rule = RULES[action]
    if server.locked and not admin and not rule.locked:
        raise Conflict(f"Instance {server.uuid} is locked")
    wrong = None
    if rule.vm_states and server.vm_state not in rule.vm_states:
        wrong = f"vm_state {server.vm_state}"
    elif (
        rule.task_states is not None
        and server.task_state not in rule.task_states
    ):
        wrong = f"task_state {server.task_state}"
    elif rule.launched and server.launched is None:
        wrong = "launched_at None"
    if wrong is not None:
        raise Conflict(
            f"Cannot '{rule.name}' instance {server.uuid} while it is in "
            f"{wrong}"
        )


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a short action does.

    :param task_state: shown while it is under way
    :param vm_state: shown afterwards
    :param power_state: shown afterwards
    :param needs_guest: it fails silently when the host has lost a guest that
        Nova believes to run
    """

    task_state: str
    vm_state: str
    power_state: int
    needs_guest: bool = True


OUTCOMES: dict[str, Outcome] = {
    "os-start": Outcome("powering-on", "active", RUNNING, needs_guest=False),
    "os-stop": Outcome("powering-off", "stopped", SHUTDOWN),
    "reboot": Outcome("rebooting", "active", RUNNING),
    "reboot-hard": Outcome(
        "rebooting_hard", "active", RUNNING, needs_guest=False
    ),
    "pause": Outcome("pausing", "paused", PAUSED),
    "unpause": Outcome("unpausing", "active", RUNNING),
    "suspend": Outcome("suspending", "suspended", SUSPENDED),
    "resume": Outcome("resuming", "active", RUNNING),
    "rescue": Outcome("rescuing", "rescued", RUNNING, needs_guest=False),
    "unrescue": Outcome("unrescuing", "active", RUNNING, needs_guest=False),
    "shelve": Outcome("shelving", "shelved", SHUTDOWN, needs_guest=False),
    "unshelve": Outcome("unshelving", "active", RUNNING, needs_guest=False),
}


class Actions:
    """Carries out the short actions. Callers hold the lock of the world."""

    def __init__(
        self,
        settings: Settings,
        computes: Computes,
        exists: Callable[[Server], bool],
    ) -> None:
        self._settings = settings
        self._computes = computes
        self._exists = exists

    def act(self, action: str, server: Server) -> None:
        """Begin an action of `OUTCOMES`; its rule has been checked."""
        outcome = OUTCOMES[action]
        compute = self._computes.get(server.host or "")
        server.task_state = outcome.task_state
        server.updated = now()
        work = Work(
            server.uuid,
            begin=lambda: self._settings.action_seconds,
            finish=lambda: self._finish(server, compute, outcome),
        )
        self._computes.send(compute, work)

    def crash(self, server: Server, *, noticed: bool) -> None:
        """Let the guest of a server end.

        :param noticed: have Nova see it and stop the server, by itself, as
            its power-state sync does; else it stays active, and shut down
        """
        compute = self._computes.get(server.host or "")
        compute.guests.discard(server.uuid)
        server.power_state = SHUTDOWN
        server.updated = now()
        if noticed:
            server.vm_state = "stopped"
            server.task_state = None
            server.record("stop")

    def _finish(
        self, server: Server, compute: Compute, outcome: Outcome
    ) -> None:
        if (
            not self._exists(server)
            or server.task_state != outcome.task_state
            or server.host != compute.host
        ):
            return
        server.task_state = None
        server.updated = now()
        lost = server.uuid not in compute.guests
        if outcome.needs_guest and lost and server.power_state == RUNNING:
            return
        server.vm_state = outcome.vm_state
        server.power_state = outcome.power_state
        if outcome.vm_state == "active":
            server.fault = None
        if outcome.power_state != SHUTDOWN:
            compute.guests.add(server.uuid)
