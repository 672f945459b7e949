"""The first tasks of a host recovery: the service, and the instances.

Each task looks at the world before it acts, so that it may run again after a
crash at any instruction. Names and order: the specs; what is asked of Nova:
reference 3.2 and 3.3.
"""

from collections.abc import Iterable
from typing import Any

from recovery_ha.db import types, vmoves, work
from recovery_ha.domain import errors
from recovery_ha.domain.evacuation import Candidate, Selection, select
from recovery_ha.domain.exclusion import Exclusions, exclude
from recovery_ha.domain.gates import (
    Decision,
    Verdict,
    list_is_empty,
    others_up,
    service_down,
)
from recovery_ha.domain.ports import ComputeService, Server
from recovery_ha.domain.recovery import VMove, VMoveStatus
from recovery_ha.engine.recovery.environment import Environment
from recovery_ha.engine.recovery.services import (
    disable_meanwhile,
    find_service,
)
from recovery_ha.plugin import RecoveryTask


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
        :raises errors.ComputeDoubtful: see :meth:`_look_around`.
        """
        service = find_service(self.compute, host_name)
        force = self.conf.host_failure.force_down == "always"
        done = {
            "id": service.id,
            "disabled": service.enabled,
            "forced_down": service.up and force,
            "reason": self._reason,
        }
        self.environment.remember(service=done)
        if service.up and force:
            self.compute.force_service_down(service.id)
            self.progress(0.7, f"Forced compute service down on {host_name}")
            service = find_service(self.compute, host_name)
        if service.up and service.enabled:
            disable_meanwhile(self.compute, service, self._reason)
        # Nothing is believed of a Nova that sees nobody up.
        service = self._wait_until_down(host_name, service)
        if service.enabled:
            self.compute.disable_service(service.id, self._reason)
        self.progress(0.9, f"Compute service on {host_name} is disabled")
        return done

    @property
    def _reason(self) -> str:
        return str(self.conf.host_failure.service_disable_reason)

    def _look_around(self, host_name: str) -> None:
        """Make sure that it is this host that is down, and not Nova's eyes.

        :raises errors.ComputeDoubtful: Nova sees no other service up either.
        """
        others = [
            service
            for service in self.compute.list_services()
            if service.host != host_name
        ]
        decision = others_up(
            host_name,
            up=sum(service.up for service in others),
            total=len(others),
        )
        self.environment.decide(decision)
        if decision.verdict is not Verdict.PASS:
            raise errors.ComputeDoubtful(decision.sentence)

    def _wait_until_down(
        self, host_name: str, service: ComputeService
    ) -> ComputeService:
        limit = float(self.conf.wait_period_after_service_update)
        began = work.clock(self.environment.ctx)
        waiting = False
        while True:
            decision = service_down(
                host_name,
                up=service.up,
                forced_down=service.forced_down,
                waited=work.clock(self.environment.ctx) - began,
                limit=limit,
            )
            if decision.verdict is not Verdict.HOLD or not waiting:
                self.environment.decide(decision)
            if decision.verdict is Verdict.PASS:
                self._look_around(host_name)
                return service
            if decision.verdict is Verdict.FAIL:
                raise errors.RecoveryFailed(decision.sentence)
            if not waiting:
                self.progress(0.6, decision.sentence)
                waiting = True
            self.wait(self.conf.verify_interval)
            service = find_service(self.compute, host_name)


class PrepareHAEnabledInstancesTask(RecoveryTask):
    """Write down which instances are evacuated, in which order."""

    what = "prepare the list of instances"
    default_provides = "instance_uuids"
    environment: Environment

    def execute(self, host_name: str, notification_uuid: str) -> list[str]:
        """Make a vmove for each instance, or start the failed ones again.

        :returns: the uuids of all instances of the recovery, in order.
        :raises errors.ComputeDoubtful: Nova lists none, and there are some.
        """
        options = self.conf.host_failure
        ctx, claim = self.environment.ctx, self.environment.lease.claim
        known = vmoves.list_vmoves(ctx, notification_uuid)
        servers = self.compute.list_servers(host_name)
        if not servers and not known:
            self._doubt(host_name)
        excluded = self._excluded(servers)
        self.environment.decide(*excluded)
        chosen = select(
            servers,
            self.compute.list_evacuations(host_name),
            excluded={d.subject: d.sentence for d in excluded},
            ha_key=options.ha_enabled_instance_metadata_key,
            evacuate_all=options.evacuate_all_instances,
            ignore_error=options.ignore_instances_in_error_state,
        )
        self._report(host_name, chosen)
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

    def _doubt(self, host_name: str) -> None:
        """Look for instances in another way before an empty list is believed.

        Who uses what of the host is Placement's to know. Instances that were
        evacuated from it earlier are in there, too, until its nova-compute
        has started again.
        """
        users = self.environment.placement.users(host_name)
        there, elsewhere = [], 0
        for uuid in users or ():
            server = self.compute.find_server(uuid)
            there += [uuid] * bool(server and server.host == host_name)
            elsewhere += bool(server and server.host != host_name)
            if there:
                break
        decision = list_is_empty(
            host_name,
            known=users is not None,
            there=there,
            elsewhere=elsewhere,
        )
        self.environment.decide(decision)
        if decision.verdict is not Verdict.PASS:
            raise errors.ComputeDoubtful(decision.sentence)
        self.environment.remember(empty=decision.sentence)
        self.progress(0.6, decision.sentence)

    def _excluded(self, servers: Iterable[Server]) -> list[Decision]:
        """Return why some instances are left alone."""
        rules = self.conf.host_failure
        exclusions = Exclusions(
            projects=rules.exclude_projects,
            names=rules.exclude_names,
            metadata=rules.exclude_metadata,
            extra_specs=rules.exclude_extra_specs,
            image_properties=rules.exclude_image_properties,
        )
        images: dict[str, dict[str, str]] = {}
        found = []
        for server in servers:
            image: dict[str, str] = {}
            if exclusions.image_properties and server.image_id:
                if server.image_id not in images:
                    images[server.image_id] = self._image(server.image_id)
                image = images[server.image_id]
            decision = exclude(server, exclusions, image)
            if decision is not None:
                found.append(decision)
        return found

    def _image(self, image_id: str) -> dict[str, str]:
        """Return an image's properties; none if Glance does not tell."""
        try:
            return self.environment.images.properties(image_id)
        except errors.ComputeError as exc:
            self.progress(0.6, f"Image {image_id} matches no rule: {exc}")
            return {}

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
        """Give what failed in an earlier attempt another one.

        So with what an operator's restart has made pending: Nova may know
        more of it than its row.
        """
        present = {c.server.id: c for c in candidates}
        for move in known:
            if move.status is not VMoveStatus.FAILED and not (
                move.status is VMoveStatus.PENDING
                and move.requested_at is None
            ):
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
                again |= _found_anew(move, candidate.server)
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


def _found_anew(move: VMove, server: Server) -> dict[str, Any]:
    """Return what to write of a server that is not as it was found.

    In error it may be by us, or by an evacuation that failed.
    """
    if server.vm_state in {move.vm_state, "error"}:
        return {}
    return {
        "vm_state": server.vm_state,
        "task_state": server.task_state,
        "power_state": server.power_state,
    }


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
