"""The tasks that bring one failed instance back: stop, start, confirm.

Each looks at the instance before it acts, so that it may run again after a
crash at any instruction.
"""

from typing import NoReturn

from recovery_ha.db import work
from recovery_ha.domain import errors
from recovery_ha.domain.instance import (
    InstanceDecision,
    InstanceStep,
    confirmed,
    examine,
    stopped_by_user,
    to_start,
    to_stop,
)
from recovery_ha.domain.ports import Server
from recovery_ha.engine.recovery.environment import Environment
from recovery_ha.plugin import RecoveryTask

#: The texts of the specification.
_SKIPPED = "Skipping recovery for instance as it is not Ha_Enabled"
_IGNORED = "Ignoring recovery for instance as it is in paused/rescued state"


class _InstanceTask(RecoveryTask):
    environment: Environment

    def _find(self, instance_uuid: str) -> Server:
        server: Server | None = self.compute.find_server(instance_uuid)
        if server is None:
            self._leave("The instance was deleted meanwhile.", ignored=True)
        return server

    def _leave(
        self, sentence: str, *, ignored: bool, said: str | None = None
    ) -> NoReturn:
        self._end("ready", said or sentence)
        raise errors.NothingToRecover(sentence, ignored=ignored)

    def _now(self) -> float:
        return work.clock(self.environment.ctx)


class StopInstanceTask(_InstanceTask):
    """Bring the instance to a state from which it can be started."""

    what = "stop instance"

    def execute(self, instance_uuid: str) -> None:
        """Stop it, unless it is to be left alone.

        :raises errors.NothingToRecover: it is.
        :raises errors.RecoveryFailed: it does not stop in time.
        """
        self._examine(instance_uuid)
        limit = self.conf.wait_period_after_power_off
        end = self._now() + limit
        asked = False
        while True:
            server = self._find(instance_uuid)
            decision = to_stop(server, asked=asked)
            if decision.step is InstanceStep.DONE:
                if server.vm_state == "active":
                    self.environment.remember(stop_failed=True)
                self.progress(0.9, decision.sentence)
                return
            if decision.step is InstanceStep.RESET:
                self.compute.reset_server_state(instance_uuid, "active")
            elif decision.step is InstanceStep.STOP:
                asked = self._stop(instance_uuid)
            if self._now() >= end:
                raise errors.RecoveryFailed(
                    f"it has not stopped within {limit} seconds;"
                    f" {decision.sentence}"
                )
            self.wait(self.conf.verify_interval)

    def _examine(self, instance_uuid: str) -> None:
        """Decide once whether it is recovered; a resume keeps to that.

        Afterwards it may be stopped because this task has stopped it.
        """
        if self.environment.recall().get("instance"):
            return
        server = self.compute.find_server(instance_uuid)
        options = self.conf.instance_failure
        stopped = server is not None and server.vm_state == "stopped"
        decision = examine(
            server,
            host=self.environment.notification.source_host_name,
            ha_key=options.ha_enabled_instance_metadata_key,
            process_all=options.process_all_instances,
            stopped_by_user=stopped
            and stopped_by_user(self.compute.list_actions(instance_uuid)),
        )
        if server is None or decision.step is not InstanceStep.DONE:
            self._refuse(server, decision)
        self.environment.remember(
            instance={
                "vm_state": server.vm_state,
                "task_state": server.task_state,
                "power_state": server.power_state,
                "fault": server.fault,
            }
        )

    def _refuse(
        self, server: Server | None, decision: InstanceDecision
    ) -> NoReturn:
        said = None
        if decision.step is InstanceStep.SKIP:
            said = _SKIPPED
        elif server is not None and server.vm_state in {"paused", "rescued"}:
            said = _IGNORED
        self._leave(
            decision.sentence,
            ignored=decision.step is InstanceStep.IGNORE,
            said=said,
        )

    def _stop(self, instance_uuid: str) -> bool:
        """Ask Nova to stop it; False if that is to be tried again."""
        try:
            self.compute.stop_server(instance_uuid)
        except errors.ComputeConflict:
            # It may have stopped, or changed its state, just now.
            server = self._find(instance_uuid)
            if server.vm_state == "active" and server.task_state is None:
                raise
        return True


class StartInstanceTask(_InstanceTask):
    """Have the instance start."""

    what = "start instance"

    def execute(self, instance_uuid: str) -> None:
        """Start it, or reboot it hard if it is in error.

        :raises errors.RecoveryFailed: its state allows neither.
        """
        decision = to_start(
            self._find(instance_uuid),
            stop_failed=bool(self.environment.recall().get("stop_failed")),
        )
        self.progress(0.7, decision.sentence)
        match decision.step:
            case InstanceStep.START:
                self.compute.start_server(instance_uuid)
            case InstanceStep.REBOOT:
                self.compute.reboot_server(instance_uuid)
            case InstanceStep.FAIL:
                raise errors.RecoveryFailed(decision.sentence)


class ConfirmInstanceActiveTask(_InstanceTask):
    """Wait until the instance is active."""

    what = "confirm instance"
    started = "Confirming instance is Active"
    finished = "Confirmed instance is Active"

    def execute(self, instance_uuid: str) -> None:
        """Look at the instance until it is active.

        :raises errors.RecoveryFailed: it went to error, or the time is over.
        """
        limit = self.conf.wait_period_after_power_on
        end = self._now() + limit
        while True:
            decision = confirmed(self._find(instance_uuid))
            if decision.step is InstanceStep.DONE:
                return
            if decision.step is InstanceStep.FAIL:
                raise errors.RecoveryFailed(decision.sentence)
            if self._now() >= end:
                raise errors.RecoveryFailed(
                    f"{decision.sentence} after {limit} seconds"
                )
            self.wait(self.conf.verify_interval)
