"""Rules on what projects ask of whoever moves their instances.

Whoever may read all projects sees all of it, administrators change all of
it; everybody else has what is the token's project's.
"""

from recovery_ha.policies.base import (
    PROJECT_MEMBER,
    PROJECT_READER,
    documented,
)

_INSTANCE = "recovery_ha:instance:"
_GROUP = "recovery_ha:instance_group:"
INSTANCE_INDEX = f"{_INSTANCE}index"
INSTANCE_DETAIL = f"{_INSTANCE}detail"
INSTANCE_UPDATE = f"{_INSTANCE}update"
INSTANCE_DELETE = f"{_INSTANCE}delete"
GROUP_INDEX = f"{_GROUP}index"
GROUP_DETAIL = f"{_GROUP}detail"
GROUP_UPDATE = f"{_GROUP}update"
GROUP_DELETE = f"{_GROUP}delete"

_INSTANCES, _GROUPS = "/instance", "/instance_group"
_ONE_INSTANCE = f"{_INSTANCES}/{{instance_id}}"
_ONE_GROUP = f"{_GROUPS}/{{group_id}}"

RULES = [
    documented(
        INSTANCE_INDEX,
        PROJECT_READER,
        "List the constraints of instances.",
        ("GET", _INSTANCES),
    ),
    documented(
        INSTANCE_DETAIL,
        PROJECT_READER,
        "Show the constraints of an instance.",
        ("GET", _ONE_INSTANCE),
    ),
    documented(
        INSTANCE_UPDATE,
        PROJECT_MEMBER,
        "Set the constraints of an instance.",
        ("PUT", _ONE_INSTANCE),
    ),
    documented(
        INSTANCE_DELETE,
        PROJECT_MEMBER,
        "Remove the constraints of an instance.",
        ("DELETE", _ONE_INSTANCE),
    ),
    documented(
        GROUP_INDEX,
        PROJECT_READER,
        "List the constraints of groups.",
        ("GET", _GROUPS),
    ),
    documented(
        GROUP_DETAIL,
        PROJECT_READER,
        "Show the constraints of a group.",
        ("GET", _ONE_GROUP),
    ),
    documented(
        GROUP_UPDATE,
        PROJECT_MEMBER,
        "Set the constraints of a group.",
        ("PUT", _ONE_GROUP),
    ),
    documented(
        GROUP_DELETE,
        PROJECT_MEMBER,
        "Remove the constraints of a group.",
        ("DELETE", _ONE_GROUP),
    ),
]
