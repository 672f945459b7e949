"""Pages of random ledgers are what plain Python picks from their rows."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recovery_ha.db import models
from recovery_ha.db.ledger import history, pages, transactions
from recovery_ha.db.paging import Page
from recovery_ha.domain.history import (
    HistoryFilter,
    LastSuccess,
    TransactionFilter,
    UnitCounts,
)
from recovery_ha.domain.ledger import (
    Counts,
    Kind,
    TaskStatus,
    TransactionStatus,
)
from recovery_ha.tests.fixtures.databases import empty

WHEN = datetime(2026, 1, 2)
NODES = ["1", "10", "2", "B", "a", "-"]
TASKS = ["a", "A", "b", "c d"]
PROJECTS = ["", "p", "q"]
CLUSTERS = [None, "", "7", "8"]
USERS = ["u", "v"]
STATUSES = list(TaskStatus)
RUNS = models.Transaction.__table__
HISTORY = models.DeploymentHistory.__table__


def moment(number):
    return WHEN + timedelta(seconds=number)


@dataclass
class Ledger:
    """What is written, as the rows of tables."""

    runs: list = field(default_factory=list)
    rows: list = field(default_factory=list)


@st.composite
def ledgers(draw):
    """Return a ledger; its times do not follow its ids."""
    made = Ledger()
    for number in range(1, draw(st.integers(1, 5)) + 1):
        made.runs.append(
            {
                "id": number,
                "uuid": f"u-{number}",
                "kind": str(draw(st.sampled_from(list(Kind)))),
                "name": draw(st.sampled_from(TASKS)),
                "project_id": draw(st.sampled_from(PROJECTS)),
                "cluster_id": draw(st.sampled_from(CLUSTERS)),
                "status": str(draw(st.sampled_from(list(TransactionStatus)))),
                "origin_type": draw(
                    st.sampled_from([transactions.REPORTER, "x"])
                ),
                "origin_id": draw(st.sampled_from(USERS)),
                "dry_run": draw(st.sampled_from([False, False, True])),
                "created_at": moment(draw(st.integers(0, 5))),
                "deleted_at": draw(st.sampled_from([None, WHEN])),
            }
        )
    units = draw(
        st.lists(
            st.tuples(
                st.sampled_from(made.runs),
                st.sampled_from(NODES),
                st.sampled_from(TASKS),
                st.lists(st.sampled_from(STATUSES), min_size=1, max_size=3),
            ),
            unique_by=lambda unit: (unit[0]["id"], *unit[1:3]),
            max_size=40,
        )
    )
    for run, node, task, attempts in units:
        for number, status in enumerate(attempts, 1):
            made.rows.append(
                {
                    "task_id": run["id"],
                    "project_id": run["project_id"],
                    "cluster_id": run["cluster_id"],
                    "node_id": node,
                    "deployment_graph_task_name": task,
                    "attempt": number,
                    "latest": number == len(attempts),
                    "status": str(status),
                    "created_at": WHEN,
                    "reported_at": draw(
                        st.none() | st.builds(moment, st.integers(0, 9))
                    ),
                }
            )
    made.rows = draw(st.permutations(made.rows))
    for number, row in enumerate(made.rows, 1):
        row["id"] = number * 3
    return made


def some(values, most=4):
    """Return lists that are often empty, and may name a value twice."""
    return st.just([]) | st.lists(st.sampled_from(values), max_size=most)


def maybe(values):
    return st.none() | st.sampled_from(values)


FILTERS = st.builds(
    HistoryFilter,
    nodes=some([*NODES, "none"]),
    statuses=some(STATUSES),
    tasks_names=some([*TASKS, "none"]),
    attempts=st.booleans(),
    project_id=maybe(PROJECTS),
    reported_by=maybe(USERS),
    cluster_id=maybe(["", "7", "8", "9"]),
    since=st.none() | st.builds(moment, st.integers(0, 10)),
)
RUN_FILTERS = st.builds(
    TransactionFilter,
    project_id=maybe(PROJECTS),
    reported_by=maybe(USERS),
    cluster_id=maybe(["", "7", "9"]),
    statuses=some(list(TransactionStatus), 2),
    names=some(TASKS, 2),
    kinds=some(list(Kind), 2),
    node=maybe([*NODES, "none"]),
    since=st.none() | st.builds(moment, st.integers(0, 6)),
    until=st.none() | st.builds(moment, st.integers(0, 6)),
    deleted=st.none() | st.booleans(),
)
#: So few rows or parts that each way of reading is taken.
SMALL = st.sampled_from([0, 1, 3, 10**3])


def is_wanted(row, run, wanted):
    return (
        (not wanted.nodes or row["node_id"] in wanted.nodes)
        and (not wanted.statuses or row["status"] in wanted.statuses)
        and (
            not wanted.tasks_names
            or row["deployment_graph_task_name"] in wanted.tasks_names
        )
        and (wanted.attempts or row["latest"])
        and wanted.project_id in {None, row["project_id"]}
        and (
            wanted.reported_by is None
            or (run["origin_type"], run["origin_id"])
            == (transactions.REPORTER, wanted.reported_by)
        )
        and (
            wanted.cluster_id is None or wanted.cluster_id == row["cluster_id"]
        )
        and (
            wanted.since is None
            or (
                row["reported_at"] is not None
                and row["reported_at"] >= wanted.since
            )
        )
    )


def is_wanted_run(run, rows, wanted):
    return (
        wanted.project_id in {None, run["project_id"]}
        and (
            wanted.reported_by is None
            or (run["origin_type"], run["origin_id"])
            == (transactions.REPORTER, wanted.reported_by)
        )
        and (
            wanted.cluster_id is None
            or run["cluster_id"] == (wanted.cluster_id or None)
        )
        and (not wanted.statuses or run["status"] in wanted.statuses)
        and (not wanted.names or run["name"] in wanted.names)
        and (not wanted.kinds or run["kind"] in wanted.kinds)
        and (
            wanted.node is None
            or any(
                (row["task_id"], row["node_id"]) == (run["id"], wanted.node)
                for row in rows
            )
        )
        and (wanted.since is None or run["created_at"] >= wanted.since)
        and (wanted.until is None or run["created_at"] < wanted.until)
        and wanted.deleted in {None, run["deleted_at"] is not None}
    )


@pytest.fixture
def check(ctx, database, monkeypatch):
    """Return a function that writes a ledger and tells how it is read."""

    def check(ledger, few, most_parts):
        empty(database)
        with database.engine.begin() as connection:
            connection.execute(sa.insert(RUNS), ledger.runs)
            if ledger.rows:
                connection.execute(sa.insert(HISTORY), ledger.rows)
        monkeypatch.setattr(history, "_FEW", few)
        monkeypatch.setattr(history, "_MOST_TIMES", few)
        monkeypatch.setattr(transactions, "_FEW_ROWS", few)
        monkeypatch.setattr(transactions, "_FEW_RUNS", most_parts)
        monkeypatch.setattr(pages, "_MOST_PARTS", most_parts)
        return SimpleNamespace(
            ctx=ctx, runs={run["id"]: run for run in ledger.runs}
        )

    return check


def read_all(read, first, limit):
    """Return all pages as one list, and see to it that none is too long."""
    found, marker = [], first
    while page := read(marker):
        assert len(page) <= limit
        found += page
        marker = page[-1].id
    return [row.id for row in found]


properties = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@properties
@given(
    ledger=ledgers(),
    wanted=st.lists(FILTERS, min_size=1, max_size=6),
    limit=st.integers(1, 9),
    few=SMALL,
    parts=SMALL,
)
def test_pages_of_the_history(check, ledger, wanted, limit, few, parts):
    at = check(ledger, few, parts)
    for one in wanted:
        expected = [
            row["id"]
            for row in ledger.rows
            if is_wanted(row, at.runs[row["task_id"]], one)
        ]
        found = read_all(
            lambda marker, one=one: history.list_all_runs(
                at.ctx, one, limit=limit, before=marker
            ),
            None,
            limit,
        )
        assert found == expected[::-1]
        run = ledger.runs[-1]["id"]
        of_run = HistoryFilter(
            nodes=one.nodes,
            statuses=one.statuses,
            tasks_names=one.tasks_names,
            attempts=one.attempts,
        )
        expected = [
            row["id"]
            for row in ledger.rows
            if row["task_id"] == run and is_wanted(row, None, of_run)
        ]
        found = read_all(
            lambda marker, of_run=of_run, run=run: history.list_page(
                at.ctx, run, of_run, limit=limit, after=marker
            ),
            0,
            limit,
        )
        assert found == expected
        every = history.list_page(at.ctx, run, of_run)
        assert [row.id for row in every] == expected


@properties
@given(
    ledger=ledgers(),
    wanted=st.lists(RUN_FILTERS, min_size=1, max_size=6),
    limit=st.integers(1, 4),
    few=SMALL,
    runs=SMALL,
)
def test_pages_of_transactions(check, ledger, wanted, limit, few, runs):
    at = check(ledger, few, runs)
    for one in wanted:
        expected = [
            run["id"]
            for run in ledger.runs
            if is_wanted_run(run, ledger.rows, one)
        ]
        found = read_all(
            lambda marker, one=one: transactions.list_page(
                at.ctx,
                one,
                Page(
                    limit=limit,
                    marker=None if marker is None else str(marker),
                ),
            ),
            None,
            limit,
        )
        assert found == expected[::-1]


@properties
@given(
    ledger=ledgers(),
    nodes=some([*NODES, "none"]),
    tasks=some([*TASKS, "none"]),
    project=maybe(PROJECTS),
    limit=st.integers(1, 4),
)
def test_what_is_summed_up(check, ledger, nodes, tasks, project, limit):
    at = check(ledger, 0, 0)
    last = {}
    for row in ledger.rows:
        run, node = at.runs[row["task_id"]], row["node_id"]
        task = row["deployment_graph_task_name"]
        if (
            node in nodes
            and task in (tasks or TASKS)
            and project in {None, row["project_id"]}
            and row["status"] == TaskStatus.READY
            and not run["dry_run"]
        ):
            last[node, task] = max(last.get((node, task), 0), run["id"])
    assert history.last_successes(
        at.ctx, nodes, tasks_names=tasks, project_id=project
    ) == [LastSuccess(*unit, run) for unit, run in sorted(last.items())]
    run = ledger.runs[-1]["id"]
    counts = {}
    for row in ledger.rows:
        if row["task_id"] == run:
            count = counts.setdefault(row["node_id"], dict.fromkeys(STATUSES))
            count[row["status"]] = (count[row["status"]] or 0) + row["latest"]
    expected = [
        UnitCounts(node, Counts(**{str(s): n or 0 for s, n in count.items()}))
        for node, count in sorted(counts.items())
    ]
    found, after = [], ""
    while page := history.counts_by_node(
        at.ctx, run, limit=limit, after=after
    ):
        assert len(page) <= limit
        found, after = found + page, page[-1].node_id
    assert found == expected
