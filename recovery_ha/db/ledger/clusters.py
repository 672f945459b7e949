"""Clusters, what they consist of, and the runs that provision them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc
from oslo_utils import uuidutils

from recovery_ha.context import RequestContext
from recovery_ha.db import models
from recovery_ha.db.ledger import transactions
from recovery_ha.db.ledger.book import COLUMNS as RUN_COLUMNS
from recovery_ha.db.ledger.book import clock, to_transaction
from recovery_ha.db.paging import Page, by_reference, page_rows
from recovery_ha.db.session import connection, reader, writer
from recovery_ha.domain import errors
from recovery_ha.domain.history import (
    Cluster,
    ClusterInstance,
    NewTransaction,
    NodeGroup,
    Transaction,
)
from recovery_ha.domain.ledger import TRANSACTION, Kind, TransactionStatus

_C = models.Cluster
_CLUSTERS = _C.metadata.tables[_C.__tablename__]
_GROUPS = _C.metadata.tables[models.ClusterNodeGroup.__tablename__]
_INSTANCES = _C.metadata.tables[models.ClusterInstance.__tablename__]
_RUNS = _C.metadata.tables[models.Transaction.__tablename__]

SORT_KEYS = ("id", "uuid", "name", "status", "created_at", "updated_at")
_COLUMNS = [
    _CLUSTERS.c[field.name]
    for field in fields(Cluster)
    if field.name in _CLUSTERS.c
]


def _cluster(row: sa.Row[Any], groups: Sequence[NodeGroup] = ()) -> Cluster:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    project_id = values.pop("project_id") or None
    return Cluster(**values, project_id=project_id, node_groups=tuple(groups))


def _not_found(reference: str) -> errors.ClusterNotFound:
    return errors.ClusterNotFound(f"No cluster with id {reference}.")


def create(
    ctx: RequestContext,
    *,
    name: str,
    project_id: str | None,
    status: str,
    plugin_name: str | None = None,
    plugin_version: str | None = None,
    description: str | None = None,
    extra: Mapping[str, Any] | None = None,
    node_groups: Sequence[NodeGroup] = (),
    uuid: str | None = None,
    then: Callable[[RequestContext, str], None] | None = None,
) -> Cluster:
    """Have a cluster with its node groups and their instances.

    :param then: called with its uuid before the commit.
    :param extra: JSON, further keys to be kept.
    :param node_groups: with uuids; :func:`new_group_uuid` gives them.
    :raises errors.NameExists: the project has a cluster of that name, or
        there are two groups of one name.
    """
    values: dict[str, Any] = {
        "uuid": uuid or uuidutils.generate_uuid(),
        "name": name,
        "project_id": project_id or "",
        "plugin_name": plugin_name,
        "plugin_version": plugin_version,
        "description": description,
        "status": status,
        "extra": dict(extra or {}),
        "deleted": 0,
        "lease_epoch": 0,
        "attempts": 0,
        "created_at": clock(),
    }
    try:
        return _create(ctx, values, node_groups, then)
    except db_exc.DBDuplicateEntry as exc:
        own = _find(ctx, values["uuid"])
        if own is not None:  # the insert was repeated after a lost connection
            return own
        raise errors.NameExists(
            f"Cluster with name {name!r}, or one of its node groups, exists"
            " already."
        ) from exc


@writer
def _create(
    ctx: RequestContext,
    values: Mapping[str, Any],
    groups: Sequence[NodeGroup],
    then: Callable[[RequestContext, str], None] | None,
) -> Cluster:
    connection(ctx).execute(sa.insert(_CLUSTERS).values(values))
    add_groups(ctx, values["uuid"], groups)
    if then is not None:
        then(ctx, values["uuid"])
    return get(ctx, values["uuid"])


@writer
def add_groups(
    ctx: RequestContext, cluster_uuid: str, groups: Sequence[NodeGroup]
) -> None:
    """Have node groups with their instances; two statements at most.

    :raises db_exc.DBDuplicateEntry: there is one of that name.
    """
    if not groups:
        return
    time = clock()
    connection(ctx).execute(
        sa.insert(_GROUPS),
        [
            {
                "uuid": group.uuid,
                "cluster_id": cluster_uuid,
                "name": group.name,
                "count": group.count,
                "flavor_id": group.flavor_id,
                "node_processes": list(group.node_processes),
                "created_at": time,
            }
            for group in groups
        ],
    )
    add_instances(ctx, [one for group in groups for one in group.instances])


def new_group_uuid() -> str:
    """Return a uuid for a node group that is to be."""
    return str(uuidutils.generate_uuid())


def get(
    ctx: RequestContext, reference: str, *, project_id: str | None = None
) -> Cluster:
    """Return a cluster by its uuid or integer id, with what it consists of.

    Three statements.

    :param project_id: whose it has to be; None: anybody's.
    :raises errors.ClusterNotFound: there is none, or it was deleted.
    """
    found = _find(ctx, reference, project_id)
    if found is None:
        raise _not_found(reference)
    return found


@reader
def _find(
    ctx: RequestContext, reference: str, project_id: str | None = None
) -> Cluster | None:
    query = sa.select(*_COLUMNS).where(
        by_reference(_C, "uuid", reference), _CLUSTERS.c.deleted == 0
    )
    if project_id is not None:
        query = query.where(_CLUSTERS.c.project_id == project_id)
    row = connection(ctx).execute(query).first()
    if row is None:
        return None
    return _cluster(row, _groups(ctx, [row.uuid]).get(row.uuid, ()))


@reader
def list_page(
    ctx: RequestContext,
    page: Page,
    *,
    project_id: str | None = None,
    name: str | None = None,
    status: str | None = None,
    plugin_name: str | None = None,
) -> list[Cluster]:
    """Return a page of clusters with what they consist of, newest first.

    Three statements, one more for a marker.

    :param page: sort keys are :data:`SORT_KEYS`.
    :raises errors.BadRequest: see :func:`page_rows`.
    """
    if not page.sort:
        page = replace(page, sort=(("id", "desc"),))
    query = sa.select(*_COLUMNS).where(_CLUSTERS.c.deleted == 0)
    for column, value in {
        "project_id": project_id,
        "name": name,
        "status": status,
        "plugin_name": plugin_name,
    }.items():
        if value is not None:
            query = query.where(_CLUSTERS.c[column] == value)
    rows = page_rows(connection(ctx), query, _C, page, sortable=SORT_KEYS)
    groups = _groups(ctx, [row.uuid for row in rows])
    return [_cluster(row, groups.get(row.uuid, ())) for row in rows]


def _groups(
    ctx: RequestContext, cluster_uuids: Sequence[str]
) -> dict[str, list[NodeGroup]]:
    """Return the node groups of clusters; two statements."""
    conn = connection(ctx)
    instances: dict[str, list[ClusterInstance]] = {}
    for row in conn.execute(
        sa.select(
            _INSTANCES.c.instance_id,
            _INSTANCES.c.instance_name,
            _INSTANCES.c.node_group_id,
            _INSTANCES.c.internal_ip,
            _INSTANCES.c.management_ip,
        )
        .join(_GROUPS, _GROUPS.c.uuid == _INSTANCES.c.node_group_id)
        .where(_GROUPS.c.cluster_id.in_(cluster_uuids))
        .order_by(_INSTANCES.c.id)
    ):
        one = ClusterInstance(**row._mapping)  # noqa: SLF001 - as above
        instances.setdefault(one.node_group_id, []).append(one)
    found: dict[str, list[NodeGroup]] = {}
    for group in conn.execute(
        sa.select(
            _GROUPS.c.cluster_id,
            _GROUPS.c.uuid,
            _GROUPS.c.name,
            _GROUPS.c["count"],
            _GROUPS.c.flavor_id,
            _GROUPS.c.node_processes,
        )
        .where(_GROUPS.c.cluster_id.in_(cluster_uuids))
        .order_by(_GROUPS.c.id)
    ):
        cluster_uuid, uuid, name, count, flavor_id, processes = group
        found.setdefault(cluster_uuid, []).append(
            NodeGroup(
                uuid=uuid,
                name=name,
                count=count,
                flavor_id=flavor_id,
                node_processes=tuple(processes),
                instances=tuple(instances.get(uuid, ())),
            )
        )
    return found


@writer
def set_status(
    ctx: RequestContext,
    reference: str,
    status: str,
    *,
    description: str | None = None,
    expected: Collection[str] = (),
) -> Cluster:
    """Give a cluster another status.

    :param description: why; None leaves what is said.
    :param expected: the statuses in which this is right; empty: any.
    :raises errors.ClusterNotFound: there is none.
    :raises errors.ClusterBusy: it has another status than those expected.
    """
    values: dict[str, Any] = {"status": status, "updated_at": clock()}
    if description is not None:
        values["status_description"] = description
    conditions = [
        by_reference(_C, "uuid", reference),
        _CLUSTERS.c.deleted == 0,
    ]
    if expected:
        conditions.append(_CLUSTERS.c.status.in_(sorted(expected)))
    changed = connection(ctx).execute(
        sa.update(_CLUSTERS).where(*conditions).values(values)
    )
    found = get(ctx, reference)
    if changed.rowcount != 1:
        raise errors.ClusterBusy(
            f"Cluster {found.uuid} is {found.status}, not"
            f" {' or '.join(sorted(expected))}."
        )
    return found


@writer
def set_group_count(ctx: RequestContext, group_uuid: str, count: int) -> None:
    """Say how many instances a node group is to have."""
    connection(ctx).execute(
        sa.update(_GROUPS)
        .where(_GROUPS.c.uuid == group_uuid)
        .values(count=count, updated_at=clock())
    )


@writer
def add_instances(
    ctx: RequestContext, instances: Sequence[ClusterInstance]
) -> None:
    """Have instances in their node groups; one statement, or none.

    :raises db_exc.DBDuplicateEntry: one of them is there.
    """
    if not instances:
        return
    time = clock()
    connection(ctx).execute(
        sa.insert(_INSTANCES),
        [
            {
                "node_group_id": one.node_group_id,
                "instance_id": one.instance_id,
                "instance_name": one.instance_name,
                "internal_ip": one.internal_ip,
                "management_ip": one.management_ip,
                "created_at": time,
            }
            for one in instances
        ],
    )


@writer
def remove_instances(
    ctx: RequestContext, group_uuid: str, instance_ids: Collection[str]
) -> None:
    """Have instances no more in a node group."""
    connection(ctx).execute(
        sa.delete(_INSTANCES).where(
            _INSTANCES.c.node_group_id == group_uuid,
            _INSTANCES.c.instance_id.in_(sorted(instance_ids)),
        )
    )


@writer
def delete(ctx: RequestContext, reference: str) -> None:
    """Hide a cluster; its name may be used again, its runs stay.

    :raises errors.ClusterNotFound: there is none.
    """
    time = clock()
    changed = connection(ctx).execute(
        sa.update(_CLUSTERS)
        .where(by_reference(_C, "uuid", reference), _CLUSTERS.c.deleted == 0)
        .values(deleted=_CLUSTERS.c.id, deleted_at=time, updated_at=time)
    )
    if changed.rowcount != 1:
        raise _not_found(reference)


# Runs


@writer
def begin_run(
    ctx: RequestContext,
    cluster_uuid: str,
    step_type: str,
    *,
    steps: Mapping[str, Sequence[str]] | None = None,
    request_id: str | None = None,
    lease_seconds: float | None = None,
    status: TransactionStatus = TransactionStatus.RUNNING,
) -> Transaction:
    """Have a run that works on a cluster; there is one at a time.

    :param status: ``pending`` if nobody works on it yet.
    :param step_type: ``creating``, ``scaling``, ``deleting``; the run's name.
    :param steps: names by step type, known in advance; those of this type
        are the run's.
    :param lease_seconds: see :class:`NewTransaction`.
    :raises errors.ClusterNotFound: there is no such cluster.
    :raises errors.ClusterBusy: another run has not ended.
    """
    conn = connection(ctx)
    row = conn.execute(
        sa.select(_CLUSTERS.c.uuid, _CLUSTERS.c.project_id)
        .where(_CLUSTERS.c.uuid == cluster_uuid, _CLUSTERS.c.deleted == 0)
        .with_for_update()
    ).first()
    if row is None:
        raise _not_found(cluster_uuid)
    running = find_run(ctx, cluster_uuid, unfinished=True)
    if running is not None:
        raise errors.ClusterBusy(
            f"Cluster {cluster_uuid} is being worked on by transaction"
            f" {running.id} ({running.name})."
        )
    run, _is_new = transactions.create(
        ctx,
        NewTransaction(
            kind=Kind.CLUSTER,
            name=step_type,
            status=status,
            project_id=row.project_id or None,
            cluster_id=row.uuid,
            origin_type="cluster",
            origin_id=row.uuid,
            lease_seconds=lease_seconds,
            request_id=request_id,
            steps={step_type: (steps or {}).get(step_type, ())},
        ),
    )
    return run


_OF_CLUSTER = sa.select(*RUN_COLUMNS).where(
    _RUNS.c.kind == str(Kind.CLUSTER), _RUNS.c.deleted_at.is_(None)
)


@reader
def find_run(
    ctx: RequestContext, cluster_uuid: str, *, unfinished: bool = False
) -> Transaction | None:
    """Return the newest run of a cluster, or None.

    :param unfinished: of those only that have not ended.
    """
    query = _OF_CLUSTER.where(_RUNS.c.cluster_id == cluster_uuid)
    if unfinished:
        query = query.where(
            _RUNS.c.status.in_(
                [str(s) for s in sorted(TRANSACTION.unfinished)]
            )
        )
    row = (
        connection(ctx)
        .execute(query.order_by(_RUNS.c.id.desc()).limit(1))
        .first()
    )
    return None if row is None else to_transaction(row)


@reader
def list_runs(
    ctx: RequestContext, cluster_uuids: Sequence[str]
) -> dict[str, list[Transaction]]:
    """Return the runs of clusters by cluster, oldest first; one statement."""
    found: dict[str, list[Transaction]] = {uuid: [] for uuid in cluster_uuids}
    rows = connection(ctx).execute(
        _OF_CLUSTER.where(_RUNS.c.cluster_id.in_(cluster_uuids)).order_by(
            _RUNS.c.id
        )
    )
    for row in rows:
        found[row.cluster_id].append(to_transaction(row))
    return found
