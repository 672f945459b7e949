"""Rules on notifications."""

from recovery_ha.policies.base import (
    CLOUD_READER,
    REPORTER,
    discoverable,
    documented,
)

_NAME = "os_masakari_api:notifications:"
INDEX = f"{_NAME}index"
DETAIL = f"{_NAME}detail"
CREATE = f"{_NAME}create"

RULES = [
    documented(
        INDEX, CLOUD_READER, "List notifications.", ("GET", "/notifications")
    ),
    documented(
        DETAIL,
        CLOUD_READER,
        "Show a notification.",
        ("GET", "/notifications/{notification_id}"),
    ),
    documented(
        CREATE, REPORTER, "Report a failure.", ("POST", "/notifications")
    ),
    discoverable("notifications", CLOUD_READER),
]
