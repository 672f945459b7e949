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
EVENTS = "recovery_ha:notifications:events"
DECISIONS = "recovery_ha:notifications:decisions"

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
    documented(
        EVENTS,
        CLOUD_READER,
        "Follow the recovery of a notification.",
        ("GET", "/notifications/{notification_id}/events"),
    ),
    documented(
        DECISIONS,
        CLOUD_READER,
        "Show what gates decided about a notification.",
        ("GET", "/notifications/{notification_id}/decisions"),
    ),
    discoverable("notifications", CLOUD_READER),
]
