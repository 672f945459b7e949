"""The tasks that bring the instances of a failed host elsewhere."""

import logging
from typing import Any

from recovery_ha.db import types, vmoves
from recovery_ha.db.vmoves import Change
from recovery_ha.domain import errors
from recovery_ha.domain.capacity import fit
from recovery_ha.domain.evacuation import verdict
from recovery_ha.domain.recovery import VMove, VMoveStatus
from recovery_ha.engine.recovery.environment import Environment
from recovery_ha.engine.recovery.evacuation import Evacuation
from recovery_ha.engine.recovery.reserved import use
from recovery_ha.plugin import RecoveryTask

LOG = logging.getLogger(__name__)

_UNASKED = "No task of this recovery has asked for its evacuation."
#: Evacuated, or going to be.
_UNDER_WAY = (VMoveStatus.PENDING, VMoveStatus.ONGOING, VMoveStatus.SUCCEEDED)


class EvacuateInstancesTask(RecoveryTask):
    """Have Nova rebuild every instance of the host on another one.

    In a flow with ``confirm_evacuation_task`` it ends when Nova has accepted
    every evacuation, and leaves waiting and judging to that task.
    """

    what = "evacuate instances"
    default_provides = ("evacuated", "failed")
    environment: Environment

    def execute(
        self,
        host_name: str,
        notification_uuid: str,
        reserved_host: str | None = None,
    ) -> tuple[list[str], list[str]]:
        """Evacuate all instances that have a vmove.

        :param reserved_host: where to; None leaves it to Nova.

        :returns: the uuids of those evacuated (in a flow that confirms, also
            of those under way) and of those that failed. The latter is empty
            unless the flow confirms.
        :raises errors.RecoveryFailed: some failed, and the flow does not
            confirm; it names them.
        """
        later = self.environment.confirmed_later
        if reserved_host is not None:
            _prepare_reserved(self, host_name, reserved_host)
        ended = _evacuate(
            self,
            host_name,
            notification_uuid,
            target=reserved_host,
            until_on_record=later,
        )
        if not later:
            _judge(ended)
        return _uuids(ended, *_UNDER_WAY), _uuids(ended, VMoveStatus.FAILED)

    def revert(self, notification_uuid: str, **_kwargs: Any) -> None:
        """Let users act on their instances again; nothing is moved back."""
        release_locks(self.environment, notification_uuid)


class ConfirmEvacuationTask(RecoveryTask):
    """Wait until every evacuation has ended, and judge them together.

    It goes after ``evacuate_instances_task``; between the two there is room
    for tasks that need not wait for Nova.
    """

    what = "confirm the evacuation"
    default_provides = ("evacuated", "failed")
    environment: Environment

    def execute(
        self,
        host_name: str,
        notification_uuid: str,
        evacuated: list[str],
        reserved_host: str | None = None,
    ) -> tuple[list[str], list[str]]:
        """Bring all evacuations to their end.

        :param evacuated: what was asked for. That it is needed keeps this
            task behind the one that asks.
        :returns: the uuids of those evacuated and, always empty, failed.
        :raises errors.RecoveryFailed: some were not; it names them.
        """
        self.progress(
            0.6,
            f"Confirming {len(evacuated)} evacuations from {host_name}",
        )
        _fail_unasked(self.environment, notification_uuid)
        ended = _evacuate(
            self, host_name, notification_uuid, target=reserved_host
        )
        _judge(ended)
        return _uuids(ended, VMoveStatus.SUCCEEDED), []

    def revert(self, notification_uuid: str, **_kwargs: Any) -> None:
        """Let users act on their instances again; nothing is moved back."""
        release_locks(self.environment, notification_uuid)


def _fail_unasked(environment: Environment, notification_uuid: str) -> None:
    """End the moves that none of the tasks has asked for.

    After the task that asks there are none: a flow without it has left them,
    and they may be where whatever it has instead has brought them.
    """
    unasked = [
        Change(move, VMoveStatus.FAILED, {"message": _UNASKED})
        for move in vmoves.list_vmoves(environment.ctx, notification_uuid)
        if move.status is VMoveStatus.PENDING and move.requested_at is None
    ]
    if unasked:
        claim = environment.lease.claim
        vmoves.transition_vmoves(environment.ctx, claim, unasked)


def _evacuate(
    task: EvacuateInstancesTask | ConfirmEvacuationTask,
    host_name: str,
    notification_uuid: str,
    *,
    target: str | None,
    until_on_record: bool = False,
) -> list[VMove]:
    """Go on with the moves of a recovery; see :meth:`Evacuation.run`."""
    moves = vmoves.list_vmoves(task.environment.ctx, notification_uuid)
    if not moves:
        task.progress(0.9, f"No instances to evacuate on {host_name}")
        return []
    with Evacuation(
        task, task.environment, host_name, moves, target
    ) as evacuation:
        return evacuation.run(until_on_record=until_on_record)


def _prepare_reserved(
    task: EvacuateInstancesTask, host_name: str, reserved_host: str
) -> None:
    """Use a reserved host for as many instances as fit on it.

    :raises errors.RecoveryFailed: none does: then nothing was done to it.
    """
    env = task.environment
    moves = vmoves.list_vmoves(env.ctx, env.notification.uuid)
    waiting = {
        move.instance_uuid: move
        for move in moves
        if move.status is VMoveStatus.PENDING
    }
    under_way = any(move.status is VMoveStatus.ONGOING for move in moves)
    if not waiting and not under_way:
        return
    servers = {
        server.id: server for server in task.compute.list_servers(host_name)
    }
    found = fit(
        [servers[uuid] for uuid in waiting if uuid in servers],
        reserved_host,
        env.placement.free(reserved_host),
    )
    changes = [
        Change(
            waiting[uuid],
            VMoveStatus.FAILED,
            {"message": why, "end_time": types.utcnow()},
        )
        for uuid, why in found.left.items()
    ]
    if changes:
        vmoves.transition_vmoves(env.ctx, env.lease.claim, changes)
        task.progress(
            0.55,
            f"{len(changes)} instances do not fit on reserved host"
            f" {reserved_host}",
        )
    if not found.fitting and not under_way:
        raise errors.RecoveryFailed(
            next(iter(found.left.values()), "no instance is left to move")
        )
    task.progress(0.55, f"Enabling reserved host {reserved_host}")
    use(env, reserved_host)


def _judge(moves: list[VMove]) -> None:
    failure = verdict(moves)
    if failure:
        raise errors.RecoveryFailed(failure)


def _uuids(moves: list[VMove], *statuses: VMoveStatus) -> list[str]:
    return [move.instance_uuid for move in moves if move.status in statuses]


def release_locks(
    environment: Environment, notification_uuid: str
) -> list[str]:
    """Unlock what a recovery has locked and not unlocked.

    :returns: the names of the instances that could not be unlocked.
    """
    left = []
    for move in vmoves.list_vmoves(environment.ctx, notification_uuid):
        if not move.locked_by_us:
            continue
        try:
            environment.compute.unlock_server(move.instance_uuid)
        except errors.ComputeNotFound:
            LOG.info("Instance %s is gone, and its lock.", move.instance_uuid)
        except errors.ComputeError as exc:
            LOG.warning(
                "Instance %s stays locked: %s", move.instance_uuid, exc
            )
            left.append(move.instance_name)
            continue
        vmoves.transition_vmove(
            environment.ctx,
            environment.lease.claim,
            move,
            move.status,
            locked_by_us=False,
        )
    return left
