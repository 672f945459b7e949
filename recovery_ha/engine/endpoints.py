"""What other processes may ask of an engine: to look at the database."""

from collections.abc import Callable
from typing import Any

import oslo_messaging
from oslo_config import cfg

from recovery_ha.rpc.transport import TOPIC, get_transport


class EngineEndpoint:
    """The RPC methods of an engine."""

    target = oslo_messaging.Target(version="1.0")

    def __init__(self, wake: Callable[[], None]) -> None:
        """Pass wake-ups on.

        :param wake: returns at once.
        """
        self._wake = wake

    def wake(self, _context: dict[str, Any]) -> None:
        """Have the engine look for work now."""
        self._wake()


def make_server(
    conf: cfg.ConfigOpts, host: str, wake: Callable[[], None]
) -> Any:
    """Return an RPC server for an engine, not started yet.

    :param host: the engine's name, unique among engines.
    :param wake: called for each wake-up; returns at once.
    """
    return oslo_messaging.get_rpc_server(
        get_transport(conf),
        oslo_messaging.Target(topic=TOPIC, server=host),
        [EngineEndpoint(wake)],
        access_policy=oslo_messaging.DefaultRPCAccessPolicy,
    )
