"""The moves of the instances of a host: looking, deciding, acting.

One call is one look at Nova and all that follows from it; it never waits. A
look is one list of the host's servers and one of Nova's records of moves
away from it, for all instances together; servers that are not there any
more are read once more where they are. What is about to be asked is on the
instance's row before it is, and what was asked by an engine that died is
looked for in Nova before it is asked again.
"""

import functools
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from recovery_ha.clients import maintenance_events
from recovery_ha.db import work
from recovery_ha.db.maintenance import instance_work
from recovery_ha.db.maintenance.instance_work import Change
from recovery_ha.domain import errors
from recovery_ha.domain.leaving import (
    MovesState,
    MovesStatus,
    agreed_action,
    choose_asks,
    instances_to_move,
    is_awaited,
    is_open,
    state_of_moves,
)
from recovery_ha.domain.maintenance import (
    INSTANCE_ACTION_DONE,
    ActionStatus,
    InstanceAction,
    Session,
    SessionInstance,
)
from recovery_ha.domain.moving import (
    Decision,
    Limits,
    Look,
    MoveStep,
    next_step,
    refused,
)
from recovery_ha.domain.ports import Migration, Server
from recovery_ha.engine.maintenance.environment import SessionEnvironment

LOG = logging.getLogger(__name__)

_PENDING, _RUNNING = ActionStatus.PENDING, ActionStatus.RUNNING
#: Nova's clock may differ from the database's.
_CLOCKS = timedelta(hours=1)


def advance(
    env: SessionEnvironment,
    session: Session,
    host: str,
    *,
    instance_ids: Collection[str] | None = None,
    targets: Mapping[str, str] | None = None,
    begin: bool = True,
) -> MovesState:
    """Bring the moves of a host's listed instances as far as they go now.

    :param session: whose they are, as it is now.
    :param instance_ids: these only; None: all that are listed.
    :param targets: where they go, by id; Nova chooses for the others.
    :param begin: False: what is under way is brought to its end, and
        nothing is begun.
    :returns: how far they are; once one has failed, those that are under way
        are awaited and no further one is begun.
    :raises errors.ComputeError: Nova does not say how they are.
    :raises errors.LeaseLost: (or EngineStopping, RecoveryInterrupted)
        nothing more was sent.
    """
    env.lease.check()
    LOG.debug("Session %s: looking at the moves from %s", session.uuid, host)
    tick = _Tick(env, session, host, instance_ids, targets or {})
    return tick.run(begin=begin)


@dataclass(frozen=True, slots=True)
class _Decided:
    look: Look
    limits: Limits
    decision: Decision

    @property
    def row(self) -> SessionInstance:
        return self.look.row


