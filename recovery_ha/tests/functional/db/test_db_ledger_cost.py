"""What the ledger asks of a database: how many statements, and how."""

import pytest
import sqlalchemy as sa

from recovery_ha.db import models
from recovery_ha.db.ledger import (
    clusters,
    events,
    history,
    pages,
    reports,
    runs,
    steps,
    transactions,
)
from recovery_ha.db.ledger.book import clock
from recovery_ha.db.paging import Page
from recovery_ha.domain.history import (
    HistoryFilter,
    NewTransaction,
    NodeGroup,
    TransactionFilter,
)
from recovery_ha.domain.ledger import (
    Kind,
    ReportItem,
    TaskStatus,
    TransactionStatus,
)
from recovery_ha.tests.fixtures.plans import explained, scanned

__all__ = ["explained"]

READY = TransactionStatus.READY
SIZES = (1, 7, 300)


def create(ctx, **values):
    made, _is_new = transactions.create(
        ctx,
        NewTransaction(**{"kind": Kind.CLUSTER, "name": "creating", **values}),
    )
    return made


def batch(size, *statuses, step="One"):
    return [
        ReportItem(str(n), "a", TaskStatus(status), step_name=step)
        for n in range(size)
        for status in statuses
    ]


def count(seen):
    ends = {"BEGIN", "COMMIT", "ROLLBACK", "PRAGMA", "SET", "SHOW"}
    return sum(n for word, n in seen.items() if word not in ends)


@pytest.mark.parametrize(
    ("graph", "statuses", "most"),
    [
        (False, ["running"], 6),
        (False, ["running", "ready"], 8),
        (True, ["running"], 6),
        (True, ["running", "ready"], 7),
    ],
)
def test_a_report_costs_the_same_with_many_items(
    ctx, statements, graph, statuses, most
):
    costs = set()
    for size in SIZES:
        plan = {str(n): ["a"] for n in range(size)} if graph else None
        run = create(ctx, graph=plan)
        steps.begin(ctx, run.id, "One")
        with statements() as seen:
            reports.report(ctx, run.id, batch(size, *statuses))
        costs.add(count(seen))
    assert len(costs) == 1
    assert max(costs) <= most


def test_a_retry_costs_the_same_with_many_items(ctx, statements):
    costs = set()
    for size in SIZES:
        run = create(ctx)
        reports.report(ctx, run.id, batch(size, "running", "error"))
        with statements() as seen:
            reports.report(ctx, run.id, batch(size, "running", "ready"))
        costs.add(count(seen))
    assert costs == {9}


def test_an_end_costs_the_same_with_many_rows(ctx, statements):
    costs = set()
    for size in SIZES:
        run = create(ctx, graph={str(n): ["a", "b"] for n in range(size)})
        reports.report(ctx, run.id, batch(size, "running"))
        with statements() as seen:
            runs.end(ctx, run.id, READY)
        costs.add(count(seen))
    assert costs == {8}


