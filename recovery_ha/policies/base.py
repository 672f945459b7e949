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

SCOPES = ["system", "project"]


def rules(auditor: str) -> list[policy.RuleDefault]:
    """Return the building blocks.

    :param auditor: the role that reads all with a project's token.
    """
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
            "rule:admin_api or role:service"
            " or (role:reader and system_scope:all)"
            f" or role:{auditor}",
            description="Who may read what belongs to the whole cloud:"
            " administrators, services, readers of the system scope, and"
            " holders of the role that [policy] auditor names.",
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
