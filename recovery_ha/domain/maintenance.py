"""Maintenance sessions: their states, and what is known of one.

States, replies and actions are the wire's words (the source's workflow
document; reference ``fenix.md`` 2 to 4). All times are naive UTC, all
deadlines are epoch seconds by the database's clock.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from recovery_ha.domain.machine import StateMachine


class SessionState(StrEnum):
    """Where a session stands; each but the last two has a method."""

    MAINTENANCE = "MAINTENANCE"
    SCALE_IN = "SCALE_IN"
    PREPARE_MAINTENANCE = "PREPARE_MAINTENANCE"
    START_MAINTENANCE = "START_MAINTENANCE"
    PLANNED_MAINTENANCE = "PLANNED_MAINTENANCE"
    MAINTENANCE_COMPLETE = "MAINTENANCE_COMPLETE"
    MAINTENANCE_DONE = "MAINTENANCE_DONE"
    MAINTENANCE_FAILED = "MAINTENANCE_FAILED"


_S = SessionState
#: States in which something is done.
WORKING = frozenset(_S) - {_S.MAINTENANCE_DONE, _S.MAINTENANCE_FAILED}
#: A state may follow itself: that is its next round. A failed session goes on
#: where it failed, when its administrator says so.
SESSION = StateMachine(
    name="maintenance session",
    initial=_S.MAINTENANCE,
    moves={
        _S.MAINTENANCE: frozenset(
            {
                _S.MAINTENANCE,
                _S.SCALE_IN,
                _S.PREPARE_MAINTENANCE,
                _S.START_MAINTENANCE,
                _S.MAINTENANCE_FAILED,
            }
        ),
        _S.SCALE_IN: frozenset(
            {
                _S.SCALE_IN,
                _S.PREPARE_MAINTENANCE,
                _S.START_MAINTENANCE,
                _S.MAINTENANCE_FAILED,
            }
        ),
        _S.PREPARE_MAINTENANCE: frozenset(
            {
                _S.PREPARE_MAINTENANCE,
                _S.SCALE_IN,
                _S.START_MAINTENANCE,
                _S.MAINTENANCE_FAILED,
            }
        ),
        _S.START_MAINTENANCE: frozenset(
            {
                _S.START_MAINTENANCE,
                _S.PLANNED_MAINTENANCE,
                _S.MAINTENANCE_COMPLETE,
                _S.MAINTENANCE_FAILED,
            }
        ),
        _S.PLANNED_MAINTENANCE: frozenset(
            {
                _S.PLANNED_MAINTENANCE,
                _S.START_MAINTENANCE,
                _S.MAINTENANCE_FAILED,
            }
        ),
        _S.MAINTENANCE_COMPLETE: frozenset(
            {
                _S.MAINTENANCE_COMPLETE,
                _S.MAINTENANCE_DONE,
                _S.MAINTENANCE_FAILED,
            }
        ),
        _S.MAINTENANCE_DONE: frozenset(),
        _S.MAINTENANCE_FAILED: WORKING,
    },
)

#: Said to a project of one instance whose action is done; no reply.
INSTANCE_ACTION_DONE = "INSTANCE_ACTION_DONE"
#: What an action of type ``pre`` or ``post`` runs on.
LOCALHOST = "localhost"
#: What is said of a host in ``maintenance.host``.
IN_MAINTENANCE = "IN_MAINTENANCE"
MAINTENANCE_COMPLETE = "MAINTENANCE_COMPLETE"


class InstanceAction(StrEnum):
    """How an instance leaves its host."""

    MIGRATE = "MIGRATE"
    LIVE_MIGRATE = "LIVE_MIGRATE"
    OWN_ACTION = "OWN_ACTION"


#: States in which a project says what to do with its instances.
ASKS_FOR_ACTIONS = frozenset({_S.PREPARE_MAINTENANCE, _S.PLANNED_MAINTENANCE})


class ReplyStatus(StrEnum):
    """What a project, or it for one instance, has said in a round."""

    PENDING = "pending"
    ACK = "ack"
    NACK = "nack"


class ActionStatus(StrEnum):
    """How far the action of an instance is."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class HostStatus(StrEnum):
    """How far a host is."""

    PENDING = "pending"
    IN_MAINTENANCE = "in_maintenance"
    MAINTAINED = "maintained"
    FAILED = "failed"


