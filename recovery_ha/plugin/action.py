"""Actions on hosts in maintenance: what a third party subclasses."""

import abc
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from recovery_ha.domain.maintenance import PluginType
from recovery_ha.plugin.recovery import RecoveryTask, TaskEnvironment


class ActionEnvironment(TaskEnvironment, Protocol):
    """What an action is given by the engine that runs it."""

    @property
    def host(self) -> str:
        """Which host it is for; ``localhost`` of types pre and post."""

    @property
    def type(self) -> PluginType:
        """When it is run."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the session says to it."""

    @property
    def session_id(self) -> str:
        """Whose action it is."""

    def fetch_downloads(self) -> tuple[Path, ...]:
        """Have the session's archives on this machine, unpacked.

        :returns: their directories, in the session's order.
        :raises Exception: one cannot be had; the text says why.
        """

    def keep(self, output: str | None) -> None:
        """Take what the action has returned."""


class HostAction(RecoveryTask):
    """Something that is done to a host in maintenance.

    A subclass writes :meth:`run`. It may be called again after a crash, from
    its start: it looks at the host before it acts. When it has ended well,
    it is not called again in the session.
    """

    what = "run the action"
    default_provides = "output"
    environment: ActionEnvironment

    def __init__(self, environment: ActionEnvironment) -> None:
        """Make the action; the engine does this."""
        super().__init__(environment)
        self.host = environment.host
        self.type = environment.type
        self.metadata = environment.metadata
        self.session_id = environment.session_id
        #: Where the session's archives are, from when it is run.
        self.downloads: tuple[Path, ...] = ()

    def execute(self) -> str | None:
        """Do it, as a task of a flow."""
        self.downloads = self.environment.fetch_downloads()
        output = self.run()
        self.environment.keep(output)
        return output

    @abc.abstractmethod
    def run(self) -> str | None:
        """Do what is to be done to ``self.host``.

        :returns: what is kept of it for administrators.
        :raises Exception: it has failed; the text says why.
        """
