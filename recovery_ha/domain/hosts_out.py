"""How many hosts may be out of service at once, for whichever reason.

Recoveries and maintenance sessions take from the same limit and know
nothing of each other but this.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostsOut:
    """Which hosts are out of service.

    :ivar recovering: by host, uuid of the notification that recovers it.
    :ivar maintained: those on which a session works now.
    """

    recovering: dict[str, str]
    maintained: tuple[str, ...] = ()

    def besides(self, host: str) -> list[str]:
        """Return the hosts that are out, without this one."""
        return sorted({*self.recovering, *self.maintained} - {host})


def beyond(out: HostsOut, host: str, limit: int) -> str | None:
    """Return why one more host may not be out, or None if it may.

    :param host: the one; if it is out for another reason, it does not count.
    :param limit: how many may be; 0: any number.
    """
    others = out.besides(host)
    if not limit or len(others) < limit:
        return None
    recovering = [name for name in others if name in out.recovering]
    maintained = [name for name in others if name in out.maintained]
    parts = [
        f"{what} {_names(names)}"
        for what, names in (
            ("recovered:", recovering),
            ("in maintenance:", maintained),
        )
        if names
    ]
    return (
        f"{len(others)} other hosts are out of service ({'; '.join(parts)}),"
        f" and [host_failure] max_hosts_out is {limit}."
    )


def awaited(out: HostsOut, host: str = "") -> str | None:
    """Return why a session takes no further host, or None if it may.

    :param host: the one that it wants to take, if it is known.
    """
    others = sorted(out.recovering.keys() - {host})
    if not others:
        return None
    first = others[0]
    return (
        f"Host {_names(others)} is being recovered (notification"
        f" {out.recovering[first]}), which may need the room: waiting until"
        " that has ended."
    )


def _names(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
