"""Maintenance sessions: what a third party subclasses to drive one."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from recovery_ha.domain import errors
from recovery_ha.domain.choosing import CloudSnapshot
from recovery_ha.domain.maintenance import (
    LOCALHOST,
    SESSION,
    WORKING,
    HostStatus,
    HostType,
    InstanceAction,
    PluginType,
    Session,
    SessionState,
)
from recovery_ha.plugin.session import SessionWork


class Waiting(Exception):
    """A state is not done yet; its method is to be called again later.

    :ivar until: when at the latest, in epoch seconds by the database's
        clock; a reply of a project, or a wish of an administrator, has it
        called at once.
    :ivar reason: a sentence for administrators.
    """

    def __init__(self, until: float, reason: str = "") -> None:
        super().__init__(reason)
        self.until = until
        self.reason = reason


class MaintenanceFailed(Exception):
    """The session cannot go on by itself; the text says why.

    It is MAINTENANCE_FAILED then, until an administrator continues it.
    """


class Workflow:
    """How sessions go from state to state.

    There is one object for each time that an engine works on a session. It
    calls the method of the session's state, which says with ``self.state =``
    what comes next. Whatever a method has to wait for raises
    :class:`Waiting`: the engine lets go of the session, and the method is
    called again from its start, by any engine, when it is time. It is so
    after a crash, too. So everything it does must be fit to be done again;
    all that this class offers is: what was done in this round of the state
    is not done once more.

    A state that is entered again, even if it follows itself, is a new round.

    :cvar states_methods: the methods by state; a workflow that has no use
        for a state leaves it out.
    """

    states_methods: ClassVar[Mapping[str, str]] = {
        str(state): str(state).lower()
        for state in SessionState
        if state
        not in {
            SessionState.MAINTENANCE_DONE,
            SessionState.MAINTENANCE_FAILED,
        }
    }

    def __init__(self, work: SessionWork) -> None:
        """Make the workflow; the engine does this."""
        self.work = work
        self._next: SessionState | None = None

    def run(self) -> SessionState:
        """Call the method of the session's state; the engine does this.

        :returns: the next state.
        :raises MaintenanceFailed: the method has not said what comes next, or
            there is none for the state.
        """
        name = self.states_methods.get(self.session.state)
        if name is None:
            raise MaintenanceFailed(
                f"Workflow {self.session.workflow} has no method for"
                f" {self.session.state}."
            )
        getattr(self, name)()
        if self._next is None:
            raise MaintenanceFailed(
                f"Workflow {self.session.workflow} did not say what follows"
                f" {self.session.state}."
            )
        return self._next

    # What is known

    @property
    def conf(self) -> Any:
        """The options of group ``[maintenance]``.

        ``self.work.conf`` has those of all groups.
        """
        return self.work.conf.maintenance

    @property
    def session(self) -> Session:
        """The session with its hosts, projects and instances."""
        return self.work.session

    def refresh(self) -> Session:
        """Read the session again, and return it."""
        return self.work.refresh()

    @property
    def state(self) -> SessionState:
        """The session's state, or the next one when it has been set."""
        return self._next or self.session.state

    @state.setter
    def state(self, state: SessionState | str) -> None:
        wanted = SessionState(state)
        known = wanted in self.states_methods or wanted not in WORKING
        if not known or wanted not in SESSION.moves[self.session.state]:
            raise errors.IllegalTransition(
                f"{wanted} cannot follow {self.session.state}."
            )
        self._next = wanted

    def now(self) -> float:
        """Return the time, epoch seconds by the database's clock."""
        return self.work.now()

    def say(self, sentence: str) -> None:
        """Tell those who follow the session."""
        self.work.say(sentence)

    def remember(self, **facts: Any) -> None:
        """Keep facts, JSON values by name, in ``session.record``.

        They are there in all later states and engines. Names that begin with
        an underscore are the service's own.
        """
        self.work.remember(**facts)

    # Projects

    def notify_project(
        self,
        project_id: str,
        state: str,
        *,
        instance_ids: Sequence[str] | None = None,
        allowed_actions: Collection[InstanceAction | str] = (),
        reply_at: float | None = None,
        actions_at: float | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Tell a project something, once per round, state and instance.

        :param instance_ids: one instance, as a list; None: the link where
            the project finds all of them.
        :param reply_at: until when it may reply, epoch seconds.
        :param actions_at: when something is done, epoch seconds.
        :param metadata: None: the session's.
        """
        self.work.notify_project(
            project_id,
            state,
            instance_ids=instance_ids,
            allowed_actions=allowed_actions,
            reply_at=reply_at,
            actions_at=actions_at,
            metadata=metadata,
        )

    def notify_host(self, host: str, state: str) -> None:
        """Tell administrators of a host, once per round and state.

        :param state: ``IN_MAINTENANCE`` or ``MAINTENANCE_COMPLETE``.
        """
        self.work.notify_host(host, state)

    def ask_projects(
        self,
        state: str,
        timeout: float,
        *,
        project_ids: Collection[str] | None = None,
        instances: Mapping[str, Collection[str]] | None = None,
        allowed_actions: Collection[InstanceAction | str] = (),
    ) -> None:
        """Ask projects about a state; those asked in this round are not.

        Projects that nobody can ask are dealt with by the rule
        ``[maintenance] projects_without_alarm``.

        :param timeout: seconds until they must have replied.
        :param project_ids: whom; None: those of ``instances``, or all.
        :param instances: which instances each is asked about, by project;
            None: all that it has.
        :param allowed_actions: what it may choose from for its instances;
            nothing else is accepted. In a state that asks for actions, none
            means all.
        """
        self.work.ask_projects(
            state,
            timeout,
            project_ids=project_ids,
            instances=instances,
            allowed_actions=allowed_actions,
        )

    def ask_instances(
        self,
        state: str,
        timeout: float,
        instance_ids: Collection[str],
        *,
        allowed_actions: Collection[InstanceAction | str] = (),
        lead_time: float = 0.0,
    ) -> None:
        """Ask about instances one by one; those asked in this round are not.

        Each has its own message, reply and deadline. More may be asked about
        later in the same round.

        :param timeout: seconds until the reply.
        :param lead_time: seconds between now and the action; the reply must
            be there before.
        """
        self.work.ask_instances(
            state,
            timeout,
            instance_ids,
            allowed_actions=allowed_actions,
            lead_time=lead_time,
        )

    def wait_for_projects(
        self,
        state: str,
        timeout: float,
        *,
        project_ids: Collection[str] | None = None,
        instances: Mapping[str, Collection[str]] | None = None,
        allowed_actions: Collection[InstanceAction | str] = (),
    ) -> None:
        """Ask projects, and return when all have agreed.

        :param timeout: (and the others) see :meth:`ask_projects`.
        :raises Waiting: some have not replied, and their time is not over.
        :raises MaintenanceFailed: one has refused, or its time is over.
        """
        self.work.ask_projects(
            state,
            timeout,
            project_ids=project_ids,
            instances=instances,
            allowed_actions=allowed_actions,
        )
        self.work.check_replies(state)

    def wait_until(self, when: float | datetime, reason: str = "") -> None:
        """Return when it is so late.

        :param when: epoch seconds, or naive UTC.
        :param reason: a sentence for administrators.
        :raises Waiting: it is not.
        """
        if isinstance(when, datetime):
            moment = when.replace(tzinfo=UTC).timestamp()
        else:
            moment = when
        if self.now() < moment:
            shown = datetime.fromtimestamp(moment, UTC)
            raise Waiting(
                moment, reason or f"Waiting until {shown:%Y-%m-%d %H:%M:%S}."
            )

    # Instances

    def update_instances(self) -> None:
        """Learn from Nova which instances and projects there are.

        Once per round, and again when it is called after instances were
        moved. Projects come and go with their instances; those that are new
        are looked up in Aodh.

        :raises MaintenanceFailed: a project cannot be asked, and the rule for
            that is to fail.
        """
        self.work.update_instances()

    def instances_on(self, host: str) -> dict[str, list[str]]:
        """Return the ids of the instances on a host, by project."""
        found: dict[str, list[str]] = {}
        for one in self.session.instances:
            if one.host == host:
                found.setdefault(one.project_id, []).append(one.instance_id)
        return found

    def move_instances(self, host: str) -> bool:
        """Have the instances of a host moved as their projects have said.

        :returns: whether the host is empty now; else there are instances
            that nobody was asked about, which takes another round.
        :raises Waiting: they are under way.
        :raises MaintenanceFailed: one could not be moved, or there were
            others ``[maintenance] max_empty_rounds`` times in a row.
        """
        return self.work.move_instances(host)

    # Instances of groups

    def missing_constraints(self) -> tuple[str, ...]:
        """Return what projects have not said of their instances.

        :returns: a phrase for each instance without constraints, without a
            group, or with a group that is not known.
        """
        return self.work.missing_constraints()

    def instances_to_spare(self) -> dict[str, list[str]]:
        """Return without which instances a host could be emptied.

        No more of a group than may be impacted at once. Once per round.

        :returns: ids by project; none if nothing can be named.
        """
        return self.work.instances_to_spare()

    def empty_by_turns(
        self,
        host: str,
        allowed_actions: Collection[InstanceAction | str] = (),
    ) -> None:
        """Have the instances of a host leave it, within what groups bear.

        Each is asked about by itself, when its group allows it: no more
        members than ``max_impacted_members`` are impacted at once, in all
        sessions together, ``recovery_time`` after their moves included. It
        goes where its groups allow it. Returns when the host is empty.

        :raises Waiting: some are still there.
        :raises MaintenanceFailed: a project has refused, or not replied in
            time; or one could not be moved.
        """
        self.work.empty_by_turns(host, allowed_actions)

    # Hosts

    def next_step(self) -> SessionState:
        """Decide what follows MAINTENANCE or SCALE_IN, and tell why.

        :returns: START_MAINTENANCE, PREPARE_MAINTENANCE or SCALE_IN.
        :raises MaintenanceFailed: SCALE_IN has had all its rounds.
        """
        return self.work.choose_next().state

    def host_to_empty(self) -> str | None:
        """Return the host that is emptied in this round; tell why.

        :returns: None if there is nothing to empty.
        """
        return self.work.choose_host().host

    def empty_hosts(self) -> tuple[str, ...]:
        """Return the computes that are empty and were not maintained."""
        return self.work.empty_hosts()

    def cloud(self) -> CloudSnapshot:
        """Return the compute hosts, their servers, and what they can take."""
        return self.work.cloud()

    def unmaintained(self, type_: HostType = HostType.COMPUTE) -> list[str]:
        """Return the session's hosts that were not maintained, in order."""
        return [
            one.host
            for one in sorted(self.session.hosts, key=lambda h: h.ordinal)
            if one.type is type_ and one.status is not HostStatus.MAINTAINED
        ]

    def disable_hosts(self, hosts: Collection[str] | None = None) -> None:
        """Have Nova place nothing on hosts of the session.

        What was disabled by others stays theirs.

        :param hosts: None: all that were not maintained.
        """
        self.work.disable_hosts(hosts)

    def enable_host(self, host: str) -> None:
        """Take back what :meth:`disable_hosts` has done to a host."""
        self.work.enable_host(host)

    def maintain_hosts(self, hosts: Sequence[str]) -> None:
        """Maintain hosts, several at once, and enable each that is done.

        :raises Waiting: some are still to come.
        :raises MaintenanceFailed: an action has failed on one.
        """
        self.work.maintain_hosts(hosts)

    def run_actions(self, type_: str, host: str = LOCALHOST) -> None:
        """Run the actions of a type in the order they are defined.

        Those that are done on the host are not run again.

        :param type_: ``pre``, ``host``, ``compute``, ``controller``, ``post``.
        :raises MaintenanceFailed: one has failed; with what it has said.
        """
        self.work.run_actions(PluginType(type_), host)
