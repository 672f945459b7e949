"""Ceilometer and Aodh at work: from notifications to raised alarms."""

import logging
import queue
import threading
import uuid
from typing import Any

import requests
from oslo_config import cfg

from recovery_ha.simulator.alarms import Call
from recovery_ha.simulator.events import to_event
from recovery_ha.simulator.world import World

LOG = logging.getLogger(__name__)

_TRIES = 3
_PAUSE_SECONDS = 0.2
_ANSWER_SECONDS = 10.0
_STOP_SECONDS = 2.0


class Listening:
    """Listens to a message queue and POSTs what raised alarms say.

    Like one notifier of Aodh it POSTs one after the other, in order.
    """

    def __init__(self, world: World, url: str, topic: str) -> None:
        """Connect to nothing yet.

        :param url: of the message queue
        """
        # Imported here: it wants its threads to be chosen before, by whoever
        # runs a simulator with a message queue.
        import oslo_messaging  # noqa: PLC0415

        self._world = world
        conf = cfg.ConfigOpts()
        conf([], project="recovery_ha", default_config_files=[])
        self._transport = oslo_messaging.get_notification_transport(
            conf, url=url
        )
        self._listener = oslo_messaging.get_notification_listener(
            self._transport,
            [oslo_messaging.Target(topic=topic)],
            [self],
            executor="threading",
        )
        self._calls: queue.Queue[Call | None] = queue.Queue()
        self._stopping = threading.Event()
        self._session = requests.Session()
        self._session.trust_env = False
        self._thread = threading.Thread(
            target=self._run, name="alarm-notifier", daemon=True
        )

    def info(
        self,
        _context: Any,
        _publisher_id: str,
        event_type: str,
        payload: Any,
        metadata: dict[str, Any],
    ) -> None:
        """Take a notification; the signature is oslo.messaging's."""
        if not isinstance(payload, dict):
            return
        self.notify(
            metadata.get("message_id") or str(uuid.uuid4()),
            event_type,
            payload,
            metadata.get("timestamp"),
        )

    def notify(
        self,
        message_id: str,
        event_type: str,
        payload: dict[str, Any],
        timestamp: str | None = None,
    ) -> None:
        """Raise the alarms that a notification is for."""
        event = to_event(message_id, event_type, payload, timestamp)
        with self._world.lock:
            calls = self._world.alarms.evaluate(event)
            self._world.changed()
        for call in calls:
            self._calls.put(call)

    def start(self) -> None:
        """Listen, in threads."""
        self._thread.start()
        self._listener.start()

    def stop(self) -> None:
        """End; what has not been POSTed is dropped."""
        self._stopping.set()
        self._calls.put(None)
        self._listener.stop()
        self._listener.wait()
        self._transport.cleanup()
        self._thread.join(_STOP_SECONDS)
        self._session.close()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            for _ in range(_TRIES):
                if self._stopping.is_set() or self._post(call):
                    break
                self._stopping.wait(_PAUSE_SECONDS)

    def _post(self, call: Call) -> bool:
        try:
            response = self._session.post(
                call.url,
                json=call.body,
                headers={"x-openstack-request-id": f"req-{uuid.uuid4()}"},
                timeout=_ANSWER_SECONDS,
            )
        except requests.RequestException as error:
            LOG.warning("An alarm action failed: %s", error)
            return False
        return response.ok
