"""How long to wait until Nova is worth another look."""

from collections.abc import Iterable

#: An evacuation is expected from this part of the shortest one's time on,
#: and for this part of it looked for closely.
_EARLY = 0.97
_CLOSELY = 0.25


def pause(
    interval: float,
    *,
    quiet: float,
    under_way: Iterable[float],
    shortest: float | None,
) -> float:
    """Return how many seconds to wait before the next look.

    Looking costs Nova a request, not looking costs the instance that waits
    for the place of another. What earlier evacuations took says when the next
    one can be expected: until then there is little to see, from then on it is
    looked at closely, and what is long overdue is looked at as if nothing was
    known, more and more rarely.

    :param interval: the longest pause, in seconds.
    :param quiet: seconds since anything has changed.
    :param under_way: for each evacuation that Nova works on, how many seconds
        ago it was accepted.
    :param shortest: what the quickest one took, in seconds, or None.
    """
    blind = min(interval, max(interval / 4, quiet / 8))
    if shortest is None:
        return blind
    step = min(interval, max(interval / 10, shortest / 50))
    left = [_EARLY * shortest - age for age in under_way]
    if any(-_CLOSELY * shortest < seconds <= 0 for seconds in left):
        return step
    ahead = [seconds for seconds in left if seconds > 0]
    if not ahead:
        return blind
    longest = interval if len(ahead) == len(left) else blind
    return min(longest, max(min(ahead), step))
