"""How fast a large ledger is read, reported to, and purged.

Run with nothing else on the machine:

    python -m benchmarks.ledger --database URL

By default 10 000 transactions of 20 tasks on 10 nodes and one with a million
rows of history. Each page is read through the database's functions and
through the WSGI application in this process; beside the times stands how many
SQL statements a page takes.
"""

import argparse
import math
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from benchmarks.ledger_rows import (
    CLUSTERS,
    LARGE_CLUSTER,
    NAMES,
    Ledger,
    Size,
    load,
    node,
    task,
)
from recovery_ha.api.app import make_app
from recovery_ha.api.middleware import App
from recovery_ha.context import RequestContext, internal_context
from recovery_ha.db import migration, purge
from recovery_ha.db.ledger import events, history, reports, steps, transactions
from recovery_ha.db.paging import Page
from recovery_ha.db.session import Database
from recovery_ha.domain.history import (
    HistoryFilter,
    NewTransaction,
    TransactionFilter,
)
from recovery_ha.domain.ledger import (
    Kind,
    ReportItem,
    TaskStatus,
    TransactionStatus,
)
from recovery_ha.tests.fixtures.databases import configure
from recovery_ha.tests.fixtures.rest import Api

LIMIT = 100
#: What belongs to a transaction of the database, and not to a page.
_FRAME = ("BEGIN", "COMMIT", "ROLLBACK", "SET", "SHOW")
REPORTERS = 4

#: A page: its name, the function for the n-th call, the same path of the API.
_Case = tuple[str, Callable[[int], Any], Callable[[int], str] | None]


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


# Pages


