"""What the ledger keeps, as it is given to it and read from it.

All times are naive UTC. Who may see what is decided by those who show it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from recovery_ha.domain.ledger import (
    Counts,
    Kind,
    Outcome,
    ReportVerdict,
    TaskStatus,
    TransactionStatus,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTransaction:
    """A run that begins, or is going to.

    :ivar name: what is done, one of Fuel's names or any other: ``deploy``.
    :ivar cluster_id: any id; a cluster of the ledger has its uuid here.
    :ivar parent_id: the transaction that this one is a part of.
    :ivar origin_type: (with ``origin_id``) what caused it: ``notification``.
    :ivar reporter: (with ``external_id``) who reports it, and its name there;
        creating it once more with the same two returns the first.
    :ivar lossy: the reporter's word that a task began may get lost.
    :ivar lease_seconds: the reporter is lost when it is silent for so long;
        None: it may be silent for ever.
    :ivar graph: the names of the tasks by node, if all are known beforehand;
        None: units are added as they are reported.
    :ivar tasks_snapshot: definitions by task name; names that the graph has
        on no node get a skipped row of node ``-``.
    :ivar steps: names of the steps by step type, in order.
    """

    kind: Kind
    name: str
    uuid: str | None = None
    status: TransactionStatus = TransactionStatus.PENDING
    graph_type: str | None = None
    project_id: str | None = None
    cluster_id: str | None = None
    parent_id: int | None = None
    origin_type: str | None = None
    origin_id: str | None = None
    reporter: str | None = None
    external_id: str | None = None
    message: str | None = None
    dry_run: bool = False
    lossy: bool = False
    lease_seconds: float | None = None
    request_id: str | None = None
    time_start: datetime | None = None
    graph: Mapping[str, Sequence[str]] | None = None
    tasks_snapshot: Mapping[str, Mapping[str, Any]] | None = None
    steps: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A run of something.

    :ivar uuid: a recovery's is that of its notification.
    :ivar progress: per cent.
    :ivar declared: its graph was given; no other units are accepted.
    :ivar counts: units by the status of their latest attempt.
    """

    id: int
    uuid: str
    kind: Kind
    name: str
    graph_type: str | None
    project_id: str | None
    cluster_id: str | None
    parent_id: int | None
    origin_type: str | None
    origin_id: str | None
    reporter: str | None
    external_id: str | None
    status: TransactionStatus
    outcome: Outcome | None
    progress: int
    message: str | None
    result: Any
    dry_run: bool
    lossy: bool
    declared: bool
    request_id: str | None
    time_start: datetime | None
    time_end: datetime | None
    created_at: datetime
    updated_at: datetime | None
    deleted_at: datetime | None
    counts: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionFilter:
    """Which transactions are wanted; None: no matter.

    :ivar project_id: whose; for callers who may see no others.
    :ivar reported_by: the user who reported them, or the notification that
        they recover; for callers who may see no others.
    :ivar cluster_id: "": those of no cluster.
    :ivar names: the wire's ``transaction_types``.
    :ivar node: one that has a row in the history of the transaction.
    :ivar since: created then or later; ``until``: created before then.
    :ivar deleted: True: only the deleted ones, False: only the others.
    :ivar parent_id: 0: those without a parent.
    """

    project_id: str | None = None
    reported_by: str | None = None
    cluster_id: str | None = None
    statuses: Sequence[TransactionStatus] = ()
    names: Sequence[str] = ()
    kinds: Sequence[Kind] = ()
    node: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    deleted: bool | None = None
    parent_id: int | None = None
    reporter: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """One attempt of a task on a node.

    :ivar task_id: the transaction's id.
    :ivar latest: there is no later attempt.
    :ivar seq: the reporter's number of what was last applied.
    :ivar reported_at: when that was received.
    :ivar custom: the reporter's own keys; they never replace the others.
    """

    id: int
    task_id: int
    step_id: int | None
    node_id: str
    node_type: str | None
    deployment_graph_task_name: str
    attempt: int
    latest: bool
    status: TaskStatus
    seq: int | None
    time_start: datetime | None
    time_end: datetime | None
    reported_at: datetime | None
    message: str | None
    summary: Any
    custom: Mapping[str, Any] | None
    project_id: str | None
    cluster_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Which rows of the history are wanted; empty: no matter.

    :ivar attempts: all of them, else the latest of each unit only.
    :ivar project_id: (with the rest) for the history of all runs.
    :ivar reported_by: see :class:`TransactionFilter`.
    :ivar since: reported then or later.
    """

    nodes: Sequence[str] = ()
    statuses: Sequence[TaskStatus] = ()
    tasks_names: Sequence[str] = ()
    attempts: bool = False
    project_id: str | None = None
    reported_by: str | None = None
    cluster_id: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ReportAnswer:
    """What became of one item of a report, and why, if it was refused."""

    verdict: ReportVerdict
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A part of a run.

    :ivar seq: its place in the run, from 1.
    :ivar total: units announced or known; ``completed`` and ``failed`` of
        them are so by their latest attempt.
    :ivar successful: None until that is decided.
    :ivar progress: per cent.
    :ivar duration: seconds, when it is done.
    :ivar events: oldest first, if they were asked for.
    """

    id: int
    transaction_id: int
    cluster_id: str | None
    project_id: str | None
    seq: int
    round: int
    step_name: str
    step_type: str
    total: int
    completed: int
    failed: int
    successful: bool | None
    progress: int
    started_at: datetime | None
    completed_at: datetime | None
    duration: float | None
    created_at: datetime
    updated_at: datetime | None
    events: tuple["Event", ...] = ()


