"""Rules on the list of extensions, which tells nothing about the cloud."""

from recovery_ha.policies.base import (
    CLOUD_READER,
    discoverable,
    documented,
)

_NAME = "os_masakari_api:extensions:"
INDEX = f"{_NAME}index"
DETAIL = f"{_NAME}detail"

RULES = [
    documented(
        INDEX, CLOUD_READER, "List extensions.", ("GET", "/extensions")
    ),
    documented(
        DETAIL,
        CLOUD_READER,
        "Show an extension.",
        ("GET", "/extensions/{alias}"),
    ),
    discoverable("extensions", CLOUD_READER),
]
