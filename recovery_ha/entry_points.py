"""Which entry points the packages of this machine have."""

import functools
from importlib import metadata

_installed = functools.cache(metadata.entry_points)


@functools.cache
def of_group(group: str) -> metadata.EntryPoints:
    """Return the entry points of a group; none of them is imported.

    The packages are looked through once in the life of a process, for it
    takes tens of milliseconds.
    """
    return _installed().select(group=group)