class _Tick:
    """One look at a host, and what follows from it."""

    def __init__(
        self,
        env: SessionEnvironment,
        session: Session,
        host: str,
        instance_ids: Collection[str] | None,
        targets: Mapping[str, str],
    ) -> None:
        self._env = env
        self._targets = targets
        self._options = env.conf.maintenance
        self._session = session
        self._host = host
        self._now = work.clock(env.ctx)
        self._all = {row.instance_id: row for row in session.instances}
        self._mine = [
            row.instance_id
            for row in instances_to_move(
                session, session.instances, host, instance_ids
            )
        ]

    def run(self, *, begin: bool) -> MovesState:
        """Do it; see :func:`advance`."""
        open_rows = [row for row in self._rows() if is_open(row, self._host)]
        if open_rows:
            decided = self._decide(open_rows)
            self._settle(decided)
            self._act(decided, begin=begin)
        state = state_of_moves(
            self._rows(),
            self._host,
            next_look=self._now + self._options.poll_interval,
            begin=begin,
        )
        if state.status is not MovesStatus.BUSY:
            self._let_go()
        return state

    def _rows(self) -> list[SessionInstance]:
        return [self._all[instance_id] for instance_id in self._mine]

    # Looking

    def _decide(self, rows: Sequence[SessionInstance]) -> list[_Decided]:
        records: dict[str, list[Migration]] = {}
        since = self._session.created_at - _CLOCKS
        compute = self._env.compute
        for record in compute.list_migrations(self._host, since=since):
            records.setdefault(record.instance_uuid, []).append(record)
        servers = self._servers(rows, records)
        limits = self._limits(rows)
        found: list[_Decided] = []
        for row in rows:
            action = agreed_action(self._session, row)
            look = Look(
                row=row,
                source=self._host,
                action=action or InstanceAction.OWN_ACTION,
                server=servers.get(row.instance_id),
                records=records.get(row.instance_id, []),
                now=self._now,
            )
            mine = limits[row.instance_id]
            decision = next_step(look, mine)
            if action is None and decision.step is not MoveStep.DONE:
                decision = Decision(
                    MoveStep.FAIL, "Nobody has said how it is to be moved."
                )
            found.append(_Decided(look, mine, decision))
        return found

    def _limits(self, rows: Sequence[SessionInstance]) -> dict[str, Limits]:
        """Return the limits of instances, some of which are their own."""
        owners = {row.instance_id: row.project_id for row in rows}
        own = instance_work.max_interruptions(self._env.ctx, owners)
        conf, options = self._env.conf, self._options
        common = Limits(
            live=options.live_migration_timeout,
            cold=options.cold_migration_timeout,
            own=options.own_action_timeout,
            settle=max(conf.engine.lease_seconds, conf.nova.settle_seconds),
            attempts=options.max_move_attempts,
            fall_back=options.live_migration_fallback == "migrate",
        )
        return {
            one: replace(common, live=own.get(one, common.live))
            for one in owners
        }

    def _servers(
        self,
        rows: Sequence[SessionInstance],
        records: Mapping[str, Sequence[Migration]],
    ) -> dict[str, Server]:
        """Read servers; those that have left one by one, or host by host.

        That one is not on the list any more is not believed before it was
        asked for by itself.
        """
        compute = self._env.compute
        found = {one.id: one for one in compute.list_servers(self._host)}
        places: dict[str, list[str]] = {}
        for row in rows:
            if row.instance_id not in found:
                newest = max(
                    records.get(row.instance_id, ()),
                    key=lambda record: record.id,
                    default=None,
                )
                place = (newest and newest.dest_compute) or ""
                places.setdefault(place, []).append(row.instance_id)
        for place, ids in places.items():
            if place and len(ids) > 1:
                there = {one.id: one for one in compute.list_servers(place)}
                found |= {one: there[one] for one in ids if one in there}
            for one in ids:
                server = None if one in found else compute.find_server(one)
                if server is not None:
                    found[one] = server
        return found

    # Writing down what has become of them

    def _settle(self, decided: Sequence[_Decided]) -> None:
        """Write down all that needs no request, in one transaction."""
        changes = [change for one in decided if (change := self._change(one))]
        self._write(changes)
        if any(change.payload is not None for change in changes):
            self._env.delivery.kick()

    def _change(self, one: _Decided) -> Change | None:
        row, decision = one.row, one.decision
        action = one.look.action
        match decision.step:
            case MoveStep.DONE:
                server = one.look.server
                return Change(
                    row=row,
                    status=ActionStatus.DONE,
                    action=action,
                    values={
                        "source_host": self._host,
                        "host": (server and server.host) or row.host,
                        "message": decision.sentence,
                        "moved_at": self._now,
                    },
                    payload=self._done(row),
                )
            case MoveStep.FAIL:
                said = self._explained(row, decision)
                return self._new(one, ActionStatus.FAILED, message=said)
            case MoveStep.BEGIN:
                return self._new(
                    one,
                    _RUNNING,
                    kind=row.kind if self._goes_on(row) else action,
                    requested_at=self._now,
                    attempts=row.attempts if self._goes_on(row) else 0,
                    message=decision.sentence,
                )
            case MoveStep.ADOPT if decision.record:
                return self._new(
                    one,
                    _RUNNING,
                    kind=decision.kind,
                    requested_at=self._now,
                    baseline=decision.record.id - 1,
                    attempts=1,
                    message=decision.sentence,
                )
            case MoveStep.FALL_BACK:
                return self._new(
                    one,
                    _RUNNING,
                    kind=decision.kind,
                    requested_at=None,
                    attempts=0,
                    message=self._explained(row, decision),
                )
        return None

    def _new(
        self, one: _Decided, status: ActionStatus, **values: object
    ) -> Change:
        return Change(
            row=one.row,
            status=status,
            action=one.look.action,
            values={"source_host": self._host, **values},
        )

    def _goes_on(self, row: SessionInstance) -> bool:
        return row.action_status is _RUNNING and row.kind is not None

    def _explained(self, row: SessionInstance, decision: Decision) -> str:
        """Return why a move failed, with Nova's own words if it has any."""
        said = decision.sentence
        if decision.explain is None:
            return said
        words = self._env.compute.find_failure(
            row.instance_id, decision.explain
        )
        return said if not words or words in said else f"{said} {words}"

    def _done(self, row: SessionInstance) -> maintenance_events.Payload:
        return maintenance_events.project_payload(
            session=self._session,
            project_id=row.project_id,
            state=INSTANCE_ACTION_DONE,
            api_url=self._options.api_url,
            instance_ids=[row.instance_id],
            metadata={},
        )

    def _let_go(self) -> None:
        """Leave rows of which nothing is under way, for a later round."""
        self._write(
            [
                Change(
                    row=row,
                    status=_PENDING,
                    values={"kind": None, "requested_at": None, "attempts": 0},
                )
                for row in self._rows()
                if row.action_status is _RUNNING and not is_awaited(row)
            ]
        )

    def _write(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        rows = instance_work.change(
            self._env.ctx,
            self._env.lease.claim,
            self._session,
            changes,
            maintenance_events.project_events(self._env.conf),
        )
        for change, row in zip(changes, rows, strict=True):
            self._all[row.instance_id] = row
            if row.message and row.message != change.row.message:
                LOG.info(
                    "Session %s: instance %s: %s",
                    self._session.uuid,
                    row.instance_id,
                    row.message,
                )

    # Asking Nova

    def _act(self, decided: Sequence[_Decided], *, begin: bool) -> None:
        """Send what was decided, one request after the other."""
        compute = self._env.compute
        for one in decided:
            server, record = one.row.instance_id, one.decision.record
            if one.decision.step is MoveStep.ABORT and record is not None:
                abort = functools.partial(
                    compute.abort_live_migration, server, record.id
                )
                self._send(one, abort, attempts=one.row.attempts + 1)
            elif one.decision.step is MoveStep.CONFIRM:
                confirm = functools.partial(compute.confirm_migration, server)
                self._send(
                    one,
                    confirm,
                    requested_at=self._now,
                    attempts=one.row.attempts + 1,
                )
        failed = any(
            row.action_status is ActionStatus.FAILED
            and not is_open(row, self._host)
            for row in self._rows()
        )
        busy = {r.instance_id for r in self._all.values() if is_awaited(r)}
        chosen = choose_asks(
            [(one.row, one.decision) for one in decided],
            busy=busy,
            most=self._options.max_parallel_moves,
            begin=begin and not failed,
        )
        wanted = {row.instance_id for row in chosen}
        for one in decided:
            if one.row.instance_id in wanted:
                self._ask(one)

    def _ask(self, one: _Decided) -> None:
        """Ask Nova for a move."""
        kind, row, compute = one.decision.kind, one.row, self._env.compute
        again = self._goes_on(row) and row.kind is kind
        newest = max((r.id for r in one.look.records), default=0)
        move = (
            compute.live_migrate_server
            if kind is InstanceAction.LIVE_MIGRATE
            else compute.migrate_server
        )
        answer = self._send(
            one,
            functools.partial(
                move, row.instance_id, self._targets.get(row.instance_id)
            ),
            kind=kind,
            requested_at=self._now,
            baseline=max(newest, row.baseline),
            attempts=row.attempts + 1 if again else 1,
        )
        if answer is not None:
            self._heed(one, answer)

    def _send(
        self,
        one: _Decided,
        request: Callable[[], None],
        **intent: object,
    ) -> errors.ComputeError | None:
        """Write down what is about to be asked, and ask.

        :returns: how it was refused, None if it was not, or nobody knows.
        """
        self._write(
            [self._new(one, _RUNNING, message=one.decision.sentence, **intent)]
        )
        written = self._all[one.row.instance_id]
        try:
            request()
        except (errors.EngineStopping, errors.RecoveryInterrupted):
            # Not sent: it need not be looked for.
            self._write([self._unsent(one, written)])
            raise
        except (errors.ComputeUnavailable, errors.ComputeFailed) as exc:
            # Nobody knows whether it took effect: the next look tells.
            self._say(one, str(exc))
        except errors.ComputeError as exc:
            self._say(one, str(exc))
            return exc
        return None

    def _unsent(self, one: _Decided, written: SessionInstance) -> Change:
        before = one.row
        return Change(
            row=written,
            status=_RUNNING,
            values={
                "kind": before.kind or written.kind,
                "requested_at": before.requested_at,
                "attempts": before.attempts,
                "baseline": before.baseline,
            },
        )

    def _say(self, one: _Decided, message: str) -> None:
        row = self._all[one.row.instance_id]
        LOG.warning(
            "Session %s: instance %s: %s",
            self._session.uuid,
            row.instance_id,
            message,
        )
        self._write(
            [
                Change(
                    row=row,
                    status=row.action_status,
                    action=one.look.action,
                    values={"message": message},
                )
            ]
        )

    def _heed(self, one: _Decided, answer: errors.ComputeError) -> None:
        """Write down that Nova has refused to move an instance."""
        row = self._all[one.row.instance_id]
        if isinstance(answer, errors.ComputeNotFound):
            return  # the next look tells that it is gone
        look = replace(one.look, row=row)
        decision = refused(
            look,
            one.limits,
            one.decision.kind or look.action,
            str(answer),
            passing=isinstance(answer, errors.ComputeConflict),
        )
        # Nova has said why already.
        heeded = _Decided(look, one.limits, replace(decision, explain=None))
        change = self._change(heeded)
        if change is None:
            change = self._new(heeded, _RUNNING, requested_at=None)
        self._write([change])
