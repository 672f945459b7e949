"""The task that brings the instances of a failed host elsewhere."""

import logging
from typing import Any

from recovery_ha.db import vmoves
from recovery_ha.domain import errors
from recovery_ha.domain.evacuation import verdict
from recovery_ha.domain.recovery import VMoveStatus
from recovery_ha.engine.recovery.evacuation import Evacuation
from recovery_ha.engine.recovery.tasks import Environment
from recovery_ha.plugin import RecoveryTask

LOG = logging.getLogger(__name__)


class EvacuateInstancesTask(RecoveryTask):
    """Have Nova rebuild every instance of the host on another one."""

    what = "evacuate instances"
    default_provides = ("evacuated", "failed")
    environment: Environment

    def execute(
        self, host_name: str, notification_uuid: str
    ) -> tuple[list[str], list[str]]:
        """Evacuate all instances that have a vmove.

        :returns: the uuids of those evacuated and, always empty, failed.
        :raises errors.RecoveryFailed: some were not; it names them.
        """
        moves = vmoves.list_vmoves(self.environment.ctx, notification_uuid)
        if not moves:
            self.progress(0.9, f"No instances to evacuate on {host_name}")
            return [], []
        with Evacuation(
            self, self.environment, host_name, moves
        ) as evacuation:
            ended = evacuation.run()
        failure = verdict(ended)
        if failure:
            raise errors.RecoveryFailed(failure)
        return [
            move.instance_uuid
            for move in ended
            if move.status is VMoveStatus.SUCCEEDED
        ], []

    def revert(self, notification_uuid: str, **_kwargs: Any) -> None:
        """Let users act on their instances again; nothing is moved back."""
        release_locks(self.environment, notification_uuid)


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
