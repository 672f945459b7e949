"""Hosts of a real Nova are lost, and their servers run elsewhere, once."""

from datetime import UTC, datetime
from typing import Any

import pytest

from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.timeout(600),
]

SERVERS = 10


def register(service: Any, hosts: list[str]) -> None:
    """Have all hosts in a segment, off maintenance as an operator does it."""
    known = {
        host.name: (host, segment)
        for segment in service.ha.segments()
        for host in service.ha.hosts(segment.uuid)
    }
    if not known:
        segment = service.ha.create_segment(
            name="cloud", recovery_method="auto", service_type="COMPUTE"
        )
        for host in hosts:
            service.ha.create_host(
                segment.uuid, name=host, type="COMPUTE", control_attributes="-"
            )
    for host, segment in known.values():
        if host.on_maintenance:
            service.ha.update_host(
                host.uuid, segment.uuid, on_maintenance=False
            )


def report(service: Any, host: str) -> str:
    notification = service.ha.create_notification(
        type="COMPUTE_HOST",
        hostname=host,
        generated_time=datetime.now(UTC).replace(tzinfo=None),
        payload={
            "event": "STOPPED",
            "cluster_status": "OFFLINE",
            "host_status": "NORMAL",
        },
    )
    uuid: str = notification.notification_uuid
    return uuid


def wait_until_ended(service: Any, uuid: str) -> Any:
    def find() -> Any:
        found = service.ha.get_notification(uuid)
        ended = found.status in {"finished", "failed", "ignored"}
        return found if ended else None

    return eventually(find, f"notification {uuid} ends", 180)


def assert_moved(cloud: Any, host: str, servers: list[str]) -> None:
    for uuid in servers:
        server = cloud.server(uuid)
        assert server["status"] == "ACTIVE"
        assert server["OS-EXT-SRV-ATTR:host"] != host
        assert not server["locked"]
        assert cloud.evacuations(uuid) == ["done"]


def test_a_host_is_recovered(cloud, service):
    hosts = cloud.live_hosts()
    register(service, hosts)
    servers = cloud.boot(hosts[0], SERVERS)

    cloud.kill(hosts[0])
    ended = wait_until_ended(service, report(service, hosts[0]))

    assert ended.status == "finished", ended
    assert_moved(cloud, hosts[0], servers)
    assert cloud.service(hosts[0])["status"] == "disabled"


@pytest.mark.parametrize("at_least_asked", [0, 1, SERVERS])
def test_the_engine_is_killed_in_the_middle(cloud, service, at_least_asked):
    hosts = cloud.live_hosts()
    register(service, hosts)
    servers = cloud.boot(hosts[1], SERVERS)

    cloud.kill(hosts[1])
    uuid = report(service, hosts[1])
    owner = service.owning_engine(uuid)
    eventually(
        lambda: (
            sum(bool(cloud.evacuations(s)) for s in servers) >= at_least_asked
        ),
        f"{at_least_asked} evacuations were asked for",
        60,
    )
    owner.kill9()
    ended = wait_until_ended(service, uuid)

    assert ended.status == "finished", ended
    assert_moved(cloud, hosts[1], servers)
    moves = list(service.ha.vmoves(uuid))
    assert {move.status for move in moves} == {"succeeded"}
    assert len(moves) == SERVERS
