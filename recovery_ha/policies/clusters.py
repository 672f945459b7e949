"""Rules on clusters, which belong to projects.

Whoever may read the whole cloud sees all of them, administrators change all
of them; everybody else has those of the token's project.
"""

from recovery_ha.policies.base import (
    PROJECT_MEMBER,
    PROJECT_READER,
    documented,
)

_NAME = "recovery_ha:clusters:"
INDEX = f"{_NAME}index"
DETAIL = f"{_NAME}detail"
PROGRESS = f"{_NAME}progress"
CREATE = f"{_NAME}create"
UPDATE = f"{_NAME}update"
DELETE = f"{_NAME}delete"
STEPS = f"{_NAME}steps"
EVENTS = f"{_NAME}events"

RULES = [
    documented(INDEX, PROJECT_READER, "List clusters.", ("GET", "/clusters")),
    documented(
        DETAIL,
        PROJECT_READER,
        "Show a cluster with its steps.",
        ("GET", "/clusters/{cluster_id}"),
    ),
    documented(
        PROGRESS,
        PROJECT_READER,
        "List the events of a cluster's step.",
        ("GET", "/clusters/{cluster_id}/progress"),
    ),
    documented(
        CREATE, PROJECT_MEMBER, "Create a cluster.", ("POST", "/clusters")
    ),
    documented(
        UPDATE,
        PROJECT_MEMBER,
        "Scale a cluster, or set its status.",
        ("PUT", "/clusters/{cluster_id}"),
    ),
    documented(
        DELETE,
        PROJECT_MEMBER,
        "Delete a cluster.",
        ("DELETE", "/clusters/{cluster_id}"),
    ),
    documented(
        STEPS,
        PROJECT_MEMBER,
        "Begin a step of a cluster's run.",
        ("POST", "/clusters/{cluster_id}/steps"),
    ),
    documented(
        EVENTS,
        PROJECT_MEMBER,
        "Tell how a step went with instances.",
        ("POST", "/clusters/{cluster_id}/steps/{step_id}/events"),
    ),
]
