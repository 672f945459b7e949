"""The first tasks of a host recovery: the service, and the instances.

Each task looks at the world before it acts, so that it may run again after a
crash at any instruction. Names and order: the specs; what is asked of Nova:
reference 3.2 and 3.3.
"""

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg

from recovery_ha.context import RequestContext
from recovery_ha.db import types, vmoves, work
from recovery_ha.domain import errors
from recovery_ha.domain.evacuation import Candidate, Selection, select
from recovery_ha.domain.ports import ComputePort, ComputeService
from recovery_ha.domain.recovery import VMove, VMoveStatus
from recovery_ha.engine.lease import Lease
from recovery_ha.plugin import RecoveryTask

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Environment:
    """What built-in tasks work with; a :class:`plugin.TaskEnvironment`.

    :ivar evacuations: the engine's limit over all hosts.
    """

    conf: cfg.ConfigOpts
    compute: ComputePort
    ctx: RequestContext
    lease: Lease
    evacuations: threading.Semaphore

    def still_mine(self) -> bool:
        """See :class:`plugin.TaskEnvironment`."""
        return self.lease.still_mine()

    def is_interruption(self, exc: BaseException) -> bool:
        """See :class:`plugin.TaskEnvironment`."""
        return isinstance(exc, errors.LeaseLost | errors.EngineStopping)

    def wait(self, seconds: float) -> None:
        """See :class:`plugin.TaskEnvironment`."""
        self.lease.wait(seconds)


class DisableComputeServiceTask(RecoveryTask):
    """Keep new instances off the failed host, and wait until Nova knows.

    Nova evacuates only from a service that it sees down. It is left disabled
    whatever becomes of the recovery: a dead host must not be enabled.
    """

    what = "disable the compute service"
    environment: Environment

    def execute(self, host_name: str) -> dict[str, Any]:
        """Disable the service of a host.

        :returns: what was done, for the record.
        :raises errors.RecoveryFailed: Nova knows no such service, or still
            sees it up when the time is over.
        """
        service = self._service(host_name)
        done = {
            "service_id": service.id,
            "disabled": service.enabled,
            "forced_down": False,
        }
        if service.up and self.conf.host_failure.force_down == "always":
            self.compute.force_service_down(service.id)
            done["forced_down"] = True
            self.progress(0.7, f"Forced compute service down on {host_name}")
        elif service.up:
            if service.enabled:
                self._disable_meanwhile(service)
            self._wait_until_down(host_name)
            service = self._service(host_name)
        if service.enabled:
            self._disable(service)
        self.progress(0.9, f"Compute service on {host_name} is disabled")
        return done

    def _disable(self, service: ComputeService) -> None:
        self.compute.disable_service(
            service.id, self.conf.host_failure.service_disable_reason
        )

    def _disable_meanwhile(self, service: ComputeService) -> None:
        """Have the scheduler avoid a host that Nova still takes for alive.

        The effect is immediate, but Nova then asks the service itself and
        answers only when that has timed out, after a minute. Nobody waits
        for the answer: once the service is seen down, its state is read
        again and, if need be, changed again.
        """

        def disable() -> None:
            try:
                self._disable(service)
            except errors.RecoveryHAError as exc:
                LOG.info("Disabling %s early: %s", service.host, exc)

        threading.Thread(
            target=disable, name=f"disable-{service.host}", daemon=True
        ).start()

    def _service(self, host_name: str) -> ComputeService:
        service: ComputeService | None = self.compute.find_service(host_name)
        if service is None:
            raise errors.RecoveryFailed(
                f"Nova has no compute service on a host named {host_name}."
            )
        return service

    def _wait_until_down(self, host_name: str) -> None:
        limit = self.conf.wait_period_after_service_update
        self.progress(
            0.6, f"Waiting for Nova to see the service on {host_name} down"
        )
        end = work.clock(self.environment.ctx) + limit
        while self._service(host_name).up:
            if work.clock(self.environment.ctx) >= end:
                raise errors.RecoveryFailed(
                    f"Nova still sees the compute service on {host_name} up"
                    f" after {limit} seconds; instances of a living host are"
                    " not evacuated."
                )
            self.wait(self.conf.verify_interval)


