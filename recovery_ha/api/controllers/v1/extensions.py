"""Extensions: ``/extensions``, a fixed list that Masakari also has."""

from typing import Any

from recovery_ha.api.expose import Call, expose
from recovery_ha.api.schemas import common
from recovery_ha.api.schemas import documents as schemas
from recovery_ha.api.service import Service
from recovery_ha.domain.errors import NotFound
from recovery_ha.policies import extensions as rules

_EXTENSIONS = {
    "extensions": ("Extensions", "Extension information."),
    "notifications": ("Notifications", "Notification support."),
    "os-hosts": ("Hosts", "Management of the hosts of a segment."),
    "segments": ("Segments", "Management of segments."),
    "versions": ("Versions", "API version information."),
    "vmoves": ("VMoves", "The instances that a recovery moves."),
}


class Extensions:
    """What the API consists of."""

    def __init__(self, service: Service) -> None:
        self.service = service

    @expose(
        versions=("1.0", None),
        policy=rules.INDEX,
        query=common.NO_QUERY,
        body=None,
        response=schemas.EXTENSIONS,
        status=200,
    )
    def index(self, call: Call) -> dict[str, Any]:
        """List the extensions that the caller may know of."""
        shown = [a for a in _EXTENSIONS if self._discoverable(call, a)]
        return {"extensions": [_view(alias) for alias in shown]}

    @expose(
        versions=("1.0", None),
        policy=rules.DETAIL,
        query=common.NO_QUERY,
        body=None,
        response=schemas.EXTENSION,
        status=200,
    )
    def show(self, call: Call, alias: str) -> dict[str, Any]:
        """Show one extension."""
        if alias not in _EXTENSIONS or not self._discoverable(call, alias):
            raise NotFound(f"No extension with alias {alias}.")
        return {"extension": _view(alias)}

    def _discoverable(self, call: Call, alias: str) -> bool:
        rule = f"os_masakari_api:{alias}:discoverable"
        return self.service.policy.check(call.context, rule)


def _view(alias: str) -> dict[str, Any]:
    name, description = _EXTENSIONS[alias]
    return {
        "name": name,
        "alias": alias,
        "description": description,
        "namespace": "",
        "updated": "",
        "links": [],
    }
