"""Requests to Nova, Placement, Glance and Aodh through openstacksdk.

Retries, the translation of errors and the following of pages end here, for
all of the adapters.
"""

import contextlib
import enum
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import openstack
import tenacity
from keystoneauth1 import exceptions as ka_exc
from keystoneauth1 import loading
from openstack import exceptions as sdk_exc
from openstack.config import cloud_region
from oslo_config import cfg

from recovery_ha import metrics
from recovery_ha.clients.session import guarded, load_session
from recovery_ha.conf import alarm, nova
from recovery_ha.domain import errors

_TOO_MANY = 429
_SERVER_FAULT = 500
#: keystoneauth's own limit, off by default, waits by the wall clock: were
#: that set back, each request would sleep until it is what it was.
_NO_LIMIT = contextlib.nullcontext()
_UNAUTHORIZED = 401
_ERRORS = 400
_BAD_REQUEST = 400
#: How many times a list is begun whose pages are cut off.
_LISTS_BEGUN = 5
_SILENCE = (
    ka_exc.ConnectFailure,
    ka_exc.ConnectionError,
    ka_exc.RetriableConnectionFailure,
    ka_exc.DiscoveryFailure,
    ka_exc.EndpointNotFound,
)
#: What [nova] says of where and how to ask, and is so for all services.
_SHARED = (
    "interface",
    "region_name",
    "connect_retries",
    "connect_retry_delay",
    "status_code_retries",
    "status_code_retry_delay",
    "retriable_status_codes",
)


class Service(enum.StrEnum):
    """The services, by their types in the catalog."""

    NOVA = nova.SERVICE_TYPE
    PLACEMENT = "placement"
    GLANCE = "image"
    AODH = alarm.SERVICE_TYPE

    @property
    def label(self) -> str:
        """Return what messages call it."""
        return self.name.capitalize()


#: In the catalog, Glance's address may lack the version that its paths need.
_MAJOR_VERSIONS = {Service.PLACEMENT: None, Service.GLANCE: "2"}


@dataclass(frozen=True, slots=True)
class Api:
    """A service and the microversion that it is asked in, if it has any."""

    service: Service
    version: str | None = None


class Nova:
    """The cloud for the whole process: one session, one connection pool."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Prepare to talk to Nova and the others; nothing is sent yet.

        :raises errors.InvalidConfiguration: see :func:`load_session`.
        """
        region = cloud_region.from_conf(
            conf, load_session(conf), service_types=[Service.NOVA]
        )
        for service in _MAJOR_VERSIONS:
            for name in _SHARED:
                value = region.config.get(f"{Service.NOVA}_{name}")
                region.config[f"{service}_{name}"] = value
        self._connection = openstack.connection.Connection(config=region)
        # Asking for the session ties it to the connection, without which
        # the clients do not work.
        self._session = self._connection.session
        self._others = {
            service: region.get_session_client(
                service, version=version, allow_version_hack=True
            )
            for service, version in _MAJOR_VERSIONS.items()
        }
        self._others[Service.AODH] = self._aodh(conf)
        self.read_retries: int = conf.nova.read_retries
        #: What providers of Placement offer, with the generation that said
        #: so, by uuid.
        self.inventories: dict[str, tuple[int, dict[str, Any]]] = {}

    def _aodh(self, conf: cfg.ConfigOpts) -> Any:
        """Return the client of Aodh, which has options of its own.

        :raises errors.InvalidConfiguration: they make no sense.
        """
        try:
            client = loading.load_adapter_from_conf_options(
                conf, alarm.GROUP, session=self._session
            )
        except TypeError as exc:
            raise errors.InvalidConfiguration(
                f"[{alarm.GROUP}]: {exc}"
            ) from exc
        if client.endpoint_override:
            # With or without the version that the paths begin with.
            address = client.endpoint_override.rstrip("/")
            client.endpoint_override = address.removesuffix("/v2")
        if not client.region_name:
            client.region_name = conf.nova.region_name
        if not (conf.alarm.valid_interfaces or conf.alarm.interface):
            client.interface = conf.nova.valid_interfaces
        return client

    def connect(self) -> str:
        """Get a token and find Nova, as the first request would.

        :returns: Nova's address.
        :raises errors.ComputeError: there is none, or no token for it.
        """
        with _translated(Service.NOVA):
            endpoint = self._connection.compute.get_endpoint_data()
        if endpoint is None:
            raise errors.ComputeUnavailable(
                "Nova: the service catalog has no endpoint of it."
            )
        return str(endpoint.url)

    def user_id(self) -> str:
        """Return the id of the user that the session acts as."""
        with _translated(Service.NOVA):
            return str(self._session.get_user_id())

    def send(
        self, service: Service, method: str, path: str, **arguments: Any
    ) -> Any:
        """Send one request and return the response, whatever its status."""
        client = self._others.get(service) or self._connection.compute
        arguments |= {"raise_exc": False, "rate_semaphore": _NO_LIMIT}
        response = client.request(path, method, **arguments)
        if response.status_code == _UNAUTHORIZED:
            # When several threads meet an expired token, keystoneauth sends
            # only one's request again. A refused one had no effect.
            response = client.request(path, method, **arguments)
        return response