def _listed(ctx: RequestContext, ledger: Ledger) -> list[_Case]:
    """Return the pages of transactions."""
    error = TransactionStatus.ERROR
    middle = ledger.time(ledger.size.transactions // 2)
    stamp = middle.isoformat()
    later = ledger.time(ledger.size.transactions // 2 + 1440)
    deep = max(ledger.size.transactions // 100, 1) * 10
    filters: list[tuple[str, Callable[[int], dict[str, Any]], str]] = [
        ("unfiltered", lambda _n: {}, ""),
        (
            "cluster_id",
            lambda n: {"cluster_id": f"cluster-{n % CLUSTERS}"},
            "cluster_id=cluster-{}",
        ),
        ("statuses", lambda _n: {"statuses": [error]}, "statuses=error"),
        ("kind", lambda _n: {"kinds": [Kind.RECOVERY]}, "kind=recovery"),
        (
            "name",
            lambda n: {"names": [NAMES[n % len(NAMES)]]},
            "transaction_types=deploy",
        ),
        (
            "name, statuses",
            lambda _n: {"names": [NAMES[0]], "statuses": [error]},
            "transaction_types=deploy&statuses=error",
        ),
        (
            "node",
            lambda n: {"node": node(n % ledger.size.nodes)},
            "node=node-0",
        ),
        ("node of one run", lambda _n: {"node": node("large-7")}, ""),
        (
            "since, until",
            lambda _n: {"since": middle, "until": later},
            f"since={stamp}&until={later.isoformat()}",
        ),
        ("deleted", lambda _n: {"deleted": True}, "deleted=true"),
        ("not deleted", lambda _n: {"deleted": False}, "deleted=false"),
        (
            "project, deleted",
            lambda _n: {"project_id": "project-0", "deleted": False},
            "",
        ),
    ]
    cases: list[_Case] = []
    for name, wanted, query in filters:
        for marker in (None, str(deep)):
            page = Page(limit=LIMIT, marker=marker)
            more = "" if marker is None else f"&marker={marker}"
            path = f"/transactions?limit={LIMIT}{more}&{query}"

            def call(
                n: int,
                wanted: Callable[[int], dict[str, Any]] = wanted,
                page: Page = page,
            ) -> Any:
                found = TransactionFilter(**wanted(n))
                return transactions.list_page(ctx, found, page)

            def route(n: int, path: str = path) -> str:
                return path.format(n % CLUSTERS)

            has_route = bool(query) or name == "unfiltered"
            label = "" if marker is None else ", deep marker"
            cases.append(
                (
                    f"transactions: {name}{label}",
                    call,
                    route if has_route else None,
                )
            )
    return cases


def _filters_of_history() -> list[tuple[str, dict[str, Any], str]]:
    return [
        ("first page", {}, ""),
        ("nodes", {"nodes": ["{node}"]}, "nodes={node}"),
        (
            "statuses",
            {"statuses": [TaskStatus.ERROR]},
            "statuses=error",
        ),
        (
            "tasks_names",
            {"tasks_names": [task(1)]},
            f"tasks_names={task(1)}",
        ),
        ("attempts=all", {"attempts": True}, "attempts=all"),
        (
            "nodes, statuses",
            {"nodes": ["{node}"], "statuses": [TaskStatus.ERROR]},
            "nodes={node}&statuses=error",
        ),
    ]


def _of_run(ctx: RequestContext, ledger: Ledger) -> list[_Case]:
    """Return the pages of one transaction, a small and the large one."""
    cases: list[_Case] = []

    def small(n: int) -> int:
        return n * 37 % ledger.size.transactions + 1

    def large(_n: int) -> int:
        return ledger.large

    for size, run, nodes, prefix in (
        ("run", small, ledger.size.nodes, ""),
        ("large run", large, ledger.large_nodes, "large-"),
    ):

        def name_of(n: int, nodes: int = nodes, prefix: str = prefix) -> str:
            return node(f"{prefix}{n * 7 % nodes}")

        for name, values, query in _filters_of_history():

            def call(
                n: int,
                run: Callable[[int], int] = run,
                name_of: Callable[[int], str] = name_of,
                values: dict[str, Any] = values,
            ) -> Any:
                wanted = HistoryFilter(**values)
                if wanted.nodes:
                    wanted = replace(wanted, nodes=[name_of(n)])
                return history.list_page(ctx, run(n), wanted, limit=LIMIT)

            def route(
                n: int,
                run: Callable[[int], int] = run,
                name_of: Callable[[int], str] = name_of,
                query: str = query,
            ) -> str:
                said = query.format(node=name_of(n))
                return (
                    f"/transactions/{run(n)}/deployment_history"
                    f"?limit={LIMIT}&{said}"
                )

            cases.append((f"{size}: history, {name}", call, route))
        uuid = "00000000-0000-4000-8000-{:012d}"
        cases += [
            (
                f"{size}: itself",
                lambda n, run=run: transactions.get(ctx, run(n)),
                lambda n, run=run: f"/transactions/{run(n)}",
            ),
            (
                f"{size}: steps",
                lambda n, run=run: steps.list_steps(ctx, [run(n)]),
                lambda n, run=run: f"/transactions/{run(n)}/steps",
            ),
            (
                f"{size}: events since",
                lambda n, run=run, uuid=uuid: events.list_events(
                    ctx, uuid.format(run(n)), 5, LIMIT
                ),
                lambda n, run=run: (
                    f"/transactions/{run(n)}/events?since=5&limit={LIMIT}"
                ),
            ),
            (
                f"{size}: counts by node",
                lambda n, run=run: history.counts_by_node(
                    ctx, run(n), limit=LIMIT
                ),
                lambda n, run=run: (
                    f"/transactions/{run(n)}/summary?limit={LIMIT}"
                ),
            ),
        ]
    return cases


def _all_runs(ctx: RequestContext, ledger: Ledger) -> list[_Case]:
    """Return the pages of the history of all runs."""
    rows = ledger.size.transactions * ledger.size.tasks * ledger.size.nodes
    deep = rows // 10
    middle = ledger.time(ledger.size.transactions // 2)
    late = ledger.time(ledger.size.transactions - 10)
    many = ledger.size.nodes
    filters: list[tuple[str, dict[str, Any], str]] = [
        ("unfiltered", {}, ""),
        ("node", {"nodes": ["*"]}, "nodes={node}"),
        ("task", {"tasks_names": [task(1)]}, f"tasks_names={task(1)}"),
        ("status", {"statuses": [TaskStatus.ERROR]}, "statuses=error"),
        ("rare status", {"statuses": [TaskStatus.RUNNING]}, ""),
        ("since, old", {"since": middle}, f"since={middle.isoformat()}"),
        ("since, new", {"since": late}, f"since={late.isoformat()}"),
        (
            "since, node",
            {"since": middle, "nodes": ["*"]},
            f"since={middle.isoformat()}&nodes={{node}}",
        ),
        (
            "node, task",
            {"nodes": ["*"], "tasks_names": [task(1)]},
            f"nodes={{node}}&tasks_names={task(1)}",
        ),
        (
            "task, status",
            {"tasks_names": [task(1)], "statuses": [TaskStatus.ERROR]},
            f"tasks_names={task(1)}&statuses=error",
        ),
        (
            "cluster",
            {"cluster_id": "cluster-7"},
            "cluster_id=cluster-7",
        ),
        ("large cluster", {"cluster_id": LARGE_CLUSTER}, ""),
        ("project", {"project_id": "project-7"}, ""),
        ("project, node", {"project_id": "project-7", "nodes": ["*"]}, ""),
        (
            "cluster, node",
            {"cluster_id": "cluster-7", "nodes": ["*"]},
            "cluster_id=cluster-7&nodes={node}",
        ),
        (
            "project, task",
            {"project_id": "project-7", "tasks_names": [task(1)]},
            "",
        ),
    ]
    cases: list[_Case] = []
    for name, values, query in filters:
        for before in (None, deep):

            def call(
                n: int,
                values: dict[str, Any] = values,
                before: int | None = before,
            ) -> Any:
                wanted = HistoryFilter(**values)
                if wanted.nodes:
                    wanted = replace(wanted, nodes=[node(n % many)])
                return history.list_all_runs(
                    ctx, wanted, limit=LIMIT, before=before
                )

            more = "" if before is None else f"&marker={before}"

            def route(n: int, query: str = query, more: str = more) -> str:
                said = query.format(node=node(n % many))
                return f"/deployment_history?limit={LIMIT}{more}&{said}"

            has_route = bool(query) or not values
            label = "" if before is None else ", deep marker"
            cases.append(
                (
                    f"all runs: {name}{label}",
                    call,
                    route if has_route else None,
                )
            )
    cases += [
        (
            "last successes of a node",
            lambda n: history.last_successes(ctx, [node(n % many)]),
            None,
        ),
        (
            "last successes of a node in a project",
            lambda n: history.last_successes(
                ctx, [node(n % many)], project_id=f"project-{n % 10}"
            ),
            None,
        ),
    ]
    return cases


# Measuring


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
        *_listed(ctx, ledger),
        *_of_run(ctx, ledger),
        *_all_runs(ctx, ledger),
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
            ctx, NewTransaction(kind=Kind.DEPLOYMENT, name=f"reported {number}")
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
    age = (ledger.time(ledger.size.transactions) - ledger.began).days / 2
    limits = purge.Limits(deployments=max(math.floor(age), 0))
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
    measure_pages(database, app, ledger, arguments)
    print(f"load of the machine {os.getloadavg()[0]:.1f}")
    if not arguments.pages:
        measure_reports(database)
        measure_purge(database, app, ledger)


if __name__ == "__main__":
    sys.exit(main())
