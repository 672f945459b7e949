"""Clusters: what a third party subclasses to provision them."""

import abc
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from recovery_ha.domain.history import ClusterInstance, NodeGroup


class ProvisionedCluster(Protocol):
    """A cluster as its plug-in sees it, while this engine owns it.

    What changes something raises when it is not this engine's any more, when
    the engine is to stop, or when the cluster is to be deleted instead; let
    it pass.
    """

    @property
    def id(self) -> str:
        """Its uuid."""

    @property
    def name(self) -> str:
        """Its name, unique in its project."""

    @property
    def project_id(self) -> str | None:
        """Whose it is; None: nobody's."""

    @property
    def plugin_version(self) -> str | None:
        """Which version of the software is wanted."""

    @property
    def extra(self) -> Mapping[str, Any]:
        """Further keys that it was created with."""

    def node_groups(self) -> Sequence[NodeGroup]:
        """Return its groups as they are now.

        Each has the ``count`` of instances that are wanted, and the
        ``instances`` that were written down.
        """

    def add_instances(self, instances: Sequence[ClusterInstance]) -> None:
        """Write down instances that there are now; harmless twice."""

    def remove_instances(
        self, node_group_id: str, instance_ids: Collection[str]
    ) -> None:
        """Write down that instances are gone; harmless twice."""

    def set_status(self, status: str, description: str | None = None) -> None:
        """Show how far it is, in a word: ``Waiting``, ``Configuring``, ...

        :param description: a sentence; None leaves what is shown.
        """

    def still_mine(self) -> bool:
        """Tell whether this engine may still act.

        Ask before each call that changes something outside.
        """

    def wait(self, seconds: float) -> None:
        """Sleep, or raise when the work is to stop."""


class ProvisioningPlugin(abc.ABC):
    """What creates, scales and deletes clusters.

    There is one object of it in each engine, and its methods are called in
    several threads, for several clusters, at once. A method runs to the end
    of what is to be done. After a crash it is called again, in another
    engine, perhaps in the middle: it looks at what is there, in the world and
    in ``cluster.node_groups()``, and does what is missing. What it raises
    ends the run, and the cluster is in status ``Error``.

    Steps and events are told with :mod:`recovery_ha.provisioning`:
    ``add_provisioning_step``, ``add_successful_event``, ``add_fail_event``,
    ``event_wrapper``. They find the run by themselves, also in threads that
    are started with a copy of the caller's :mod:`contextvars` context.

    :ivar conf: the configuration, with the options of the plug-in's group.
    """

    def __init__(self, conf: Any) -> None:
        """Make the plug-in; each engine does this when it starts."""
        self.conf = conf

    @abc.abstractmethod
    def get_provisioning_steps(self) -> Mapping[str, Sequence[str]]:
        """Return the names of the steps there are going to be, in order.

        :returns: by ``creating``, ``scaling`` and ``deleting``.
        """

    @abc.abstractmethod
    def create(self, cluster: ProvisionedCluster) -> None:
        """Have all instances of a cluster, and what runs on them."""

    @abc.abstractmethod
    def scale(self, cluster: ProvisionedCluster) -> None:
        """Have each node group be of the size that is wanted now."""

    @abc.abstractmethod
    def delete(self, cluster: ProvisionedCluster) -> None:
        """Have nothing left of a cluster, however far it had come."""
