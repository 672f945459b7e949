"""Rules on webhooks, which belong to projects.

Whoever may read all projects sees all of them, administrators change all of
them; everybody else has those of the token's project. Nobody sees a secret.
"""

from recovery_ha.policies.base import (
    PROJECT_MEMBER,
    PROJECT_READER,
    documented,
)

_NAME = "recovery_ha:webhooks:"
INDEX = f"{_NAME}index"
DETAIL = f"{_NAME}detail"
CREATE = f"{_NAME}create"
DELETE = f"{_NAME}delete"

_ALL = "/webhooks"
_ONE = f"{_ALL}/{{webhook_id}}"

RULES = [
    documented(INDEX, PROJECT_READER, "List webhooks.", ("GET", _ALL)),
    documented(DETAIL, PROJECT_READER, "Show a webhook.", ("GET", _ONE)),
    documented(CREATE, PROJECT_MEMBER, "Add a webhook.", ("POST", _ALL)),
    documented(DELETE, PROJECT_MEMBER, "Delete a webhook.", ("DELETE", _ONE)),
]
