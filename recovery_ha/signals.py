"""Waiting for the signals that end a process.

Python runs handlers in the main thread, between two of its instructions. A
signal that the kernel hands to another thread, or that comes just as the main
thread begins to wait for a lock, does not wake it. So what is waited for is
the byte that Python writes for each signal, in whatever thread it arrives.
"""

import signal
import socket

_ENDING = frozenset({signal.SIGTERM, signal.SIGINT})


class Ending:
    """SIGTERM and SIGINT, kept from now on until they are waited for."""

    def __init__(self) -> None:
        """Take over the signals; the main thread does this, once."""
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in _ENDING:
            signal.signal(number, lambda *_: None)

    def wait(self) -> None:
        """Return when one of them has come; other signals are handled."""
        while _ENDING.isdisjoint(self._reader.recv(64)):
            pass
