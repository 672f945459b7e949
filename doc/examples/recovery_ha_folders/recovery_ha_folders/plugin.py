"""The plug-in: what it does, and how it tells of it.

Each method may be called again after a crash, in another engine. That is why
the names and ids of instances follow from the cluster, why everything that is
done in the world may be done twice, and why saying that an instance is done
counts once. What is left to do in a run is the same however often it is
begun: it is settled by one file that is written at its very end.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from recovery_ha import provisioning
from recovery_ha.plugin import (
    ClusterInstance,
    ProvisionedCluster,
    ProvisioningPlugin,
)
from recovery_ha_folders.folders import Folders, NoLogin

LAUNCH = "Launching instances"
SSH = "Waiting for ssh"
CONFIGURE = "Configuring instances"
REMOVE = "Removing instances"

#: Instances that are worked on between two looks whether to go on.
_AT_ONCE = 100


class FoldersPlugin(ProvisioningPlugin):
    """Provisions clusters of folders."""

    def get_provisioning_steps(self) -> dict[str, list[str]]:
        """Return the names of the steps, by what is done."""
        return {
            "creating": [LAUNCH, SSH, CONFIGURE],
            "scaling": [REMOVE, LAUNCH, SSH, CONFIGURE],
            "deleting": [REMOVE],
        }

    def create(self, cluster: ProvisionedCluster) -> None:
        """Have all instances of a cluster."""
        self._grow(cluster)

    def scale(self, cluster: ProvisionedCluster) -> None:
        """Have as many instances as are wanted now."""
        wanted = {one.instance_id for one in _wanted(cluster)}
        surplus = [
            one for one in _known(cluster) if one.instance_id not in wanted
        ]
        self._remove(cluster, surplus)
        self._grow(cluster)

    def delete(self, cluster: ProvisionedCluster) -> None:
        """Have nothing left of a cluster."""
        self._remove(cluster, _known(cluster))
        self._folders(cluster).remove_all()

    def _folders(self, cluster: ProvisionedCluster) -> Folders:
        path = Path(self.conf.recovery_ha_folders.path)
        return Folders(path, cluster.id)

    def _grow(self, cluster: ProvisionedCluster) -> None:
        folders = self._folders(cluster)
        wanted = list(_wanted(cluster))
        served = folders.in_service()
        fresh = [one for one in wanted if one.instance_name not in served]

        def launch(some: Sequence[ClusterInstance]) -> None:
            for one in some:
                folders.launch(one.instance_name)
            cluster.add_instances(some)

        def configure(some: Sequence[ClusterInstance]) -> None:
            for one in some:
                folders.configure(one.instance_name)

        self._step(cluster, LAUNCH, fresh, launch)
        cluster.set_status("Waiting")
        provisioning.add_provisioning_step(SSH, len(fresh))
        for some in _batches(cluster, fresh):
            self._log_in(cluster, folders, some)
        cluster.set_status("Configuring")
        self._step(cluster, CONFIGURE, fresh, configure)
        cluster.wait(0)  # is it still ours?
        folders.put_in_service({one.instance_name for one in wanted})

    def _step(
        self,
        cluster: ProvisionedCluster,
        name: str,
        instances: Sequence[ClusterInstance],
        work: Callable[[Sequence[ClusterInstance]], None],
    ) -> None:
        """Do something with all instances, and tell of each."""
        provisioning.add_provisioning_step(name, len(instances))
        for some in _batches(cluster, instances):
            work(some)
            provisioning.add_successful_events(some)

    def _log_in(
        self,
        cluster: ProvisionedCluster,
        folders: Folders,
        some: Sequence[ClusterInstance],
    ) -> None:
        """Log in to instances, again and again if need be.

        An attempt that fails is told; the next one that succeeds heals it.
        """
        options = self.conf.recovery_ha_folders
        left = list(some)
        for attempt in range(1, options.attempts + 1):
            done, failed = [], []
            for one in left:
                try:
                    folders.log_in(one.instance_name)
                    done.append(one)
                except NoLogin as exc:
                    provisioning.add_fail_event(one, exc)
                    failed.append(one)
                    if attempt == options.attempts:
                        raise
            provisioning.add_successful_events(done)
            left = failed
            if not left:
                return
            cluster.wait(options.retry_seconds)

    def _remove(
        self,
        cluster: ProvisionedCluster,
        instances: Sequence[ClusterInstance],
    ) -> None:
        folders = self._folders(cluster)

        def remove(some: Sequence[ClusterInstance]) -> None:
            for one in some:
                folders.remove(one.instance_name)

        self._step(cluster, REMOVE, instances, remove)
        for group in cluster.node_groups():
            gone = {one.instance_id for one in instances}
            mine = {one.instance_id for one in group.instances}
            cluster.remove_instances(group.uuid, gone & mine)


def _wanted(cluster: ProvisionedCluster) -> Iterator[ClusterInstance]:
    """Give the instances that there should be."""
    for group in cluster.node_groups():
        for number in range(1, group.count + 1):
            name = f"{cluster.name}-{group.name}-{number:03}"
            yield ClusterInstance(
                instance_id=str(uuid.uuid5(uuid.UUID(cluster.id), name)),
                instance_name=name,
                node_group_id=group.uuid,
            )


def _known(cluster: ProvisionedCluster) -> list[ClusterInstance]:
    """Return the instances that were written down."""
    return [one for group in cluster.node_groups() for one in group.instances]


def _batches(
    cluster: ProvisionedCluster, instances: Sequence[ClusterInstance]
) -> Iterator[Sequence[ClusterInstance]]:
    """Give instances in portions, as long as the cluster is ours."""
    for first in range(0, len(instances), _AT_ONCE):
        cluster.wait(0)
        yield instances[first : first + _AT_ONCE]
