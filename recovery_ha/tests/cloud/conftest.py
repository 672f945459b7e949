"""A real OpenStack, and the whole service beside it.

``OS_CLOUD`` names the cloud (its user must be an administrator), and
``RECOVERY_HA_CLOUD_CONTROL`` a command that takes ``kill``, ``start``,
``freeze`` or ``thaw`` and the name of a compute host.
"""

import os
import shlex
import socket
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import openstack
import pytest
import sqlalchemy as sa

from recovery_ha.db import models
from recovery_ha.db.session import Database
from recovery_ha.tests.fixtures.databases import empty, open_database
from recovery_ha.tests.fixtures.processes import Daemon, write_config
from recovery_ha.tests.fixtures.waiting import eventually

RABBIT = os.environ.get(
    "RECOVERY_HA_TEST_RABBIT_URL", "rabbit://guest:guest@127.0.0.1:5672/"
)
#: The version below which Nova leaves an evacuated server ACTIVE.
NOVA = "2.94"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Cloud:
    """The cloud, and what a test does to it."""

    def __init__(self, control: str) -> None:
        self._control = shlex.split(control)
        self.sdk = openstack.connect()
        self._made: list[str] = []
        self._killed: list[str] = []

    def control(self, action: str, host: str) -> None:
        subprocess.run([*self._control, action, host], check=True)

    def get(self, path: str, **params: str) -> dict[str, Any]:
        response = self.sdk.compute.get(path, params=params, microversion=NOVA)
        assert response.ok, response.text
        body: dict[str, Any] = response.json()
        return body

    def service(self, host: str) -> dict[str, Any]:
        found = self.get("/os-services", binary="nova-compute", host=host)
        service: dict[str, Any] = found["services"][0]
        return service

    def live_hosts(self) -> list[str]:
        services = self.get("/os-services", binary="nova-compute")["services"]
        return sorted(
            service["host"]
            for service in services
            if service["state"] == "up" and service["status"] == "enabled"
        )

    def server(self, uuid: str) -> dict[str, Any]:
        server: dict[str, Any] = self.get(f"/servers/{uuid}")["server"]
        return server

    def boot(
        self, host: str, count: int, project: str | None = None
    ) -> list[str]:
        """Have servers on a host, ACTIVE.

        :param project: whose; None: the administrator's own.
        """
        sdk = self.sdk if project is None else self._inside(project)
        image = next(iter(self.sdk.image.images())).id
        flavor = next(iter(self.sdk.compute.flavors())).id
        uuids = []
        for number in range(count):
            response = sdk.compute.post(
                "/servers",
                microversion=NOVA,
                json={
                    "server": {
                        "name": f"recovery-ha-{number}",
                        "flavorRef": flavor,
                        "imageRef": image,
                        "networks": "none",
                        "host": host,
                    }
                },
            )
            assert response.ok, response.text
            uuids.append(response.json()["server"]["id"])
        self._made += uuids
        eventually(
            lambda: all(self.server(u)["status"] == "ACTIVE" for u in uuids),
            f"{count} servers are ACTIVE on {host}",
            120,
        )
        return uuids

    def _inside(self, project: str) -> Any:
        """Return a connection of the administrator to a project."""
        identity = self.sdk.identity
        admin = identity.find_role("admin")
        user = self.sdk.current_user_id
        identity.assign_project_role_to_user(project, user, admin)
        return self.sdk.connect_as_project({"id": project})

    def member(self, name: str) -> tuple[str, Any]:
        """Have a project with one member.

        :returns: the project's id, and a connection of its member.
        """
        identity = self.sdk.identity
        found = identity.find_project(name) or identity.create_project(
            name=name, domain_id="default"
        )
        if identity.find_user(name) is None:
            user = identity.create_user(
                name=name, password=name, domain_id="default"
            )
            role = identity.find_role("member")
            identity.assign_project_role_to_user(found, user, role)
        sdk = openstack.connection.Connection(
            auth={
                "auth_url": self.sdk.config.get_auth_args()["auth_url"],
                "username": name,
                "password": name,
                "project_name": name,
                "user_domain_id": "default",
                "project_domain_id": "default",
            },
            region_name=self.sdk.config.get_region_name(),
        )
        return found.id, sdk

    def kill(self, host: str) -> None:
        self._killed.append(host)
        self.control("kill", host)

    def restart(self, host: str) -> None:
        """Have a host lose its guests and come back."""
        self.kill(host)
        self.wait_for(host, "down")
        self.control("start", host)
        self.wait_for(host, "up")
        self._killed.remove(host)

    def wait_for(self, host: str, state: str) -> None:
        eventually(
            lambda: self.service(host)["state"] == state,
            f"{host} is {state}",
            60,
        )

    def enable(self, host: str, enabled: bool) -> None:
        """Let the scheduler use a host, or not."""
        status = "enabled" if enabled else "disabled"
        response = self.sdk.compute.put(
            f"/os-services/{self.service(host)['id']}",
            json={"status": status},
            microversion=NOVA,
        )
        assert response.ok, response.text

    def act(self, server: str, action: dict[str, Any]) -> None:
        """Do something to a server, as its user or an administrator."""
        response = self.sdk.compute.post(
            f"/servers/{server}/action", json=action, microversion=NOVA
        )
        assert response.ok, response.text

    def actions(self, server: str) -> list[str]:
        """Return what was done to a server, the newest first."""
        body = self.get(f"/servers/{server}/os-instance-actions")
        return [item["action"] for item in body["instanceActions"]]

    def evacuations(self, server: str) -> list[str]:
        """Return the states of Nova's evacuation records of a server."""
        records = self.get(
            "/os-migrations",
            instance_uuid=server,
            migration_type="evacuation",
        )
        return [record["status"] for record in records["migrations"]]

    def clean_up(self) -> None:
        for host in self._killed:
            self.control("start", host)
        for host in self._killed:
            self.wait_for(host, "up")
            self.enable(host, True)
        for uuid in self._made:
            self.sdk.compute.delete(f"/servers/{uuid}")


