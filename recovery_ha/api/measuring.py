"""Counting requests by their route, never by their URL."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from recovery_ha import metrics
from recovery_ha.api.middleware import App, Environ
from recovery_ha.api.request import ROUTE_KEY

#: Of what was answered before or without a route.
_UNMATCHED = "unmatched"


class Measured:
    """Note how long each request takes and what it is answered."""

    def __init__(self, app: App) -> None:
        self._app = app

    def __call__(
        self, environ: Environ, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request."""
        started = time.perf_counter()
        status = 500

        def start(line: str, headers: Any, *exc_info: Any) -> Any:
            nonlocal status
            status = int(line[:3])
            return start_response(line, headers, *exc_info)

        try:
            return self._app(environ, start)
        finally:
            metrics.request_answered(
                environ.get(ROUTE_KEY, _UNMATCHED),
                environ.get("REQUEST_METHOD", ""),
                status,
                time.perf_counter() - started,
            )
