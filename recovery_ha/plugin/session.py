"""What a workflow is given by the engine that works on a session."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from recovery_ha.domain.choosing import Choice, CloudSnapshot
from recovery_ha.domain.maintenance import (
    InstanceAction,
    PluginType,
    Session,
)


class SessionWork(Protocol):
    """What a workflow is given by the engine; :class:`Workflow` has it all.

    What changes something raises when the session is not this engine's any
    more, when the engine is to stop, or when the session is to be aborted;
    let it pass.
    """

    @property
    def conf(self) -> Any:
        """The configuration."""

    @property
    def session(self) -> Session:
        """The session, as it was when it was read last."""

    def refresh(self) -> Session:
        """Read the session again."""

    def now(self) -> float:
        """Return the database's time in epoch seconds."""

    def say(self, sentence: str) -> None:
        """Tell those who follow the session; said once in a row."""

    def remember(self, **facts: Any) -> None:
        """Keep facts in the session's record."""

    def cloud(self) -> CloudSnapshot:
        """Return what is to be known of the cloud for a decision."""

    def update_instances(self) -> None:
        """See :meth:`Workflow.update_instances`."""

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
        """See :meth:`Workflow.notify_project`."""

    def notify_host(self, host: str, state: str) -> None:
        """See :meth:`Workflow.notify_host`."""

    def ask_projects(
        self,
        state: str,
        timeout: float,
        *,
        project_ids: Collection[str] | None,
        instances: Mapping[str, Collection[str]] | None,
        allowed_actions: Collection[InstanceAction | str],
    ) -> None:
        """See :meth:`Workflow.ask_projects`."""

    def ask_instances(
        self,
        state: str,
        timeout: float,
        instance_ids: Collection[str],
        *,
        allowed_actions: Collection[InstanceAction | str],
        lead_time: float,
    ) -> None:
        """See :meth:`Workflow.ask_instances`."""

    def check_replies(self, state: str) -> None:
        """Return when all that were asked in this round agree.

        :raises Waiting: some have not replied, and their time is not over.
        :raises MaintenanceFailed: one has refused, or its time is over.
        """

    def run_actions(self, type_: PluginType, host: str) -> None:
        """See :meth:`Workflow.run_actions`."""

    def move_instances(self, host: str) -> bool:
        """See :meth:`Workflow.move_instances`."""

    def missing_constraints(self) -> tuple[str, ...]:
        """See :meth:`Workflow.missing_constraints`."""

    def instances_to_spare(self) -> dict[str, list[str]]:
        """See :meth:`Workflow.instances_to_spare`."""

    def empty_by_turns(
        self, host: str, allowed_actions: Collection[InstanceAction | str]
    ) -> None:
        """See :meth:`Workflow.empty_by_turns`."""

    def disable_hosts(self, hosts: Collection[str] | None) -> None:
        """See :meth:`Workflow.disable_hosts`."""

    def enable_host(self, host: str) -> None:
        """See :meth:`Workflow.enable_host`."""

    def maintain_hosts(self, hosts: Sequence[str]) -> None:
        """See :meth:`Workflow.maintain_hosts`."""

    def choose_next(self) -> Choice:
        """See :meth:`Workflow.next_step`."""

    def choose_host(self) -> Choice:
        """See :meth:`Workflow.host_to_empty`."""

    def empty_hosts(self) -> tuple[str, ...]:
        """See :meth:`Workflow.empty_hosts`."""
