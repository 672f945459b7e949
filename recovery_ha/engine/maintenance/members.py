"""Instance by instance: asked, moved, and given time, as groups bear it.

What :meth:`Workflow.empty_by_turns` and its like come to. Whose turn it is
says ``domain.vnf``; here it is read, written down, and handed on.
"""

from collections.abc import Collection, Mapping, Sequence

from recovery_ha.db import work
from recovery_ha.db.maintenance import (
    group_work,
    project_work,
    session_work,
)
from recovery_ha.domain import choosing, constraints, vnf
from recovery_ha.domain.leaving import MovesState, MovesStatus
from recovery_ha.domain.maintenance import (
    Answer,
    GroupConstraints,
    GroupKey,
    InstanceAction,
    InstanceConstraints,
    ReplyStatus,
    Session,
    SessionInstance,
)
from recovery_ha.domain.vnf import Member, Phase, Turns
from recovery_ha.engine.maintenance import asking, cloud, moving, snapshot
from recovery_ha.engine.maintenance.environment import SessionEnvironment
from recovery_ha.plugin import MaintenanceFailed, Waiting

#: Seconds for which a reply that came in time may still be being written.
_GRACE = 1.0
#: A reply is due so many seconds before the action.
_BEFORE_ACTION = 1.0


def missing(env: SessionEnvironment, session: Session) -> tuple[str, ...]:
    """Return what asked projects have not said of their instances."""
    asked = _asked(session)
    wanted, groups = project_work.constraints_of(
        env.ctx,
        {
            one.instance_id: one.project_id
            for one in session.instances
            if one.project_id in asked
        },
    )
    return constraints.without(
        [
            (one.instance_id, one.name)
            for one in session.instances
            if one.project_id in asked
        ],
        wanted,
        groups,
    )


def spare(
    env: SessionEnvironment, session: Session
) -> tuple[dict[str, list[str]], str]:
    """Return which instances projects should do without, and why.

    :returns: ids by project, and a sentence.
    :raises errors.ComputeError: Nova or Placement does not say.
    """
    seen = snapshot.take(env, session)
    impacted = group_work.impacted(env.ctx, seen.constraints)
    found = vnf.scale_in(
        seen,
        session,
        projects=_asked(session),
        impacted={key: len(until) for key, until in impacted.items()},
    )
    return {k: list(ids) for k, ids in found.instances.items()}, found.sentence


def _asked(session: Session) -> set[str]:
    return {
        one.project_id for one in session.projects if one.answer is Answer.ASK
    }


def empty(
    env: SessionEnvironment,
    session: Session,
    host: str,
    allowed_actions: Collection[InstanceAction | str],
) -> None:
    """Have the instances of a host leave it in their turns.

    :param session: read just now.
    :raises Waiting: some are still on it.
    :raises MaintenanceFailed: a project has refused, or not replied in time;
        one could not be moved.
    :raises errors.ComputeError: Nova or Placement does not say.
    """
    _Emptying(env, session, host, allowed_actions).run()


