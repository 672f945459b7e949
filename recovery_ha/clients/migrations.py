"""Nova, as maintenance asks it: moves between hosts that live.

Each microversion is the lowest that says what is to be known; the compute
API's history has the reasons in full.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from recovery_ha.clients.requests import Api, Requests, Service
from recovery_ha.domain import errors
from recovery_ha.domain.ports import Migration, NovaService, ServerGroup

#: Nova finds out itself whether disks are shared (2.25), checks the hosts
#: after it has answered (2.34), and lets nobody pass over the scheduler any
#: more (2.68).
_LIVE = Api(Service.NOVA, "2.68")
#: Without a destination, nothing has changed since the first version.
_COLD = Api(Service.NOVA, "2.1")
#: With one, which the scheduler still checks.
_COLD_TO = Api(Service.NOVA, "2.56")
#: Those that are queued or being prepared can be aborted, too.
_ABORT = Api(Service.NOVA, "2.65")
#: Records of all kinds (2.23) with paging.
_MIGRATIONS = Api(Service.NOVA, "2.59")
#: The events of an action have Nova's own words on how it failed.
_EVENTS = Api(Service.NOVA, "2.84")
#: Services by uuid.
_SERVICES = Api(Service.NOVA, "2.53")
#: Groups with one policy and its rules.
_GROUPS = Api(Service.NOVA, "2.64")


class Moves(Requests):
    """What of :class:`ports.MovingPort` is about moves and groups."""

    def live_migrate_server(
        self, server_id: str, target: str | None = None
    ) -> None:
        """See :meth:`ports.MovingPort.live_migrate_server`."""
        self._ask(
            _LIVE,
            server_id,
            {"os-migrateLive": {"host": target, "block_migration": "auto"}},
        )

    def migrate_server(
        self, server_id: str, target: str | None = None
    ) -> None:
        """See :meth:`ports.MovingPort.migrate_server`."""
        if target is None:
            self._ask(_COLD, server_id, {"migrate": None})
        else:
            self._ask(_COLD_TO, server_id, {"migrate": {"host": target}})

    def confirm_migration(self, server_id: str) -> None:
        """See :meth:`ports.MovingPort.confirm_migration`."""
        self._ask(_COLD, server_id, {"confirmResize": None})

    def abort_live_migration(self, server_id: str, migration_id: int) -> None:
        """See :meth:`ports.MovingPort.abort_live_migration`."""
        path = f"/servers/{server_id}/migrations/{migration_id}"
        failed = errors.ComputeFailed
        self._change(_ABORT, "DELETE", path, None, on_500=failed)

    def _ask(self, api: Api, server_id: str, action: dict[str, Any]) -> None:
        path = f"/servers/{server_id}/action"
        failed = errors.ComputeFailed
        self._change(api, "POST", path, action, on_500=failed)

    # Records of moves

    def list_migrations(
        self,
        source: str,
        type_: str | None = None,
        since: datetime | None = None,
    ) -> list[Migration]:
        """See :meth:`ports.MovingPort.list_migrations`."""
        params = {"source_compute": source}
        if type_ is not None:
            params["migration_type"] = type_
        if since is not None:
            params["changes-since"] = f"{since:%Y-%m-%dT%H:%M:%SZ}"
        return [
            Migration(
                id=item["id"],
                instance_uuid=item["instance_uuid"],
                status=item["status"],
                source_compute=item["source_compute"],
                dest_compute=item["dest_compute"],
                type=item["migration_type"],
            )
            for item in self._pages(
                _MIGRATIONS,
                "/os-migrations",
                "migrations",
                params,
                marker="uuid",
            )
            if item["source_compute"] == source
        ]

    def find_failure(self, server_id: str, action: str) -> str | None:
        """See :meth:`ports.MovingPort.find_failure`."""
        path = f"/servers/{server_id}/os-instance-actions"
        try:
            # The newest come first; one page of them is enough.
            done = self._get(_EVENTS, path, {"limit": "20"})["instanceActions"]
            found = [one for one in done if one["action"] == action]
            if not found:
                return None
            shown = self._get(_EVENTS, f"{path}/{found[0]['request_id']}")
        except errors.ComputeError:
            # It was asked in order to explain another failure, which is told
            # in any case.
            return None
        said = [
            one["details"]
            for one in shown["instanceAction"].get("events", ())
            if one["result"] == "Error" and one.get("details")
        ]
        return str(said[0]) if said else None

    # Services and groups

    def list_all_services(self) -> list[NovaService]:
        """See :meth:`ports.MovingPort.list_all_services`."""
        return [
            NovaService(
                id=str(item["id"]),
                binary=item["binary"],
                host=item["host"],
                enabled=item["status"] == "enabled",
                up=item["state"] == "up",
            )
            for item in self._get(_SERVICES, "/os-services")["services"]
        ]

    def list_server_groups(self) -> list[ServerGroup]:
        """See :meth:`ports.MovingPort.list_server_groups`."""
        return [
            ServerGroup(
                id=item["id"],
                name=item["name"],
                policy=item["policy"],
                members=tuple(item["members"]),
                max_per_host=int(
                    (item.get("rules") or {}).get("max_server_per_host", 1)
                ),
            )
            for item in self._groups()
        ]

    def _groups(self) -> Iterator[dict[str, Any]]:
        """Yield all groups; this list of Nova's has offsets, and no links."""
        known: set[str] = set()
        while True:
            params = {"all_projects": "True", "offset": str(len(known))}
            found = self._get(_GROUPS, "/os-server-groups", params)
            fresh = [
                one for one in found["server_groups"] if one["id"] not in known
            ]
            if not fresh:
                return
            yield from fresh
            known |= {one["id"] for one in fresh}
