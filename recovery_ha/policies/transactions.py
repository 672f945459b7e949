"""Rules on runs: of recoveries, and of whatever is reported from outside.

Runs belong to projects. Whoever may read the whole cloud sees all of them,
holders of the role ``service`` see what they reported, everybody else sees
those of the token's project.
"""

from recovery_ha.policies.base import (
    ADMIN,
    PROJECT_MEMBER,
    PROJECT_READER,
    documented,
)

_NAME = "recovery_ha:transactions:"
ACTION = f"{_NAME}action"
INDEX = f"{_NAME}index"
DETAIL = f"{_NAME}detail"
HISTORY = f"{_NAME}deployment_history"
STEPS = f"{_NAME}steps"
EVENTS = f"{_NAME}events"
SUMMARY = f"{_NAME}summary"
CREATE = f"{_NAME}create"
REPORT = f"{_NAME}report"
END = f"{_NAME}end"
DELETE = f"{_NAME}delete"
ALL_HISTORY = "recovery_ha:deployment_history:index"

_ONE = "/transactions/{transaction_id}"

RULES = [
    documented(
        ACTION,
        ADMIN,
        "Retry, restart, roll back or cancel a recovery.",
        ("POST", f"{_ONE}/action"),
    ),
    documented(
        INDEX,
        PROJECT_READER,
        "List runs.",
        ("GET", "/transactions"),
        ("GET", "/tasks"),
    ),
    documented(
        DETAIL,
        PROJECT_READER,
        "Show a run.",
        ("GET", _ONE),
        ("GET", "/tasks/{task_id}"),
        ("GET", f"{_ONE}/deployment_info"),
        ("GET", f"{_ONE}/network_configuration"),
        ("GET", f"{_ONE}/settings"),
    ),
    documented(
        HISTORY,
        PROJECT_READER,
        "Show which tasks of a run went how on which nodes.",
        ("GET", f"{_ONE}/deployment_history"),
    ),
    documented(
        ALL_HISTORY,
        PROJECT_READER,
        "Show which tasks of all runs went how on which nodes.",
        ("GET", "/deployment_history"),
    ),
    documented(
        STEPS, PROJECT_READER, "List a run's steps.", ("GET", f"{_ONE}/steps")
    ),
    documented(
        EVENTS, PROJECT_READER, "Follow a run.", ("GET", f"{_ONE}/events")
    ),
    documented(
        SUMMARY,
        PROJECT_READER,
        "Count a run's tasks by status and node.",
        ("GET", f"{_ONE}/summary"),
    ),
    documented(
        CREATE,
        PROJECT_MEMBER,
        "Begin a run that is reported.",
        ("POST", "/transactions"),
    ),
    documented(
        REPORT,
        PROJECT_MEMBER,
        "Report what tasks of a run did on nodes.",
        ("POST", f"{_ONE}/reports"),
    ),
    documented(
        END, PROJECT_MEMBER, "End a run that is reported.", ("PUT", _ONE)
    ),
    documented(
        DELETE,
        PROJECT_MEMBER,
        "Hide a run, which is kept: any run for administrators, for others"
        " one that was reported.",
        ("DELETE", _ONE),
        ("DELETE", "/tasks/{task_id}"),
    ),
]
