"""``recovery-ha-api``: the API on a port of its own, for development."""

import contextlib
import logging
import sys
import threading

from recovery_ha import guru, metrics
from recovery_ha.api.app import make_app
from recovery_ha.api.server import Server
from recovery_ha.clients.events import Emitter
from recovery_ha.cmd import start
from recovery_ha.rpc.client import EngineClient
from recovery_ha.signals import Ending

LOG = logging.getLogger(__name__)


@start.command
def main() -> int:
    """Serve the API until told to stop.

    :returns: the exit status.
    """
    conf = start.configure("recovery-ha-api")
    guru.install(conf, "recovery-ha-api")
    database = start.open_database(conf)
    with contextlib.ExitStack() as stack:
        stack.callback(database.dispose)
        stack.enter_context(metrics.serving(conf, conf.metrics.port))
        client = EngineClient(conf)
        stack.callback(client.stop)
        events = Emitter(conf, "recovery-ha-api")
        stack.callback(events.stop)
        stopping = threading.Event()
        app = make_app(
            conf,
            database,
            client.wake,
            events=events,
            stopping=stopping,
        )
        server = Server(conf, app)
        ending = Ending()
        server.start()
        LOG.info("Listening on %s:%d.", conf.api.host, server.port)
        ending.wait()
        stopping.set()
        LOG.info("Stopping.")
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
