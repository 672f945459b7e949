"""Nova through openstacksdk: retries and translation of errors end here.

Reference: ``masakari.md`` 3.3 and 3.7 (what is asked), the compute API's
microversion history (why each version).
"""

import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import openstack
import tenacity
from keystoneauth1 import exceptions as ka_exc
from openstack import exceptions as sdk_exc
from oslo_config import cfg

from recovery_ha.clients.session import guarded, load_session
from recovery_ha.conf import nova
from recovery_ha.domain import errors
from recovery_ha.domain.ports import ComputeService, Migration, Server

LOG = logging.getLogger(__name__)

#: Services by uuid, their state and forced_down.
_SERVICES = "2.53"
#: Servers with host and embedded flavor; below 2.95 an evacuated server
#: that was active ends ACTIVE, from there on it ends SHUTOFF.
_SERVERS = "2.73"
#: Evacuation records with paging.
_MIGRATIONS = "2.59"

_TOO_MANY = 429
_SERVER_FAULT = 500
_ERRORS = 400
_SILENCE = (
    ka_exc.ConnectFailure,
    ka_exc.ConnectionError,
    ka_exc.RetriableConnectionFailure,
    ka_exc.DiscoveryFailure,
    ka_exc.EndpointNotFound,
)


class Nova:
    """Nova's API for the whole process: one session, one connection pool."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Prepare to talk to Nova; nothing is sent yet.

        :raises errors.InvalidConfiguration: see :func:`load_session`.
        """
        self._connection = openstack.connection.Connection(
            session=load_session(conf),
            oslo_conf=conf,
            service_types=[nova.SERVICE_TYPE],
        )
        self.read_retries: int = conf.nova.read_retries

    def connect(self) -> str:
        """Get a token and find Nova, as the first request would.

        :returns: Nova's address.
        :raises errors.ComputeError: there is none, or no token for it.
        """
        try:
            endpoint = self._connection.compute.get_endpoint_data()
        except _SILENCE as exc:
            raise errors.ComputeUnavailable(f"Nova: {exc}") from exc
        except (ka_exc.ClientException, sdk_exc.SDKException) as exc:
            raise _failure(exc) from exc
        if endpoint is None:
            raise errors.ComputeUnavailable(
                "Nova: the service catalog has no endpoint of it."
            )
        return str(endpoint.url)

    def send(self, method: str, path: str, **arguments: Any) -> Any:
        """Send one request and return the response, whatever its status."""
        return self._connection.compute.request(
            path, method, raise_exc=False, **arguments
        )


