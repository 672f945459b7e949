"""What the cloud tests do to the service, as operators and monitors do."""

from datetime import UTC, datetime
from typing import Any

from recovery_ha.tests.fixtures.waiting import eventually

STOPPED = {
    "event": "STOPPED",
    "host_status": "NORMAL",
    "cluster_status": "OFFLINE",
}


def register(
    service: Any, hosts: list[str], method: str = "auto", reserved: int = 0
) -> None:
    """Have hosts in a segment, the last ones as its reserve, and no others."""
    for old in service.ha.segments():
        service.ha.delete_segment(old.uuid)
    segment = service.ha.create_segment(
        name="cloud", recovery_method=method, service_type="COMPUTE"
    )
    for number, host in enumerate(hosts):
        service.ha.create_host(
            segment.uuid,
            name=host,
            type="COMPUTE",
            control_attributes="-",
            reserved=number >= len(hosts) - reserved,
        )


def report(
    service: Any, host: str, type_: str = "COMPUTE_HOST", **payload: str
) -> str:
    """Report a failure and return the notification's uuid."""
    notification = service.ha.create_notification(
        type=type_,
        hostname=host,
        generated_time=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}",
        payload=payload or STOPPED,
    )
    uuid: str = notification.notification_uuid
    return uuid


def wait_until_ended(service: Any, uuid: str, seconds: float = 180) -> Any:
    """Return a notification that has ended."""

    def find() -> Any:
        found = service.ha.get_notification(uuid)
        ended = found.status in {"finished", "failed", "ignored"}
        return found if ended else None

    return eventually(find, f"notification {uuid} ends", seconds)


def assert_moved(cloud: Any, host: str, servers: list[str]) -> None:
    """Show that servers were evacuated, each once, and are left alone."""
    for uuid in servers:
        server = cloud.server(uuid)
        assert server["status"] == "ACTIVE"
        assert server["OS-EXT-SRV-ATTR:host"] != host
        assert not server["locked"]
        assert cloud.evacuations(uuid) == ["done"]
