"""The version documents, for which no token is needed."""

from typing import Any

from recovery_ha.api.expose import NO_TOKEN, expose
from recovery_ha.api.request import Request
from recovery_ha.api.schemas import common, transactions
from recovery_ha.api.schemas import documents as schemas
from recovery_ha.api.service import Service
from recovery_ha.api.views import versions as views


class Documents:
    """What clients read before they know anything."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @expose(
        versions=("1.0", None),
        policy=NO_TOKEN,
        query=common.NO_QUERY,
        body=None,
        response=schemas.VERSIONS,
        status=200,
    )
    def versions(self, request: Request) -> dict[str, Any]:
        """List the versions: ``/``."""
        return views.versions(self._base(request))

    @expose(
        versions=("1.0", None),
        policy=NO_TOKEN,
        query=common.NO_QUERY,
        body=None,
        response=schemas.VERSION,
        status=200,
    )
    def version(self, request: Request) -> dict[str, Any]:
        """Show the version: ``/v1``."""
        return views.version(self._base(request))

    @expose(
        versions=("1.0", None),
        policy=NO_TOKEN,
        query=common.NO_QUERY,
        body=None,
        response=schemas.CHOICES,
        status=300,
    )
    def choices(self, request: Request) -> dict[str, Any]:
        """Say which versions there are to whoever asks for another path."""
        return views.choices(self._base(request), request.path_info)

    @expose(
        versions=("1.0", None),
        policy=NO_TOKEN,
        query=common.NO_QUERY,
        body=None,
        response=transactions.VERSION,
        status=200,
    )
    def fuel_version(self, _request: Request) -> dict[str, Any]:
        """Tell clients of Fuel whether they need a token."""
        return views.fuel_version(auth_required=not self.service.open)

    def _base(self, request: Request) -> str:
        prefix = self.service.link_prefix or request.application_url
        return str(prefix).rstrip("/")
