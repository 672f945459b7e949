"""Sending what is to be told outside, after it was committed.

One thread looks for what is due, at once when it is kicked and now and then
by itself, and hands it out to others; no session waits for any of them.

oslo.messaging's own notifier makes the message id, and logs what it could
not send instead of saying so. So the message is made here in its form, and
handed to its transport, which returns when the broker has confirmed it.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import oslo_messaging
from oslo_config import cfg
from oslo_db import exception as db_exc

from recovery_ha.clients.webhook import NotDelivered, Webhooks
from recovery_ha.context import RequestContext
from recovery_ha.db.maintenance import outbox
from recovery_ha.db.maintenance.outbox import Message
from recovery_ha.domain import errors

LOG = logging.getLogger(__name__)

#: The message format that OpenStack's services send.
_FORMAT = 2.0
_PRIORITY = "INFO"
#: Seconds that what is under way has when the engine stops.
_STOP_SECONDS = 2.0
#: The part of a lease in which sending may begin; what is left is for the
#: one that is being sent.
_BEGIN = 0.25
#: How many times the time of a webhook's receiver a claim to send to it is,
#: and the least seconds: its name is resolved, and the end written down.
_WEBHOOK_LEASES = 2
_SHORTEST_LEASE = 10.0


def pause(failures: int, longest: float) -> float:
    """Return the seconds until the next attempt.

    :param failures: how many there have been, from 1.
    :param longest: the most, in seconds.
    """
    return float(min(2 ** min(failures - 1, 30), longest))


class Delivery:
    """Sends the messages of the outbox; every engine has one."""

    def __init__(
        self, conf: cfg.ConfigOpts, ctx: RequestContext, host: str
    ) -> None:
        """Read the configuration; nothing is connected to yet.

        :param host: the engine's name.
        :raises errors.InvalidConfiguration: see :class:`Webhooks`.
        """
        self._ctx = ctx
        self._lease: float = conf.outbox.lease_seconds
        # A receiver's answer is not awaited longer than that; what one that
        # died was about to send has to arrive before the reply is due.
        self._webhook_lease = min(
            self._lease,
            max(_SHORTEST_LEASE, _WEBHOOK_LEASES * conf.webhook.timeout),
        )
        self._interval: float = conf.engine.sweep_interval
        self._webhooks = _Receivers(conf)
        self._queue = _Queue(conf, host)
        self._wanted = threading.Event()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._thread = threading.Thread(
            target=self._run, name="delivery", daemon=True
        )

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def kick(self) -> None:
        """Look for messages now; returns at once."""
        self._wanted.set()

    def stop(self) -> None:
        """Send nothing more; what was claimed and not sent is given back."""
        self._stopped.set()
        self._wanted.set()
        end = time.monotonic() + _STOP_SECONDS
        with self._lock:
            threads = [self._thread, *self._threads]
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, end - time.monotonic()))
        self._queue.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._wanted.clear()
            try:
                self._hand_out()
            except (db_exc.DBError, errors.DatabaseUnavailable) as exc:
                LOG.warning("The outbox cannot be read: %s", exc)
            except Exception:
                # This thread must not end: nothing would be told any more.
                LOG.exception("Delivery failed unexpectedly")
            self._wanted.wait(self._interval)

    def _hand_out(self) -> None:
        """Have sent what may be sent now."""
        if self._queue.free():
            messages = outbox.claim_for_queue(self._ctx, self._lease)
            if messages:
                self._queue.begun()
                self._in_thread(self._send, messages)
        while self._webhooks.free() and not self._stopped.is_set():
            message = outbox.claim_for_webhook(
                self._ctx,
                self._webhook_lease,
                busy=self._webhooks.busy(),
                busy_projects=self._webhooks.busy_projects(),
            )
            if message is None:
                return
            self._webhooks.begun(message)
            self._in_thread(self._post, message)

    def _in_thread(self, do: Callable[..., None], *arguments: Any) -> None:
        def run() -> None:
            try:
                do(*arguments)
            except (db_exc.DBError, errors.DatabaseUnavailable) as exc:
                LOG.warning(
                    "What became of a message cannot be written down, and it"
                    " is sent again: %s",
                    exc,
                )
            except Exception:
                LOG.exception("A message was not sent")
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())
                self.kick()

        thread = threading.Thread(target=run, name="message", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _send(self, messages: Sequence[Message]) -> None:
        """Send messages to the message queue, in order, while it takes them.

        :param messages: of one session.
        """
        begin_until = time.monotonic() + self._lease * _BEGIN
        try:
            for number, message in enumerate(messages):
                late = time.monotonic() > begin_until
                if self._stopped.is_set() or late:
                    outbox.give_back(self._ctx, messages[number:])
                    return
                failure = self._queue.send(message)
                if failure is not None:
                    outbox.settle(
                        self._ctx,
                        message,
                        error=failure,
                        retry_in=self._queue.rests,
                    )
                    outbox.give_back(self._ctx, messages[number + 1 :])
                    return
                outbox.settle(self._ctx, message)
        finally:
            self._queue.ended()

    def _post(self, message: Message) -> None:
        """Send a message to a webhook, once."""
        try:
            error, retry_in = self._webhooks.send(message)
            outbox.settle(self._ctx, message, error=error, retry_in=retry_in)
        finally:
            self._webhooks.ended(message)


class _Queue:
    """The message queue, to which one thread sends at a time.

    :ivar rests: seconds for which it is left alone after it has failed.
    """

    def __init__(self, conf: cfg.ConfigOpts, host: str) -> None:
        options = conf.outbox
        self._transport = oslo_messaging.get_notification_transport(conf)
        self._target = oslo_messaging.Target(
            topic=f"{options.topic}.{_PRIORITY.lower()}"
        )
        self._publisher: str = options.publisher_id or f"recovery_ha.{host}"
        self._longest: float = options.longest_pause
        self._busy = False
        self._failures = 0
        self._rests_until = 0.0
        self.rests = 0.0

    def free(self) -> bool:
        """Tell whether it may be sent to now."""
        return not self._busy and time.monotonic() >= self._rests_until

    def begun(self) -> None:
        """Note that it is sent to."""
        self._busy = True

    def ended(self) -> None:
        """Note that it is sent to no more."""
        self._busy = False

    def send(self, message: Message) -> str | None:
        """Send a message once.

        :returns: None when the broker has it, else why it has not.
        """
        try:
            # Its public way to it makes the message id, and swallows errors.
            self._transport._send_notification(  # noqa: SLF001
                self._target,
                {},
                {
                    "message_id": message.message_id,
                    "publisher_id": self._publisher,
                    "event_type": message.event_type,
                    "priority": _PRIORITY,
                    "payload": dict(message.payload),
                    "timestamp": str(message.created_at),
                },
                version=_FORMAT,
                retry=0,
            )
        except (oslo_messaging.MessagingException, OSError) as exc:
            return self._failed(f"The message queue was not reached: {exc}")
        except Exception as exc:
            # The drivers let pass what their libraries raise.
            LOG.debug("Sending a notification failed", exc_info=True)
            return self._failed(f"{type(exc).__name__}: {exc}")
        if self._failures:
            LOG.info("The message queue takes notifications again.")
        self._failures = 0
        return None

    def _failed(self, reason: str) -> str:
        self._failures += 1
        self.rests = pause(self._failures, self._longest)
        self._rests_until = time.monotonic() + self.rests
        if self._failures == 1:
            LOG.warning(
                "Notifications of maintenance wait for the message queue: %s",
                reason,
            )
        return reason

    def close(self) -> None:
        """Close its connections."""
        self._transport.cleanup()


class _Receivers:
    """Webhooks, and which of them are being sent to.

    Whoever is slow keeps one thread, and a project with many that are slow
    a quarter of all.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        options = conf.webhook
        self._client = Webhooks(conf)
        self._workers: int = options.workers
        self._of_project: int = max(1, options.workers // 4)
        self._most: int = options.max_attempts
        self._longest: float = options.longest_pause
        self._lock = threading.Lock()
        self._under_way: dict[str, str] = {}

    def free(self) -> bool:
        """Tell whether another message may be sent."""
        with self._lock:
            return len(self._under_way) < self._workers

    def busy(self) -> set[str]:
        """Return the uuids of webhooks that are being sent to."""
        with self._lock:
            return set(self._under_way)

    def busy_projects(self) -> set[str]:
        """Return the ids of projects that have their share."""
        with self._lock:
            counted = Counter(self._under_way.values())
        return {p for p, n in counted.items() if n >= self._of_project}

    def begun(self, message: Message) -> None:
        """Note that a message is being sent."""
        with self._lock:
            self._under_way[str(message.webhook_uuid)] = str(
                message.project_id
            )

    def ended(self, message: Message) -> None:
        """Note that it is not any more."""
        with self._lock:
            self._under_way.pop(str(message.webhook_uuid), None)

    def send(self, message: Message) -> tuple[str | None, float | None]:
        """Send a message once.

        :returns: why it was not accepted, or None; and after how many
            seconds to try again, or None for never.
        """
        if message.url is None or message.secret is None:
            return "The webhook was deleted.", None
        try:
            self._client.send(
                message.url,
                message.secret,
                message.message_id,
                {
                    "message_id": message.message_id,
                    "event_type": message.event_type,
                    "timestamp": str(message.created_at),
                    "payload": dict(message.payload),
                },
            )
        except NotDelivered as exc:
            if not exc.final and message.attempts < self._most:
                return str(exc), pause(message.attempts, self._longest)
            LOG.warning(
                "Message %s for webhook %s of project %s is given up after"
                " %d attempts: %s",
                message.message_id,
                message.webhook_uuid,
                message.project_id,
                message.attempts,
                exc,
            )
            return f"Given up: {exc}", None
        return None, None