@dataclass(frozen=True, slots=True)
class Remark:
    """Something said about a run.

    :ivar text: masked and cut when it is kept; None: the fact says all.
    :ivar task: by whom; None: by the engine itself.
    :ivar progress: how far the task had come, 0 to 1.
    :ivar successful: of a unit that has ended.
    :ivar error_id: is in the log too.
    :ivar traceback: for administrators only.
    """

    text: str | None
    task: str | None = None
    progress: float | None = None
    successful: bool | None = None
    step_id: int | None = None
    history_id: int | None = None
    seq: int | None = None
    node_group_id: str | None = None
    instance_id: str | None = None
    instance_name: str | None = None
    error_id: str | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A remark with its place in the order.

    :ivar id: rises; the cursor of those who follow.
    :ivar created_at: by the clock of who said it.
    """

    id: int
    transaction_id: int
    task: str | None
    progress: float | None
    text: str | None
    request_id: str | None
    created_at: datetime
    step_id: int | None = None
    history_id: int | None = None
    seq: int | None = None
    node_group_id: str | None = None
    instance_id: str | None = None
    instance_name: str | None = None
    successful: bool | None = None
    error_id: str | None = None
    traceback: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroup:
    """Instances of a cluster that are alike."""

    uuid: str
    name: str
    count: int
    flavor_id: str | None
    node_processes: Sequence[str]
    instances: tuple["ClusterInstance", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterInstance:
    """An instance of a cluster.

    :ivar node_group_id: the group's uuid.
    """

    instance_id: str
    instance_name: str
    node_group_id: str
    internal_ip: str | None = None
    management_ip: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A cluster that a plug-in or somebody outside provisions.

    :ivar extra: further keys that were given when it was created.
    """

    id: int
    uuid: str
    name: str
    project_id: str | None
    plugin_name: str | None
    plugin_version: str | None
    description: str | None
    status: str
    status_description: str | None
    extra: Mapping[str, Any]
    created_at: datetime
    updated_at: datetime | None
    deleted_at: datetime | None
    node_groups: tuple[NodeGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitCounts:
    """How many tasks of a node have which status."""

    node_id: str
    counts: Counts


@dataclass(frozen=True, slots=True)
class LastSuccess:
    """When a task was last ready on a node, over all runs but dry ones."""

    node_id: str
    deployment_graph_task_name: str
    task_id: int
