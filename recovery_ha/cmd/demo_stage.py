"""What the demonstrations stand on: a whole service and a simulated cloud."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import openstack
from rich.console import Console

from recovery_ha.simulator.control_client import ControlClient

_LIMIT_SECONDS = 60
_CONFIG = """\
[DEFAULT]
log_file = {directory}/standalone.log
[api]
port = {api_port}
[standalone]
state_dir = {directory}
[simulator]
port = {simulator_port}
instance_ha_url = http://127.0.0.1:{api_port}/v1
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """A running service with its cloud.

    :ivar cloud: openstacksdk's connection, as an administrator.
    :ivar control: what happens to the cloud.
    :ivar api_url: of the service, without its version.
    """

    cloud: Any
    control: ControlClient
    api_url: str


@contextlib.contextmanager
def standing(console: Console, options: str) -> Iterator[Stage]:
    """Start the service in a process of its own, and stop it.

    :param options: of the configuration file: further ones of the group
        [simulator], and other groups.
    :raises SystemExit: it does not start.
    """
    with (
        tempfile.TemporaryDirectory(prefix="recovery-ha-demo-") as name,
        _started(console, pathlib.Path(name), options) as stage,
    ):
        yield stage


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextlib.contextmanager
def _started(
    console: Console, directory: pathlib.Path, options: str
) -> Iterator[Stage]:
    api_port, simulator_port = _free_port(), _free_port()
    config = directory / "demo.conf"
    text = _CONFIG.format(
        directory=directory, api_port=api_port, simulator_port=simulator_port
    )
    config.write_text(text + options)
    command = [
        sys.executable,
        "-m",
        "recovery_ha.cmd.standalone",
        "--config-file",
        str(config),
        "--with-simulator",
    ]
    console.print(
        "Starting recovery-ha-standalone with a simulated cloud inside:"
        " SQLite, no message queue, REST API on"
        f" http://127.0.0.1:{api_port}/v1"
    )
    environment = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("OS_")
    }
    with subprocess.Popen(command, env=environment) as process:  # noqa: S603
        try:
            _wait_until_open(process, api_port)
            simulator = f"http://127.0.0.1:{simulator_port}"
            cloud = openstack.connect(
                load_yaml_config=False,
                load_envvars=False,
                auth={
                    "auth_url": f"{simulator}/identity/v3",
                    "username": "admin",
                    "password": "admin",
                    "project_name": "admin",
                    "user_domain_id": "default",
                    "project_domain_id": "default",
                },
                region_name="RegionOne",
            )
            yield Stage(
                cloud, ControlClient(simulator), f"http://127.0.0.1:{api_port}"
            )
        finally:
            process.terminate()
            try:
                process.wait(_LIMIT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_open(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + _LIMIT_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise SystemExit("The service did not start; see above.")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.1)
    raise SystemExit("The service did not open its port in time.")
