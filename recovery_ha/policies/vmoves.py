"""Rules on the vmoves of a notification."""

from recovery_ha.policies.base import (
    CLOUD_READER,
    discoverable,
    documented,
)

_NAME = "os_masakari_api:vmoves:"
INDEX = f"{_NAME}index"
DETAIL = f"{_NAME}detail"

_ALL = "/notifications/{notification_id}/vmoves"

RULES = [
    documented(INDEX, CLOUD_READER, "List vmoves.", ("GET", _ALL)),
    documented(
        DETAIL, CLOUD_READER, "Show a vmove.", ("GET", f"{_ALL}/{{vmove_id}}")
    ),
    discoverable("vmoves", CLOUD_READER),
]
