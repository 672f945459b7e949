"""The rules that other rules are made of.

Segments, hosts, notifications and vmoves belong to the cloud and to no
project, so a member or reader of a project sees none of them.
"""

from oslo_policy import policy

#: The default of ``[policy] auditor``.
AUDITOR = "recovery_auditor"

ADMIN = "rule:admin_api"
REPORTER = "rule:recovery_ha:reporter"
CLOUD_READER = "rule:recovery_ha:cloud_reader"
PROJECT_READER = "rule:recovery_ha:project_reader"
PROJECT_MEMBER = "rule:recovery_ha:project_member"
#: Whoever it is not for reads what is his project's.
ALL_PROJECTS = "recovery_ha:all_projects"
#: Whoever it is not for reads the notifications that are his own.
ALL_NOTIFICATIONS = "recovery_ha:notifications:all"

SCOPES = ["system", "project"]


def rules(auditor: str) -> list[policy.RuleDefault]:
    """Return the building blocks.

    :param auditor: the role that reads all with a project's token.
    """
    auditors = (
        "rule:admin_api or (role:reader and system_scope:all)"
        f" or role:{auditor}"
    )
    return [
        policy.RuleDefault(
            "context_is_admin",
            "role:admin",
            description="Decides whether a request is an administrator's.",
        ),
        policy.RuleDefault(
            "admin_api",
            "is_admin:True",
            description="An administrator.",
        ),
        policy.RuleDefault(
            "admin_or_owner",
            "is_admin:True or project_id:%(project_id)s",
            description="An administrator, or a member of the project that"
            " an object belongs to. Used by no default.",
        ),
        policy.RuleDefault(
            "recovery_ha:reporter",
            "rule:admin_api or role:service",
            description="Who may report failures: monitors.",
        ),
        policy.RuleDefault(
            "recovery_ha:cloud_reader",
            f"{auditors} or role:service",
            description="Who may read what belongs to the whole cloud:"
            " administrators, services, readers of the system scope, and"
            " holders of the role that [policy] auditor names.",
        ),
        policy.RuleDefault(
            ALL_PROJECTS,
            auditors,
            description="Who reads what belongs to any project:"
            " administrators, readers of the system scope, and holders of the"
            " role that [policy] auditor names.",
        ),
        policy.RuleDefault(
            "recovery_ha:project_reader",
            f"rule:{ALL_PROJECTS} or role:service or role:reader",
            description="Who may read what belongs to projects: that of the"
            f" token's project, or that of all for {ALL_PROJECTS}.",
        ),
        policy.RuleDefault(
            "recovery_ha:project_member",
            "rule:admin_api or role:service or role:member",
            description="Who may change what belongs to projects: that of the"
            " token's project, or that of all for administrators.",
        ),
        policy.RuleDefault(
            ALL_NOTIFICATIONS,
            # Whom another rule of the operator's lets in is no monitor.
            f"{auditors} or not role:service",
            description="Of those who may list and show notifications, their"
            " vmoves, events and decisions: who sees all of them. The others"
            " see those that they reported themselves; by default these are"
            " the holders of the role service who are not administrators,"
            " readers of the system scope, or holders of the role that"
            " [policy] auditor names.",
        ),
    ]


def documented(
    name: str, check: str, description: str, *operations: tuple[str, str]
) -> policy.DocumentedRuleDefault:
    """Return the rule of one or more operations.

    :param operations: pairs of method and path below ``/v1``.
    """
    return policy.DocumentedRuleDefault(
        name=name,
        check_str=check,
        description=description,
        operations=[
            {"method": method, "path": path} for method, path in operations
        ],
        scope_types=SCOPES,
    )


def discoverable(group: str, check: str) -> policy.RuleDefault:
    """Return Masakari's rule on whether a group of routes is listed."""
    return policy.RuleDefault(
        name=f"os_masakari_api:{group}:discoverable",
        check_str=check,
        description=f"List {group} among the extensions.",
        scope_types=SCOPES,
    )
