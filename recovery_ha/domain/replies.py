"""What a project says when it was asked, and whether that counts.

Whoever replies may be late, may say a thing twice, or may answer a question
that nobody asks any more. What counts is decided here, from what is known of
the session at that moment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import (
    ASKS_FOR_ACTIONS,
    ActionStatus,
    InstanceAction,
    ReplyStatus,
    SessionInstance,
    SessionProject,
    SessionState,
)

_ACK, _NACK = ReplyStatus.ACK, ReplyStatus.NACK
#: How many ids a refusal repeats.
_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What was said.

    :ivar state: of the session, that it is about.
    :ivar status: ``ack`` or ``nack``.
    :ivar actions: by instance id.
    :ivar action: for all instances that are not named there.
    :ivar reason: why not.
    """

    state: SessionState
    status: ReplyStatus
    actions: Mapping[str, InstanceAction] = field(default_factory=dict)
    action: InstanceAction | None = None
    reason: str | None = None

    def __str__(self) -> str:
        return f"{self.status.upper()}_{self.state}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is known of a question when the reply to it comes.

    :ivar round: the session's, as is ``state``.
    :ivar ending: the session is being aborted.
    :ivar project: as it was asked last.
    :ivar instances: all that the project has in the session.
    :ivar now: epoch seconds, as far as deadlines are concerned: of a paused
        session, when it was paused.
    :ivar defaults: what is done with instances of which nothing else is
        said, by id: their ``migration_type``.
    """

    state: SessionState
    round: int
    ending: bool
    project: SessionProject
    instances: tuple[SessionInstance, ...]
    now: float
    defaults: Mapping[str, InstanceAction] = field(default_factory=dict)

    @property
    def listed(self) -> dict[str, SessionInstance]:
        """The instances that the project is asked about, by id."""
        return {
            one.instance_id: one
            for one in self.instances
            if one.listed and one.round == self.round
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a reply changes.

    :ivar status: of the project; None: others of its instances are open.
    :ivar action: of the project, for all its instances.
    :ivar reason: why it refuses.
    :ivar instances: those of which something is known now, with the action.
    """

    status: ReplyStatus | None = None
    action: InstanceAction | None = None
    reason: str | None = None
    instances: Mapping[str, InstanceAction | None] = field(
        default_factory=dict
    )


def settle(
    asked: Asked, reply: Reply, instance_id: str | None = None
) -> Change | None:
    """Decide what a reply changes.

    :param instance_id: the only instance that it is about.
    :returns: None if it was said before.
    :raises errors.ReplyRefused: it is too late, or not what was asked.
    :raises errors.SessionInstanceNotFound: the project has no such instance.
    :raises errors.BadRequest: an action is missing, is none of those that
        may be chosen, or is for an instance that was not asked about.
    """
    if instance_id is not None and instance_id not in {
        one.instance_id for one in asked.instances
    }:
        raise errors.SessionInstanceNotFound(
            f"Invalid instance: project {asked.project.project_id} has no"
            f" instance {instance_id} in this session."
        )
    _check_state(asked, reply)
    if instance_id is not None:
        return _settle_one(asked, reply, instance_id)
    return _settle_all(asked, reply)


def _check_state(asked: Asked, reply: Reply) -> None:
    """Refuse what is no answer to the present question.

    :raises errors.ReplyRefused: it is none.
    """
    project = asked.project
    if asked.ending:
        raise errors.ReplyRefused(
            "The session is being aborted: no reply is expected any more."
        )
    is_asked = project.round == asked.round and project.state == asked.state
    if not is_asked:
        raise errors.ReplyRefused(
            f"{reply} is not expected: the session is in {asked.state}, and"
            f" project {project.project_id} is asked nothing now."
        )
    if reply.state is not asked.state:
        raise errors.ReplyRefused(
            f"{reply} is not expected: the session is in {asked.state};"
            f" expected is ACK_{asked.state} or NACK_{asked.state}."
        )


def _check_time(asked: Asked, deadline: float | None) -> None:
    if deadline is not None and asked.now > deadline:
        until = datetime.fromtimestamp(deadline, UTC)
        raise errors.ReplyRefused(
            f"The reply to {asked.state} comes too late: it was due until"
            f" {until:%Y-%m-%d %H:%M:%S} UTC."
        )


# A project as a whole


def _settle_all(asked: Asked, reply: Reply) -> Change | None:
    project, listed = asked.project, asked.listed
    _check_ids(reply, listed)
    _check_actions(project, reply, listed)
    if project.reply is not ReplyStatus.PENDING:
        if _is_repeated(asked, reply):
            return None
        raise errors.ReplyRefused(
            f"Project {project.project_id} has replied"
            f" {project.reply.upper()}_{asked.state} already; nothing else is"
            " accepted."
        )
    _check_time(asked, project.deadline)
    if reply.status is _NACK:
        return Change(status=_NACK, reason=reply.reason)
    chosen = _chosen(asked, reply, listed)
    open_ = [
        key
        for key, one in listed.items()
        if one.reply is ReplyStatus.PENDING and key not in chosen
    ]
    wants_actions = asked.state in ASKS_FOR_ACTIONS or bool(
        chosen or reply.actions
    )
    if wants_actions and open_ and not (chosen or reply.actions):
        raise errors.BadRequest(
            "Invalid input for field/attribute instance_actions. Value:"
            f" missing. Allowed: an action ({_words(project)}) for each"
            " instance, or instance_action for all of them."
        )
    done = not (wants_actions and open_)
    if not done and not chosen:
        return None  # all of it was said before
    return Change(
        status=_ACK if done else None,
        action=reply.action,
        instances=chosen,
    )


