"""The API on a port, for one process; production uses any WSGI server."""

import threading

from cheroot import wsgi
from oslo_config import cfg

from recovery_ha.api.exposure import refuse_remote_noauth
from recovery_ha.api.middleware import App

#: Seconds that requests which are being answered have to end.
_STOP_SECONDS = 5
#: Connections that may wait to be taken: monitors report all at once.
_BACKLOG = 128


class Server:
    """Answers in threads of its own."""

    def __init__(self, conf: cfg.ConfigOpts, app: App) -> None:
        """Listen; nothing is answered before :meth:`start`.

        :raises errors.InvalidConfiguration: everyone would be an
            administrator on an address that others reach.
        :raises OSError: the address cannot be listened on; the text names it.
        """
        options = conf.api
        refuse_remote_noauth(conf, options.host)
        self._server = wsgi.Server(
            (options.host, options.port),
            app,
            numthreads=options.threads,
            max=options.threads,
            server_name="recovery-ha",
            request_queue_size=_BACKLOG,
            shutdown_timeout=_STOP_SECONDS,
        )
        try:
            self._server.prepare()
        except OSError as exc:
            reason = str(exc).rpartition("] ")[2].rstrip(")") or str(exc)
            raise OSError(
                f"Cannot listen on {options.host}:{options.port}: {reason}"
            ) from exc
        self._thread = threading.Thread(
            target=self._server.serve, name="api", daemon=True
        )

    @property
    def port(self) -> int:
        """Return the port; it was free to choose if 0 was asked for."""
        return int(self._server.bind_addr[1])

    def start(self) -> None:
        """Answer from now on; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port, let requests that are being answered end."""
        self._server.stop()
        if self._thread.is_alive():
            self._thread.join()