class Requests:
    """What one piece of work asks of the cloud; the adapters' base."""

    def __init__(
        self,
        api: Nova,
        *,
        check: Callable[[], None],
        wait: Callable[[float], None],
        request_id: str | None,
    ) -> None:
        """Bind the cloud to a piece of work.

        :param check: raises when the work must not be acted on any more.
        :param wait: sleeps some seconds, or raises as ``check`` does.
        :param request_id: of the report that this is for; it is logged by
            whoever is asked.
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

    def _pages(
        self,
        api: Api,
        path: str,
        key: str,
        params: dict[str, str],
        *,
        marker: str = "id",
    ) -> list[dict[str, Any]]:
        """Return all items of a list, following Nova's links page by page.

        When the last item of a page is gone before the next one is asked
        for, Nova does not know where to go on: it is begun anew.

        :param key: what the list is called in the answer.
        :param marker: the field of an item that names it to the next page.
        """
        found: list[dict[str, Any]] = []
        begun, where = 1, params
        while True:
            try:
                body = self._get(api, path, where)
            except errors.ComputeError as exc:
                gone = exc.status == _BAD_REQUEST and where is not params
                if not gone or begun == _LISTS_BEGUN:
                    raise
                found, begun, where = [], begun + 1, params
                continue
            items = body[key]
            found += items
            links = body.get(f"{key}_links") or body.get("links", ())
            if not items or not any(x["rel"] == "next" for x in links):
                return found
            where = {**params, "marker": items[-1][marker]}

    def _get(
        self, api: Api, path: str, params: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Return an answer, asked for again while there is none."""
        body: dict[str, Any] = self._repeat(
            self._request, api, "GET", path, params=params or {}
        )
        return body

    def _change(
        self,
        api: Api,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        *,
        on_500: type[errors.ComputeError] = errors.ComputeUnavailable,
    ) -> None:
        """Change something, if the work may; sent once only.

        :param body: None sends none.
        :param on_500: what it is when the service itself fails: where a
            single thing can make it fail, this is no outage.
        """
        with guarded(self._check):
            self._request(api, method, path, on_500=on_500, json=body)

    def _request(
        self,
        api: Api,
        method: str,
        path: str,
        *,
        on_500: type[errors.ComputeError] = errors.ComputeUnavailable,
        **arguments: Any,
    ) -> dict[str, Any]:
        began, status = time.monotonic(), None
        try:
            with _translated(api.service):
                response = self._api.send(
                    api.service,
                    method,
                    path,
                    microversion=api.version,
                    headers=self._headers,
                    **arguments,
                )
            status = response.status_code
        finally:
            metrics.cloud_answered(
                api.service.label, method, status, time.monotonic() - began
            )
        if response.status_code >= _ERRORS:
            raise _refusal(
                api.service, response.status_code, response.text, on_500
            )
        return response.json() if method == "GET" else {}


@contextlib.contextmanager
def _translated(service: Service) -> Iterator[None]:
    """Turn what is raised where there is no answer into our errors."""
    try:
        yield
    except _SILENCE as exc:
        raise errors.ComputeUnavailable(f"{service.label}: {exc}") from exc
    except (ka_exc.ClientException, sdk_exc.SDKException) as exc:
        raise _failure(service, exc) from exc


def _failure(service: Service, exc: Exception) -> errors.ComputeError:
    """Translate what keystoneauth raised before there was an answer."""
    status = getattr(exc, "http_status", None)
    if status is None:
        status = getattr(exc, "status_code", None)
    kind = errors.ComputeError
    if status is not None and (status == _TOO_MANY or status >= _SERVER_FAULT):
        kind = errors.ComputeUnavailable
    return kind(f"Keystone or {service.label}: {exc}", status)


def _refusal(
    service: Service,
    status: int,
    text: str,
    on_500: type[errors.ComputeError],
) -> errors.ComputeError:
    """Translate an error answer, keeping the service's own sentence."""
    kind = errors.ComputeError
    if status == 404:  # noqa: PLR2004 - HTTP
        kind = errors.ComputeNotFound
    elif status == 409:  # noqa: PLR2004 - HTTP
        kind = errors.ComputeConflict
    elif status == _SERVER_FAULT:
        kind = on_500
    elif status == _TOO_MANY or status > _SERVER_FAULT:
        kind = errors.ComputeUnavailable
    reason = _reason(text)
    return kind(f"{service.label} answered {status}: {reason}", status)


def _reason(text: str) -> str:
    """Return the sentence in an error answer, or what there is of it."""
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if isinstance(body, dict):
        # Nova and Aodh wrap it in an object, Placement in a list.
        for value in (body, *body.values()):
            fault = value[0] if isinstance(value, list) and value else value
            if isinstance(fault, dict):
                for key in ("message", "detail", "faultstring"):
                    if key in fault:
                        return str(fault[key])
    return text.strip()[:500] or "no reason given"
