"""Which instances a recovery leaves alone, and why.

Some instances are somebody's own business: Octavia's amphorae, which its
health manager replaces, or appliances that must not be rebuilt. A rule that
matches leaves an instance out; what cannot be read (an image that is gone)
matches no rule, so the instance is recovered: the rules fail open.
"""

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from recovery_ha.domain.gates import Decision, Verdict
from recovery_ha.domain.ports import Server


@dataclass(frozen=True, slots=True)
class Exclusions:
    """The operator's rules; each is a list, and one match is enough.

    :ivar projects: project ids.
    :ivar names: shell patterns of instance names.
    :ivar metadata: ``key`` or ``key=value`` of the instance's metadata.
    :ivar extra_specs: the same of its flavor's extra specs.
    :ivar image_properties: the same of its image's properties.
    """

    projects: Sequence[str] = ()
    names: Sequence[str] = ()
    metadata: Sequence[str] = ()
    extra_specs: Sequence[str] = ()
    image_properties: Sequence[str] = field(default=())


def _matching(rules: Sequence[str], values: Mapping[str, str]) -> str | None:
    for rule in rules:
        key, equals, wanted = rule.partition("=")
        if key in values and (not equals or str(values[key]) == wanted):
            return rule
    return None


def exclude(
    server: Server,
    rules: Exclusions,
    image: Mapping[str, str] | None = None,
) -> Decision | None:
    """Return why an instance is left out, or None if it is not.

    :param image: the properties of the image it was booted from, if known.
    """
    name = next(
        (p for p in rules.names if fnmatch.fnmatchcase(server.name, p)), None
    )
    found = (
        (
            "project",
            server.project_id if server.project_id in rules.projects else None,
            f"it belongs to project {server.project_id}",
            server.project_id,
        ),
        ("name_pattern", name, f"its name matches {name}", server.name),
        *(
            (gate, rule, f"its {words} {rule}", dict(values))
            for gate, words, rule, values in (
                (
                    "metadata",
                    "metadata has",
                    _matching(rules.metadata, server.metadata),
                    server.metadata,
                ),
                (
                    "flavor_extra_spec",
                    f"flavor {server.flavor.name} has",
                    _matching(rules.extra_specs, server.flavor.extra_specs),
                    server.flavor.extra_specs,
                ),
                (
                    "image_property",
                    "image has",
                    _matching(rules.image_properties, image or {}),
                    image or {},
                ),
            )
        ),
    )
    for gate, rule, why, value in found:
        if rule is not None:
            return Decision(
                f"exclude_{gate}",
                Verdict.LEAVE_OUT,
                f"{server.name} is left out: {why}, which is excluded by"
                " configuration.",
                {gate: value},
                rule,
                server.id,
            )
    return None
