"""The processes of a benchmark: a simulated cloud, API and engines."""

import contextlib
import json
import os
import pathlib
import socket
import tempfile
import urllib.request
from typing import Any

import sqlalchemy as sa

from recovery_ha.conf import new_config
from recovery_ha.db import migration
from recovery_ha.db.session import Database
from recovery_ha.simulator.control_client import ControlClient
from recovery_ha.tests.fixtures.processes import Daemon, write_config


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    line = next(x for x in status.splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Site:
    """Everything of one run; ``close`` ends it."""

    def __init__(
        self, connection: str | None, transport: str, **simulator: Any
    ) -> None:
        """Prepare a database, anew, and the simulated cloud.

        :param connection: a database URL; what is in it is dropped. None
            takes a SQLite file.
        :param transport: oslo.messaging's transport URL.
        :param simulator: options of group [simulator].
        """
        self._stack = contextlib.ExitStack()
        self.directory = pathlib.Path(
            self._stack.enter_context(tempfile.TemporaryDirectory())
        )
        self.connection = (
            connection or f"sqlite:///{self.directory}/recovery_ha.sqlite"
        )
        self.transport = transport
        self.api_port, self._simulator_port = free_port(), free_port()
        self.daemons: list[Daemon] = []
        self._make_tables()
        self._simulator = {"port": self._simulator_port, **simulator}
        if simulator:
            self.start("simulator", "simulator", ready="ready")
        self.control = ControlClient(
            f"http://127.0.0.1:{self._simulator_port}"
        )

    @property
    def log_file(self) -> pathlib.Path:
        """A file for logs; it goes with the run."""
        return self.directory / "wsgi.log"

    @property
    def simulator_url(self) -> str:
        """Where the simulated cloud listens."""
        return f"http://127.0.0.1:{self._simulator_port}"

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *_exc: object) -> None:
        for daemon in self.daemons:
            daemon.clean_up()
        self._stack.close()

    def _make_tables(self) -> None:
        conf = new_config([], default_config_files=[])
        conf.set_override("connection", self.connection, "database")
        self.database = Database(conf)
        with self.database.engine.begin() as connection:
            tables = sa.MetaData()
            tables.reflect(connection)
            tables.drop_all(connection)
        migration.upgrade(self.database)

    def start(
        self, program: str, name: str, *, ready: str, **options: Any
    ) -> Daemon:
        """Start a process and wait until it is ready.

        :param options: by group, dicts of further values.
        """
        path = self.configure(name, program, options)
        daemon = Daemon(name, program, path, ready=ready)
        self.daemons.append(daemon)
        return daemon.wait_ready()

    def configure(
        self, name: str, program: str, options: dict[str, dict[str, Any]]
    ) -> pathlib.Path:
        """Write a configuration file and return where it is."""
        access = {
            "auth_type": "password",
            "auth_url": f"http://127.0.0.1:{self._simulator_port}/identity/v3",
            "username": "service",
            "password": "secret",
            "project_name": "service",
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        groups: dict[str, dict[str, Any]] = {
            "DEFAULT": {"transport_url": self.transport},
            "database": {"connection": self.connection},
            "api": {"port": self.api_port, "auth_strategy": "noauth"},
            "engine": {"host": name},
            "nova": access,
            "keystone_authtoken": access,
            "simulator": self._simulator if program == "simulator" else {},
        }
        for group, values in options.items():
            groups[group] = {**groups.get(group, {}), **values}
        return write_config(self.directory / f"{name}.conf", groups)

    def api(self, **options: Any) -> Daemon:
        """Start the API."""
        return self.start("api", "api", ready="Listening on", **options)

    def engine(self, name: str, **options: Any) -> Daemon:
        """Start an engine."""
        ready = f"Engine {name} works."
        return self.start("engine", name, ready=ready, **options)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to the API and return what it answers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.api_port}/v1{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "OpenStack-API-Version": "instance-ha 1.3",
            },
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.loads(answer.read())

    def register(self, hosts: list[str]) -> None:
        """Have hosts in a segment."""
        segment = self.call(
            "POST",
            "/segments",
            {
                "segment": {
                    "name": "benchmark",
                    "recovery_method": "auto",
                    "service_type": "COMPUTE",
                }
            },
        )["segment"]
        for host in hosts:
            self.call(
                "POST",
                f"/segments/{segment['uuid']}/hosts",
                {
                    "host": {
                        "name": host,
                        "type": "COMPUTE",
                        "control_attributes": "-",
                    }
                },
            )

    def report(self, host: str) -> str:
        """Report a host as dead; return the notification's uuid."""
        answer = self.call("POST", "/notifications", report_body(host))
        uuid: str = answer["notification"]["notification_uuid"]
        return uuid


def report_body(host: str, **payload: str) -> dict[str, Any]:
    """Return the body of a report as a monitor sends it."""
    return {
        "notification": {
            "type": "COMPUTE_HOST",
            "hostname": host,
            "generated_time": "2026-01-01T00:00:00.000000",
            "payload": {
                "event": "STOPPED",
                "cluster_status": "OFFLINE",
                "host_status": "NORMAL",
                **payload,
            },
        }
    }