class Compute:
    """Nova on behalf of one recovery: a :class:`ports.ComputePort`."""

    def __init__(
        self,
        api: Nova,
        *,
        check: Callable[[], None],
        wait: Callable[[float], None],
        request_id: str | None,
    ) -> None:
        """Bind Nova to a piece of work.

        :param check: raises when the work must not be acted on any more.
        :param wait: sleeps some seconds, or raises as ``check`` does.
        :param request_id: of the report that this is for; Nova logs it.
        """
        self._api = api
        self._check = check
        self._headers = (
            {"X-OpenStack-Request-ID": request_id} if request_id else {}
        )
        self._repeat = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(errors.ComputeUnavailable),
            stop=tenacity.stop_after_attempt(api.read_retries + 1),
            wait=tenacity.wait_exponential(multiplier=0.2, max=10),
            sleep=wait,
            reraise=True,
        )

    # The service

    def find_service(self, host: str) -> ComputeService | None:
        """See :meth:`ports.ComputePort.find_service`."""
        body = self._get(
            "/os-services",
            _SERVICES,
            {"host": host, "binary": "nova-compute"},
        )
        for service in body["services"]:
            if service["host"] == host:
                return ComputeService(
                    id=service["id"],
                    host=host,
                    enabled=service["status"] == "enabled",
                    up=service["state"] == "up",
                    forced_down=bool(service["forced_down"]),
                    disabled_reason=service.get("disabled_reason"),
                )
        return None

    def disable_service(self, service_id: str, reason: str) -> None:
        """See :meth:`ports.ComputePort.disable_service`."""
        self._change(
            "PUT",
            f"/os-services/{service_id}",
            _SERVICES,
            {"status": "disabled", "disabled_reason": reason},
        )

    def force_service_down(self, service_id: str) -> None:
        """See :meth:`ports.ComputePort.force_service_down`."""
        self._change(
            "PUT",
            f"/os-services/{service_id}",
            _SERVICES,
            {"forced_down": True},
        )

    # Servers

    def list_servers(self, host: str) -> list[Server]:
        """See :meth:`ports.ComputePort.list_servers`."""
        return [
            _server(item)
            for item in self._pages(
                "/servers/detail",
                "servers",
                _SERVERS,
                {"host": host, "all_tenants": "1"},
            )
        ]

    def find_server(self, server_id: str) -> Server | None:
        """See :meth:`ports.ComputePort.find_server`."""
        try:
            body = self._get(f"/servers/{server_id}", _SERVERS, {})
        except errors.ComputeNotFound:
            return None
        return _server(body["server"])

    def lock_server(self, server_id: str, reason: str) -> None:
        """See :meth:`ports.ComputePort.lock_server`."""
        self._act(server_id, {"lock": {"locked_reason": reason}})

    def unlock_server(self, server_id: str) -> None:
        """See :meth:`ports.ComputePort.unlock_server`."""
        # As harmless to repeat as a read, and users wait for it.
        self._repeat(self._act, server_id, {"unlock": None})

    def evacuate_server(self, server_id: str, target: str | None) -> None:
        """See :meth:`ports.ComputePort.evacuate_server`."""
        self._act(server_id, {"evacuate": {"host": target} if target else {}})

    def stop_server(self, server_id: str) -> None:
        """See :meth:`ports.ComputePort.stop_server`."""
        self._act(server_id, {"os-stop": None})

    def reset_server_state(self, server_id: str, state: str) -> None:
        """See :meth:`ports.ComputePort.reset_server_state`."""
        self._act(server_id, {"os-resetState": {"state": state}})

    # Evacuation records

    def list_evacuations(
        self, source: str, since: datetime | None = None
    ) -> list[Migration]:
        """See :meth:`ports.ComputePort.list_evacuations`."""
        params = {"source_compute": source, "migration_type": "evacuation"}
        if since is not None:
            params["changes-since"] = f"{since:%Y-%m-%dT%H:%M:%SZ}"
        return [
            Migration(
                id=item["id"],
                instance_uuid=item["instance_uuid"],
                status=item["status"],
                source_compute=item["source_compute"],
                dest_compute=item["dest_compute"],
            )
            for item in self._pages(
                "/os-migrations",
                "migrations",
                _MIGRATIONS,
                params,
            )
            if item["source_compute"] == source
        ]

    # Requests

    def _pages(
        self, path: str, key: str, version: str, params: dict[str, str]
    ) -> Iterator[dict[str, Any]]:
        """Yield all items of a list, following Nova's links page by page."""
        marker_field = "uuid" if key == "migrations" else "id"
        while True:
            body = self._get(path, version, params)
            items = body[key]
            yield from items
            links = body.get(f"{key}_links", ())
            if not items or not any(x["rel"] == "next" for x in links):
                return
            params = {**params, "marker": items[-1][marker_field]}

    def _get(
        self, path: str, version: str, params: dict[str, str]
    ) -> dict[str, Any]:
        body: dict[str, Any] = self._repeat(
            self._request, "GET", path, version, params=params
        )
        return body

    def _act(self, server_id: str, action: dict[str, Any]) -> None:
        self._change("POST", f"/servers/{server_id}/action", _SERVERS, action)

    def _change(
        self, method: str, path: str, version: str, body: dict[str, Any]
    ) -> None:
        with guarded(self._check):
            self._request(method, path, version, json=body)

    def _request(
        self, method: str, path: str, version: str, **arguments: Any
    ) -> dict[str, Any]:
        try:
            response = self._api.send(
                method,
                path,
                microversion=version,
                headers=self._headers,
                **arguments,
            )
        except _SILENCE as exc:
            raise errors.ComputeUnavailable(f"Nova: {exc}") from exc
        except (ka_exc.ClientException, sdk_exc.SDKException) as exc:
            raise _failure(exc) from exc
        if response.status_code >= _ERRORS:
            raise _refusal(response.status_code, response.text)
        return response.json() if method == "GET" else {}


def _failure(exc: Exception) -> errors.ComputeError:
    """Translate what keystoneauth raised before there was an answer."""
    status = getattr(exc, "http_status", None)
    if status is None:
        status = getattr(exc, "status_code", None)
    kind = errors.ComputeError
    if status is not None and (status == _TOO_MANY or status >= _SERVER_FAULT):
        kind = errors.ComputeUnavailable
    return kind(f"Keystone or Nova: {exc}", status)


def _refusal(status: int, text: str) -> errors.ComputeError:
    """Translate an error answer, keeping Nova's own sentence."""
    reason = text.strip()[:500] or "no reason given"
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if isinstance(body, dict):
        for fault in body.values():
            if isinstance(fault, dict) and "message" in fault:
                reason = str(fault["message"])
    kind = errors.ComputeError
    if status == 404:  # noqa: PLR2004 - HTTP
        kind = errors.ComputeNotFound
    elif status == 409:  # noqa: PLR2004 - HTTP
        kind = errors.ComputeConflict
    elif status == _TOO_MANY or status >= _SERVER_FAULT:
        kind = errors.ComputeUnavailable
    return kind(f"Nova answered {status}: {reason}", status)


def _server(item: dict[str, Any]) -> Server:
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
    )
