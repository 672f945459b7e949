"""Who asks, in which request, and over which database connection."""

import threading
from typing import TYPE_CHECKING, Any

from oslo_context import context as oslo_context

if TYPE_CHECKING:
    from sqlalchemy import Connection


class RequestContext(oslo_context.RequestContext):
    """The first argument of every database function.

    ``database`` is the :class:`recovery_ha.db.session.Database` it works on.
    A transaction that is open in the calling thread is found here, so that
    functions called within one another share it.
    """

    def __init__(self, database: Any, **identity: Any) -> None:
        """Make a context.

        :param database: where the database functions work.
        :param identity: as oslo.context's: user_id, project_id, roles,
            is_admin, request_id, ...
        """
        super().__init__(**identity)
        self.database = database
        self._transactions = threading.local()

    @property
    def connection(self) -> "Connection | None":
        """The connection of this thread's open transaction, or None."""
        return getattr(self._transactions, "connection", None)

    @connection.setter
    def connection(self, connection: "Connection | None") -> None:
        self._transactions.connection = connection


def internal_context(database: Any) -> RequestContext:
    """Return the context of the service itself, for work no request asked."""
    return RequestContext(
        database, is_admin=True, roles=["admin"], overwrite=False
    )
