"""What is asked of clusters: their runs, and who is to work on them.

A cluster is *managed* if an engine's plug-in provisions it; its row is then
work that engines claim (:mod:`recovery_ha.db.cluster_work`). Whoever asks says
whether it is. The runs of the others are told step by step, by somebody
outside.

Each function locks the cluster's row before anything else of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from oslo_db import exception as db_exc

from recovery_ha.context import RequestContext
from recovery_ha.db import work
from recovery_ha.db.ledger import clusters, runs, steps, units
from recovery_ha.db.session import writer
from recovery_ha.domain import errors
from recovery_ha.domain.history import Cluster, NodeGroup, Step, Transaction
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.ledger import Outcome, TransactionStatus
from recovery_ha.domain.provisioning import (
    ENDS,
    PLAN_KEY,
    STATUS_OF_TYPE,
    ClusterStatus,
    StepType,
)

#: What an owner finds in its row when it is to delete the cluster instead.
DELETE = "delete"
_KIND = WorkKind.CLUSTER


def create(
    ctx: RequestContext,
    *,
    managed: bool,
    request_id: str | None = None,
    **values: Any,
) -> Cluster:
    """Have a cluster; of a managed one the first run begins.

    :param values: see :func:`clusters.create`.
    :raises errors.NameExists: see there.
    """

    def begin(ctx: RequestContext, uuid: str) -> None:
        _begin_managed(ctx, uuid, StepType.CREATING, request_id)

    return clusters.create(
        ctx,
        status=str(ClusterStatus.VALIDATING),
        then=begin if managed else None,
        **values,
    )


def _lock(ctx: RequestContext, uuid: str) -> tuple[int, bool]:
    """Lock a cluster; return the epoch of its work and whether it is owned."""
    return work.look(ctx, _KIND, uuid)


def _begin_managed(
    ctx: RequestContext, uuid: str, step_type: StepType, request_id: str | None
) -> Transaction:
    """Have a run that engines are going to work on."""
    epoch, _owned = _lock(ctx, uuid)
    run = clusters.begin_run(
        ctx,
        uuid,
        str(step_type),
        request_id=request_id,
        status=TransactionStatus.PENDING,
    )
    work.change_unowned(
        ctx,
        _KIND,
        uuid,
        epoch,
        wake=True,
        attempts=0,
        requested_action=None,
    )
    return run


def scale(
    ctx: RequestContext,
    cluster: Cluster,
    *,
    managed: bool,
    resize: Mapping[str, int],
    add: Sequence[NodeGroup],
    request_id: str | None = None,
) -> Cluster:
    """Have node groups of other sizes, and a run that makes them so.

    :param resize: how many instances, by the group's name or uuid.
    :param add: further groups.
    :raises errors.BadRequest: there is no such group.
    :raises errors.NameExists: there is a group of that name.
    :raises errors.ClusterBusy: another run has not ended.
    """
    try:
        return _scale(ctx, cluster, managed, resize, add, request_id)
    except db_exc.DBDuplicateEntry as exc:
        raise errors.NameExists(
            f"Cluster {cluster.uuid} has a node group of that name."
        ) from exc


@writer
def _scale(
    ctx: RequestContext,
    cluster: Cluster,
    managed: bool,
    resize: Mapping[str, int],
    add: Sequence[NodeGroup],
    request_id: str | None,
) -> Cluster:
    _lock(ctx, cluster.uuid)
    known = {
        key: group.uuid
        for group in cluster.node_groups
        for key in (group.name, group.uuid)
    }
    for name, count in resize.items():
        if name not in known:
            raise errors.BadRequest(
                f"Cluster {cluster.uuid} has no node group {name!r}."
            )
        clusters.set_group_count(ctx, known[name], count)
    clusters.add_groups(ctx, cluster.uuid, add)
    if managed:
        _begin_managed(ctx, cluster.uuid, StepType.SCALING, request_id)
    else:
        _begin_told(ctx, cluster, StepType.SCALING, request_id)
    return clusters.set_status(
        ctx, cluster.uuid, str(ClusterStatus.SCALING), description=""
    )


def _begin_told(
    ctx: RequestContext,
    cluster: Cluster,
    step_type: StepType,
    request_id: str | None,
) -> Transaction:
    """Have a run that somebody outside is going to tell of."""
    return clusters.begin_run(
        ctx,
        cluster.uuid,
        str(step_type),
        steps=cluster.extra.get(PLAN_KEY),
        request_id=request_id,
    )


@writer
def delete(
    ctx: RequestContext,
    uuid: str,
    *,
    managed: bool,
    request_id: str | None = None,
) -> None:
    """Have a managed cluster deleted by its plug-in; hide any other one.

    What a plug-in does for it is broken off; asked once more, nothing
    changes. The run of any other cluster ends: well, if it is a deletion.

    :raises errors.ClusterNotFound: there is no such cluster.
    """
    epoch, owned = _lock(ctx, uuid)
    run = clusters.find_run(ctx, uuid, unfinished=True)
    if not managed:
        if run is not None:
            _end_with_cluster(ctx, run)
        clusters.delete(ctx, uuid)
        return
    if run is not None and run.name == StepType.DELETING:
        return
    clusters.set_status(ctx, uuid, str(ClusterStatus.DELETING), description="")
    if run is not None and owned:
        work.ask_owner(ctx, _KIND, uuid, epoch, requested_action=DELETE)
        return
    if run is not None:
        abort(ctx, run)
    _begin_managed(ctx, uuid, StepType.DELETING, request_id)


def _end_with_cluster(ctx: RequestContext, run: Transaction) -> None:
    if run.name == StepType.DELETING:
        runs.end(ctx, run.id, TransactionStatus.READY)
    else:
        abort(ctx, run)


@writer
def abort(ctx: RequestContext, run: Transaction) -> None:
    """End a run because its cluster is to be deleted."""
    runs.end(
        ctx,
        run.id,
        TransactionStatus.ERROR,
        outcome=Outcome.ABORTED,
        message="The cluster is deleted.",
    )


# Told from outside


@writer
def set_status(
    ctx: RequestContext,
    uuid: str,
    status: str,
    *,
    managed: bool,
    description: str | None = None,
) -> Cluster:
    """Say how a cluster is; ``Active`` and ``Error`` end its run.

    :raises errors.ClusterNotFound: there is no such cluster.
    :raises errors.ClusterBusy: its plug-in works on it and says that itself.
    """
    _lock(ctx, uuid)
    run = clusters.find_run(ctx, uuid, unfinished=True)
    if managed and run is not None:
        raise errors.ClusterBusy(
            f"Cluster {uuid} is worked on by its plug-in, which sets its"
            " status."
        )
    found = clusters.set_status(ctx, uuid, status, description=description)
    if run is not None and status in ENDS:
        runs.end(ctx, run.id, ENDS[status], message=description)
    return found


@writer
def begin_step(
    ctx: RequestContext,
    cluster: Cluster,
    *,
    managed: bool,
    step_name: str,
    step_type: StepType | None = None,
    total: int | None = None,
    request_id: str | None = None,
) -> Step:
    """Begin a step of a cluster's run, and the run if there is none.

    :param step_type: of the run; None: of the one that has not ended.
    :param total: how many units it is going to have; None: not known.
    :raises errors.BadRequest: there is no run, and no type for one.
    :raises errors.ClusterBusy: a run of another type has not ended, or none
        has and the plug-in alone begins runs.
    """
    _lock(ctx, cluster.uuid)
    run = clusters.find_run(ctx, cluster.uuid, unfinished=True)
    if run is None and managed:
        raise errors.ClusterBusy(
            f"Cluster {cluster.uuid} is provisioned by a plug-in, which"
            " begins its runs."
        )
    if run is None and step_type is None:
        raise errors.BadRequest(
            "Invalid input for field/attribute step.step_type. Value: missing."
            f" Allowed: {', '.join(StepType)}: no run of the cluster has not"
            " ended."
        )
    if run is None:
        assert step_type is not None  # noqa: S101 - for mypy, see above
        run = _begin_told(ctx, cluster, step_type, request_id)
        clusters.set_status(
            ctx, cluster.uuid, str(STATUS_OF_TYPE[step_type]), description=""
        )
    elif step_type not in {None, run.name}:
        raise errors.ClusterBusy(
            f"Cluster {cluster.uuid} is being worked on by transaction"
            f" {run.id} ({run.name})."
        )
    return steps.begin(ctx, run.id, step_name, total=total)


@writer
def tell_step(
    ctx: RequestContext,
    step: Step,
    said: Sequence[units.Said],
    *,
    events: bool,
    request_id: str | None = None,
) -> Step:
    """Say how a step went with several units.

    :param events: write events, not only the history.
    :returns: the step as it is then.
    :raises errors.TransactionEnded: its run has ended.
    """
    units.tell_units(
        ctx,
        step.transaction_id,
        said,
        step_id=step.id,
        events=events,
        request_id=request_id,
    )
    return steps.get(ctx, step.id)
