"""Working on a cluster: what the engine that owns it reads and writes.

Each change is one transaction that is the owner's, or it changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from recovery_ha.context import RequestContext
from recovery_ha.db import models, work
from recovery_ha.db.cluster_runs import abort
from recovery_ha.db.ledger import clusters, runs, steps
from recovery_ha.db.ledger.book import clock
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain.history import Cluster, ClusterInstance, Transaction
from recovery_ha.domain.lease import Claim
from recovery_ha.domain.ledger import TransactionStatus
from recovery_ha.domain.provisioning import ClusterStatus, StepType

_C = models.Cluster


@dataclass(frozen=True, slots=True)
class ClusterWork:
    """A cluster that is worked on.

    :ivar run: what is to be done; None: nothing.
    :ivar requested_action: what is wanted instead.
    :ivar attempts: how often it was begun or gone on with.
    """

    cluster: Cluster
    run: Transaction | None
    requested_action: str | None
    attempts: int


@reader
def get(ctx: RequestContext, uuid: str) -> ClusterWork:
    """Return what there is to do for a cluster.

    :raises errors.ClusterNotFound: there is no such cluster.
    """
    cluster = clusters.get(ctx, uuid)
    row = (
        connection(ctx)
        .execute(
            sa.select(_C.requested_action, _C.attempts).where(_C.uuid == uuid)
        )
        .one()
    )
    run = clusters.find_run(ctx, uuid, unfinished=True)
    return ClusterWork(cluster, run, row[0], row[1])


@writer
def begin(
    ctx: RequestContext,
    claim: Claim,
    run: Transaction,
    plan: Mapping[str, Sequence[str]],
    status: ClusterStatus,
) -> None:
    """Have a run begin or go on, with the names of its steps.

    :param plan: names by step type.
    :raises errors.LeaseLost: and nothing was changed.
    """
    work.update_owned(
        ctx,
        claim,
        attempts=_C.attempts + 1,
        status=str(status),
        updated_at=clock(),
    )
    runs.start(ctx, run.id)
    if plan:
        steps.declare(ctx, run.id, plan)


@writer
def set_status(
    ctx: RequestContext, claim: Claim, status: str, description: str | None
) -> None:
    """Say how the cluster is.

    :param description: why; None leaves what is said.
    :raises errors.LeaseLost: and nothing was changed.
    """
    values = {"status": status, "updated_at": clock()}
    if description is not None:
        values["status_description"] = description
    work.update_owned(ctx, claim, **values)


@writer
def add_instances(
    ctx: RequestContext, claim: Claim, instances: Sequence[ClusterInstance]
) -> None:
    """Have instances; those that are known already stay as they are.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    known = {
        (group.uuid, one.instance_id)
        for group in clusters.get(ctx, claim.uuid).node_groups
        for one in group.instances
    }
    clusters.add_instances(
        ctx,
        [
            one
            for one in instances
            if (one.node_group_id, one.instance_id) not in known
        ],
    )


@writer
def remove_instances(
    ctx: RequestContext,
    claim: Claim,
    group_uuid: str,
    instance_ids: Collection[str],
) -> None:
    """Have instances no more.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    clusters.remove_instances(ctx, group_uuid, instance_ids)


@writer
def finish(ctx: RequestContext, claim: Claim, run: Transaction) -> None:
    """End a run well; a cluster that was deleted is gone.

    :raises errors.LeaseLost: and nothing was changed.
    """
    if run.name == StepType.DELETING:
        work.release(ctx, claim, wake_in=None, requested_action=None)
        runs.end(ctx, run.id, TransactionStatus.READY)
        clusters.delete(ctx, claim.uuid)
        return
    _give_back(ctx, claim, ClusterStatus.ACTIVE, None)
    runs.end(ctx, run.id, TransactionStatus.READY)
    _heed(ctx, claim, run)


@writer
def fail(
    ctx: RequestContext, claim: Claim, run: Transaction, reason: str
) -> None:
    """End a run that has failed.

    :raises errors.LeaseLost: and nothing was changed.
    """
    _give_back(ctx, claim, ClusterStatus.ERROR, reason)
    runs.end(ctx, run.id, TransactionStatus.ERROR, message=reason)
    _heed(ctx, claim, run)


def _give_back(
    ctx: RequestContext,
    claim: Claim,
    status: ClusterStatus,
    description: str | None,
) -> None:
    work.release(
        ctx,
        claim,
        wake_in=None,
        status=str(status),
        status_description=description,
        updated_at=clock(),
    )


def _heed(ctx: RequestContext, claim: Claim, run: Transaction) -> None:
    """Begin a deletion that was asked for too late for the owner to see.

    The row is locked since it was given back: nobody asks any more.
    """
    wanted = connection(ctx).scalar(
        sa.select(_C.requested_action).where(_C.uuid == claim.uuid)
    )
    if wanted is None:
        return
    work.change_unowned(
        ctx,
        claim.kind,
        claim.uuid,
        claim.epoch,
        wake=True,
        requested_action=None,
        attempts=0,
        status=str(ClusterStatus.DELETING),
    )
    _begin_deletion(ctx, claim, run)


def _begin_deletion(
    ctx: RequestContext, claim: Claim, run: Transaction
) -> None:
    clusters.begin_run(
        ctx,
        claim.uuid,
        str(StepType.DELETING),
        status=TransactionStatus.PENDING,
        request_id=run.request_id,
    )


@writer
def turn_to_deletion(
    ctx: RequestContext, claim: Claim, run: Transaction
) -> None:
    """End a run, and have one that deletes the cluster.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.release(
        ctx,
        claim,
        wake_in=0,
        status=str(ClusterStatus.DELETING),
        requested_action=None,
        attempts=0,
        updated_at=clock(),
    )
    abort(ctx, run)
    _begin_deletion(ctx, claim, run)


@writer
def put_back(
    ctx: RequestContext, claim: Claim, *, wake_in: float, counted: bool
) -> None:
    """Give the work back, for this or another engine to go on with.

    :param wake_in: seconds until then.
    :param counted: that it was begun counts as an attempt.
    :raises errors.LeaseLost: and nothing was changed.
    """
    work.release(
        ctx,
        claim,
        wake_in=wake_in,
        attempts=_C.attempts if counted else _C.attempts - 1,
    )


@writer
def let_go(ctx: RequestContext, claim: Claim) -> None:
    """Give work back for which there is nothing to do.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.release(ctx, claim, wake_in=None, requested_action=None)
