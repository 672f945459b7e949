"""From a claimed cluster to the end of its run."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg

from recovery_ha import provisioning
from recovery_ha.context import RequestContext
from recovery_ha.db import cluster_work
from recovery_ha.db.cluster_work import ClusterWork
from recovery_ha.db.ledger import clusters
from recovery_ha.domain import errors
from recovery_ha.domain.history import (
    Cluster,
    ClusterInstance,
    NodeGroup,
    Transaction,
)
from recovery_ha.domain.provisioning import STATUS_OF_TYPE, StepType
from recovery_ha.engine.lease import Lease
from recovery_ha.plugin import ProvisioningPlugin

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OwnedCluster:
    """A :class:`plugin.ProvisionedCluster`: one that this engine owns."""

    ctx: RequestContext
    lease: Lease
    found: Cluster

    @property
    def id(self) -> str:
        """See :class:`plugin.ProvisionedCluster`, as for all others."""
        return self.found.uuid

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.found.name

    @property
    def project_id(self) -> str | None:
        """Whose it is."""
        return self.found.project_id

    @property
    def plugin_version(self) -> str | None:
        """Which version of the software is wanted."""
        return self.found.plugin_version

    @property
    def extra(self) -> Mapping[str, Any]:
        """Further keys that it was created with."""
        return self.found.extra

    def node_groups(self) -> Sequence[NodeGroup]:
        """Return the groups as they are now, with their instances."""
        return clusters.get(self.ctx, self.id).node_groups

    def add_instances(self, instances: Sequence[ClusterInstance]) -> None:
        """Write down instances that there are now."""
        self.lease.check()
        cluster_work.add_instances(self.ctx, self.lease.claim, instances)

    def remove_instances(
        self, node_group_id: str, instance_ids: Collection[str]
    ) -> None:
        """Write down that instances are gone."""
        self.lease.check()
        cluster_work.remove_instances(
            self.ctx, self.lease.claim, node_group_id, instance_ids
        )

    def set_status(self, status: str, description: str | None = None) -> None:
        """Show how far the cluster is."""
        self.lease.check()
        cluster_work.set_status(
            self.ctx, self.lease.claim, status, description
        )

    def still_mine(self) -> bool:
        """Tell whether this engine may still act."""
        return self.lease.still_mine()

    def wait(self, seconds: float) -> None:
        """Sleep, or raise when the work is to stop."""
        self.lease.wait(seconds)


class ClusterHandler:
    """Works on one claimed cluster at a time, in any thread."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        ctx: RequestContext,
        plugins: Mapping[str, ProvisioningPlugin],
    ) -> None:
        """Prepare to work.

        :param plugins: by name; other clusters must not be given to it.
        """
        self._ctx = ctx
        self._plugins = plugins
        self._options = conf.provisioning
        self._events = not conf.disable_event_log

    def handle(self, lease: Lease) -> None:
        """Bring the run of a cluster to its end.

        :raises errors.LeaseLost: (or EngineStopping) it goes on elsewhere.
        """
        claim = lease.claim
        try:
            found = cluster_work.get(self._ctx, claim.uuid)
        except errors.ClusterNotFound:
            cluster_work.let_go(self._ctx, claim)
            return
        if found.run is None:
            cluster_work.let_go(self._ctx, claim)
        elif found.requested_action is not None:
            cluster_work.turn_to_deletion(self._ctx, claim, found.run)
        elif found.attempts >= self._options.max_attempts:
            self._fail(
                lease,
                found.run,
                f"Given up: it broke off {found.attempts} times.",
            )
        else:
            self._provision(lease, found, found.run)

    def _provision(
        self, lease: Lease, found: ClusterWork, run: Transaction
    ) -> None:
        ctx = RequestContext(
            self._ctx.database,
            is_admin=True,
            roles=["admin"],
            overwrite=False,
            request_id=run.request_id,
        )
        work = OwnedCluster(ctx, lease, found.cluster)
        with provisioning.run(
            ctx, run.uuid, events=self._events, claim=lease.claim
        ):
            try:
                self._run_plugin(work, run)
            except errors.RecoveryInterrupted:
                LOG.info("Cluster %s is to be deleted instead.", work.id)
                cluster_work.turn_to_deletion(ctx, lease.claim, run)
            except errors.TransactionEnded as exc:
                LOG.warning("Cluster %s: %s", work.id, exc)
                cluster_work.let_go(ctx, lease.claim)
            except provisioning.INTERRUPTIONS:
                raise
            except Exception as exc:  # noqa: BLE001 - whatever plug-ins raise
                error_id = provisioning.tell_failure(exc)
                reason = str(exc) or type(exc).__name__
                self._fail(lease, run, f"{reason}\nError ID: {error_id}")
            else:
                cluster_work.finish(ctx, lease.claim, run)
                LOG.info("Cluster %s: %s is done.", work.id, run.name)

    def _run_plugin(self, cluster: OwnedCluster, run: Transaction) -> None:
        plugin = self._plugins[str(cluster.found.plugin_name)]
        step_type = StepType(run.name)
        plan = plugin.get_provisioning_steps()
        names = plan.get(str(step_type), ())
        cluster_work.begin(
            cluster.ctx,
            cluster.lease.claim,
            run,
            {str(step_type): names} if names else {},
            STATUS_OF_TYPE[step_type],
        )
        methods: dict[StepType, Callable[[OwnedCluster], None]] = {
            StepType.CREATING: plugin.create,
            StepType.SCALING: plugin.scale,
            StepType.DELETING: plugin.delete,
        }
        methods[step_type](cluster)

    def _fail(self, lease: Lease, run: Transaction, reason: str) -> None:
        LOG.warning("Cluster %s: %s", lease.claim.uuid, reason)
        cluster_work.fail(self._ctx, lease.claim, run, reason)

    def hand_over(self, lease: Lease) -> None:
        """Give a cluster back because this engine stops."""
        cluster_work.put_back(self._ctx, lease.claim, wake_in=0, counted=False)

    def set_aside(
        self,
        lease: Lease,
        reason: str,
        *,
        counted: bool,  # noqa: ARG002 - each is: nothing else bounds them
    ) -> None:
        """Give a cluster back for another attempt.

        :param reason: for the log.
        """
        LOG.warning("Cluster %s is set aside: %s", lease.claim.uuid, reason)
        cluster_work.put_back(
            self._ctx,
            lease.claim,
            wake_in=self._options.retry_delay,
            counted=True,
        )
