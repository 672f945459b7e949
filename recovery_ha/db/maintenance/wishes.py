"""What administrators want of sessions: written down, or done at once.

What nobody works on is changed here. For the rest the row says what is
wanted, and the engine that works on it, or the next one, does it. Each wish
raises ``seen``: an engine that lets go of a session it has read before looks
at it again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models, types, work
from recovery_ha.db.ledger import events
from recovery_ha.db.maintenance import outbox, removal, session_runs, sessions
from recovery_ha.db.maintenance.creation import SESSION_EVENT
from recovery_ha.db.session import connection, writer
from recovery_ha.domain.history import Remark
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.ledger import Outcome
from recovery_ha.domain.maintenance import (
    ReplyStatus,
    Session,
    SessionAction,
    SessionState,
)
from recovery_ha.domain.wishes import Effect, Standing, effect

_S = models.MaintenanceSession
_P = models.MaintenanceProject
_I = models.MaintenanceInstance
_KIND = WorkKind.MAINTENANCE

#: Where the record has since when a session is paused, epoch seconds by the
#: database's clock: deadlines stand still.
PAUSED_AT = "_paused_at"
_ENDS = frozenset({SessionAction.ABORT, SessionAction.DELETE})


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a wish.

    :ivar session: as it is now; None: it was deleted.
    """

    effect: Effect
    session: Session | None


@writer
def act(
    ctx: RequestContext,
    uuid: str,
    action: SessionAction,
    *,
    payload: Mapping[str, Any],
    state: SessionState | None = None,
) -> Done:
    """Do what an administrator wants of a session, or have an engine do it.

    :param payload: of ``maintenance.session``, without what changes here.
    :param state: in which a failed session goes on; None: where it failed.
    :raises errors.SessionNotFound: there is no such session.
    :raises errors.SessionRefused: see :func:`effect`.
    """
    row = lock(ctx, uuid)
    epoch, owned = work.look(ctx, _KIND, uuid)
    wish = row.requested_action
    if wish == SessionAction.RETRY and row.requested_round != row.round:
        wish = None  # of another round; nothing comes of it any more
    found = effect(
        action,
        Standing(
            state=SessionState(row.state),
            owned=owned,
            paused=row.paused,
            aborted=row.aborted,
            requested=None if wish is None else SessionAction(wish),
        ),
        state,
    )
    _DO[found](_Wish(ctx, uuid, action, row, epoch, owned, payload, state))
    if action is SessionAction.DELETE:
        return Done(found, None)
    return Done(found, sessions.get(ctx, uuid))


@writer
def lock(ctx: RequestContext, uuid: str) -> "sa.Row[Any]":
    """Keep a session as it is until the transaction ends.

    :raises errors.SessionNotFound: there is none, or it was deleted.
    """
    row = (
        connection(ctx)
        .execute(
            sa.select(
                _S.state,
                _S.round,
                _S.failed_state,
                _S.aborted,
                _S.paused,
                _S.requested_action,
                _S.requested_round,
                _S.percent_done,
                _S.record,
                _S.project_id,
            )
            .where(_S.uuid == uuid, _S.deleted_at.is_(None))
            .with_for_update()
        )
        .first()
    )
    if row is None:
        raise sessions.not_found(uuid)
    return row


@writer
def raise_seen(
    ctx: RequestContext,
    /,
    uuid: str,
    epoch: int,
    *,
    owned: bool,
    wake: bool,
    **values: Any,
) -> None:
    """Have an engine look at a session, soon if nobody works on it.

    :param epoch: (with ``owned``) of :func:`work.look`.
    :param wake: if nobody works on it; else it waits for a wish.
    :param values: of further columns.
    """
    values["seen"] = _S.seen + 1
    if owned:
        work.ask_owner(ctx, _KIND, uuid, epoch, **values)
    else:
        work.change_unowned(ctx, _KIND, uuid, epoch, wake=wake, **values)


