"""The migration records."""

import uuid
from collections.abc import Iterator

from recovery_ha.simulator.records import Compute, Migration, Server


class Migrations:
    """All migration records, the oldest first. Callers hold the lock."""

    def __init__(self) -> None:
        self._records: list[Migration] = []
        self._by_source: dict[str, list[Migration]] = {}

    def __iter__(self) -> Iterator[Migration]:
        return iter(self._records)

    def add(
        self, migration_type: str, server: Server, source: Compute
    ) -> Migration:
        """Write a record of a move which was accepted."""
        migration = Migration(
            id=len(self._records) + 1,
            uuid=str(uuid.uuid4()),
            migration_type=migration_type,
            server=server,
            source_compute=source.host,
            source_node=source.hypervisor_hostname,
        )
        self._records.append(migration)
        if migration_type == "evacuation":
            self._by_source.setdefault(source.host, []).append(migration)
        return migration

    def of_source(self, host: str) -> list[Migration]:
        """Return the evacuations away from a host."""
        return list(self._by_source.get(host, []))

    def clear(self) -> None:
        """Forget all records."""
        self._records.clear()
        self._by_source.clear()