def test_pages_cost_the_same_with_many_rows(ctx, statements):
    costs = {}
    for size in SIZES[:2]:
        for number in range(size):
            run = create(ctx, project_id="p", cluster_id="c")
            reports.report(ctx, run.id, batch(size, "running", "ready"))
            group = clusters.new_group_uuid()
            clusters.create(
                ctx,
                name=f"{size}-{number}",
                project_id="p",
                status="Active",
                node_groups=[
                    NodeGroup(
                        uuid=group,
                        name="g",
                        count=1,
                        flavor_id=None,
                        node_processes=(),
                    )
                ],
            )
        ids = range(run.id - size + 1, run.id + 1)
        pages = {
            "transactions": lambda: transactions.list_page(
                ctx, TransactionFilter(node="0", deleted=False), Page(limit=99)
            ),
            "history": lambda run=run: history.list_page(
                ctx, run.id, HistoryFilter(), limit=99
            ),
            "all runs": lambda: history.list_all_runs(
                ctx, HistoryFilter(nodes=["0"]), limit=99
            ),
            "since": lambda began=run.created_at: history.list_all_runs(
                ctx, HistoryFilter(since=began), limit=99
            ),
            "nodes": lambda run=run: history.counts_by_node(
                ctx, run.id, limit=99
            ),
            "steps": lambda ids=ids: steps.list_steps(ctx, ids, events=True),
            "clusters": lambda: clusters.list_page(ctx, Page()),
            "events": lambda run=run: events.list_events(ctx, run.uuid, 0, 99),
        }
        for name, fetch in pages.items():
            with statements() as seen:
                assert len(fetch()) >= size
            costs.setdefault(name, []).append(count(seen))
    assert costs == {
        "transactions": [2, 2],
        "history": [1, 1],
        "all runs": [1, 1],
        "since": [2, 2],
        "nodes": [1, 1],
        "steps": [2, 2],
        "clusters": [3, 3],
        "events": [1, 1],
    }


# Indexes


@pytest.fixture
def filled(ctx, database):
    """Give a transaction among many."""
    time = clock()
    with database.engine.begin() as connection:
        connection.execute(
            sa.insert(models.Transaction.__table__),
            [
                {
                    "uuid": f"u-{n}",
                    "kind": "deployment" if n % 2 else "recovery",
                    "name": f"name-{n % 20}",
                    "project_id": f"p-{n % 20}",
                    "cluster_id": f"c-{n % 20}",
                    "status": "ready" if n % 20 else "error",
                    "reporter": f"r-{n % 20}",
                    "external_id": str(n),
                    "created_at": time,
                    "deleted_at": None if n % 20 else time,
                }
                for n in range(2000)
            ],
        )
    plan = {f"n-{n}": [f"t-{t}" for t in range(40)] for n in range(40)}
    run = create(ctx, graph=plan, project_id="p", cluster_id="c")
    reports.report(
        ctx,
        run.id,
        [
            ReportItem(
                f"n-{n}", "t-1", TaskStatus.RUNNING, step_name=f"s-{n % 9}"
            )
            for n in range(40)
        ],
    )
    with database.engine.connect() as connection:
        for table in ("transactions", "deployment_history", "steps"):
            word = "TABLE " * (database.engine.dialect.name == "mysql")
            connection.exec_driver_sql(f"ANALYZE {word}{table}")
        connection.commit()
    return run


ERRORS = {"statuses": [TransactionStatus.ERROR]}
TRANSACTIONS = [
    {},
    {"project_id": "p-1"},
    {"cluster_id": "c-1"},
    ERRORS,
    {"statuses": [TransactionStatus.PENDING, TransactionStatus.ERROR]},
    {"names": ["name-1", "name-2"]},
    {"kinds": [Kind.CLUSTER]},
    {"node": "n-1"},
    {"since": clock()},
    {"until": clock()},
    {"deleted": True},
    {"deleted": False},
    {"parent_id": 7},
    {"parent_id": 0},
    {"reporter": "r-1"},
    {"project_id": "p-1", "deleted": False, **ERRORS},
]
HISTORY = [
    {},
    {"nodes": ["n-1"]},
    {"nodes": [f"n-{n}" for n in range(30)]},
    {"statuses": [TaskStatus.ERROR]},
    {"statuses": [TaskStatus.ERROR, TaskStatus.PENDING]},
    {"tasks_names": ["t-1"]},
    {"nodes": ["n-1", "n-2"], "statuses": [TaskStatus.RUNNING]},
    {"nodes": ["n-1"], "tasks_names": ["t-1", "t-2"]},
    {"statuses": [TaskStatus.RUNNING], "tasks_names": ["t-1"]},
    {"attempts": True},
]
RUNS = [
    *HISTORY,
    {"project_id": "p"},
    {"cluster_id": "c"},
    {"since": clock()},
    {"project_id": "p", "nodes": ["n-1"], "tasks_names": ["t-1"]},
    {"project_id": "p", "cluster_id": "c", "statuses": [TaskStatus.ERROR]},
    {"project_id": "p", "nodes": ["n-1", "n-2"]},
    {"project_id": "p", "tasks_names": ["t-1"]},
    {"cluster_id": "c", "nodes": ["n-1"]},
    {"cluster_id": "c", "tasks_names": ["t-1"]},
    {"cluster_id": "c", "nodes": ["n-1"], "tasks_names": ["t-1"]},
    {"since": clock(), "nodes": ["n-1"]},
    {"since": clock(), "tasks_names": ["t-1"], "project_id": "p"},
    {"reported_by": "u"},
    {"reported_by": "u", "nodes": ["n-1"]},
]


