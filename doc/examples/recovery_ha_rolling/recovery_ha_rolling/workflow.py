"""Sessions that go host by host, with a rest in between."""

from typing import ClassVar

from recovery_ha.plugin import Workflow


class RollingWorkflow(Workflow):
    """One host at a time; there is never less room than that."""

    # Nobody is asked to scale in, and there is no first host to prepare.
    states_methods: ClassVar = {
        "MAINTENANCE": "maintenance",
        "START_MAINTENANCE": "start_maintenance",
        "PLANNED_MAINTENANCE": "planned_maintenance",
        "MAINTENANCE_COMPLETE": "maintenance_complete",
    }

    def maintenance(self) -> None:
        """Have all projects agree, and wait until it is time."""
        self.update_instances()
        self.wait_for_projects(
            "MAINTENANCE", self.conf.project_maintenance_reply
        )
        self.wait_until(self.session.maintenance_at)
        self.run_actions("pre")
        self.state = "START_MAINTENANCE"

    def start_maintenance(self) -> None:
        """Maintain one host, if there is one without instances."""
        host = self.empty_hosts()[:1]
        self.disable_hosts(host)
        self.maintain_hosts(host)
        rest = self.work.conf.recovery_ha_rolling.rest if host else 0
        self.remember(rest_until=self.now() + rest)
        self.state = (
            "PLANNED_MAINTENANCE"
            if self.unmaintained()
            else "MAINTENANCE_COMPLETE"
        )

    def planned_maintenance(self) -> None:
        """Empty the next host."""
        self.wait_until(self.session.record["rest_until"], "Taking a rest.")
        self.update_instances()
        host = self.unmaintained()[0]
        self.disable_hosts([host])
        self.wait_for_projects(
            "PLANNED_MAINTENANCE",
            self.conf.project_maintenance_reply,
            instances=self.instances_on(host),
            allowed_actions=["LIVE_MIGRATE", "MIGRATE"],
        )
        emptied = self.move_instances(host)
        self.state = "START_MAINTENANCE" if emptied else "PLANNED_MAINTENANCE"

    def maintenance_complete(self) -> None:
        """Tell all projects that it is over."""
        self.run_actions("post")
        self.wait_for_projects(
            "MAINTENANCE_COMPLETE", self.conf.project_scale_in_reply
        )
        self.state = "MAINTENANCE_DONE"
