"""The action plug-ins that every engine has."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import IO

from recovery_ha.plugin import HostAction

#: Seconds between two looks at a command that runs.
_LOOK_SECONDS = 0.1
#: Seconds that one has to end by itself before it is killed.
_TERM_SECONDS = 2.0
#: Characters of what a command says that are kept.
_LONGEST = 60000
_CHUNK = 4096


class CommandFailed(Exception):
    """A command has failed; the text says how, with its output."""


class Dummy(HostAction):
    """An action that does nothing, to try a session with.

    Its metadata may have ``seconds`` to take and a ``message`` to return.
    """

    what = "do nothing"

    def run(self) -> str:
        """Wait, and say so."""
        self.wait(float(self.metadata.get("seconds", 0)))
        return str(
            self.metadata.get("message", f"Nothing was done to {self.host}.")
        )


class Command(HostAction):
    """Run one of the commands of ``[maintenance_command] commands``.

    Which, the metadata says: ``{"name": "firmware"}``. Its exit status says
    whether it has succeeded. It runs again after its engine has died, perhaps
    while the first one still runs on the host: it must be fit for that.
    """

    what = "run the command"

    def run(self) -> str:
        """Run it, as long as the session is this engine's."""
        options = self.conf.maintenance_command
        argv = command_line(
            options.commands, self.metadata.get("name"), self.host
        )
        deadline = time.monotonic() + options.kill_after
        known = {
            "RECOVERY_HA_HOST": self.host,
            "RECOVERY_HA_SESSION": self.session_id,
            "RECOVERY_HA_DOWNLOADS": os.pathsep.join(map(str, self.downloads)),
        }
        with _running(argv, known) as child:
            while child.status() is None:
                if time.monotonic() > deadline:
                    child.kill()
                    raise CommandFailed(
                        f"{argv[0]} was killed after {options.kill_after} s."
                        f"{child.said()}"
                    )
                self.wait(_LOOK_SECONDS)
            status = child.status()
            said = child.said()
        if status != 0:
            raise CommandFailed(f"{argv[0]} ended with {status}.{said}")
        return said.strip()


def command_line(
    commands: Mapping[str, list[str]], name: object, host: str
) -> list[str]:
    """Return the arguments of a command for a host.

    :param commands: as configured.
    :param name: what the session says.
    :raises CommandFailed: there is no such command, or the host's name could
        be taken for an option.
    """
    if not isinstance(name, str) or name not in commands:
        known = ", ".join(sorted(commands)) or "none"
        raise CommandFailed(
            f"There is no command {name!r} in [maintenance_command] commands;"
            f" there are: {known}."
        )
    if host.startswith("-"):
        raise CommandFailed(f"Host {host} has a name that is no host's.")
    return [word.replace("{host}", host) for word in commands[name]]


class _Child:
    """A command that runs, in a process group of its own."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._kept: deque[str] = deque()
        self._size = 0
        self._left_out = 0
        self._reader = threading.Thread(
            target=self._read, args=(process.stdout,), daemon=True
        )
        self._reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        """Take what it says; of too much the first part goes."""
        while data := os.read(stream.fileno(), _CHUNK):
            text = data.decode(errors="replace").replace("\0", "\ufffd")
            self._kept.append(text)
            self._size += len(text)
            while self._size > _LONGEST:
                gone = self._kept.popleft()
                self._size -= len(gone)
                self._left_out += len(gone)

    def status(self) -> int | None:
        """Return its exit status, None while it runs."""
        return self._process.poll()

    def said(self) -> str:
        """Return what it has said, after a line break; "" if nothing."""
        # Something that it has left behind may keep the pipe open.
        self._reader.join(_LOOK_SECONDS * 10)
        text = "".join(list(self._kept))
        if self._left_out:
            text = f"[{self._left_out} characters left out]\n{text}"
        return f"\n{text}" if text else ""

    def kill(self) -> None:
        """End it, and all that it has started; harmless when it has ended."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_TERM_SECONDS)

    def close(self) -> None:
        """Leave nothing behind that has not ended by itself."""
        if self._process.poll() is None:
            self.kill()
        self._reader.join(_LOOK_SECONDS * 10)
        stream = self._process.stdout
        if stream is not None and not self._reader.is_alive():
            stream.close()


@contextlib.contextmanager
def _running(argv: list[str], known: Mapping[str, str]) -> Iterator[_Child]:
    """Run a command until the end of the block at the latest.

    :param known: what its environment has besides the engine's.
    :raises CommandFailed: it cannot be started.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **known},
        )
    except OSError as exc:
        raise CommandFailed(f"{argv[0]} cannot be started: {exc}") from exc
    child = _Child(process)
    try:
        yield child
    finally:
        child.close()
