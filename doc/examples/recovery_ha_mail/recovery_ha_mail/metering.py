"""A task that keeps accounts of moved instances.

It shows what the mails do not: an input that comes from a built-in task, work
that can be looked for before it is repeated, and a ``revert``.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from typing import Any

from recovery_ha.plugin import RecoveryTask

_TABLE = (
    "CREATE TABLE IF NOT EXISTS moved (notification_uuid TEXT,"
    " instance_uuid TEXT, PRIMARY KEY (notification_uuid, instance_uuid))"
)
#: Seconds to wait while another engine writes.
_PATIENCE = 10.0


class UpdateMeteringTask(RecoveryTask):
    """Write down which instances a recovery has moved.

    Accounts have to be right: when they cannot be written, the task raises
    and the attempt has failed. The engine undoes it (see :meth:`revert`) and
    makes another one later.
    """

    what = "update the metering"
    default_provides = "metered"

    def execute(self, notification_uuid: str, evacuated: list[str]) -> int:
        """Write it down.

        :param evacuated: uuids, from ``evacuate_instances_task``. It has no
            default, so a flow without an earlier task that provides it is
            refused when the engine starts.
        :returns: how many were written. Results are stored in the engine's
            database, so they have to be plain: strings, numbers, lists,
            dicts.
        """
        with self._database() as database:
            # The primary key makes a second run harmless: what is there
            # already is left as it is.
            database.executemany(
                "INSERT OR IGNORE INTO moved VALUES (?, ?)",
                [(notification_uuid, uuid) for uuid in evacuated],
            )
        self.progress(0.9, f"{len(evacuated)} instances metered")
        return len(evacuated)

    def revert(self, notification_uuid: str, **_kwargs: Any) -> None:
        """Take it back, because this or a later task has failed.

        It may run although ``execute`` did not, or not to its end, and it
        may run twice. ``result`` and ``flow_failures``, which every
        ``revert`` is given, are not needed here; hence ``**_kwargs``.
        """
        with self._database() as database:
            database.execute(
                "DELETE FROM moved WHERE notification_uuid = ?",
                (notification_uuid,),
            )

    @contextlib.contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """Open the accounts; changes are kept unless something is raised."""
        path = self.conf.recovery_ha_mail.metering_file
        connection = sqlite3.connect(path, timeout=_PATIENCE)
        with contextlib.closing(connection), connection:
            connection.execute(_TABLE)
            yield connection
