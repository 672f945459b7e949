"""Asking projects: whom, about what, and until when.

A question is written down together with the message that asks it. It is
asked once per round: what is asked again stays as it is, replies included.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types, work
from recovery_ha.db.maintenance import outbox, session_runs
from recovery_ha.db.maintenance.session_runs import Told
from recovery_ha.db.session import connection, writer
from recovery_ha.domain.lease import Claim
from recovery_ha.domain.ledger import TaskStatus
from recovery_ha.domain.maintenance import (
    ActionStatus,
    InstanceAction,
    ReplyStatus,
    Session,
)

_P = models.MaintenanceProject
_I = models.MaintenanceInstance


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a project is asked, or what is settled for it.

    :ivar state: of the session, that it is about.
    :ivar instances: ids of those that it is about, with the action for each
        that is settled already.
    :ivar settled: nobody is asked: the rule for the project says it all.
    :ivar deadline: until when it may reply, epoch seconds by the database.
    :ivar allowed_actions: what it may choose from for its instances.
    :ivar payload: what it is told; None: nothing.
    :ivar acting: it is about what becomes of the instances.
    :ivar alone: it is about these instances only, one by one; others of the
        project may have been asked about in this round.
    """

    project_id: str
    state: str
    instances: Mapping[str, InstanceAction | None] = field(
        default_factory=dict
    )
    settled: bool = False
    deadline: float | None = None
    allowed_actions: Sequence[str] = ()
    payload: Mapping[str, Any] | None = None
    dedupe_key: str = ""
    acting: bool = False
    alone: bool = False


@writer
def ask(
    ctx: RequestContext,
    claim: Claim,
    session: Session,
    questions: Sequence[Question],
    event_types: Sequence[str],
) -> int:
    """Ask projects what they were not asked in this round.

    :param event_types: under which names they are told.
    :returns: how many questions are new.
    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    _unlist(ctx, session)
    fresh = [one for one in questions if _set(ctx, session, one)]
    for one in fresh:
        if one.payload is not None:
            outbox.add(
                ctx,
                session=session,
                event_type=event_types,
                payload=one.payload,
                dedupe_key=one.dedupe_key,
                project_id=one.project_id,
            )
    session_runs.tell(ctx, session, [_told(one) for one in fresh])
    return len(fresh)


def _told(question: Question) -> Told:
    return Told(
        node_id=question.project_id,
        node_type="project",
        status=TaskStatus.READY if question.settled else TaskStatus.RUNNING,
        message="Not asked: the rule for projects without an alarm says it."
        if question.settled
        else None,
    )


def _unlist(ctx: RequestContext, session: Session) -> None:
    """Take instances off the lists of earlier rounds, but moving ones."""
    connection(ctx).execute(
        sa.update(_I)
        .where(
            _I.session_uuid == session.uuid,
            _I.listed.is_(True),
            _I.round < session.round,
            _I.action_status != str(ActionStatus.RUNNING),
        )
        .values(listed=False, updated_at=types.utcnow())
    )


def _set(ctx: RequestContext, session: Session, question: Question) -> bool:
    """Write a question down; False if it was asked in this round."""
    conn, stamp = connection(ctx), types.utcnow()
    asked = sa.and_(
        _P.session_uuid == session.uuid,
        _P.project_id == question.project_id,
    )
    if not question.alone:
        asked = sa.and_(
            asked,
            sa.or_(_P.round < session.round, _P.state != question.state),
        )
    changed = conn.execute(
        sa.update(_P)
        .where(asked)
        .values(
            round=session.round,
            state=question.state,
            reply=str(
                ReplyStatus.ACK if question.settled else ReplyStatus.PENDING
            ),
            deadline=question.deadline,
            allowed_actions=list(question.allowed_actions),
            action=None,
            message=None,
            replied_at=None,
            updated_at=stamp,
        )
    )
    if changed.rowcount != 1:
        return False
    _keep_moving(ctx, session, question)
    for action in set(question.instances.values()):
        ids = [k for k, v in question.instances.items() if v is action]
        reply = ReplyStatus.PENDING if action is None else ReplyStatus.ACK
        values: dict[str, Any] = {}
        if question.acting:
            values = {
                "action": None if action is None else str(action),
                "action_status": str(ActionStatus.PENDING),
                "message": None,
            }
        conn.execute(
            sa.update(_I)
            .where(
                _I.session_uuid == session.uuid,
                _I.instance_id.in_(ids),
                _I.action_status != str(ActionStatus.RUNNING),
            )
            .values(
                round=session.round,
                listed=True,
                reply=str(reply),
                deadline=question.deadline,
                allowed_actions=list(question.allowed_actions),
                updated_at=stamp,
                **values,
            )
        )
    return True


def _keep_moving(
    ctx: RequestContext, session: Session, question: Question
) -> None:
    """List instances that are on their way since an earlier round."""
    connection(ctx).execute(
        sa.update(_I)
        .where(
            _I.session_uuid == session.uuid,
            _I.instance_id.in_(sorted(question.instances)),
            _I.action_status == str(ActionStatus.RUNNING),
        )
        .values(
            round=session.round,
            listed=True,
            reply=str(ReplyStatus.ACK),
            allowed_actions=list(question.allowed_actions),
        )
    )


@writer
def ask_alone(
    ctx: RequestContext,
    claim: Claim,
    session: Session,
    questions: Sequence[Question],
    event_types: Sequence[str],
) -> int:
    """Ask about instances one by one, those not asked in this round.

    :param questions: each of one instance, ``alone``.
    :param event_types: (and the rest) see :func:`ask`.
    """
    work.fence(ctx, claim)
    listed = set(
        connection(ctx).scalars(
            sa.select(_I.instance_id).where(
                _I.session_uuid == session.uuid,
                _I.round == session.round,
                _I.listed.is_(True),
            )
        )
    )
    return ask(
        ctx,
        claim,
        session,
        [q for q in questions if not listed.intersection(q.instances)],
        event_types,
    )
