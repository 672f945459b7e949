"""The ``vnf`` workflow: instance by instance, as their groups bear it.

It uses nothing but the public base class, so that it can be copied.
"""

from collections.abc import Collection

from recovery_ha.domain.maintenance import InstanceAction, SessionState
from recovery_ha.engine.maintenance.default import DefaultWorkflow
from recovery_ha.plugin import MaintenanceFailed

_S = SessionState
_SHOWN = 10


class VnfWorkflow(DefaultWorkflow):
    """Maintain hosts under applications that say what they bear.

    Projects say it in the constraints of their instances and groups, before
    the session begins.
    """

    def maintenance(self) -> None:
        """See that all constraints are there; the rest is as by default."""
        self.update_instances()
        self._require_constraints()
        super().maintenance()

    def scale_in(self) -> None:
        """Have projects do without instances that are named."""
        self.update_instances()
        named = self.instances_to_spare()
        self.wait_for_projects(
            _S.SCALE_IN,
            self.conf.project_scale_in_reply,
            instances=named or None,
        )
        self.state = self.next_step()

    def _require_constraints(self) -> None:
        if self.conf.missing_constraints == "default":
            return
        missing = self.missing_constraints()
        if missing:
            raise MaintenanceFailed(
                "Workflow vnf needs constraints, and these are missing:"
                f" {_listed(missing)} (PUT /v1/instance/<id> and"
                " /v1/instance_group/<id>, or [maintenance]"
                " missing_constraints)."
            )

    def _empty(self, host: str) -> None:
        """Have the instances of a host leave it in their turns."""
        self.disable_hosts([host])
        self.empty_by_turns(host, list(InstanceAction))
        self.state = _S.START_MAINTENANCE


def _listed(phrases: Collection[str]) -> str:
    shown = list(phrases)[:_SHOWN]
    more = len(phrases) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")