class HostType(StrEnum):
    """What a host is, by the services that Nova knows on it."""

    COMPUTE = "compute"
    CONTROLLER = "controller"
    OTHER = "other"


class PluginType(StrEnum):
    """When an action plug-in runs."""

    PRE = "pre"
    HOST = "host"
    COMPUTE = "compute"
    CONTROLLER = "controller"
    POST = "post"


class RunStatus(StrEnum):
    """How far an action plug-in is on a host."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class SilentProject(StrEnum):
    """What becomes of a project that nobody asked to be told."""

    FAIL = "fail"
    MIGRATE = "migrate"
    LIVE_MIGRATE = "live_migrate"
    SKIP = "skip"


class SessionAction(StrEnum):
    """What an administrator may want of a session."""

    CONTINUE = "continue"
    PAUSE = "pause"
    ABORT = "abort"
    RETRY = "retry"
    DELETE = "delete"


class Answer(StrEnum):
    """How a project is dealt with: asked, or by which rule not."""

    ASK = "ask"
    MIGRATE = "migrate"
    LIVE_MIGRATE = "live_migrate"
    SKIP = "skip"


#: A group: the ids of its project and, within that, of itself.
GroupKey = tuple[str, str]


def group_key(project_id: str, group_id: str | None) -> GroupKey | None:
    """Return what a group of a project is known by; None: there is none."""
    return None if group_id is None else (project_id, group_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginUse:
    """An action plug-in that a session runs.

    :ivar ordinal: its place in the order in which they are defined, from 0.
    """

    ordinal: int
    plugin: str
    type: PluginType
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An archive that a session's action plug-ins find unpacked.

    :ivar sha256: its checksum, 64 hexadecimal digits in lower case.
    """

    url: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginRun:
    """What an action plug-in did on a host, latest attempt.

    :ivar host: ``localhost`` of types pre and post.
    :ivar output: what it says of itself; why it failed, if it did.
    """

    ordinal: int
    plugin: str
    type: PluginType
    host: str
    status: RunStatus
    attempt: int
    output: str | None
    flow_uuid: str
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionHost:
    """A host of a session.

    :ivar service_id: of its nova-compute; None: it has none, or it is not
        known yet.
    :ivar disabled_by_us: we have told Nova, or are about to tell it, to
        place nothing there, and are to take it back.
    :ivar reason_before: why it had been disabled before; None: it was not.
    """

    ordinal: int
    host: str
    type: HostType
    status: HostStatus
    service_id: str | None = None
    disabled_by_us: bool = False
    reason_before: str | None = None
    message: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionProject:
    """A project with instances on the session's hosts.

    :ivar answer: whether it is asked, and what is done if it is not.
    :ivar round: the session's, in which it was asked last.
    :ivar state: the session's, that it was asked about.
    :ivar deadline: until when it may reply.
    :ivar allowed_actions: what it was told that it may choose from.
    :ivar action: what it wants for all its listed instances.
    :ivar message: what it said besides.
    """

    project_id: str
    answer: Answer
    round: int = 0
    state: str | None = None
    reply: ReplyStatus = ReplyStatus.PENDING
    deadline: float | None = None
    allowed_actions: tuple[str, ...] = ()
    action: InstanceAction | None = None
    message: str | None = None
    replied_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInstance:
    """An instance on the session's hosts.

    :ivar host: where it is.
    :ivar round: in which its project was asked about it last.
    :ivar listed: it is one of those that its project is asked about now.
    :ivar reply: what was said of it alone (``vnf``).
    :ivar allowed_actions: what its project may choose from for it.
    :ivar action: what its project wants, or what the rule for its project
        says.
    :ivar action_status: of the action in this round.
    :ivar source_host: which host it is to leave.
    :ivar requested_at: when Nova was, or was about to be, asked to move it.
    :ivar baseline: the id of the newest migration record before that.
    :ivar kind: the action that is being tried; it differs from ``action``
        after a fallback.
    :ivar attempts: how often Nova was asked.
    :ivar moved_at: when its last action was done.
    """

    instance_id: str
    name: str
    project_id: str
    host: str
    group_id: str | None = None
    round: int = 0
    listed: bool = False
    reply: ReplyStatus = ReplyStatus.PENDING
    deadline: float | None = None
    allowed_actions: tuple[str, ...] = ()
    action: InstanceAction | None = None
    action_status: ActionStatus = ActionStatus.PENDING
    source_host: str | None = None
    kind: InstanceAction | None = None
    requested_at: float | None = None
    baseline: int = 0
    attempts: int = 0
    message: str | None = None
    moved_at: float | None = None

    @property
    def group(self) -> GroupKey | None:
        """The group that it is a member of."""
        return group_key(self.project_id, self.group_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A maintenance session, as it was when it was read.

    :ivar uuid: its ``session_id``, and that of its transaction.
    :ivar round: raised whenever a state is entered, a second time too.
    :ivar downloads: archives for its actions, as configured when it was made.
    :ivar failed_state: in which it failed; ``continue`` goes back to it.
    :ivar aborted: it was given up and cannot be continued.
    :ivar requested: what an administrator wants and nobody did yet.
    :ivar requested_round: the round in which it was wanted.
    :ivar seen: raised by each reply and each wish.
    :ivar all_hosts: no hosts were named: all compute hosts are meant.
    :ivar record: what its workflow remembers, JSON by name.
    :ivar message: the sentence that says why it is where it is.
    """

    id: int
    uuid: str
    state: SessionState
    round: int
    workflow: str
    maintenance_at: datetime
    metadata: Mapping[str, Any]
    all_hosts: bool
    hosts: tuple[SessionHost, ...]
    projects: tuple[SessionProject, ...]
    instances: tuple[SessionInstance, ...]
    actions: tuple[PluginUse, ...]
    downloads: tuple[Download, ...] = ()
    runs: tuple[PluginRun, ...]
    failed_state: SessionState | None
    aborted: bool
    paused: bool
    requested: SessionAction | None
    requested_round: int | None = None
    seen: int
    attempts: int
    percent_done: int
    record: Mapping[str, Any]
    message: str | None
    project_id: str | None
    user_id: str | None
    request_id: str | None
    created_at: datetime
    updated_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceConstraints:
    """What an instance asks of whoever moves it; times in seconds.

    :ivar group_id: the group that it is a member of.
    :ivar max_interruption_time: how long a live migration may take.
    :ivar lead_time: how long its project needs before the action.
    """

    instance_id: str
    project_id: str
    group_id: str | None = None
    instance_name: str | None = None
    max_interruption_time: int | None = None
    migration_type: InstanceAction | None = None
    resource_mitigation: bool = False
    lead_time: int = 0

    @property
    def group(self) -> GroupKey | None:
        """The group that it is a member of."""
        return group_key(self.project_id, self.group_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupConstraints:
    """What a group of instances asks; times in seconds.

    :ivar group_id: of Nova's server group, or made by the project.
    :ivar max_instances_per_host: 0: no matter.
    :ivar max_impacted_members: how many may be unavailable at once.
    :ivar recovery_time: the pause after a member has moved.
    """

    group_id: str
    project_id: str
    group_name: str | None = None
    anti_affinity_group: bool = False
    max_instances_per_host: int = 0
    max_impacted_members: int = 1
    recovery_time: int = 0
    resource_mitigation: bool = False

    @property
    def key(self) -> GroupKey:
        """By what it is known among the groups of all projects."""
        return self.project_id, self.group_id


def percent_done(hosts: tuple[SessionHost, ...]) -> int:
    """Return how many of a hundred hosts are maintained; 0 without hosts."""
    done = sum(host.status is HostStatus.MAINTAINED for host in hosts)
    return 100 * done // len(hosts) if hosts else 0


def logbook_uuid(session_id: str, host: str) -> str:
    """Return the uuid of the logbook with the actions on a session's host."""
    return str(uuid.uuid5(uuid.UUID(session_id), host))
