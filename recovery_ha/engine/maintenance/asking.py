"""Asking projects, and what their replies come to."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

from recovery_ha.clients import maintenance_events
from recovery_ha.db.maintenance import (
    project_work,
    session_asks,
    session_work,
)
from recovery_ha.db.maintenance.session_asks import Question
from recovery_ha.db.maintenance.session_runs import Told
from recovery_ha.domain.ledger import TaskStatus
from recovery_ha.domain.maintenance import (
    ASKS_FOR_ACTIONS,
    Answer,
    InstanceAction,
    ReplyStatus,
    Session,
    SessionProject,
    SessionState,
)
from recovery_ha.engine.maintenance.environment import SessionEnvironment
from recovery_ha.plugin import MaintenanceFailed, Waiting

_BY_RULE = {
    Answer.MIGRATE: InstanceAction.MIGRATE,
    Answer.LIVE_MIGRATE: InstanceAction.LIVE_MIGRATE,
}
#: Seconds for which a reply that came in time may still be being written.
_GRACE = 1.0
#: Seconds between the last moment of a reply and what it is about.
_AFTER_REPLY = 1.0


def times(
    session: Session,
    state: str,
    now: float,
    timeout: float,
    lead_time: float = 0.0,
) -> tuple[float, float]:
    """Return until when a reply is due, and when something is done.

    :param now: (and what is returned) epoch seconds.
    :param timeout: seconds for the reply.
    :param lead_time: seconds until the action, if that is more.
    """
    reply_at = now + timeout
    actions_at = max(reply_at + _AFTER_REPLY, now + lead_time)
    if state == SessionState.MAINTENANCE:
        begin = session.maintenance_at.replace(tzinfo=UTC).timestamp()
        actions_at = max(actions_at, begin)
    return reply_at, actions_at


def ask_projects(
    env: SessionEnvironment,
    session: Session,
    state: str,
    timeout: float,
    *,
    now: float,
    project_ids: Collection[str] | None,
    instances: Mapping[str, Collection[str]] | None,
    allowed_actions: Collection[InstanceAction | str],
) -> bool:
    """Ask projects once in the session's round; tell whether one was asked.

    :param now: epoch seconds by the database's clock.
    :param timeout: (and the others) see :meth:`Workflow.ask_projects`.
    :raises errors.LeaseLost: somebody else goes on with the session.
    """
    reply_at, actions_at = times(session, state, now, timeout)
    acting = bool(allowed_actions) or state in ASKS_FOR_ACTIONS
    offered = _offered(state, allowed_actions)
    by_rule = _by_rule(env, session) if acting else {}
    questions = []
    for project in session.projects:
        wanted = _wanted(session, project, project_ids, instances)
        if wanted is None:
            continue
        settled = project.answer is not Answer.ASK
        questions.append(
            Question(
                project_id=project.project_id,
                state=state,
                instances={
                    one: by_rule.get(one)
                    for one in wanted
                    if project.answer is not Answer.SKIP
                },
                settled=settled,
                deadline=None if settled else reply_at,
                allowed_actions=offered,
                payload=None
                if settled
                else maintenance_events.project_payload(
                    session=session,
                    project_id=project.project_id,
                    state=state,
                    api_url=env.conf.maintenance.api_url,
                    allowed_actions=offered,
                    reply_at=reply_at,
                    actions_at=actions_at,
                    metadata=session.metadata,
                ),
                dedupe_key=key(session, state, project.project_id),
                acting=acting,
            )
        )
    new = session_asks.ask(
        env.ctx,
        env.lease.claim,
        session,
        questions,
        maintenance_events.project_events(env.conf),
    )
    if new:
        env.delivery.kick()
    return bool(new)


def _offered(
    state: str, allowed_actions: Collection[InstanceAction | str]
) -> list[str]:
    """Return what may be chosen; where an action is needed, never nothing."""
    if not allowed_actions and state in ASKS_FOR_ACTIONS:
        allowed_actions = list(InstanceAction)
    return [str(action) for action in allowed_actions]


def _by_rule(
    env: SessionEnvironment, session: Session
) -> dict[str, InstanceAction]:
    """Return what is done with the instances of projects nobody asks, by id.

    That is what the instance's ``migration_type`` says; but nobody would
    tell the project when to act itself.
    """
    rules = {
        one.project_id: _BY_RULE[one.answer]
        for one in session.projects
        if one.answer in _BY_RULE
    }
    owners = {
        one.instance_id: one.project_id
        for one in session.instances
        if one.project_id in rules
    }
    if not owners:
        return {}
    wanted, _groups = project_work.constraints_of(env.ctx, owners)
    found = {}
    for instance_id, project_id in owners.items():
        known = wanted.get(instance_id)
        own = known.migration_type if known else None
        if own is None or own is InstanceAction.OWN_ACTION:
            own = rules[project_id]
        found[instance_id] = own
    return found


def _wanted(
    session: Session,
    project: SessionProject,
    project_ids: Collection[str] | None,
    instances: Mapping[str, Collection[str]] | None,
) -> Sequence[str] | None:
    """Return what a project is asked about; None: it is not asked."""
    if project_ids is not None and project.project_id not in project_ids:
        return None
    if instances is not None:
        if project.project_id not in instances:
            return None
        return sorted(instances[project.project_id])
    return [
        one.instance_id
        for one in session.instances
        if one.project_id == project.project_id
    ]


def key(session: Session, state: str, subject: str) -> str:
    """Return by what a message of this round is known."""
    return f"{session.uuid}:{session.round}:project:{state}:{subject}"


def ask_instances(
    env: SessionEnvironment,
    session: Session,
    state: str,
    timeout: float,
    instance_ids: Collection[str],
    *,
    now: float,
    allowed_actions: Collection[InstanceAction | str],
    lead_time: float,
) -> bool:
    """Ask about instances one by one, once in the session's round.

    :returns: whether one was asked about.

    :param now: epoch seconds by the database's clock.
    :param timeout: (and the others) see :meth:`Workflow.ask_instances`.
    :raises errors.LeaseLost: somebody else goes on with the session.
    """
    reply_at, actions_at = times(session, state, now, timeout, lead_time)
    answers = {one.project_id: one.answer for one in session.projects}
    offered = _offered(state, allowed_actions)
    by_rule = _by_rule(env, session)
    questions = []
    for one in session.instances:
        if one.instance_id not in instance_ids:
            continue
        answer = answers.get(one.project_id, Answer.SKIP)
        if answer is Answer.SKIP:
            continue
        settled = answer is not Answer.ASK
        questions.append(
            Question(
                project_id=one.project_id,
                state=state,
                instances={one.instance_id: by_rule.get(one.instance_id)},
                settled=settled,
                deadline=None if settled else reply_at,
                allowed_actions=offered,
                payload=None
                if settled
                else maintenance_events.project_payload(
                    session=session,
                    project_id=one.project_id,
                    state=state,
                    api_url=env.conf.maintenance.api_url,
                    instance_ids=[one.instance_id],
                    allowed_actions=offered,
                    reply_at=reply_at,
                    actions_at=actions_at,
                    metadata=session.metadata,
                ),
                dedupe_key=key(session, state, one.instance_id),
                acting=True,
                alone=True,
            )
        )
    new = session_asks.ask_alone(
        env.ctx,
        env.lease.claim,
        session,
        questions,
        maintenance_events.project_events(env.conf),
    )
    if new:
        env.delivery.kick()
    return bool(new)


def check_replies(
    env: SessionEnvironment, session: Session, state: str, now: float
) -> None:
    """Return when all projects that were asked in this round agree.

    :param session: read after ``now`` was.
    :param now: epoch seconds by the database's clock.
    :raises Waiting: some have not replied, and their time is not over.
    :raises MaintenanceFailed: one has refused, or its time is over.
    """
    asked = [
        one
        for one in session.projects
        if one.round == session.round and one.state == state
    ]
    silent = [one for one in asked if one.reply is ReplyStatus.PENDING]
    refused = [one for one in asked if one.reply is ReplyStatus.NACK]
    late = [one for one in silent if now >= (one.deadline or 0.0) + _GRACE]
    told = [
        Told(
            node_id=one.project_id,
            node_type="project",
            status=TaskStatus.READY
            if one.reply is ReplyStatus.ACK
            else TaskStatus.ERROR,
            message=one.message if one not in late else "It did not reply.",
        )
        for one in asked
        if one.reply is not ReplyStatus.PENDING or one in late
    ]
    session_work.tell(env.ctx, env.lease.claim, session, told)
    if refused:
        raise MaintenanceFailed(
            " ".join(
                f"Project {one.project_id} refused {state}"
                f"{_because(one.message)}."
                for one in refused
            )
        )
    if late:
        names = ", ".join(one.project_id for one in late)
        many = "Projects" if len(late) > 1 else "Project"
        raise MaintenanceFailed(
            f"{many} {names} did not reply to {state} in time"
            f" ({_clock(late[0].deadline)})."
        )
    if silent:
        names = ", ".join(one.project_id for one in silent)
        until = min(one.deadline or 0.0 for one in silent)
        raise Waiting(
            until + _GRACE,
            f"Waiting for the reply of {names} to {state}, until"
            f" {_clock(until)}.",
        )


def _because(message: str | None) -> str:
    return f": {message.rstrip('.')}" if message else ""


def _clock(when: float | None) -> str:
    if when is None:
        return "no time"
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M:%S} UTC"
