"""Rules on the hosts of a segment."""

from recovery_ha.policies.base import (
    ADMIN,
    CLOUD_READER,
    discoverable,
    documented,
)

_NAME = "os_masakari_api:os-hosts:"
INDEX = f"{_NAME}index"
DETAIL = f"{_NAME}detail"
CREATE = f"{_NAME}create"
UPDATE = f"{_NAME}update"
DELETE = f"{_NAME}delete"

_ALL = "/segments/{segment_id}/hosts"
_ONE = "/segments/{segment_id}/hosts/{host_id}"

RULES = [
    documented(INDEX, CLOUD_READER, "List hosts.", ("GET", _ALL)),
    documented(DETAIL, CLOUD_READER, "Show a host.", ("GET", _ONE)),
    documented(CREATE, ADMIN, "Add a host to a segment.", ("POST", _ALL)),
    documented(UPDATE, ADMIN, "Change a host.", ("PUT", _ONE)),
    documented(
        DELETE, ADMIN, "Remove a host from its segment.", ("DELETE", _ONE)
    ),
    discoverable("os-hosts", CLOUD_READER),
]
