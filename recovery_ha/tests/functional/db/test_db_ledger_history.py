"""The history of one run and of all runs, on each database."""

import pytest

from recovery_ha.db.ledger import history, transactions
from recovery_ha.domain.history import HistoryFilter, LastSuccess, UnitCounts
from recovery_ha.domain.ledger import Counts, TaskStatus
from recovery_ha.tests.fixtures.ledger import begin, ended, said, tell

__all__ = ["begin"]


@pytest.fixture
def mixed(ctx, begin):
    run = begin(project_id="p", cluster_id="7")
    tell(
        ctx,
        run,
        *ended("1", "a"),
        *ended("2", "a", "error"),
        said("3", "a", "running"),
        *ended("1", "b", "error"),
        *ended("2", "b"),
        said("3", "b", "skipped"),
        said("4", "b", "pending"),
    )
    return run


@pytest.mark.parametrize("limit", [None, 100])
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, "1a 2a 3a 1b 2b 3b 4b"),
        ({"nodes": ["1"]}, "1a 1b"),
        ({"nodes": ["2", "3", "9"]}, "2a 3a 2b 3b"),
        ({"statuses": ["ready"]}, "1a 2b"),
        ({"statuses": ["ready", "error"]}, "1a 2a 1b 2b"),
        ({"nodes": ["1", "2"], "statuses": ["error", "pending"]}, "2a 1b"),
        ({"tasks_names": ["b"]}, "1b 2b 3b 4b"),
        ({"tasks_names": ["b", "nothing"], "statuses": ["ready"]}, "2b"),
        ({"tasks_names": ["a", "b"], "nodes": ["2"]}, "2a 2b"),
        ({"nodes": [str(n) for n in range(40)]}, "1a 2a 3a 1b 2b 3b 4b"),
    ],
)
def test_filters_of_the_history(ctx, mixed, wanted, expected, limit):
    wanted = dict(wanted)
    if "statuses" in wanted:
        wanted["statuses"] = [TaskStatus(s) for s in wanted["statuses"]]
    wanted = HistoryFilter(**wanted)

    def short(found):
        return " ".join(
            f"{r.node_id}{r.deployment_graph_task_name}" for r in found
        )

    found = history.list_page(ctx, mixed.id, wanted, limit=limit)
    assert short(found) == expected
    everywhere = history.list_all_runs(ctx, wanted, limit=100)
    assert everywhere == found[::-1]
    paged, after = [], 0
    while page := history.list_page(
        ctx, mixed.id, wanted, limit=2, after=after
    ):
        assert len(page) <= 2
        paged, after = paged + page, page[-1].id
    assert paged == found


def test_the_history_of_all_runs(ctx, begin, mixed):
    other = begin(project_id="q", cluster_id="8")
    tell(ctx, other, *ended("1", "a", "error"))
    tell(ctx, other, *ended("1", "a"))

    def runs_of(limit=100, before=None, **wanted):
        found = history.list_all_runs(
            ctx, HistoryFilter(**wanted), limit=limit, before=before
        )
        return [row.task_id for row in found]

    assert runs_of() == [other.id] + [mixed.id] * 7
    assert runs_of(attempts=True)[:3] == [other.id, other.id, mixed.id]
    assert runs_of(project_id="q") == [other.id]
    assert runs_of(cluster_id="7") == [mixed.id] * 7
    assert runs_of(nodes=["1"]) == [other.id] + [mixed.id] * 2
    assert runs_of(nodes=["1"], tasks_names=["a"], project_id="p") == [
        mixed.id
    ]
    assert runs_of(since=other.created_at) == [other.id]
    (last,) = history.list_all_runs(ctx, HistoryFilter(), limit=1)
    assert runs_of(before=last.id, limit=3) == [mixed.id] * 3


def test_last_success_per_task_and_node(ctx, begin):
    first, second = begin(project_id="p"), begin(project_id="p")
    dry = begin(project_id="p", dry_run=True)
    for run in (first, dry):
        tell(ctx, run, *ended("1", "a"), *ended("1", "b"), *ended("2", "a"))
    tell(ctx, second, *ended("1", "a"), *ended("1", "b", "error"))
    assert history.last_successes(ctx, ["1"]) == [
        LastSuccess("1", "a", second.id),
        LastSuccess("1", "b", first.id),
    ]
    assert history.last_successes(
        ctx, ["1", "2"], tasks_names=["a"], project_id="p"
    ) == [LastSuccess("1", "a", second.id), LastSuccess("2", "a", first.id)]
    assert history.last_successes(ctx, ["1"], project_id="q") == []


def test_counts_by_node_add_up(ctx, mixed):
    tell(ctx, mixed, *ended("2", "a"))
    found = history.counts_by_node(ctx, mixed.id, limit=10)
    assert found == [
        UnitCounts("1", Counts(ready=1, error=1)),
        UnitCounts("2", Counts(ready=2)),
        UnitCounts("3", Counts(running=1, skipped=1)),
        UnitCounts("4", Counts(pending=1)),
    ]
    assert history.counts_by_node(ctx, mixed.id, limit=2) == found[:2]
    more = history.counts_by_node(ctx, mixed.id, limit=2, after="2")
    assert more == found[2:]
    assert transactions.get(ctx, mixed.id).counts == Counts(
        pending=1, running=1, ready=3, error=1, skipped=1
    )
