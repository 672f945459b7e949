"""Rules on runs of recoveries."""

from recovery_ha.policies.base import ADMIN, documented

ACTION = "recovery_ha:transactions:action"

RULES = [
    documented(
        ACTION,
        ADMIN,
        "Retry, restart, roll back or cancel a recovery.",
        ("POST", "/transactions/{transaction_id}/action"),
    ),
]
