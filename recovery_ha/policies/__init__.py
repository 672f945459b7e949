"""The default rules of access, in code; an operator's file overrides them."""

from oslo_policy import policy

from recovery_ha.policies import (
    base,
    clusters,
    constraints,
    extensions,
    hosts,
    maintenance,
    notifications,
    segments,
    services,
    transactions,
    versions,
    vmoves,
    webhooks,
)


def list_rules(auditor: str = base.AUDITOR) -> list[policy.RuleDefault]:
    """Return all rules; the ``oslo.policy.policies`` entry point.

    :param auditor: the role that ``[policy] auditor`` names.
    """
    return [
        *base.rules(auditor),
        *segments.RULES,
        *hosts.RULES,
        *notifications.RULES,
        *vmoves.RULES,
        *transactions.RULES,
        *clusters.RULES,
        *maintenance.RULES,
        *constraints.RULES,
        *webhooks.RULES,
        *services.RULES,
        *extensions.RULES,
        *versions.RULES,
    ]
