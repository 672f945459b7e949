"""How fast a large ledger is read, reported to, and purged.

Run with nothing else on the machine:

    python -m benchmarks.ledger --database URL

By default 10 000 transactions of 20 tasks on 10 nodes and one with a million
rows of history. Each page is read through the database's functions and
through the WSGI application in this process; beside the times stands how many
SQL statements a page takes.
"""

import argparse
import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from benchmarks.ledger_pages import LIMIT, all_runs, listed, of_run
from benchmarks.ledger_rows import (
    Ledger,
    Size,
    load,
    node,
)
from recovery_ha.api.app import make_app
from recovery_ha.api.middleware import App
from recovery_ha.context import internal_context
from recovery_ha.db import migration, purge
from recovery_ha.db.ledger import reports, transactions
from recovery_ha.db.ledger.book import clock
from recovery_ha.db.session import Database
from recovery_ha.domain.history import (
    NewTransaction,
)
from recovery_ha.domain.ledger import (
    Kind,
    ReportItem,
    TaskStatus,
)
from recovery_ha.tests.fixtures.databases import configure
from recovery_ha.tests.fixtures.rest import Api

#: What belongs to a transaction of the database, and not to a page.
_FRAME = ("BEGIN", "COMMIT", "ROLLBACK", "SET", "SHOW")
REPORTERS = 4


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--database", required=True, help="URL; its tables are dropped"
    )
    parser.add_argument("--transactions", type=int, default=10_000)
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--nodes", type=int, default=10)
    parser.add_argument(
        "--large",
        type=int,
        default=1_000_000,
        help="rows of history of one further transaction",
    )
    parser.add_argument(
        "--calls", type=int, default=200, help="of each page, at most"
    )
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="for each page, at most"
    )
    parser.add_argument("--pages", default="", help="only those with this")
    parser.add_argument(
        "--keep",
        action="store_true",
        help="measure what an earlier run of the same size has loaded",
    )
    return parser.parse_args()


def _empty(database: Database) -> None:
    with database.engine.begin() as connection:
        tables = sa.MetaData()
        tables.reflect(connection)
        tables.drop_all(connection)
    migration.upgrade(database)


@contextmanager
def _statements(database: Database) -> Any:
    """Give a list to which each SQL statement is added."""
    seen: list[str] = []

    def note(_conn: Any, _cur: Any, statement: str, *_rest: Any) -> None:
        if not statement.lstrip().upper().startswith(_FRAME):
            seen.append(statement)

    engines = {database.engine, database.read_engine}
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        for engine in engines:
            sa.event.remove(engine, "before_cursor_execute", note)


def _percentile(times: list[float], share: float) -> float:
    """Return in milliseconds what a share of the times does not exceed."""
    ordered = sorted(times)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1e3