class PrepareHAEnabledInstancesTask(RecoveryTask):
    """Write down which instances are evacuated, in which order."""

    what = "prepare the list of instances"
    default_provides = "instance_uuids"
    environment: Environment

    def execute(self, host_name: str, notification_uuid: str) -> list[str]:
        """Make a vmove for each instance, or start the failed ones again.

        :returns: the uuids of all instances of the recovery, in order.
        """
        options = self.conf.host_failure
        chosen = select(
            self.compute.list_servers(host_name),
            self.compute.list_evacuations(host_name),
            ha_key=options.ha_enabled_instance_metadata_key,
            evacuate_all=options.evacuate_all_instances,
            ignore_error=options.ignore_instances_in_error_state,
        )
        self._report(host_name, chosen)
        ctx, claim = self.environment.ctx, self.environment.lease.claim
        known = vmoves.list_vmoves(ctx, notification_uuid)
        self._restart(known, chosen.chosen)
        seen = {move.instance_uuid for move in known}
        rows = [
            _row(host_name, candidate, ordinal)
            for ordinal, candidate in enumerate(
                (c for c in chosen.chosen if c.server.id not in seen),
                start=len(known),
            )
        ]
        vmoves.create_vmoves(ctx, claim, rows)
        return [
            move.instance_uuid
            for move in vmoves.list_vmoves(ctx, notification_uuid)
        ]

    def _report(self, host_name: str, selection: Selection) -> None:
        marked = sum(c.ha_enabled for c in selection.chosen)
        self.progress(
            0.6,
            f"{len(selection.chosen)} instances to evacuate from {host_name},"
            f" {marked} of them HA-enabled",
        )
        for server, reason in selection.left_out:
            self.progress(
                0.7, f"Left out {server.name} ({server.id}): {reason}"
            )

    def _restart(
        self, known: Iterable[VMove], candidates: Iterable[Candidate]
    ) -> None:
        """Give what failed in an earlier attempt another one."""
        present = {c.server.id: c for c in candidates}
        for move in known:
            if move.status is not VMoveStatus.FAILED:
                continue
            again: dict[str, Any] = {
                "message": None,
                "end_time": None,
                "requested_at": None,
                "accepted": False,
            }
            status = VMoveStatus.PENDING
            candidate = present.get(move.instance_uuid)
            if candidate is not None:
                again["migration_baseline"] = candidate.migration_baseline
                again["accepted"] = candidate.adopted
            else:
                # It is not on the host any more: find out where it is
                # instead of asking for an evacuation.
                again["requested_at"] = 0.0
            if candidate is None or candidate.adopted:
                status = VMoveStatus.ONGOING
            vmoves.transition_vmove(
                self.environment.ctx,
                self.environment.lease.claim,
                move,
                status,
                **again,
            )


def _row(host_name: str, candidate: Candidate, ordinal: int) -> dict[str, Any]:
    server = candidate.server
    status, start_time = VMoveStatus.PENDING, None
    if candidate.adopted:
        status, start_time = VMoveStatus.ONGOING, types.utcnow()
    return {
        "instance_uuid": server.id,
        "instance_name": server.name,
        "source_host": host_name,
        "status": str(status),
        "start_time": start_time,
        "ordinal": ordinal,
        "ha_enabled": candidate.ha_enabled,
        "vm_state": server.vm_state,
        # An evacuation that is under way has set the task state.
        "task_state": None if candidate.adopted else server.task_state,
        "power_state": server.power_state,
        "was_locked": server.locked,
        "accepted": candidate.adopted,
        "migration_baseline": candidate.migration_baseline,
    }
