"""The life of an engine: what is started, in which order, and stopped."""

import importlib.metadata
import logging
import signal
import socket
import threading

from oslo_config import cfg
from oslo_db import exception as db_exc
from oslo_service import service
from oslo_utils import uuidutils

from recovery_ha import guru
from recovery_ha.clients.compute import Nova
from recovery_ha.clients.events import Emitter
from recovery_ha.context import RequestContext, internal_context
from recovery_ha.db import services
from recovery_ha.db.session import Database
from recovery_ha.domain import errors
from recovery_ha.domain.lease import WorkKind
from recovery_ha.engine.delivery import Delivery
from recovery_ha.engine.dispatcher import Desk, Dispatcher
from recovery_ha.engine.endpoints import make_server
from recovery_ha.engine.lease import LeaseKeeper
from recovery_ha.engine.maintenance.action_plugins import load_actions
from recovery_ha.engine.maintenance.handler import MaintenanceHandler
from recovery_ha.engine.maintenance.workflows import load_workflows
from recovery_ha.engine.periodic import Periodic
from recovery_ha.engine.plugins import load_flows
from recovery_ha.engine.provisioning.handler import ClusterHandler
from recovery_ha.engine.provisioning.plugins import load_plugins
from recovery_ha.engine.recovery.handler import RecoveryHandler
from recovery_ha.engine.runner import FlowRunner
from recovery_ha.engine.telling import Teller
from recovery_ha.signals import Ending

LOG = logging.getLogger(__name__)

_BINARY = "recovery-ha-engine"


class Engine:
    """One engine in this process; it works from its making until ``stop``.

    :ivar host: the engine's name.
    """

    def __init__(self, conf: cfg.ConfigOpts, database: Database) -> None:
        """Check the configuration, then start to look for work.

        :raises errors.InvalidConfiguration: the text names the option.
        """
        self._conf = conf
        self.host: str = conf.engine.host or socket.gethostname()
        ctx = self._ctx = internal_context(database)
        nova = Nova(conf)
        self._events = Emitter(conf, _BINARY, self.host)
        runner = FlowRunner(database)
        handler = RecoveryHandler(
            conf,
            ctx,
            nova,
            runner,
            load_flows(conf),
            Teller(self._events),
        )
        threading.Thread(
            target=_greet, args=(nova,), name="greet-nova", daemon=True
        ).start()
        # A restarted engine is a new owner: what the old one had under way
        # it takes over like anybody else, when the lease has ended.
        owner = f"{self.host}:{uuidutils.generate_uuid()}"
        self._keeper = LeaseKeeper(ctx, owner, conf.engine.lease_seconds)
        guru.register_section("Owned work", self._keeper.report)
        self._delivery = Delivery(conf, ctx, self.host)
        workflows, actions = load_workflows(), load_actions()
        self._owner = owner
        self._capabilities = {"workflows": workflows, "actions": actions}
        self._delivery.start()
        self._periodic = Periodic(ctx, conf, self._beat)
        self._dispatcher = Dispatcher(
            ctx,
            self._keeper,
            [
                Desk(WorkKind.RECOVERY, handler, conf.engine.workers),
                *_cluster_desk(conf, ctx),
                Desk(
                    WorkKind.MAINTENANCE,
                    MaintenanceHandler(
                        conf,
                        ctx,
                        nova,
                        runner,
                        workflows,
                        actions,
                        self._delivery,
                    ),
                    conf.maintenance.workers,
                    frozenset(workflows),
                ),
            ],
            sweep_interval=conf.engine.sweep_interval,
        )
        LOG.info("Engine %s works.", self.host)

    def wake(self) -> None:
        """Look for work now; returns at once."""
        self._keeper.wake()
        self._dispatcher.wake()
        self._delivery.kick()

    def _beat(self) -> None:
        """Report this engine as alive, with what it can do."""
        services.beat(
            self._ctx,
            host=self.host,
            owner=self._owner,
            binary=_BINARY,
            version=importlib.metadata.version("recovery_ha"),
            capabilities=self._capabilities,
        )

    def stop(self) -> None:
        """Hand over what is under way and stop."""
        self._dispatcher.stop(self._conf.engine.stop_timeout)
        self._periodic.stop()
        self._keeper.close()
        self._delivery.stop()
        self._leave()
        self._events.stop()
        LOG.info("Engine %s has stopped.", self.host)

    def _leave(self) -> None:
        """Report this engine as stopped; if not, it is found out anyway."""
        down_time = self._conf.engine.service_down_time
        try:
            services.leave(self._ctx, self.host, self._owner, down_time)
        except (db_exc.DBError, errors.DatabaseUnavailable) as exc:
            LOG.warning("That this engine stops was not reported: %s", exc)


def _cluster_desk(conf: cfg.ConfigOpts, ctx: RequestContext) -> list[Desk]:
    """Return where clusters are provisioned; empty without a plug-in.

    :raises errors.InvalidConfiguration: see :func:`load_plugins`.
    """
    plugins = load_plugins(conf)
    if not plugins:
        return []
    LOG.info("Provisioning plug-ins: %s.", ", ".join(sorted(plugins)))
    return [
        Desk(
            WorkKind.CLUSTER,
            ClusterHandler(conf, ctx, plugins),
            conf.provisioning.workers,
            frozenset(plugins),
        )
    ]


def _greet(nova: Nova) -> None:
    """Log in before it is urgent, and tell the operator if that fails."""
    try:
        LOG.info("Nova is at %s.", nova.connect())
    except errors.ComputeError as exc:
        LOG.warning(
            "Nova cannot be reached now, and nothing can be recovered until"
            " it can: %s",
            exc,
        )


class EngineService(service.Service):
    """An engine and its RPC server, as oslo.service runs them."""

    def __init__(self, conf: cfg.ConfigOpts, database: Database) -> None:
        """Start the engine; the RPC server starts with the service.

        :raises errors.InvalidConfiguration: see :class:`Engine`.
        """
        super().__init__()
        self._engine = Engine(conf, database)
        self._server = make_server(conf, self._engine.host, self._engine.wake)
        self._listening = False

    def start(self) -> None:
        """Listen for wake-ups.

        This waits for the message queue as long as it takes; the engine
        works meanwhile, by its sweep.
        """
        self._server.start()
        self._listening = True

    def stop(self, graceful: bool = False) -> None:
        """Hand over what is under way and stop listening."""
        self._engine.stop()
        if self._listening:
            self._server.stop()
        super().stop(graceful)


def run(conf: cfg.ConfigOpts, database: Database) -> int:
    """Run one engine until SIGTERM or SIGINT; SIGHUP reads log levels anew.

    :returns: the exit status.
    :raises errors.InvalidConfiguration: see :class:`Engine`.
    """
    # First of all: what a starting engine owns already, it must hand over.
    ending = Ending()
    signal.signal(signal.SIGHUP, lambda *_: conf.mutate_config_files())
    launcher = service.Launcher(conf, restart_method="mutate")
    engine = EngineService(conf, database)
    launcher.launch_service(engine)
    ending.wait()
    engine.stop()
    return 0
