"""``recovery-ha-engine``: any number of them, all active."""

import os
import sys

from recovery_ha import guru, metrics
from recovery_ha.cmd import start
from recovery_ha.engine import service


@start.command
def main() -> int:
    """Run one engine until it is told to stop.

    :returns: the exit status.
    """
    conf = start.configure("recovery-ha-engine")
    guru.install(conf, "recovery-ha-engine")
    with metrics.serving(conf, conf.metrics.engine_port):
        status = service.run(conf, start.open_database(conf))
    sys.stdout.flush()
    sys.stderr.flush()
    # Requests that outlived the time to stop are not waited for; whatever
    # they do, another engine finds out.
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
