"""Rules on failover segments."""

from recovery_ha.policies.base import (
    ADMIN,
    CLOUD_READER,
    discoverable,
    documented,
)

_NAME = "os_masakari_api:segments:"
INDEX = f"{_NAME}index"
DETAIL = f"{_NAME}detail"
CREATE = f"{_NAME}create"
UPDATE = f"{_NAME}update"
DELETE = f"{_NAME}delete"

RULES = [
    documented(INDEX, CLOUD_READER, "List segments.", ("GET", "/segments")),
    documented(
        DETAIL,
        CLOUD_READER,
        "Show a segment.",
        ("GET", "/segments/{segment_id}"),
    ),
    documented(CREATE, ADMIN, "Add a segment.", ("POST", "/segments")),
    documented(
        UPDATE, ADMIN, "Change a segment.", ("PUT", "/segments/{segment_id}")
    ),
    documented(
        DELETE,
        ADMIN,
        "Remove a segment and its hosts.",
        ("DELETE", "/segments/{segment_id}"),
    ),
    discoverable("segments", CLOUD_READER),
]
