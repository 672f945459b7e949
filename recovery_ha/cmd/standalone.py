"""``recovery-ha-standalone``: the whole service in one process.

SQLite, no message queue (``fake://`` unless told otherwise), no Keystone in
front of the API, which therefore listens on loopback only. For a first look,
for one machine, for trying things out; every option of the other commands
works here too.
"""

import contextlib
import logging
import pathlib
import sys
import threading
from collections.abc import Iterator
from typing import Any

from keystoneauth1 import loading
from oslo_config import cfg
from oslo_messaging import opts as messaging_opts

from recovery_ha import guru, metrics
from recovery_ha.api.app import make_app
from recovery_ha.api.server import Server
from recovery_ha.clients.events import Emitter
from recovery_ha.cmd import start
from recovery_ha.conf import nova
from recovery_ha.db import migration
from recovery_ha.db.session import Database
from recovery_ha.engine.service import Engine
from recovery_ha.signals import Ending
from recovery_ha.simulator import settings
from recovery_ha.simulator.server import Simulator

LOG = logging.getLogger(__name__)

_CLI_OPTS = [
    cfg.BoolOpt(
        "with-simulator",
        default=False,
        help="Run a simulated cloud inside (options in group [simulator]) "
        "and recover its instances.",
    ),
]


@start.command
def main() -> int:
    """Run API and engine until told to stop.

    :returns: the exit status.
    """
    conf = start.configure("recovery-ha-standalone", cli_opts=_CLI_OPTS)
    guru.install(conf, "recovery-ha-standalone")
    ending, stopping = Ending(), threading.Event()
    _default_addresses(conf)
    with contextlib.ExitStack() as stack:
        if conf.with_simulator:
            stack.enter_context(_simulator(conf))
        stack.enter_context(metrics.serving(conf, conf.metrics.port))
        stack.enter_context(_service(conf, stopping))
        ending.wait()
        stopping.set()
    return 0


@contextlib.contextmanager
def _service(
    conf: cfg.ConfigOpts, stopping: threading.Event
) -> Iterator[None]:
    conf.set_default("auth_strategy", "noauth", group="api")
    _default_connection(conf)
    database = Database(conf)
    migration.upgrade(database)
    engine = Engine(conf, database)
    events = Emitter(conf, "recovery-ha-api")
    try:
        app = make_app(
            conf, database, engine.wake, events=events, stopping=stopping
        )
        server = Server(conf, app)
        server.start()
        sys.stdout.write(
            f"Serving http://{conf.api.host}:{server.port}/v1 from"
            f" {database.engine.url.render_as_string()}\n"
        )
        sys.stdout.flush()
        try:
            yield
        finally:
            server.stop()
    finally:
        engine.stop()
        events.stop()
        database.dispose()


def _default_addresses(conf: cfg.ConfigOpts) -> None:
    """Have no message queue but this process's, and the API where it is."""
    for group, options in messaging_opts.list_opts():
        if group is None:
            conf.register_opts(options)
    conf.set_default("transport_url", "fake://")
    if conf.api.port:
        url = f"http://{conf.api.host}:{conf.api.port}"
        conf.set_default("api_url", url, group="maintenance")


def _default_connection(conf: cfg.ConfigOpts) -> None:
    if conf.database.connection:
        return
    directory = pathlib.Path(conf.standalone.state_dir).expanduser()
    directory.mkdir(parents=True, exist_ok=True)
    conf.set_default(
        "connection",
        f"sqlite:///{directory.resolve()}/recovery_ha.sqlite",
        group="database",
    )


@contextlib.contextmanager
def _simulator(conf: cfg.ConfigOpts) -> Iterator[None]:
    """Run a simulated cloud, and have the engine log in to it."""
    settings.register_opts(conf)
    conf.set_default(
        "transport_url", conf.transport_url, group=settings.GROUP.name
    )
    conf.set_default(
        "notification_topic", conf.outbox.topic, group=settings.GROUP.name
    )
    with Simulator(settings.from_conf(conf)) as simulator:
        access: dict[str, Any] = {
            "auth_type": "password",
            "auth_url": simulator.auth_url,
            "username": "service",
            "password": "secret",
            "project_name": "service",
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        conf.register_opts(
            loading.get_auth_plugin_conf_options("password"), group=nova.GROUP
        )
        for name, value in access.items():
            conf.set_default(name, value, group=nova.GROUP)
        sys.stdout.write(f"Simulating a cloud at {simulator.url}\n")
        yield


if __name__ == "__main__":
    sys.exit(main())
