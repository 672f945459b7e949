"""How alembic runs our migrations: on the connection it is handed."""

from alembic import context

from recovery_ha.db.migration import TASKFLOW_TABLES, VERSION_TABLE
from recovery_ha.db.models import Base


def _is_ours(
    _object: object,
    name: str | None,
    type_: str,
    _reflected: bool,
    _compare_to: object,
) -> bool:
    return not (type_ == "table" and name in TASKFLOW_TABLES)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
    include_object=_is_ours,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
