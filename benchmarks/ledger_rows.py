"""A ledger as large as that of a big cloud, made by the database itself."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from recovery_ha.db import models
from recovery_ha.db.ledger.book import clock
from recovery_ha.db.session import Database
from recovery_ha.domain.ledger import Kind, TaskStatus, TransactionStatus

_TABLES = models.Transaction.metadata.tables
_RUNS = _TABLES["transactions"]
_STEPS = _TABLES["steps"]
_HISTORY = _TABLES["deployment_history"]
_EVENTS = _TABLES["events"]

PROJECTS, CLUSTERS = 10, 50
LARGE_CLUSTER = "large"
#: Names of transactions; the first is by far the most frequent.
NAMES = ("deploy", "verify", "update")
_SECONDS_APART = 60
_STEPS_EACH = 3
_EVENTS_EACH = 20
_LARGE_EVENTS = 20_000
#: Rows per database transaction.
_BATCH = 20_000
_SPARED = {"ix_deployment_history_step"}  # MariaDB needs it for a foreign key


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is to be.

    :ivar tasks: (times ``nodes``) rows of history of each transaction.
    :ivar large: rows of history of one further transaction, the last.
    """

    transactions: int
    tasks: int
    nodes: int
    large: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """What has been loaded.

    :ivar began: naive UTC, when the first transaction was created; one
        followed each minute.
    :ivar large: the id of the transaction with the most rows; those before
        are numbered from 1.
    :ivar large_nodes: how many nodes it has, ``node-large-0`` and so on.
    """

    size: Size
    began: datetime
    large: int
    large_nodes: int

    def time(self, number: int) -> datetime:
        """Return when a transaction was created."""
        return self.began + timedelta(seconds=number * _SECONDS_APART)


def node(number: int | str) -> str:
    """Return the name of a node."""
    return f"node-{number}"


def task(number: int) -> str:
    """Return the name of a task."""
    return f"task-{number}"


