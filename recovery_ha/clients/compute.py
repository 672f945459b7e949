"""Nova, as the engine asks it.

Reference: ``masakari.md`` 3.3 and 3.7 (what is asked), the compute API's
microversion history (why each version).
"""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from recovery_ha.clients.migrations import Moves
from recovery_ha.clients.requests import Api, Nova, Service
from recovery_ha.domain import errors
from recovery_ha.domain.ports import (
    Aggregate,
    ComputeService,
    Flavor,
    InstanceAction,
    Migration,
    Server,
)

__all__ = ["Compute", "Nova"]

#: Services by uuid, their state and forced_down.
_SERVICES = Api(Service.NOVA, "2.53")
#: Servers with host and embedded flavor; below 2.95 an evacuated server
#: that was active ends ACTIVE, from there on it ends SHUTOFF.
_SERVERS = Api(Service.NOVA, "2.73")
#: Actions with paging, and those of deleted servers (from 2.21 on).
_ACTIONS = Api(Service.NOVA, "2.58")
#: Aggregates have not changed since, except for their uuids and images.
_AGGREGATES = Api(Service.NOVA, "2.1")
#: Of so many hosts servers are listed host by host, of more all at once.
_FEW_HOSTS = 8


class Compute(Moves):
    """Nova on behalf of one piece of work: a :class:`ports.MovingPort`."""

    def user_id(self) -> str:
        """See :meth:`ports.ComputePort.user_id`."""
        return str(self._repeat(self._api.user_id))

    def find_service(self, host: str) -> ComputeService | None:
        """See :meth:`ports.ComputePort.find_service`."""
        found = self._services(host=host)
        return next((one for one in found if one.host == host), None)

    def list_services(self) -> list[ComputeService]:
        """See :meth:`ports.ComputePort.list_services`."""
        return self._services()

    def _services(self, **params: str) -> list[ComputeService]:
        wanted = {**params, "binary": "nova-compute"}
        return [
            ComputeService(
                id=item["id"],
                host=item["host"],
                enabled=item["status"] == "enabled",
                up=item["state"] == "up",
                forced_down=bool(item["forced_down"]),
                disabled_reason=item.get("disabled_reason"),
            )
            for item in self._get(_SERVICES, "/os-services", wanted)[
                "services"
            ]
        ]

    def disable_service(self, service_id: str, reason: str) -> None:
        """See :meth:`ports.ComputePort.disable_service`."""
        self._update(
            service_id, {"status": "disabled", "disabled_reason": reason}
        )

    def enable_service(self, service_id: str) -> None:
        """See :meth:`ports.ComputePort.enable_service`."""
        self._update(service_id, {"status": "enabled"})

    def force_service_down(self, service_id: str) -> None:
        """See :meth:`ports.ComputePort.force_service_down`."""
        self._update(service_id, {"forced_down": True})

    def clear_forced_down(self, service_id: str) -> None:
        """See :meth:`ports.ComputePort.clear_forced_down`."""
        self._update(service_id, {"forced_down": False})

    def _update(self, service_id: str, body: dict[str, Any]) -> None:
        self._change(_SERVICES, "PUT", f"/os-services/{service_id}", body)

    # Servers

    def list_servers(self, host: str) -> list[Server]:
        """See :meth:`ports.ComputePort.list_servers`."""
        return self._list_servers({"host": host})

    def list_servers_of(
        self, hosts: Collection[str]
    ) -> dict[str, list[Server]]:
        """See :meth:`ports.ComputePort.list_servers_of`."""
        if len(hosts) <= _FEW_HOSTS:
            return {host: self.list_servers(host) for host in hosts}
        found: dict[str, list[Server]] = {host: [] for host in hosts}
        for server in self._list_servers({}):
            if server.host in found:
                found[server.host].append(server)
        return found

    def _list_servers(self, filters: dict[str, str]) -> list[Server]:
        return [
            _server(item)
            for item in self._pages(
                _SERVERS,
                "/servers/detail",
                "servers",
                {**filters, "all_tenants": "1"},
            )
        ]

    def find_server(self, server_id: str) -> Server | None:
        """See :meth:`ports.ComputePort.find_server`."""
        try:
            body = self._get(_SERVERS, f"/servers/{server_id}")
        except errors.ComputeNotFound:
            return None
        return _server(body["server"])

    def lock_server(self, server_id: str, reason: str) -> None:
        """See :meth:`ports.ComputePort.lock_server`."""
        self._act(server_id, {"lock": {"locked_reason": reason}})

    def unlock_server(self, server_id: str) -> None:
        """See :meth:`ports.ComputePort.unlock_server`."""
        # As harmless to repeat as a read, and users wait for it.
        path = f"/servers/{server_id}/action"
        self._repeat(self._change, _SERVERS, "POST", path, {"unlock": None})

    def evacuate_server(self, server_id: str, target: str | None) -> None:
        """See :meth:`ports.ComputePort.evacuate_server`."""
        self._act(server_id, {"evacuate": {"host": target} if target else {}})

    def stop_server(self, server_id: str) -> None:
        """See :meth:`ports.ComputePort.stop_server`."""
        self._act(server_id, {"os-stop": None})

    def start_server(self, server_id: str) -> None:
        """See :meth:`ports.ComputePort.start_server`."""
        self._act(server_id, {"os-start": None})

    def reboot_server(self, server_id: str) -> None:
        """See :meth:`ports.ComputePort.reboot_server`."""
        self._act(server_id, {"reboot": {"type": "HARD"}})

    def reset_server_state(self, server_id: str, state: str) -> None:
        """See :meth:`ports.ComputePort.reset_server_state`."""
        self._act(server_id, {"os-resetState": {"state": state}})

    def _act(self, server_id: str, action: dict[str, Any]) -> None:
        path = f"/servers/{server_id}/action"
        failed = errors.ComputeFailed
        self._change(_SERVERS, "POST", path, action, on_500=failed)

    # Records of what was done

    def list_evacuations(
        self, source: str, since: datetime | None = None
    ) -> list[Migration]:
        """See :meth:`ports.ComputePort.list_evacuations`."""
        return self.list_migrations(source, "evacuation", since)

    def list_actions(self, server_id: str) -> list[InstanceAction]:
        """See :meth:`ports.ComputePort.list_actions`."""
        return [
            InstanceAction(
                action=item["action"],
                user_id=item["user_id"],
                request_id=item["request_id"],
                start_time=_naive_utc(item["start_time"]),
            )
            for item in self._pages(
                _ACTIONS,
                f"/servers/{server_id}/os-instance-actions",
                "instanceActions",
                {},
                marker="request_id",
            )
        ]

    # Aggregates

    def list_aggregates(self) -> list[Aggregate]:
        """See :meth:`ports.ComputePort.list_aggregates`."""
        return [
            Aggregate(
                id=item["id"], name=item["name"], hosts=tuple(item["hosts"])
            )
            for item in self._get(_AGGREGATES, "/os-aggregates")["aggregates"]
        ]

    def add_to_aggregate(self, aggregate_id: int, host: str) -> None:
        """See :meth:`ports.ComputePort.add_to_aggregate`."""
        try:
            self._move(aggregate_id, "add_host", host)
        except errors.ComputeConflict:
            # Nova says no more than this to "already there" and to "it would
            # be in two availability zones".
            if not self._holds(aggregate_id, host):
                raise

    def remove_from_aggregate(self, aggregate_id: int, host: str) -> None:
        """See :meth:`ports.ComputePort.remove_from_aggregate`."""
        try:
            self._move(aggregate_id, "remove_host", host)
        except errors.ComputeNotFound:
            # Of a host without a service too, which may be left in there.
            if self._holds(aggregate_id, host):
                raise

    def _move(self, aggregate_id: int, action: str, host: str) -> None:
        path = f"/os-aggregates/{aggregate_id}/action"
        self._change(_AGGREGATES, "POST", path, {action: {"host": host}})

    def _holds(self, aggregate_id: int, host: str) -> bool:
        return any(
            aggregate.id == aggregate_id and host in aggregate.hosts
            for aggregate in self.list_aggregates()
        )


