"""What ``/healthcheck`` can look at besides a file: the database.

Plug-ins of oslo.middleware. Each look opens a connection of its own, so it
tells what a new process would find, and takes none from requests. What was
found holds for some seconds: whoever asks a thousand times asks the database
once.
"""

import abc
import threading
import time
from typing import Any

from oslo_config import cfg
from oslo_middleware.healthcheck import pluginbase

from recovery_ha.db import migration
from recovery_ha.db.session import Database
from recovery_ha.domain import errors

#: Seconds for which an answer is kept.
_KEPT_SECONDS = 5.0
#: Seconds that a health check waits; load balancers wait little longer.
_DEADLINE_SECONDS = 2.0
#: Seconds after which the database is to give up by itself.
_STATEMENT_SECONDS = 5

Result = pluginbase.HealthcheckResult


class _Look(pluginbase.HealthcheckBaseExtension):
    """Ask the database in a thread, one at a time."""

    trouble: str

    def __init__(self, oslo_conf: cfg.ConfigOpts, conf: dict[str, Any]):
        super().__init__(oslo_conf, conf)
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._found: Result | None = None
        self._found_at = 0.0

    def healthcheck(self, server_port: int) -> Result:  # noqa: ARG002
        """Tell what was found, by now or a few seconds ago."""
        with self._lock:
            asking, found = self._asking, self._found
            age = time.monotonic() - self._found_at
            if asking is None and (found is None or age > _KEPT_SECONDS):
                asking = self._asking = threading.Thread(
                    target=self._run, name="healthcheck", daemon=True
                )
                asking.start()
        if asking is not None:
            asking.join(_DEADLINE_SECONDS)
            if asking.is_alive():
                return Result(
                    available=False,
                    reason=self.trouble,
                    details=f"No answer after {_DEADLINE_SECONDS:g} s.",
                )
            with self._lock:
                found = self._found
        if found is None:
            # The look broke in a way nobody thought of; its thread said how.
            return Result(available=False, reason=self.trouble)
        return found

    def _run(self) -> None:
        found = None
        try:
            found = self._look()
        finally:
            with self._lock:
                self._found, self._found_at = found, time.monotonic()
                self._asking = None

    def _look(self) -> Result:
        try:
            database = Database(
                self.oslo_conf, statement_seconds=_STATEMENT_SECONDS
            )
            try:
                self.ask(database)
            finally:
                database.dispose()
        except (
            errors.DatabaseNotReady,
            errors.InvalidConfiguration,
        ) as exc:
            return Result(
                available=False, reason=self.trouble, details=str(exc)
            )
        return Result(available=True, reason="OK")

    @abc.abstractmethod
    def ask(self, database: Database) -> None:
        """Ask.

        :raises errors.DatabaseNotReady: it is not as it should be.
        """


class DatabaseHealthcheck(_Look):
    """Whether the database answers: backend ``recovery_ha_database``."""

    trouble = "THE DATABASE DOES NOT ANSWER"

    def ask(self, database: Database) -> None:
        """Ask for its revision, whatever that is."""
        migration.current(database)


class SchemaHealthcheck(_Look):
    """Whether its tables fit this release: backend ``recovery_ha_schema``."""

    trouble = "THE DATABASE DOES NOT FIT THIS RELEASE"

    def ask(self, database: Database) -> None:
        """Compare its revision with the one that this release needs."""
        migration.check_ready(database)