def _check_ids(reply: Reply, listed: Mapping[str, SessionInstance]) -> None:
    """Refuse actions for instances that nobody asked about.

    :raises errors.BadRequest: there is one.
    """
    for key in reply.actions:
        if key not in listed:
            known = ", ".join(sorted(listed)[:_SHOWN]) or "none"
            more = ", …" if len(listed) > _SHOWN else ""
            raise errors.BadRequest(
                "Invalid input for field/attribute instance_actions. Value:"
                f" {key}. Allowed: the instances that are asked about,"
                f" {known}{more}."
            )


def _check_actions(
    project: SessionProject,
    reply: Reply,
    listed: Mapping[str, SessionInstance],
) -> None:
    """Refuse actions that the workflow did not offer.

    :raises errors.BadRequest: there is one.
    """
    for key, named in reply.actions.items():
        if named not in listed[key].allowed_actions:
            raise errors.BadRequest(
                "Invalid input for field/attribute instance_actions. Value:"
                f" {named} for {key}. Allowed: {_words(listed[key])}."
            )
    action = reply.action
    if action is None:
        return
    about: list[SessionProject | SessionInstance] = [
        one for key, one in listed.items() if key not in reply.actions
    ]
    for asked in about or [project]:
        if action not in asked.allowed_actions:
            raise errors.BadRequest(
                "Invalid input for field/attribute instance_action. Value:"
                f" {action}. Allowed: {_words(asked)}."
            )


def _words(asked: SessionProject | SessionInstance) -> str:
    return ", ".join(asked.allowed_actions) or "no action is asked for"


def _chosen(
    asked: Asked, reply: Reply, listed: Mapping[str, SessionInstance]
) -> dict[str, InstanceAction]:
    """Return the actions that are new, by instance.

    :raises errors.ReplyRefused: one is not the one that was given before, or
        comes too late.
    """
    found: dict[str, InstanceAction] = {}
    for key, one in listed.items():
        named = reply.actions.get(key)
        if one.reply is ReplyStatus.PENDING:
            action = named or reply.action
            if action is not None:
                _check_time(asked, one.deadline)
                found[key] = action
        elif (
            named not in {None, one.action}
            # What is under way since an earlier round goes on as it began.
            and one.action_status is ActionStatus.PENDING
        ):
            raise errors.ReplyRefused(
                f"Instance {key} is to be dealt with by {one.action}, as was"
                f" said before; {named} is not accepted."
            )
    return found


def _is_repeated(asked: Asked, reply: Reply) -> bool:
    project, listed = asked.project, asked.listed
    if reply.status is not project.reply:
        return False
    if reply.status is _NACK:
        return True
    same = all(
        listed[key].action is action for key, action in reply.actions.items()
    )
    others = [
        one.action for key, one in listed.items() if key not in reply.actions
    ]
    return same and (
        reply.action in {None, project.action}
        or all(action is reply.action for action in others)
    )


# One instance


def _settle_one(asked: Asked, reply: Reply, key: str) -> Change | None:
    one = asked.listed.get(key)
    if one is None:
        raise errors.ReplyRefused(
            f"{reply} is not expected: instance {key} is not asked about now."
        )
    _check_ids(reply, {key: one})
    _check_actions(asked.project, reply, {key: one})
    action = reply.actions.get(key) or reply.action
    if one.reply is not ReplyStatus.PENDING:
        repeated = one.reply is reply.status and (
            reply.status is _NACK or action in {None, one.action}
        )
        if repeated:
            return None
        raise errors.ReplyRefused(
            f"{one.reply.upper()}_{asked.state} was said of instance {key}"
            f" already{f', with {one.action}' if one.action else ''}; nothing"
            " else is accepted."
        )
    if asked.project.reply is not ReplyStatus.PENDING:
        raise errors.ReplyRefused(
            f"Project {asked.project.project_id} has replied"
            f" {asked.project.reply.upper()}_{asked.state} for all its"
            " instances already; nothing else is accepted."
        )
    _check_time(asked, one.deadline or asked.project.deadline)
    if reply.status is _NACK:
        reason = f"instance {key}"
        if reply.reason:
            reason += f": {reply.reason}"
        return Change(status=_NACK, reason=reason, instances={key: None})
    if asked.state in ASKS_FOR_ACTIONS:
        usual = asked.defaults.get(key)
        action = action or (usual if usual in one.allowed_actions else None)
    if action is None and asked.state in ASKS_FOR_ACTIONS:
        raise errors.BadRequest(
            "Invalid input for field/attribute instance_action. Value:"
            f" missing. Allowed: {_words(one)}."
        )
    others_open = any(
        other.reply is ReplyStatus.PENDING
        for other in asked.listed.values()
        if other is not one
    )
    return Change(
        status=None if others_open else _ACK, instances={key: action}
    )