class _Wish:
    """A wish that is being done, in an open transaction."""

    def __init__(
        self,
        ctx: RequestContext,
        uuid: str,
        action: SessionAction,
        row: "sa.Row[Any]",
        epoch: int,
        owned: bool,
        payload: Mapping[str, Any],
        state: SessionState | None,
    ) -> None:
        self.ctx, self.uuid, self.action, self.row = ctx, uuid, action, row
        self._epoch, self._owned = epoch, owned
        self._payload, self._state = payload, state

    def nothing(self) -> None:
        """Leave all as it is."""

    def pause(self) -> None:
        """Let nobody begin with the next step."""
        since = work.clock(self.ctx)
        self._change(
            wake=False,
            paused=True,
            message=self._say("Paused"),
            record={**self.row.record, PAUSED_AT: since},
        )

    def unpause(self) -> None:
        """Have the next step begun; time goes on where it stopped."""
        self._move_deadlines()
        self._change(
            wake=True,
            paused=False,
            message=self._say("Continued"),
            record=self._record(),
        )

    def resume(self) -> None:
        """Leave MAINTENANCE_FAILED."""
        failed = self.row.failed_state or SessionState.MAINTENANCE
        state = self._state or SessionState(failed)
        said = self._say(f"Continued in {state}")
        session_runs.reopen(self.ctx, self.uuid)
        self._enter(state, said, paused=False, failed_state=None)

    def repeat(self) -> None:
        """Begin the state once more."""
        state = SessionState(self.row.state)
        self._enter(state, self._say(f"{state} begun once more"))

    def _enter(self, state: SessionState, said: str, **values: Any) -> None:
        number = self.row.round + 1
        self._change(
            wake=True,
            state=str(state),
            round=number,
            attempts=0,
            requested_action=None,
            requested_round=None,
            message=said,
            record=self._record(),
            **values,
        )
        session_runs.enter(self.ctx, self.uuid, state, number)
        outbox.add(
            self.ctx,
            session=self.uuid,
            event_type=SESSION_EVENT,
            payload={
                **self._payload,
                "project_id": self.row.project_id,
                "state": str(state),
                "percent_done": self.row.percent_done,
            },
            dedupe_key=f"{self.uuid}:{number}:{SESSION_EVENT}:{state}",
        )

    def hand_over(self) -> None:
        """Have an engine do it."""
        values: dict[str, Any] = {
            "requested_action": str(self.action),
            "requested_round": self.row.round,
        }
        said = self._say(f"{self.action.capitalize()} asked for")
        if self.action in _ENDS:
            values["message"] = said
        if self.action is SessionAction.DELETE:
            values["deleted_at"] = types.utcnow()
        self._change(wake=True, **values)

    def remove(self) -> None:
        """Drop a session that has nothing to undo; its run stays."""
        said = self._say("Deleted")
        session_runs.end(self.ctx, self.uuid, said, str(Outcome.ABORTED))
        removal.drop(self.ctx, self.uuid)

    def _change(self, *, wake: bool, **values: Any) -> None:
        raise_seen(
            self.ctx,
            self.uuid,
            self._epoch,
            owned=self._owned,
            wake=wake,
            updated_at=types.utcnow(),
            **values,
        )

    def _record(self) -> dict[str, Any]:
        return {k: v for k, v in self.row.record.items() if k != PAUSED_AT}

    def _say(self, what: str) -> str:
        said = f"{what} by an administrator (user {self.ctx.user_id})."
        events.add_events(
            self.ctx, self.uuid, [Remark(said)], self.ctx.request_id
        )
        return said

    def _move_deadlines(self) -> None:
        """Give projects the time that they had left at the pause."""
        since = self.row.record.get(PAUSED_AT)
        if since is None:
            return
        for table in (_P, _I):
            connection(self.ctx).execute(
                sa.update(table)
                .where(
                    table.session_uuid == self.uuid,
                    table.round == self.row.round,
                    table.reply == str(ReplyStatus.PENDING),
                    table.deadline.is_not(None),
                )
                .values(deadline=table.deadline + (types.now() - since))
            )


_DO = {
    Effect.NOTHING: _Wish.nothing,
    Effect.PAUSE: _Wish.pause,
    Effect.UNPAUSE: _Wish.unpause,
    Effect.RESUME: _Wish.resume,
    Effect.REPEAT: _Wish.repeat,
    Effect.HAND_OVER: _Wish.hand_over,
    Effect.REMOVE: _Wish.remove,
}
