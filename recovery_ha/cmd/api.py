"""``recovery-ha-api``: the API on a port of its own, for development."""

import contextlib
import logging
import signal
import sys
import threading

from recovery_ha import guru, metrics
from recovery_ha.api.app import make_app
from recovery_ha.api.server import Server
from recovery_ha.clients.events import Emitter
from recovery_ha.cmd import start
from recovery_ha.rpc.client import EngineClient

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
        told_to_stop = threading.Event()
        app = make_app(
            conf,
            database,
            client.wake,
            events=events,
            stopping=told_to_stop,
        )
        server = Server(conf, app)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_args: told_to_stop.set())
        server.start()
        LOG.info("Listening on %s:%d.", conf.api.host, server.port)
        told_to_stop.wait()
        LOG.info("Stopping.")
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
