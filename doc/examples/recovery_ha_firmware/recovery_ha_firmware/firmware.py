"""The firmware of hosts; here, files in a directory.

Nothing in this module knows of recovery_ha: what an action does is best
written, and tested, as something that could be used anywhere.
"""

from pathlib import Path


class NotFlashed(Exception):
    """The firmware could not be written; the text says why."""


class Firmware:
    """The firmware of one host.

    A file ``<host>`` has the version that runs, ``<host>.flashed`` the one
    that runs after the next restart, and ``<host>.broken`` says that nothing
    can be written.
    """

    def __init__(self, directory: str, host: str) -> None:
        """Look at nothing yet.

        :param directory: with the files of all hosts.
        """
        self._top = Path(directory)
        self._host = host

    def running(self) -> str | None:
        """Return the version that runs, None if nobody knows."""
        return self._read(self._host)

    def flashed(self) -> str | None:
        """Return the version that waits for a restart, None if none does."""
        return self._read(f"{self._host}.flashed")

    def flash(self, version: str) -> None:
        """Write a version; it runs after a restart. Harmless twice.

        :raises NotFlashed: it could not be written.
        """
        if (self._top / f"{self._host}.broken").exists():
            raise NotFlashed(f"The flash memory of {self._host} is broken.")
        self._top.mkdir(parents=True, exist_ok=True)
        draft = self._top / f"{self._host}.new"
        draft.write_text(version)
        draft.replace(self._top / f"{self._host}.flashed")

    def restart(self) -> None:
        """Begin to restart the host."""
        flashed = self._top / f"{self._host}.flashed"
        if flashed.exists():
            flashed.replace(self._top / self._host)

    def _read(self, name: str) -> str | None:
        path = self._top / name
        return path.read_text() if path.exists() else None
