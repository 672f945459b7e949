"""The tasks of a failed nova-compute (reference 3.6).

Its instances go on running: new ones are kept off the host, nothing is moved.
"""

from typing import Any

from recovery_ha.db import work
from recovery_ha.domain import errors
from recovery_ha.engine.recovery.environment import Environment
from recovery_ha.engine.recovery.services import (
    disable_meanwhile,
    find_service,
)
from recovery_ha.plugin import RecoveryTask


class DisableComputeNodeTask(RecoveryTask):
    """Keep the scheduler from placing instances on the host."""

    what = "disable the compute node"
    environment: Environment

    def execute(self, host_name: str) -> None:
        """Disable the service, unless it is disabled already.

        :raises errors.RecoveryFailed: Nova knows no such service.
        """
        service = find_service(self.compute, host_name)
        reason = self.conf.process_failure.service_disable_reason
        self.environment.remember(
            service={
                "id": service.id,
                "disabled": service.enabled,
                "reason": reason,
            }
        )
        if not service.enabled:
            self.progress(0.9, f"Compute service on {host_name} was disabled")
            return
        if service.up:
            disable_meanwhile(self.compute, service, reason)
        else:
            self.compute.disable_service(service.id, reason)

    def revert(self, **_kwargs: Any) -> None:
        """Leave the service disabled: its process has failed."""


class ConfirmComputeNodeDisabledTask(RecoveryTask):
    """Wait until Nova shows the service as disabled."""

    what = "confirm that the compute node is disabled"
    environment: Environment

    def execute(self, host_name: str) -> None:
        """Look at the service until it is disabled.

        :raises errors.RecoveryFailed: it is not when the time is over.
        """
        limit = self.conf.wait_period_after_service_update
        end = work.clock(self.environment.ctx) + limit
        while find_service(self.compute, host_name).enabled:
            if work.clock(self.environment.ctx) >= end:
                raise errors.RecoveryFailed(
                    f"Nova still shows the compute service on {host_name} as"
                    f" enabled after {limit} seconds."
                )
            self.wait(self.conf.verify_interval)
        self.progress(0.9, f"Compute service on {host_name} is disabled")