@pytest.fixture(params=[0, 10**6])
def few(request, monkeypatch):
    """Have everything be taken for many rows, or for few."""
    monkeypatch.setattr(history, "_FEW", request.param)
    monkeypatch.setattr(transactions, "_FEW_ROWS", request.param)
    return request.param


@pytest.mark.parametrize("backend", ["mysql", "postgresql"], indirect=True)
def test_no_page_reads_a_whole_table(ctx, filled, explained, few):
    page = Page(limit=10)
    cases = [
        *(
            (
                w,
                lambda w=w: transactions.list_page(
                    ctx, TransactionFilter(**w), page
                ),
            )
            for w in TRANSACTIONS
        ),
        *(
            (
                w,
                lambda w=w: history.list_page(
                    ctx, filled.id, HistoryFilter(**w), limit=10, after=5
                ),
            )
            for w in HISTORY
        ),
        *(
            (
                w,
                lambda w=w: history.list_all_runs(
                    ctx, HistoryFilter(**w), limit=10, before=10**6
                ),
            )
            for w in RUNS
        ),
        ("nodes", lambda: history.counts_by_node(ctx, filled.id, limit=5)),
        ("success", lambda: history.last_successes(ctx, ["n-1", "n-2"])),
        (
            "success in a project",
            lambda: history.last_successes(
                ctx, ["n-1"], tasks_names=["t-1"], project_id="p"
            ),
        ),
        ("steps", lambda: steps.list_steps(ctx, [filled.id], events=True)),
        ("events", lambda: events.list_events(ctx, filled.uuid, 5, 10)),
        ("step", lambda: events.list_step_events(ctx, [1], limit=10)),
        ("latest", lambda: events.latest_of(ctx, filled.uuid)),
        ("runs", lambda: clusters.find_run(ctx, "c", unfinished=True)),
        ("all", lambda: clusters.list_runs(ctx, ["c-1", "c-2"])),
        ("lost", lambda: runs.close_lost(ctx)),
    ]
    bad = {}
    for name, call in cases:
        with explained() as plans:
            call()
        assert plans
        found = [table for plan in plans for table in scanned(plan)]
        if found:
            bad[str(name)] = (found, plans)
    assert bad == {}


@pytest.mark.parametrize("backend", ["mysql"], indirect=True)
@pytest.mark.parametrize("before", [None, 10**6])
def test_no_page_of_all_runs_is_sorted(
    ctx, filled, explained, monkeypatch, before
):
    """All would be read that a filter leaves, and not only the page."""
    monkeypatch.setattr(history, "_FEW", 0)
    bad = {}
    for wanted in RUNS:
        if len(wanted.get("nodes", ())) * len(TaskStatus) > pages._MOST_PARTS:
            continue
        with explained() as plans:
            history.list_all_runs(
                ctx, HistoryFilter(**wanted), limit=10, before=before
            )
        found = [
            line
            for line in plans[-1]
            if line["table"] == "deployment_history"
            and "filesort" in line["Extra"]
        ]
        if found:
            bad[str(wanted)] = found
    assert bad == {}
