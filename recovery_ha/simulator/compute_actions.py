"""Nova's server actions: what is asked, and whom it is passed on to."""

from collections.abc import Callable
from typing import Any

from recovery_ha.simulator import actions
from recovery_ha.simulator.compute_servers import record, server_of
from recovery_ha.simulator.compute_service import ROUTES
from recovery_ha.simulator.errors import BadRequest, Forbidden
from recovery_ha.simulator.records import Server, now
from recovery_ha.simulator.routing import Answer, Context

REBOOTS = ("HARD", "Hard", "hard", "SOFT", "Soft", "soft")
STATES = ("active", "error")


@ROUTES.add("POST", "/servers/<server_id>/action")
def act(context: Context) -> Answer:
    """Carry out the action that the body names, and record it."""
    server, body = server_of(context), context.body
    if not isinstance(body, dict) or len(body) != 1:
        raise BadRequest("Malformed request body")
    name, given = next(iter(body.items()))
    rule = actions.RULES.get(name)
    if rule is None or name == "reboot-hard":
        raise BadRequest(f"There is no such action: {name}")
    if rule.admin and not context.caller.admin:
        raise Forbidden(
            f"Policy doesn't allow os_compute_api:{name} to be performed."
        )
    handler = _HANDLERS.get(name)
    if handler is not None:
        answer = handler(context, server, given)
    else:
        actions.check(name, server, admin=context.caller.admin)
        context.world.actions.act(name, server)
        answer = 202, None
    record(context, server, actions.RECORDED.get(name, rule.name))
    return answer


def _fields(name: str, given: Any, allowed: frozenset[str]) -> dict[str, Any]:
    """Return the fields of an action, which may have these and no others."""
    if not isinstance(given, dict):
        raise BadRequest(
            f"Invalid input for field/attribute {name}. Value: {given}. "
            f"{given!r} is not of type 'object'"
        )
    for key in given:
        if key not in allowed:
            raise BadRequest(
                f"Invalid input for field/attribute {name}. Value: {given}. "
                f"Additional properties are not allowed ('{key}' was "
                "unexpected)"
            )
    return given


def _evacuate(context: Context, server: Server, given: Any) -> Answer:
    allowed = {"host", "adminPass"}
    if context.has(29) and not context.has(68):
        allowed.add("force")
    if not context.has(14):
        allowed.add("onSharedStorage")
    fields = _fields("evacuate", given, frozenset(allowed))
    # Below 2.29 Nova goes to the named host without asking the scheduler.
    force = bool(fields.get("force")) or (
        bool(fields.get("host")) and not context.has(29)
    )
    context.world.evacuations.evacuate(
        server, fields.get("host"), force=force, stop=context.has(95)
    )
    if context.has(14):
        return 200, None
    return 200, {"adminPass": fields.get("adminPass") or "made-up"}


def _lock(context: Context, server: Server, given: Any) -> Answer:
    allowed = frozenset({"locked_reason"} if context.has(73) else ())
    fields = _fields("lock", {} if given is None else given, allowed)
    server.locked = True
    server.locked_reason = fields.get("locked_reason")
    server.updated = now()
    return 202, None


def _unlock(context: Context, server: Server, given: Any) -> Answer:
    del context, given
    server.locked = False
    server.locked_reason = None
    server.updated = now()
    return 202, None


def _reset_state(context: Context, server: Server, given: Any) -> Answer:
    del context
    fields = _fields("os-resetState", given, frozenset({"state"}))
    if "state" not in fields:
        raise BadRequest(
            "Invalid input for field/attribute os-resetState. Value: "
            f"{given}. 'state' is a required property"
        )
    state = fields["state"]
    if state not in STATES:
        raise BadRequest(
            f"Invalid input for field/attribute state. Value: {state}. "
            f"{state!r} is not one of {list(STATES)}"
        )
    server.vm_state = str(state)
    server.task_state = None
    server.updated = now()
    return 202, None


def _reboot(context: Context, server: Server, given: Any) -> Answer:
    fields = _fields("reboot", given, frozenset({"type"}))
    kind = fields.get("type")
    if kind not in REBOOTS:
        raise BadRequest(
            f"Invalid input for field/attribute type. Value: {kind}. "
            f"{kind!r} is not one of {list(REBOOTS)}"
        )
    name = "reboot-hard" if str(kind).upper() == "HARD" else "reboot"
    actions.check(name, server, admin=context.caller.admin)
    context.world.actions.act(name, server)
    return 202, None


def _live_migrate(context: Context, server: Server, given: Any) -> Answer:
    allowed = frozenset(
        {"host", "block_migration", "disk_over_commit", "force"}
    )
    fields = _fields("os-migrateLive", given, allowed)
    for key in ("host", "block_migration"):
        if key not in fields:
            raise BadRequest(
                "Invalid input for field/attribute os-migrateLive. Value: "
                f"{given}. '{key}' is a required property"
            )
    actions.check("os-migrateLive", server, admin=context.caller.admin)
    context.world.moves.live_migrate(server, fields["host"])
    return 202, None


def _migrate(context: Context, server: Server, given: Any) -> Answer:
    allowed = frozenset({"host"} if context.has(56) else ())
    fields = _fields("migrate", {} if given is None else given, allowed)
    actions.check("migrate", server, admin=context.caller.admin)
    context.world.moves.cold_migrate(server, fields.get("host"))
    return 202, None


def _confirm(context: Context, server: Server, given: Any) -> Answer:
    del given
    actions.check("confirmResize", server, admin=context.caller.admin)
    context.world.moves.confirm(server)
    return 204, None


def _revert(context: Context, server: Server, given: Any) -> Answer:
    del given
    actions.check("revertResize", server, admin=context.caller.admin)
    context.world.moves.revert(server)
    return 202, None


_HANDLERS: dict[str, Callable[[Context, Server, Any], Answer]] = {
    "evacuate": _evacuate,
    "lock": _lock,
    "unlock": _unlock,
    "os-resetState": _reset_state,
    "reboot": _reboot,
    "os-migrateLive": _live_migrate,
    "migrate": _migrate,
    "confirmResize": _confirm,
    "revertResize": _revert,
}
