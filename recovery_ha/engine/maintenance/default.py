"""The ``default`` workflow: host by host, as the source document says.

It uses nothing but the public base class, so that it can be copied.
"""

from recovery_ha.domain.maintenance import (
    HostType,
    InstanceAction,
    SessionState,
)
from recovery_ha.plugin import MaintenanceFailed, Workflow

_S = SessionState


class DefaultWorkflow(Workflow):
    """Maintain empty hosts; empty the others one by one."""

    def maintenance(self) -> None:
        """Ask all projects, wait for the time, then decide how to begin."""
        self.update_instances()
        self.wait_for_projects(
            _S.MAINTENANCE, self.conf.project_maintenance_reply
        )
        self.wait_until(
            self.session.maintenance_at,
            "All projects agree; the maintenance begins at"
            f" {self.session.maintenance_at:%Y-%m-%d %H:%M:%S} UTC.",
        )
        self.run_actions("pre")
        self.state = self.next_step()

    def scale_in(self) -> None:
        """Have projects make room, then decide again."""
        self.update_instances()
        self.wait_for_projects(_S.SCALE_IN, self.conf.project_scale_in_reply)
        self.state = self.next_step()

    def prepare_maintenance(self) -> None:
        """Empty a first host, whose instances fit elsewhere."""
        self.update_instances()
        host = self.host_to_empty()
        if host is None:
            self.state = self.next_step()
            return
        self._empty(host)

    def start_maintenance(self) -> None:
        """Maintain all hosts that are empty, controllers before computes."""
        self.disable_hosts()
        begun = self._begun_with()
        self.maintain_hosts(self.unmaintained(HostType.OTHER))
        self.maintain_hosts(self.unmaintained(HostType.CONTROLLER))
        self.maintain_hosts(self.empty_hosts())
        left = self.unmaintained()
        if left and left == begun:
            raise MaintenanceFailed(
                f"None of the hosts that are left is empty: {', '.join(left)}."
            )
        self.state = (
            _S.PLANNED_MAINTENANCE if left else _S.MAINTENANCE_COMPLETE
        )

    def _begun_with(self) -> list[str]:
        """Return the computes that were not maintained as the state began.

        The method may run several times in one round of it.
        """
        begun = self.session.record.get("begun", {})
        if begun.get("round") != self.session.round:
            begun = {"round": self.session.round, "left": self.unmaintained()}
            self.remember(begun=begun)
        return list(begun["left"])

    def planned_maintenance(self) -> None:
        """Empty the next host; its instances go to maintained ones."""
        self.update_instances()
        host = self.host_to_empty()
        if host is None:
            self.state = _S.START_MAINTENANCE
            return
        self._empty(host)

    def maintenance_complete(self) -> None:
        """Do what is left, and let projects scale out again."""
        self.run_actions("post")
        self.update_instances()
        self.wait_for_projects(
            _S.MAINTENANCE_COMPLETE, self.conf.project_scale_in_reply
        )
        self.state = _S.MAINTENANCE_DONE

    def _empty(self, host: str) -> None:
        """Have projects say how their instances leave a host, and do it."""
        self.disable_hosts([host])
        self.wait_for_projects(
            self.session.state,
            self.conf.project_maintenance_reply,
            instances=self.instances_on(host),
            allowed_actions=list(InstanceAction),
        )
        emptied = self.move_instances(host)
        # Others may have come to it while it was not disabled yet.
        self.state = _S.START_MAINTENANCE if emptied else self.session.state
