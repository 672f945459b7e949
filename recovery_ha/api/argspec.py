"""Keep pecan from working out a method's signature at every request.

``pecan.util.getargspec`` is called several times per request, and each call
makes a new namedtuple class, which is half of what pecan costs. A signature
does not change, so the answers are kept. The functions are replaced only if
pecan still has them where it is known to, and only with one that has shown to
give the same answer.
"""

import functools
import logging
import threading
from typing import Any

import pecan.core
import pecan.rest
import pecan.routing
import pecan.util

LOG = logging.getLogger(__name__)

_LOCK = threading.Lock()
_MODULES = (pecan.util, pecan.core, pecan.routing, pecan.rest)


def remember_signatures() -> bool:
    """Have pecan ask for each signature once per process.

    :returns: whether it does; if not, all works, only slower.
    """
    with _LOCK:
        original = getattr(pecan.util, "getargspec", None)
        if getattr(original, "remembers", False):
            return True
        if not callable(original) or any(
            getattr(module, "getargspec", None) is not original
            for module in _MODULES
        ):
            LOG.warning("This pecan is unknown; its signatures are not kept.")
            return False
        kept = functools.lru_cache(maxsize=1024)(original)

        def getargspec(method: Any) -> Any:
            # Of bound methods, which are new objects at every access, only
            # the function counts.
            return kept(getattr(method, "__func__", method))

        getargspec.remembers = True  # type: ignore[attr-defined]
        if getargspec(_Example().method) != original(_Example().method):
            LOG.warning("This pecan is unknown; its signatures are not kept.")
            return False
        for module in _MODULES:
            module.getargspec = getargspec
        return True


class _Example:
    def method(self, first: int, second: int = 2, *rest: int) -> None:
        """Have a signature."""
