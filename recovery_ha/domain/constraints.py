"""Which instances may share a host: server groups and groups of projects.

Nova itself looks after its server groups. What projects ask of their groups
(``anti_affinity_group``, ``max_instances_per_host``, reference 2) nobody but
this service looks after.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from recovery_ha.domain.maintenance import (
    GroupConstraints,
    GroupKey,
    InstanceConstraints,
)
from recovery_ha.domain.ports import ServerGroup

_AFFINITY = ("affinity", "soft-affinity")
_ANTI_AFFINITY = ("anti-affinity", "soft-anti-affinity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How the members of a group may be spread over hosts.

    :ivar what: what sentences call it.
    :ivar together: a member goes where another one is. Nova moves one at a
        time, so that those that share the host to be emptied cannot leave it.
    :ivar limit: how many may be on one host; 0: any number.
    :ivar soft: it is a wish only, and refuses nothing.
    """

    what: str
    members: frozenset[str]
    together: bool = False
    limit: int = 0
    soft: bool = False


def rules(
    groups: Iterable[ServerGroup],
    constraints: Iterable[GroupConstraints] = (),
    instances: Iterable[InstanceConstraints] = (),
    owners: Mapping[str, str] | None = None,
) -> tuple[Rule, ...]:
    """Return what server groups, and the groups of projects, ask for.

    Members of a project's group are those whose own constraints name it, and
    those of the server group of that id, if there is one, as far as they are
    the project's.

    :param owners: whose each instance is, by its id.
    """
    known = {group.id: group for group in groups}
    owners = owners or {}
    members: dict[GroupKey, set[str]] = {}
    for instance in instances:
        if instance.group is not None:
            members.setdefault(instance.group, set()).add(instance.instance_id)
    found = [_of_server_group(group) for group in known.values()]
    for asked in constraints:
        limit = asked.max_instances_per_host
        if asked.anti_affinity_group:
            limit = 1
        if limit:
            also = {
                member
                for member in (
                    known[asked.group_id].members
                    if asked.group_id in known
                    else ()
                )
                if owners.get(member) == asked.project_id
            }
            found.append(
                Rule(
                    what=f"group {asked.group_name or asked.group_id}",
                    members=frozenset(members.get(asked.key, set()) | also),
                    limit=limit,
                )
            )
    return tuple(rule for rule in found if len(rule.members) > 1)


def _of_server_group(group: ServerGroup) -> Rule:
    apart = group.policy in _ANTI_AFFINITY
    return Rule(
        what=f"server group {group.name} ({group.policy})",
        members=frozenset(group.members),
        together=group.policy in _AFFINITY,
        limit=max(group.max_per_host, 1) if apart else 0,
        soft=group.policy.startswith("soft-"),
    )


def refusal(
    asked: Iterable[Rule],
    where: Mapping[str, str],
    instance_id: str,
    host: str,
) -> str | None:
    """Return why an instance may not go to a host, or None if it may.

    :param where: the host of each instance now.
    """
    for rule in asked:
        if rule.soft or instance_id not in rule.members:
            continue
        mates = [
            where[other]
            for other in rule.members
            if other != instance_id and other in where
        ]
        if rule.together and mates and host not in mates:
            return f"{rule.what} keeps it on {', '.join(sorted(set(mates)))}"
        if rule.limit and mates.count(host) >= rule.limit:
            return (
                f"{rule.what} allows {rule.limit} of its members per host,"
                f" and {host} has {mates.count(host)}"
            )
    return None


def without(
    instances: Collection[tuple[str, str]],
    known: Mapping[str, InstanceConstraints],
    groups: Mapping[GroupKey, GroupConstraints],
) -> tuple[str, ...]:
    """Return what must be said of instances and was not, one phrase each.

    :param instances: id and name of each that constraints must be known of.
    """
    said = []
    for instance_id, name in sorted(instances):
        constraints = known.get(instance_id)
        if constraints is None:
            said.append(f"instance {instance_id} ({name})")
        elif constraints.group is None:
            said.append(f"the group of instance {instance_id} ({name})")
        elif constraints.group not in groups:
            said.append(
                f"group {constraints.group_id} of instance {instance_id}"
                f" ({name})"
            )
    return tuple(said)
