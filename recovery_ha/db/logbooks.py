"""taskflow's logbooks, when what they tell of goes."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

_LOGBOOKS = sa.table("logbooks", sa.column("uuid"))
_FLOWS = sa.table("flowdetails", sa.column("uuid"), sa.column("parent_uuid"))
_ATOMS = sa.table("atomdetails", sa.column("parent_uuid"))


def drop(conn: Connection, uuids: Sequence[str]) -> None:
    """Remove logbooks with their flows and tasks; three statements."""
    flows = sa.select(_FLOWS.c.uuid).where(_FLOWS.c.parent_uuid.in_(uuids))
    conn.execute(sa.delete(_ATOMS).where(_ATOMS.c.parent_uuid.in_(flows)))
    conn.execute(sa.delete(_FLOWS).where(_FLOWS.c.parent_uuid.in_(uuids)))
    conn.execute(sa.delete(_LOGBOOKS).where(_LOGBOOKS.c.uuid.in_(uuids)))
