"""Telling the engines that there is work, after it was committed."""

import logging
import threading

import oslo_messaging
from oslo_config import cfg

from recovery_ha.rpc.transport import TOPIC, get_transport

LOG = logging.getLogger(__name__)

#: Seconds between two messages: the first wake-up of a burst leaves at once,
#: the others wait for the second message.
_COLLECT_SECONDS = 0.1
#: Seconds without messages after one could not be sent.
_PAUSE_SECONDS = 5.0
#: Seconds to wait for a message that is under way; without a broker it is
#: under way until there is one.
_STOP_SECONDS = 1.0


class EngineClient:
    """Sends wake-ups from a thread of its own.

    No request ever waits for the message queue, and a burst of reports costs
    a few messages: a wake-up says "look at the database", so one stands for
    all that were committed before it was sent. When the queue is down the
    engines find the work by their own sweep.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Start the thread; the queue is connected to at the first wake-up."""
        self._transport = get_transport(conf)
        self._client = oslo_messaging.get_rpc_client(
            self._transport,
            oslo_messaging.Target(topic=TOPIC, fanout=True, version="1.0"),
        )
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="wake-ups", daemon=True
        )
        self._thread.start()

    def wake(self) -> None:
        """Have the engines look for work soon; returns at once."""
        self._wanted.set()

    def stop(self) -> None:
        """End the thread; a wake-up that was not sent is dropped."""
        self._stopped.set()
        self._wanted.set()
        self._thread.join(timeout=_STOP_SECONDS)
        self._transport.cleanup()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            if self._stopped.is_set():
                return
            self._wanted.clear()
            try:
                self._client.cast({}, "wake")
            except oslo_messaging.MessagingException as exc:
                LOG.warning(
                    "Wake-up not sent, engines find the work by their sweep:"
                    " %s",
                    exc,
                )
                self._stopped.wait(_PAUSE_SECONDS)
            except OSError as exc:
                LOG.warning("Message queue not reached: %s", exc)
                self._stopped.wait(_PAUSE_SECONDS)
            except Exception:
                # This thread must not end: no wake-up would be sent again.
                LOG.exception("Wake-up not sent")
                self._stopped.wait(_PAUSE_SECONDS)
            self._stopped.wait(_COLLECT_SECONDS)
