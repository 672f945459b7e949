"""A session that this engine owns, as its workflow sees it."""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from recovery_ha.clients import maintenance_events
from recovery_ha.db import hosts_out, work
from recovery_ha.db.maintenance import outbox, session_work
from recovery_ha.domain import choosing
from recovery_ha.domain.choosing import Choice, CloudSnapshot
from recovery_ha.domain.hosts_out import awaited
from recovery_ha.domain.leaving import MovesStatus
from recovery_ha.domain.maintenance import (
    InstanceAction,
    PluginType,
    Session,
    SessionState,
)
from recovery_ha.engine.maintenance import (
    actions,
    asking,
    cloud,
    hosts,
    members,
    moving,
    snapshot,
)
from recovery_ha.engine.maintenance.environment import SessionEnvironment
from recovery_ha.plugin import MaintenanceFailed, Waiting

LOG = logging.getLogger(__name__)

# What the service keeps in a session's record, beside the workflow's facts.
_LOOKED = "_looked"
_CHOSEN = "_chosen"
_AGAIN = "_again"
_SPARE = "_spare"
SCALE_INS = "_scale_ins"
_SHOWN = 10


class OwnedSession:
    """A :class:`plugin.SessionWork`: a session that this engine owns.

    What the record has of a round is of no other round: entering a state
    anew forgets nothing that has to be remembered, and repeats nothing else.
    """

    def __init__(self, env: SessionEnvironment, session: Session) -> None:
        """Have a session.

        :param session: as it was when it was claimed.
        :ivar said: what was said last.
        """
        self.env = env
        self.said: str | None = None
        self._session = session
        # Whether instances were changed since they were read: in a large
        # session they are most of it.
        self._changed = False

    @property
    def conf(self) -> Any:
        """See :class:`plugin.SessionWork`, as for all others."""
        return self.env.conf

    @property
    def session(self) -> Session:
        """The session, as it was when it was read last."""
        return self._session

    def refresh(self) -> Session:
        """Read the session again."""
        self.env.lease.check()
        known = None if self._changed else self._session
        self._session = session_work.snapshot(
            self.env.ctx, self.env.lease.claim, known
        )
        self._changed = False
        return self._session

    def now(self) -> float:
        """Return the database's time."""
        return work.clock(self.env.ctx)

    def say(self, sentence: str) -> None:
        """Tell those who follow the session; said once in a row."""
        self.said = sentence
        new = session_work.say(
            self.env.ctx, self.env.lease.claim, self._session, sentence
        )
        if new:
            LOG.info("Session %s: %s", self._session.uuid, sentence)

    def remember(self, **facts: Any) -> None:
        """Keep facts in the session's record."""
        session_work.remember(self.env.ctx, self.env.lease.claim, **facts)
        self.refresh()

    # What there is

    def cloud(self) -> CloudSnapshot:
        """Return what is to be known of the cloud for a decision."""
        return snapshot.take(self.env, self._session)

    def update_instances(self) -> None:
        """Learn from Nova which instances and projects there are."""
        if self._session.record.get(_LOOKED) == self._session.round:
            return
        session = self.refresh()
        self._changed = True
        cloud.update_instances(self.env, session)
        self.remember(**{_LOOKED: self._session.round})

    # Projects

    def notify_project(
        self,
        project_id: str,
        state: str,
        *,
        instance_ids: Sequence[str] | None,
        allowed_actions: Collection[InstanceAction | str],
        reply_at: float | None,
        actions_at: float | None,
        metadata: Mapping[str, Any] | None,
    ) -> None:
        """Tell a project something, once per round, state and instance."""
        session, env = self._session, self.env
        subject = instance_ids[0] if instance_ids else project_id
        env.lease.check()
        outbox.add(
            env.ctx,
            session=session,
            event_type=maintenance_events.project_events(env.conf),
            payload=maintenance_events.project_payload(
                session=session,
                project_id=project_id,
                state=state,
                api_url=env.conf.maintenance.api_url,
                instance_ids=instance_ids,
                allowed_actions=allowed_actions,
                reply_at=reply_at,
                actions_at=actions_at,
                metadata=session.metadata if metadata is None else metadata,
            ),
            dedupe_key=asking.key(session, state, subject),
            project_id=project_id,
        )
        env.delivery.kick()

    def ask_projects(
        self,
        state: str,
        timeout: float,
        *,
        project_ids: Collection[str] | None,
        instances: Mapping[str, Collection[str]] | None,
        allowed_actions: Collection[InstanceAction | str],
    ) -> None:
        """Ask projects, those that were not asked in this round."""
        self._changed |= asking.ask_projects(
            self.env,
            self._session,
            state,
            timeout,
            now=self.now(),
            project_ids=project_ids,
            instances=instances,
            allowed_actions=allowed_actions,
        )
        self.refresh()

    def ask_instances(
        self,
        state: str,
        timeout: float,
        instance_ids: Collection[str],
        *,
        allowed_actions: Collection[InstanceAction | str],
        lead_time: float,
    ) -> None:
        """Ask about instances one by one."""
        self._changed |= asking.ask_instances(
            self.env,
            self._session,
            state,
            timeout,
            instance_ids,
            now=self.now(),
            allowed_actions=allowed_actions,
            lead_time=lead_time,
        )
        self.refresh()

    def check_replies(self, state: str) -> None:
        """Return when all that were asked in this round agree."""
        # In this order: whatever came in time is in what is read after it.
        now = self.now()
        asking.check_replies(self.env, self.refresh(), state, now)

    # Hosts

    def notify_host(self, host: str, state: str) -> None:
        """Tell administrators of a host, once per round and state."""
        hosts.tell(self.env, self._session, host, state)
        self.env.delivery.kick()

    def disable_hosts(self, names: Collection[str] | None) -> None:
        """Have Nova place nothing on hosts of the session."""
        hosts.disable(self.env, self._session, names)
        self.refresh()

    def enable_host(self, host: str) -> None:
        """Take back what :meth:`disable_hosts` has done."""
        hosts.enable(self.env, self._session, host)
        self.refresh()

    def maintain_hosts(self, names: Sequence[str]) -> None:
        """Maintain hosts, several at once."""
        try:
            hosts.maintain(self.env, self._session, names)
        finally:
            self.env.delivery.kick()
        self.refresh()

    def run_actions(self, type_: PluginType, host: str) -> None:
        """Run the actions of a type in the order they are defined."""
        actions.run(self.env, self._session, type_, host)
        self.refresh()

    def empty_hosts(self) -> tuple[str, ...]:
        """Return the computes that are empty and were not maintained."""
        seen = snapshot.take_unmaintained(self.env, self._session)
        return choosing.empty_hosts(seen, self._session)

    # Decisions

    def choose_next(self) -> Choice:
        """Decide what follows MAINTENANCE or SCALE_IN."""
        choice = choosing.choose_next(self.cloud(), self._session)
        self.say(choice.sentence)
        if choice.state is SessionState.SCALE_IN:
            self._count_scale_in(choice.sentence)
        return choice

    def _count_scale_in(self, why: str) -> None:
        session = self._session
        rounds = {*session.record.get(SCALE_INS, ()), session.round}
        most = self.env.conf.maintenance.max_scale_in_rounds
        if len(rounds) > most:
            raise MaintenanceFailed(
                f"There is no room after {most} rounds of SCALE_IN: {why}"
            )
        self.remember(**{SCALE_INS: sorted(rounds)})

    def choose_host(self) -> Choice:
        """Decide which host is emptied in this round, once."""
        session = self._session
        known = session.record.get(_CHOSEN) or {}
        if known.get("round") == session.round:
            return Choice(
                state=SessionState(known["state"]),
                host=known["host"],
                sentence=known["sentence"],
            )
        self._let_recoveries_go_first()
        choice = choosing.host_to_empty(self.cloud(), session)
        host = choice.host if choice.state is session.state else None
        self.say(choice.sentence)
        chosen = {
            "round": session.round,
            "state": str(choice.state),
            "host": host,
            "sentence": choice.sentence,
        }
        self.remember(**{_CHOSEN: chosen})
        return Choice(state=choice.state, host=host, sentence=choice.sentence)

    def _let_recoveries_go_first(self) -> None:
        """Take no further host while the cloud has lost one.

        :raises Waiting: a host is being recovered.
        """
        why = awaited(hosts_out.look(self.env.ctx))
        if why is not None:
            interval: float = self.conf.maintenance.lock_interval
            raise Waiting(self.now() + interval, why)

    # Instances

    def move_instances(self, host: str) -> bool:
        """Have the instances of a host moved; tell whether it is empty."""
        session = self.refresh()
        self._changed = True
        state = moving.advance(self.env, session, host)
        if state.status is MovesStatus.BUSY:
            raise Waiting(state.until or self.now(), state.sentence)
        if state.status is MovesStatus.FAILED:
            raise MaintenanceFailed(state.sentence)
        left = cloud.left_on(self.env, self._session, host)
        self.remember(**{_LOOKED: None})
        if not left:
            self.remember(**{_AGAIN: None})
            return True
        times = self._session.record.get(_AGAIN, 0) + 1
        most = self.conf.maintenance.max_empty_rounds
        names = ", ".join(f"{one.name} ({one.id})" for one in left[:_SHOWN])
        if times >= most:
            raise MaintenanceFailed(
                f"Host {host} is still not empty after {most} rounds: {names}."
            )
        self.say(f"Host {host} has further instances: {names}.")
        self.remember(**{_AGAIN: times})
        return False

    # Instances of groups

    def missing_constraints(self) -> tuple[str, ...]:
        """Return what projects have not said of their instances."""
        return members.missing(self.env, self._session)

    def instances_to_spare(self) -> dict[str, list[str]]:
        """Return without which instances a host could be emptied, once."""
        known = self._session.record.get(_SPARE) or {}
        if known.get("round") != self._session.round:
            found, why = members.spare(self.env, self._session)
            self.say(why)
            known = {"round": self._session.round, "instances": found}
            self.remember(**{_SPARE: known})
        return dict(known["instances"])

    def empty_by_turns(
        self, host: str, allowed_actions: Collection[InstanceAction | str]
    ) -> None:
        """Have the instances of a host leave it, within what groups bear."""
        self._changed = True
        try:
            members.empty(self.env, self._session, host, allowed_actions)
        finally:
            self.refresh()
        self.remember(**{_LOOKED: None})
