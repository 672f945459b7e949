"""The rule on the list of engines."""

from recovery_ha.policies.base import CLOUD_READER, documented

INDEX = "recovery_ha:services:index"

RULES = [
    documented(
        INDEX,
        CLOUD_READER,
        "List engines, what they can do, and what they do now.",
        ("GET", "/services"),
    ),
]
