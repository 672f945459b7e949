"""Segments, hosts, notifications and vmoves, and what is decided on them.

Names and states are Masakari's (reference sections 1.6 to 1.9 and 2.3), as
its clients read them.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from recovery_ha.domain import errors
from recovery_ha.domain.machine import StateMachine


class RecoveryMethod(StrEnum):
    """How the instances of a failed host find a new one."""

    AUTO = "auto"
    RESERVED_HOST = "reserved_host"
    AUTO_PRIORITY = "auto_priority"
    RH_PRIORITY = "rh_priority"


class NotificationType(StrEnum):
    """What failed."""

    COMPUTE_HOST = "COMPUTE_HOST"
    VM = "VM"
    PROCESS = "PROCESS"


class NotificationStatus(StrEnum):
    """Where the recovery of a reported failure stands."""

    NEW = "new"
    RUNNING = "running"
    ERROR = "error"
    FINISHED = "finished"
    IGNORED = "ignored"
    FAILED = "failed"


class VMoveType(StrEnum):
    """How an instance is moved."""

    EVACUATION = "evacuation"
    MIGRATION = "migration"
    LIVE_MIGRATION = "live_migration"


class VMoveStatus(StrEnum):
    """Where the move of one instance stands."""

    PENDING = "pending"
    ONGOING = "ongoing"
    IGNORED = "ignored"
    FAILED = "failed"
    SUCCEEDED = "succeeded"


class MaintenanceCause(StrEnum):
    """Who put a host on maintenance."""

    OPERATOR = "operator"
    HOST_FAILURE = "host_failure"
    PROCESS_FAILURE = "process_failure"


_N = NotificationStatus
# What has ended is opened once more by an operator only, outside of this
# table: see ``domain.actions``.
NOTIFICATION = StateMachine(
    name="notification",
    initial=_N.NEW,
    moves={
        _N.NEW: frozenset({_N.RUNNING, _N.FINISHED, _N.IGNORED, _N.FAILED}),
        _N.RUNNING: frozenset(
            {
                _N.NEW,
                _N.ERROR,
                _N.FINISHED,
                _N.IGNORED,
                _N.FAILED,
            }
        ),
        _N.ERROR: frozenset({_N.RUNNING, _N.FINISHED, _N.FAILED}),
        _N.FINISHED: frozenset(),
        _N.IGNORED: frozenset(),
        _N.FAILED: frozenset(),
    },
)

_V = VMoveStatus
# A failed move is not terminal: the next attempt of the notification starts
# it again, and the verdict is that of the latest attempt.
VMOVE = StateMachine(
    name="vmove",
    initial=_V.PENDING,
    moves={
        _V.PENDING: frozenset({_V.ONGOING, _V.IGNORED, _V.FAILED}),
        _V.ONGOING: frozenset(
            {
                _V.PENDING,
                _V.IGNORED,
                _V.FAILED,
                _V.SUCCEEDED,
            }
        ),
        _V.FAILED: frozenset({_V.PENDING, _V.ONGOING, _V.SUCCEEDED}),
        _V.IGNORED: frozenset(),
        _V.SUCCEEDED: frozenset(),
    },
)
#: States of moves that somebody has to bring to an end.
OPEN_MOVES = frozenset({_V.PENDING, _V.ONGOING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A group of hosts that are recovered by the same method."""

    id: int
    uuid: str
    name: str
    service_type: str
    enabled: bool
    description: str | None
    recovery_method: RecoveryMethod
    created_at: datetime
    updated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A compute host of a segment."""

    id: int
    uuid: str
    name: str
    type: str
    reserved: bool
    control_attributes: str
    on_maintenance: bool
    maintenance_cause: MaintenanceCause | None
    segment: Segment
    created_at: datetime
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReportedHost:
    """What must be known of a host to accept a report about it."""

    uuid: str
    name: str
    segment_uuid: str
    on_maintenance: bool
    maintenance_cause: MaintenanceCause | None
    recovery_method: RecoveryMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class NewNotification:
    """A report as a monitor sends it.

    :ivar generated_time: naive UTC, by the monitor's clock.
    """

    type: NotificationType
    hostname: str
    generated_time: datetime
    payload: Mapping[str, Any]
    request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """An accepted report and the state of its recovery.

    :ivar message: why it stands where it stands; None while there is
        nothing to say.
    :ivar flow_uuid: the flow detail of the running or latest attempt.
    :ivar attempts: how many flows have been started for it.
    :ivar joined_to: uuid of the unfinished recovery of the same host that
        this report ends with.
    :ivar held: it waits for a gate to open.
    :ivar attempts_before: those that an operator's retry has forgiven.
    :ivar requested_action: what an operator has asked for and the engine has
        not yet done: ``cancel`` or ``rollback``.
    :ivar record: what was found and done outside, for resuming and undoing.
    """

    id: int
    uuid: str
    generated_time: datetime
    source_host_uuid: str
    source_host_name: str
    type: NotificationType
    payload: dict[str, Any]
    status: NotificationStatus
    segment_uuid: str
    message: str | None
    request_id: str | None
    flow_uuid: str | None
    attempts: int
    joined_to: str | None
    created_at: datetime
    updated_at: datetime | None
    held: bool = False
    attempts_before: int = 0
    requested_action: str | None = None
    record: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VMove:
    """One instance's move in one host recovery, and where to resume it.

    :ivar ordinal: its place in the order of recovery, from 0.
    :ivar ha_enabled: it is marked as highly available.
    :ivar vm_state: (with task_state, power_state) what Nova said of it
        before we touched it; what is done afterwards depends on it.
    :ivar was_locked: somebody had locked it before us.
    :ivar locked_by_us: we asked Nova to lock it and have not unlocked it.
    :ivar requested_at: when we were about to ask Nova for the evacuation,
        epoch seconds by the database's clock; None before that.
    :ivar accepted: Nova has answered that it evacuates.
    :ivar migration_baseline: evacuation records up to this id are older than
        this move and say nothing about it.
    :ivar attempts: how many times the move was started.
    """

    id: int
    uuid: str
    notification_uuid: str
    instance_uuid: str
    instance_name: str
    source_host: str
    dest_host: str | None
    start_time: datetime | None
    end_time: datetime | None
    type: VMoveType
    status: VMoveStatus
    message: str | None
    ordinal: int
    ha_enabled: bool
    vm_state: str
    task_state: str | None
    power_state: int
    was_locked: bool
    locked_by_us: bool
    requested_at: float | None
    accepted: bool
    migration_baseline: int
    attempts: int
    created_at: datetime
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class ProgressDetail:
    """One remark of a task about its progress."""

    timestamp: str
    progress: float
    message: str


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """One task of one attempt, as ``recovery_workflow_details`` shows it.

    :ivar state: taskflow's word (PENDING, RUNNING, SUCCESS, FAILURE, ...).
    """

    name: str
    progress: float
    state: str
    details: tuple[ProgressDetail, ...]


def recovery_name(type_: NotificationType, method: RecoveryMethod) -> str:
    """Return what the ledger calls a recovery.

    :param method: of the host's segment; the one it begins with counts.
    """
    match type_:
        case NotificationType.VM:
            return "instance_failure"
        case NotificationType.PROCESS:
            return "process_failure"
        case NotificationType.COMPUTE_HOST:
            on_reserve = method in {
                RecoveryMethod.RESERVED_HOST,
                RecoveryMethod.RH_PRIORITY,
            }
            return "host_rh_failure" if on_reserve else "host_auto_failure"


def dedupe_key(
    type_: NotificationType, host_uuid: str, payload: Mapping[str, Any]
) -> str:
    """Return what two reports of the same failure have in common.

    Masakari compares type, source host and the whole payload (reference
    2.2); ``generated_time`` differs between monitors and is left out.
    """
    text = json.dumps(payload, sort_keys=True, separators=(",", ":"))
    raw = f"{type_}\n{host_uuid}\n{text}"
    return hashlib.sha256(raw.encode()).hexdigest()


def admit(report: NewNotification, host: ReportedHost) -> None:
    """Refuse a report about a host on maintenance.

    A host that is on maintenance because a *process* of it failed may still
    die as a whole, so its COMPUTE_HOST reports are accepted.

    :raises errors.HostUnderMaintenance: and monitors will not send it again.
    """
    if not host.on_maintenance:
        return
    if (
        report.type is NotificationType.COMPUTE_HOST
        and host.maintenance_cause is MaintenanceCause.PROCESS_FAILURE
    ):
        return
    raise errors.HostUnderMaintenance(
        f"Host {host.name} is on maintenance; notifications about it are"
        " not accepted."
    )
