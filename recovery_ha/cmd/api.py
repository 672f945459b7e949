"""``recovery-ha-api``: the API on a port of its own, for development."""

import logging
import signal
import sys
import threading

from recovery_ha.api.app import make_app
from recovery_ha.api.server import Server
from recovery_ha.cmd import start
from recovery_ha.rpc.client import EngineClient

LOG = logging.getLogger(__name__)


@start.command
def main() -> int:
    """Serve the API until told to stop.

    :returns: the exit status.
    """
    conf = start.configure("recovery-ha-api")
    database = start.open_database(conf)
    client = EngineClient(conf)
    try:
        server = Server(conf, make_app(conf, database, client.wake))
        told_to_stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_args: told_to_stop.set())
        server.start()
        LOG.info("Listening on %s:%d.", conf.api.host, server.port)
        told_to_stop.wait()
        LOG.info("Stopping.")
        server.stop()
    finally:
        client.stop()
        database.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
