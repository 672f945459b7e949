"""The simulator as a server: in a process of its own or inside a test."""

import threading
from types import TracebackType
from typing import Any, Self

from cheroot import wsgi

from recovery_ha.simulator.app import CONNECTION, Application
from recovery_ha.simulator.listening import Listening
from recovery_ha.simulator.settings import Settings
from recovery_ha.simulator.world import World


class _Gateway(wsgi.Gateway_10):
    """Tells the application its socket, which a fault may close."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        environ[CONNECTION] = self.req.conn.socket
        return environ


class Simulator:
    """A simulated OpenStack which listens on one port.

    :param settings: what it runs on; None takes the defaults
    :param changes: single settings by name, for example `rebuild_seconds`;
        the port is free by default
    """

    def __init__(
        self, settings: Settings | None = None, **changes: Any
    ) -> None:
        self.settings = settings or Settings(**changes)
        self.world = World(self.settings)
        self._server = wsgi.Server(
            (self.settings.host, self.settings.port),
            Application(self.world),
            numthreads=self.settings.threads,
            server_name="simulator",
            request_queue_size=128,
        )
        self._server.gateway = _Gateway
        # How long stopping takes; each is one wake-up of an idle server.
        self._server.expiration_interval = 0.1
        self._thread: threading.Thread | None = None
        self._listening: Listening | None = None

    @property
    def port(self) -> int:
        """Return the port it listens on."""
        return int(self._server.bind_addr[1])

    @property
    def url(self) -> str:
        """Return its address, without a slash at the end."""
        return f"http://{self.settings.host}:{self.port}"

    @property
    def auth_url(self) -> str:
        """Return the address of its Keystone."""
        return f"{self.url}/identity/v3"

    def start(self) -> Self:
        """Listen and answer in threads of its own; returns at once.

        :raises OSError: the port is in use
        """
        self._server.prepare()
        self.world.timeline.start()
        self._thread = threading.Thread(
            target=self._server.serve, name="simulator", daemon=True
        )
        self._thread.start()
        if self.settings.transport_url:
            self._listening = Listening(
                self.world,
                self.settings.transport_url,
                self.settings.notification_topic,
            )
            self._listening.start()
        return self

    def stop(self) -> None:
        """Let go of held requests, close the port and end all threads."""
        if self._listening is not None:
            self._listening.stop()
            self._listening = None
        self.world.managers.clear()
        self.world.faults.clear()
        self._server.stop()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.world.timeline.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