def _server(item: dict[str, Any]) -> Server:
    # Nova shows an empty text instead of the image of a volume's server.
    image = item["image"]["id"] if item["image"] else None
    return Server(
        id=item["id"],
        name=item["name"],
        host=item["OS-EXT-SRV-ATTR:host"] or "",
        vm_state=item["OS-EXT-STS:vm_state"],
        task_state=item["OS-EXT-STS:task_state"],
        power_state=item["OS-EXT-STS:power_state"],
        locked=bool(item["locked"]),
        metadata=dict(item["metadata"]),
        fault=(item.get("fault") or {}).get("message"),
        project_id=item["tenant_id"],
        user_id=item["user_id"],
        flavor=_flavor(item["flavor"], from_volume=image is None),
        image_id=image,
    )


def _flavor(item: dict[str, Any], *, from_volume: bool) -> Flavor:
    root = 0 if from_volume else int(item["disk"])
    swap = -(-int(item["swap"] or 0) // 1024)
    return Flavor(
        name=item["original_name"],
        vcpus=item["vcpus"],
        memory_mb=item["ram"],
        disk_gb=root + item["ephemeral"] + swap,
        extra_specs=dict(item.get("extra_specs") or {}),
    )


def _naive_utc(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    if when.tzinfo is not None:
        when = when.astimezone(UTC).replace(tzinfo=None)
    return when
