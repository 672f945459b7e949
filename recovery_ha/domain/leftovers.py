"""What a recovery leaves behind on purpose, in sentences for operators."""

from collections.abc import Mapping
from typing import Any

from recovery_ha.domain.ports import ComputeService


def service_left(
    host: str, record: Mapping[str, Any], found: ComputeService | None
) -> str | None:
    """Return in which state a recovery leaves a host's compute service.

    :param record: what was done to it: ``disabled`` and ``forced_down`` by
        us, and the ``reason`` that Nova was given.
    :param found: what Nova says now; None if that is not known.
    :returns: None when it is left as it was found.
    """
    disabled = bool(record.get("disabled"))
    forced = bool(record.get("forced_down"))
    reason = record.get("reason")
    if found is not None:
        disabled = disabled and not found.enabled
        forced = forced and found.forced_down
        reason = found.disabled_reason or reason
    states = ["disabled"] * disabled + ["forced down"] * forced
    if not states:
        return None
    because = f" (reason: {reason})" if disabled and reason else ""
    up = " Nova sees it up." if found is not None and found.up else ""
    options = ["--up"] * forced + ["--enable"] * disabled
    commands = " and ".join(
        f"openstack compute service set {option} {host} nova-compute"
        for option in options
    )
    return (
        f"The compute service nova-compute on {host} is left"
        f" {' and '.join(states)}{because}.{up} When the host is in order:"
        f" {commands}."
    )