def load(database: Database, size: Size, *, loaded: bool = False) -> Ledger:
    """Fill an empty database, its statistics included.

    One row of history in fifty failed and has a second attempt.

    :param loaded: it is filled already; only tell with what.
    """
    seconds = (size.transactions + 2) * _SECONDS_APART
    began = clock() - timedelta(seconds=seconds)
    engine = database.engine
    if loaded:
        with engine.connect() as connection:
            first = sa.select(_RUNS.c.created_at).where(_RUNS.c.id == 1)
            time: datetime = connection.execute(first).scalar_one()
        began = time - timedelta(seconds=_SECONDS_APART)
    nodes = max(int(size.large**0.5), 1)
    ledger = Ledger(size, began, size.transactions + 1, nodes)
    if loaded:
        return ledger
    secondary = [
        index for index in _HISTORY.indexes if index.name not in _SPARED
    ]
    with engine.begin() as connection:
        for index in secondary:
            index.drop(connection)
    _load_transactions(engine, ledger)
    small = _units([node(n) for n in range(size.nodes)], size.tasks)
    _load_history(engine, small, 1, size.transactions, size)
    large = _units(
        [node(f"large-{n}") for n in range(nodes)], max(size.large // nodes, 1)
    )
    _load_history(engine, large, ledger.large, 1, size)
    _load_events(engine, ledger)
    with engine.begin() as connection:
        for index in secondary:
            index.create(connection)
    analyze(database)
    return ledger


def analyze(database: Database) -> None:
    """Have the database know what is in its tables.

    PostgreSQL also notes what all see, as its autovacuum does in time.
    """
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    is_mysql = engine.dialect.name in {"mysql", "mariadb"}
    word = "ANALYZE TABLE" if is_mysql else "VACUUM (ANALYZE)"
    with engine.connect() as connection:
        for table in (_RUNS, _STEPS, _HISTORY, _EVENTS):
            connection.exec_driver_sql(f"{word} {table.name}")


def _insert(
    engine: sa.Engine, table: sa.Table, rows: Iterator[dict[str, Any]]
) -> None:
    while batch := list(itertools.islice(rows, _BATCH)):
        with engine.begin() as connection:
            connection.execute(sa.insert(table), batch)


def _load_transactions(engine: sa.Engine, ledger: Ledger) -> None:
    numbers = range(1, ledger.large + 1)
    _insert(engine, _RUNS, (_transaction(ledger, n) for n in numbers))
    _insert(
        engine,
        _STEPS,
        (
            {
                "transaction_id": number,
                "seq": seq,
                "round": 1,
                "step_name": f"step {seq}",
                "step_type": "deploy",
                "units": 0,
                "total": 0,
                "completed": 0,
                "failed": 0,
                "closed": True,
                "successful": True,
                "progress": 100,
                "started_at": ledger.time(number),
                "completed_at": ledger.time(number),
                "duration": 0.0,
                "created_at": ledger.time(number),
            }
            for number in numbers
            for seq in range(1, _STEPS_EACH + 1)
        ),
    )


def _transaction(ledger: Ledger, number: int) -> dict[str, Any]:
    is_large = number == ledger.large
    time = ledger.time(number)
    status = TransactionStatus.READY
    if number % 100 == 0:
        status = TransactionStatus.ERROR
    size = ledger.size
    return {
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "kind": str(Kind.RECOVERY if number % 40 == 7 else Kind.DEPLOYMENT),
        "name": NAMES[0 if number % 10 < 8 else number % 10 - 7],
        "project_id": f"project-{number % PROJECTS}",
        "cluster_id": (
            LARGE_CLUSTER if is_large else f"cluster-{number % CLUSTERS}"
        ),
        "status": str(status),
        "progress": 100,
        "dry_run": number % 50 == 3,
        "created_at": time,
        "time_start": time,
        "time_end": time,
        "deleted_at": time if number % 20 == 0 else None,
        "count_ready": size.large if is_large else size.tasks * size.nodes,
    }


def _units(nodes: list[str], tasks: int) -> Iterator[dict[str, Any]]:
    """Return rows of history that all transactions of a size have alike."""
    units = itertools.product(nodes, range(tasks))
    for number, (name, place) in enumerate(units, 1):
        statuses = [TaskStatus.READY]
        if number % 50 == 0:
            statuses = [TaskStatus.ERROR, TaskStatus.READY]
        elif number % 50 == 1:
            statuses = [TaskStatus.SKIPPED]
        elif number % 50 == 2:
            statuses = [TaskStatus.ERROR]
        for attempt, status in enumerate(statuses, 1):
            yield {
                "node_id": name,
                "deployment_graph_task_name": task(place),
                "attempt": attempt,
                "latest": attempt == len(statuses),
                "status": str(status),
            }


def _load_history(
    engine: sa.Engine,
    units: Iterator[dict[str, Any]],
    first: int,
    number: int,
    size: Size,
) -> None:
    """Give transactions the same units; the server itself multiplies them."""
    names = (
        "node_id",
        "deployment_graph_task_name",
        "attempt",
        "latest",
        "status",
    )
    template = sa.Table(
        "benchmark_units",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(name, _HISTORY.c[name].type) for name in names),
    )
    with engine.begin() as connection:
        template.create(connection)
    _insert(engine, template, units)
    own = (
        "project_id",
        "cluster_id",
        "time_start",
        "time_end",
        "created_at",
    )
    rows = sa.select(
        _RUNS.c.id,
        _RUNS.c.created_at,
        *(_RUNS.c[name] for name in own),
        *(template.c[name] for name in names),
    ).select_from(_RUNS.join(template, sa.true()))
    columns = ["task_id", "reported_at", *own, *names]
    many = max(_BATCH // max(size.tasks * size.nodes, 1), 1)
    for start in range(first, first + number, many):
        end = min(start + many, first + number)
        with engine.begin() as connection:
            connection.execute(
                sa.insert(_HISTORY).from_select(
                    columns,
                    rows.where(_RUNS.c.id >= start, _RUNS.c.id < end).order_by(
                        _RUNS.c.id, template.c.id
                    ),
                    include_defaults=False,
                )
            )
    with engine.begin() as connection:
        template.drop(connection)


def _load_events(engine: sa.Engine, ledger: Ledger) -> None:
    def events() -> Iterator[dict[str, Any]]:
        for number in range(1, ledger.large + 1):
            many = _LARGE_EVENTS if number == ledger.large else _EVENTS_EACH
            for place in range(many):
                seq = place % _STEPS_EACH
                yield {
                    "transaction_id": number,
                    "step_id": (number - 1) * _STEPS_EACH + seq + 1,
                    "successful": True,
                    "task": task(place),
                    "instance_id": node(place),
                    "created_at": ledger.time(number),
                }

    _insert(engine, _EVENTS, events())