class _Emptying:
    """One look at a host, and what follows from it."""

    def __init__(
        self,
        env: SessionEnvironment,
        session: Session,
        host: str,
        allowed_actions: Collection[InstanceAction | str],
    ) -> None:
        self._env = env
        self._session = session
        self._host = host
        self._allowed = allowed_actions
        self._wanted: dict[str, InstanceConstraints] = {}
        self._groups: dict[GroupKey, GroupConstraints] = {}

    def run(self) -> None:
        now = work.clock(self._env.ctx)
        # In this order: what came in time is in what is read after it.
        self._read()
        there = {
            server.id
            for server in cloud.left_on(self._env, self._session, self._host)
        }
        rows = self._rows(there)
        self._check_replies(rows, there, now)
        turns = self._ask(rows, now)
        rows = self._rows(there)
        state = self._move(rows, turns, there)
        if state is not None and state.status is MovesStatus.FAILED:
            raise MaintenanceFailed(state.sentence)
        left = [one for one in self._rows(there) if self._is_open(one, there)]
        if not left and not there - {r.instance_id for r in rows}:
            return
        self._wait(turns, state, now)

    def _read(self) -> None:
        self._session = session_work.snapshot(
            self._env.ctx, self._env.lease.claim
        )
        self._wanted, self._groups = project_work.constraints_of(
            self._env.ctx,
            {
                one.instance_id: one.project_id
                for one in self._session.instances
            },
        )

    def _rows(self, there: Collection[str]) -> list[SessionInstance]:
        """Return those that are to leave the host, or have in this round."""
        skipped = cloud.skipped(self._session)
        return sorted(
            (
                one
                for one in self._session.instances
                if one.project_id not in skipped
                and (one.instance_id in there or self._is_ours(one))
            ),
            key=lambda one: one.instance_id,
        )

    def _is_ours(self, one: SessionInstance) -> bool:
        """Tell whether a row is of this round's host, wherever it is now."""
        return (
            one.listed
            and one.round == self._session.round
            and one.source_host in {None, self._host}
        )

    def _phase(self, one: SessionInstance) -> Phase:
        return vnf.phase(one, self._session.round)

    def _is_open(self, one: SessionInstance, there: Collection[str]) -> bool:
        done = self._phase(one) is Phase.DONE
        return not done or one.instance_id in there

    def _check_replies(
        self,
        rows: Sequence[SessionInstance],
        there: Collection[str],
        now: float,
    ) -> None:
        """See that nobody has refused, or let the time go by.

        :raises MaintenanceFailed: somebody has.
        """
        state = self._session.state
        refused = {
            one.project_id: one.message
            for one in self._session.projects
            if one.reply is ReplyStatus.NACK
            and one.round == self._session.round
        }
        said = []
        for one in rows:
            if self._phase(one) is not Phase.ASKED:
                continue
            what = f"{one.name} ({one.instance_id})"
            if one.reply is ReplyStatus.NACK or one.project_id in refused:
                why = refused.get(one.project_id)
                because = f": {why.rstrip('.')}" if why else ""
                said.append(
                    f"Project {one.project_id} refused {state} for"
                    f" {what}{because}."
                )
            elif (
                one.instance_id in there
                and one.deadline is not None
                and now >= one.deadline + _GRACE
            ):
                said.append(
                    f"Project {one.project_id} did not reply to {state} for"
                    f" {what} in time."
                )
        if said:
            raise MaintenanceFailed(" ".join(said))

    # Asking

    def _ask(self, rows: Sequence[SessionInstance], now: float) -> Turns:
        """Ask about those whose turn it is, alone with their groups."""
        groups = {
            one.group: self._groups[one.group]
            for one in rows
            if one.group is not None and one.group in self._groups
        }
        stuck = [
            one for one in groups.values() if not one.max_impacted_members
        ]
        if stuck:
            raise MaintenanceFailed(
                f"No member of group {stuck[0].group_id} may be impacted"
                " (max_impacted_members is 0): it cannot be moved."
            )
        members = [
            Member(
                id=one.instance_id,
                name=one.name,
                phase=self._phase(one),
                group=one.group,
                deadline=one.deadline,
                moved_at=one.moved_at,
            )
            for one in rows
        ]

        def act() -> Turns:
            others = group_work.impacted(
                self._env.ctx,
                groups,
                besides=[one.id for one in members],
                session_uuid=self._session.uuid,
            )
            found = vnf.turns(
                members,
                vnf.limits(groups.values(), others),
                now,
                max_moves=self._env.conf.maintenance.max_parallel_moves,
            )
            for instance_id in found.ask:
                self._ask_about(instance_id, now)
            return found

        turns = group_work.in_turn(
            self._env.ctx, self._env.lease.claim, groups, act
        )
        if turns.ask:
            self._env.delivery.kick()
        self._read()
        return turns

    def _ask_about(self, instance_id: str, now: float) -> None:
        options = self._env.conf.maintenance
        known = self._wanted.get(instance_id)
        lead_time = float(known.lead_time) if known else 0.0
        timeout = float(options.project_maintenance_reply)
        if lead_time > _BEFORE_ACTION:
            timeout = lead_time - _BEFORE_ACTION
        asking.ask_instances(
            self._env,
            self._session,
            self._session.state,
            timeout,
            [instance_id],
            now=now,
            allowed_actions=self._allowed,
            lead_time=lead_time,
        )

    # Moving

    def _move(
        self,
        rows: Sequence[SessionInstance],
        turns: Turns,
        there: Collection[str],
    ) -> MovesState | None:
        """Bring what has its turn, or is under way, as far as it goes now."""
        of = {one.instance_id: one for one in rows}
        under_way = [
            one.instance_id
            for one in rows
            if self._phase(one) is Phase.MOVING
            # It was deleted, or its project has moved it, before its turn.
            or (one.instance_id not in there and self._is_open(one, there))
        ]
        new = [id_ for id_ in turns.move if id_ in of and id_ in there]
        by_nova = [
            id_
            for id_ in new
            if self._action(of[id_]) is not InstanceAction.OWN_ACTION
        ]
        targets = self._targets(by_nova, wait=bool(under_way))
        ids = [
            *under_way,
            *(id_ for id_ in new if id_ not in by_nova or id_ in targets),
        ]
        if not ids:
            return None
        return moving.advance(
            self._env,
            session_work.snapshot(self._env.ctx, self._env.lease.claim),
            self._host,
            instance_ids=ids,
            targets=targets,
        )

    def _action(self, one: SessionInstance) -> InstanceAction | None:
        return one.action or next(
            (
                project.action
                for project in self._session.projects
                if project.project_id == one.project_id
            ),
            None,
        )

    def _targets(self, new: Sequence[str], *, wait: bool) -> Mapping[str, str]:
        """Choose a host for each that begins, and remember it.

        Nova knows nothing of what projects ask of their groups; so it is
        told where to.

        :param wait: something is under way; one that has no place may have
            one later.
        :returns: by instance, with those of earlier; without those that have
            no place now.
        :raises MaintenanceFailed: one has none.
        """
        known = dict(self._session.record.get(snapshot.TARGETS) or {})
        if not new:
            return known
        for id_ in new:
            known.pop(id_, None)
        seen = snapshot.take(self._env, self._session)
        choice = choosing.places(seen, self._session, self._host)
        lacking = [id_ for id_ in new if id_ not in choice.moves]
        if lacking and not wait:
            raise MaintenanceFailed(
                f"There is no host for {', '.join(lacking)}. {choice.sentence}"
            )
        known |= {id_: to for id_, to in choice.moves.items() if id_ in new}
        session_work.remember(
            self._env.ctx,
            self._env.lease.claim,
            **{snapshot.TARGETS: known},
        )
        return known

    def _wait(
        self, turns: Turns, state: MovesState | None, now: float
    ) -> None:
        """Come back when there may be something to do."""
        poll: float = self._env.conf.maintenance.poll_interval
        wakes = [now + poll] if turns.ask or state is None else []
        if turns.wake_at is not None:
            wakes = [max(turns.wake_at + _GRACE, now + poll)]
        if state is not None:
            wakes.append(state.until or now)
        reason = f"Emptying {self._host}: {turns.sentence}"
        raise Waiting(min(wakes), reason)
