"""The world in which the instances are: directories.

Nothing in this module knows of recovery_ha. Everything may be done twice.
"""

import json
import shutil
from collections.abc import Collection
from pathlib import Path


class NoLogin(Exception):
    """One cannot log in to an instance."""


class Folders:
    """The folders of one cluster."""

    def __init__(self, path: Path, cluster_id: str) -> None:
        self._top = path / cluster_id
        # Instances named in here let nobody in: they are broken.
        self._broken = path / "broken"

    def launch(self, name: str) -> None:
        """Have an instance."""
        (self._top / name).mkdir(parents=True, exist_ok=True)

    def log_in(self, name: str) -> None:
        """Log in to an instance.

        :raises NoLogin: it lets nobody in.
        """
        if (self._broken / name).exists():
            raise NoLogin(f"{name} refuses the connection.")
        (self._top / name / "ssh").touch()

    def configure(self, name: str) -> None:
        """Have an instance do its work."""
        (self._top / name / "configured").touch()

    def remove(self, name: str) -> None:
        """Have an instance no more."""
        shutil.rmtree(self._top / name, ignore_errors=True)

    def remove_all(self) -> None:
        """Have nothing of the cluster any more."""
        shutil.rmtree(self._top, ignore_errors=True)

    def in_service(self) -> set[str]:
        """Return the names of the instances that are ready to be used."""
        path = self._top / "in_service.json"
        return set(json.loads(path.read_text())) if path.exists() else set()

    def put_in_service(self, names: Collection[str]) -> None:
        """Say which instances are ready to be used; all at once."""
        self._top.mkdir(parents=True, exist_ok=True)
        draft = self._top / "in_service.tmp"
        draft.write_text(json.dumps(sorted(names)))
        draft.replace(self._top / "in_service.json")
