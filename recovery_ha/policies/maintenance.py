"""Rules on maintenance sessions, which are the administrators'.

Each project has its own part in a session: what it is asked, and its reply.
Administrators may reply for any project; for everybody else the parts of
other projects do not exist.
"""

from recovery_ha.policies.base import (
    ADMIN,
    PROJECT_MEMBER,
    PROJECT_READER,
    documented,
)

_NAME = "recovery_ha:maintenance:"
INDEX = f"{_NAME}index"
CREATE = f"{_NAME}create"
DETAIL = f"{_NAME}detail"
UPDATE = f"{_NAME}update"
ACTION = f"{_NAME}action"
DELETE = f"{_NAME}delete"
INSTANCES = f"{_NAME}project:detail"
REPLY = f"{_NAME}project:update"

_ALL = "/maintenance"
_ONE = f"{_ALL}/{{session_id}}"
_PROJECT = f"{_ONE}/{{project_id}}"
_INSTANCE = f"{_PROJECT}/{{instance_id}}"

RULES = [
    documented(INDEX, ADMIN, "List maintenance sessions.", ("GET", _ALL)),
    documented(CREATE, ADMIN, "Begin a maintenance session.", ("POST", _ALL)),
    documented(
        DETAIL,
        ADMIN,
        "Show a maintenance session.",
        ("GET", _ONE),
        ("GET", f"{_ONE}/detail"),
    ),
    documented(
        UPDATE,
        ADMIN,
        "Continue a maintenance session.",
        ("PUT", _ONE),
    ),
    documented(
        ACTION,
        ADMIN,
        "Continue, pause, abort or retry a maintenance session.",
        ("POST", f"{_ONE}/action"),
    ),
    documented(
        DELETE,
        ADMIN,
        "Delete a maintenance session; what it did to hosts is undone.",
        ("DELETE", _ONE),
    ),
    documented(
        INSTANCES,
        PROJECT_READER,
        "Show which instances a project is asked about.",
        ("GET", _PROJECT),
        ("GET", _INSTANCE),
    ),
    documented(
        REPLY,
        PROJECT_MEMBER,
        "Reply for a project, or for one of its instances.",
        ("PUT", _PROJECT),
        ("PUT", _INSTANCE),
    ),
]