def _times(
    call: Callable[[int], Any], calls: int, seconds: float
) -> list[float]:
    """Return the seconds of each call, in calls or seconds that are few."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < calls and (began := time.perf_counter()) < end:
        call(len(times))
        times.append(time.perf_counter() - began)
    return times


def _measure(
    database: Database,
    call: Callable[[int], Any],
    arguments: argparse.Namespace,
) -> str:
    """Return p50, p99 and the number of statements."""
    with _statements(database) as seen:
        call(0)
    for n in range(3):
        call(n)
    times = _times(call, arguments.calls, arguments.seconds)
    return (
        f"{_percentile(times, 0.5):8.1f} {_percentile(times, 0.99):8.1f}"
        f" {len(seen):4d}"
    )


def _get(api: Any, path: str) -> Any:
    answer = api.get(path)
    if answer.status != 200:
        raise SystemExit(f"GET {path}: {answer.status} {answer.raw!r}")
    return answer


def measure_pages(
    database: Database, app: App, ledger: Ledger, arguments: argparse.Namespace
) -> None:
    """Print the times of each page."""
    ctx = internal_context(database)
    api = Api(app)
    cases = [
        *listed(ctx, ledger),
        *of_run(ctx, ledger),
        *all_runs(ctx, ledger),
    ]
    print(f"{'':48s} {'database: p50':>13s} p99 [ms] SQL | API: the same")
    for name, call, route in cases:
        if arguments.pages not in name:
            continue
        line = _measure(database, call, arguments)
        if route is not None:
            line += " |" + _measure(
                database,
                lambda n, route=route: _get(api, route(n)),
                arguments,
            )
        print(f"{name:48s} {line}", flush=True)


def measure_reports(
    database: Database, seconds: float = 10.0, size: int = reports.MOST_ITEMS
) -> None:
    """Print how many items concurrent reporters get rid of."""
    ctx = internal_context(database)
    lock, costs = threading.Lock(), []

    def report(number: int) -> int:
        run, _is_new = transactions.create(
            ctx,
            NewTransaction(kind=Kind.DEPLOYMENT, name=f"reported {number}"),
        )
        done, turn = 0, 0
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            # The tasks of one turn begin in it and end in the next report.
            status = TaskStatus.READY if turn % 2 else TaskStatus.RUNNING
            items = [
                ReportItem(node(n % 100), f"{turn // 2}-{n // 100}", status)
                for n in range(size)
            ]
            reports.report(ctx, run.id, items)
            with lock:
                costs.append(time.perf_counter() - began)
            done, turn = done + size, turn + 1
        return done

    began = time.perf_counter()
    with ThreadPoolExecutor(REPORTERS) as pool:
        done = sum(pool.map(report, range(REPORTERS)))
    rate = done / (time.perf_counter() - began)
    print(
        f"reports of {size} items, {REPORTERS} at once: {rate:.0f} items/s,"
        f" p50 {_percentile(costs, 0.5):.0f} ms,"
        f" p99 {_percentile(costs, 0.99):.0f} ms"
    )


def measure_purge(
    database: Database, app: App, ledger: Ledger, seconds: float = 15.0
) -> None:
    """Print the times of API reads while old transactions are removed."""
    # The older half: not the large one, which is read meanwhile.
    age = clock() - ledger.time(ledger.size.transactions // 2)
    limits = purge.Limits(deployments=age / timedelta(days=1))
    over = threading.Event()
    removed: dict[str, int] = {}
    api = Api(app)
    paths = [
        f"/transactions?limit={LIMIT}",
        f"/transactions/{ledger.large}",
        f"/transactions/{ledger.large}/deployment_history?limit={LIMIT}",
        f"/deployment_history?limit={LIMIT}&nodes={node(0)}",
    ]

    def read(n: int) -> None:
        _get(api, paths[n % len(paths)])

    def remove() -> None:
        ctx = internal_context(database)
        removed.update(purge.purge(ctx, limits, stopped=over.is_set))

    before = _times(read, 10**9, seconds / 3)
    began = time.perf_counter()
    with ThreadPoolExecutor(1) as pool:
        purging = pool.submit(remove)
        times: list[float] = []
        end = began + seconds
        while not purging.done() and time.perf_counter() < end:
            times += _times(read, len(paths), seconds)
        over.set()
    purging.result()
    print(
        f"reads: p50 {_percentile(before, 0.5):.1f},"
        f" p99 {_percentile(before, 0.99):.1f} ms; during"
        f" {time.perf_counter() - began:.1f} s of a purge: p50"
        f" {_percentile(times, 0.5):.1f}, p99"
        f" {_percentile(times, 0.99):.1f} ms; {removed}"
    )


def main() -> None:
    """Print all figures."""
    arguments = _arguments()
    conf = configure(arguments.database)
    conf.set_override("auth_strategy", "noauth", "api")
    database = Database(conf, statement_seconds=600)
    size = Size(
        arguments.transactions,
        arguments.tasks,
        arguments.nodes,
        arguments.large,
    )
    began = time.perf_counter()
    if not arguments.keep:
        _empty(database)
    ledger = load(database, size, loaded=arguments.keep)
    print(
        f"{database.engine.dialect.name}, {size}: loaded in"
        f" {time.perf_counter() - began:.0f} s; load of the machine"
        f" {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    app = make_app(conf, database, lambda: None)
    # As the service does: see ``recovery_ha.wsgi.api``.
    gc.collect()
    gc.freeze()
    measure_pages(database, app, ledger, arguments)
    print(f"load of the machine {os.getloadavg()[0]:.1f}")
    if not arguments.pages:
        measure_reports(database)
        measure_purge(database, app, ledger)


if __name__ == "__main__":
    sys.exit(main())
