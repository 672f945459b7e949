"""The pages of the ledger that are measured."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from benchmarks.ledger_rows import (
    CLUSTERS,
    LARGE_CLUSTER,
    NAMES,
    Ledger,
    node,
    task,
)
from recovery_ha.context import RequestContext
from recovery_ha.db.ledger import events, history, steps, transactions
from recovery_ha.db.paging import Page
from recovery_ha.domain.history import HistoryFilter, TransactionFilter
from recovery_ha.domain.ledger import Kind, TaskStatus, TransactionStatus

#: Items of a page.
LIMIT = 100

#: A page: its name, the function for the n-th call, the same path of the API.
Case = tuple[str, Callable[[int], Any], Callable[[int], str] | None]


def listed(ctx: RequestContext, ledger: Ledger) -> list[Case]:
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
    cases: list[Case] = []
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


def of_run(ctx: RequestContext, ledger: Ledger) -> list[Case]:
    """Return the pages of one transaction, a small and the large one."""
    cases: list[Case] = []

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


def all_runs(ctx: RequestContext, ledger: Ledger) -> list[Case]:
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
            "since, task",
            {"since": middle, "tasks_names": [task(1)]},
            f"since={middle.isoformat()}&tasks_names={task(1)}",
        ),
        ("since, project", {"since": middle, "project_id": "project-7"}, ""),
        (
            "many nodes",
            {"nodes": [node(n) for n in range(many)]},
            "nodes=" + ",".join(node(n) for n in range(many)),
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
        (
            "cluster, task",
            {"cluster_id": "cluster-7", "tasks_names": [task(1)]},
            f"cluster_id=cluster-7&tasks_names={task(1)}",
        ),
        (
            "cluster, node, task",
            {
                "cluster_id": "cluster-7",
                "nodes": ["*"],
                "tasks_names": [task(1)],
            },
            f"cluster_id=cluster-7&nodes={{node}}&tasks_names={task(1)}",
        ),
    ]
    cases: list[Case] = []
    for name, values, query in filters:
        for before in (None, deep):

            def call(
                n: int,
                values: dict[str, Any] = values,
                before: int | None = before,
            ) -> Any:
                wanted = HistoryFilter(**values)
                if wanted.nodes == ["*"]:
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