class Service:
    """An API and engines of ours, on MariaDB and RabbitMQ."""

    def __init__(
        self, cloud: Cloud, database: Database, directory: Path
    ) -> None:
        self._cloud = cloud
        self._database = database
        self._directory = directory
        self.daemons: list[Daemon] = []
        self.port = _free_port()
        #: Further options of all its processes, by group.
        self.options: dict[str, dict[str, Any]] = {}

    def start(self, program: str, name: str, ready: str) -> Daemon:
        auth = self._cloud.sdk.config.get_auth_args()
        access = {"auth_type": "password", **auth}
        url = self._database.engine.url.render_as_string(hide_password=False)
        path = write_config(
            self._directory / f"{name}.conf",
            {
                "DEFAULT": {"transport_url": RABBIT},
                "database": {"connection": url},
                "api": {"port": self.port, "auth_strategy": "keystone"},
                "engine": {"host": name},
                "keystone_authtoken": access,
                "nova": access,
                **self.options,
            },
        )
        daemon = Daemon(name, program, path, ready=ready)
        self.daemons.append(daemon)
        return daemon

    def start_all(self) -> None:
        """Have the API and two engines, ready."""
        self.start("api", "api", "Listening on")
        for name in ("engine-a", "engine-b"):
            self.start("engine", name, f"Engine {name} works.")
        for daemon in self.daemons:
            daemon.wait_ready()

    @property
    def ha(self) -> Any:
        """openstacksdk's proxy of this service, with a token of the cloud."""
        sdk = openstack.connect(
            instance_ha_endpoint_override=f"http://127.0.0.1:{self.port}/v1",
            ha_endpoint_override=f"http://127.0.0.1:{self.port}/v1",
        )
        return sdk.instance_ha

    def owning_engine(self, notification: str) -> Daemon:
        """Wait until an engine works on a notification, and return it."""
        query = sa.select(models.Notification.lease_owner).where(
            models.Notification.notification_uuid == notification
        )
        return self._owner(query)

    def maintaining_engine(self, session: str, *dead: Daemon) -> Daemon:
        """Wait until a living engine works on a session, and return it."""
        query = sa.select(models.MaintenanceSession.lease_owner).where(
            models.MaintenanceSession.uuid == session
        )
        return self._owner(query, dead)

    def _owner(
        self, query: sa.Select[Any], dead: Sequence[Daemon] = ()
    ) -> Daemon:
        living = {d.name: d for d in self.daemons if d not in dead}

        def find() -> Daemon | None:
            with self._database.engine.connect() as connection:
                owner = str(connection.scalar(query))
            return living.get(owner.partition(":")[0])

        found: Daemon = eventually(find, "an engine works on it", 60)
        return found

    def clean_up(self) -> None:
        for daemon in self.daemons:
            daemon.clean_up()


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    control = os.environ.get("RECOVERY_HA_CLOUD_CONTROL")
    if not control or not os.environ.get("OS_CLOUD"):
        pytest.skip("OS_CLOUD and RECOVERY_HA_CLOUD_CONTROL name no cloud")
    cloud = Cloud(control)
    try:
        yield cloud
    finally:
        cloud.clean_up()


@pytest.fixture
def unstarted(
    cloud: Cloud, migrated_url: Any, tmp_path: Path
) -> Iterator[Service]:
    """The same without a process yet, so that it can have options."""
    database = open_database(migrated_url("mysql"))
    empty(database)
    service = Service(cloud, database, tmp_path)
    try:
        yield service
    finally:
        service.clean_up()
        database.dispose()


@pytest.fixture
def service(
    cloud: Cloud, migrated_url: Any, tmp_path: Path
) -> Iterator[Service]:
    """The API and two engines, ready."""
    database = open_database(migrated_url("mysql"))
    service = Service(cloud, database, tmp_path)
    try:
        service.start_all()
        yield service
    finally:
        service.clean_up()
        database.dispose()
