"""The public module for third parties: what a plug-in may rely on.

A task of a recovery flow is a subclass of :class:`RecoveryTask`, announced as
an entry point in ``recovery_ha.task_flow.tasks`` and named by it in
``[taskflow_driver_recovery_flows]``::

    class SendMailTask(RecoveryTask):
        what = "send a mail"

        def execute(self, host_name, notification_uuid):
            self.progress(0.6, f"Writing about {host_name}")

The arguments of ``execute`` are the task's inputs: ``notification_uuid`` and
``host_name`` in every flow, ``instance_uuid`` in those of instances,
``process_name`` in those of processes, ``reserved_host`` and
``reserved_host_list`` in those of hosts that go to a reserved host, and what
earlier tasks provide (``default_provides``); the built-in ones provide
``instance_uuids``, ``evacuated`` and ``failed``.

What provisions clusters is a subclass of :class:`ProvisioningPlugin`,
announced as an entry point in ``recovery_ha.provisioning_plugins``.

What drives maintenance sessions is a subclass of :class:`Workflow`, announced
in ``recovery_ha.workflows``, and what does something to their hosts one of
:class:`HostAction`, announced in ``recovery_ha.actions``.

The documentation has complete packages of each in ``doc/examples``.
"""

from recovery_ha.domain.history import ClusterInstance, NodeGroup
from recovery_ha.plugin.action import ActionEnvironment, HostAction
from recovery_ha.plugin.maintenance import (
    MaintenanceFailed,
    Waiting,
    Workflow,
)
from recovery_ha.plugin.provisioning import (
    ProvisionedCluster,
    ProvisioningPlugin,
)
from recovery_ha.plugin.recovery import (
    RecoveryTask,
    TaskEnvironment,
    TaskFailed,
)
from recovery_ha.plugin.session import SessionWork

__all__ = [
    "ActionEnvironment",
    "ClusterInstance",
    "HostAction",
    "MaintenanceFailed",
    "NodeGroup",
    "ProvisionedCluster",
    "ProvisioningPlugin",
    "RecoveryTask",
    "SessionWork",
    "TaskEnvironment",
    "TaskFailed",
    "Waiting",
    "Workflow",
]
