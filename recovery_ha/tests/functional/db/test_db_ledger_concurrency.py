"""Several who write to one transaction, and one who reads meanwhile.

Whatever they say in whatever order: counters agree with rows at each moment,
and no row ever makes a move that its table does not have.
"""

import threading
from collections import Counter

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recovery_ha.context import internal_context
from recovery_ha.db import models
from recovery_ha.db.ledger import events, reports, runs, steps, transactions
from recovery_ha.domain import errors
from recovery_ha.domain.history import NewTransaction
from recovery_ha.domain.ledger import (
    LOSSY_TASK,
    TASK,
    Kind,
    ReportItem,
    ReportVerdict,
    TaskStatus,
    TransactionStatus,
    progress,
)

H = models.DeploymentHistory.__table__
S = models.Step.__table__
T = models.Transaction.__table__
WRITERS = 3
COUNTERS = [T.c[f"count_{status}"] for status in TaskStatus]

ITEMS = st.builds(
    ReportItem,
    st.sampled_from("123"),
    st.sampled_from("ab"),
    st.sampled_from(TaskStatus),
    seq=st.none() | st.integers(0, 30),
    step_name=st.none() | st.sampled_from(["One", "Two"]),
    step_type=st.just("main"),
)
BATCHES = st.lists(ITEMS, min_size=1, max_size=12)
ACTS = st.lists(
    BATCHES
    | st.sampled_from(["One", "Two", "Three"])
    | st.just(TransactionStatus.ERROR),
    max_size=8,
)


@pytest.fixture(params=["mysql", "postgresql"])
def backend(request):
    return request.param


def perform(ctx, run, act):
    """Do one thing; what ended before refuses it."""
    try:
        match act:
            case TransactionStatus():
                runs.end(ctx, run.id, act)
            case str():
                steps.begin(ctx, run.id, act, "main", total=2)
            case _:
                reports.report(ctx, run.id, act)
    except errors.TransactionEnded:
        return


def counted(status):
    return sa.func.coalesce(
        sa.func.sum(sa.case((sa.and_(H.c.latest, H.c.status == status), 1))), 0
    )


#: In one statement, which sees one moment.
RUN = (
    sa.select(
        *COUNTERS,
        T.c.progress,
        T.c.status,
        *(counted(str(status)) for status in TaskStatus),
    )
    .join(H, H.c.task_id == T.c.id, isouter=True)
    .group_by(T.c.id)
)
STEPS = (
    sa.select(
        S.c.id,
        S.c.units,
        S.c.completed,
        S.c.failed,
        S.c.total,
        S.c.successful,
        counted("ready") + counted("skipped"),
        counted("error"),
        sa.func.coalesce(sa.func.sum(sa.case((H.c.latest, 1))), 0),
    )
    .join(H, H.c.step_id == S.c.id, isouter=True)
    .group_by(S.c.id)
)
ROWS = sa.select(
    H.c.id,
    H.c.node_id,
    H.c.deployment_graph_task_name,
    H.c.attempt,
    H.c.latest,
    H.c.status,
    H.c.time_start,
    H.c.time_end,
    H.c.step_id,
)


def reachable(moves):
    found = {}
    for status in TaskStatus:
        seen, waiting = {status}, [status]
        while waiting:
            fresh = moves.moves[waiting.pop()] - seen
            seen |= fresh
            waiting += fresh
        found[status] = seen
    return found


class Reader:
    """Looks at a transaction again and again, and compares."""

    def __init__(self, database, run, *, lossy):
        self.database = database
        self.run = run
        self.known = {}
        self.after = reachable(LOSSY_TASK if lossy else TASK)

    def look(self):
        mine = self.run.id
        with self.database.read_engine.connect() as connection:
            run = connection.execute(RUN.where(T.c.id == mine)).one()
            found = connection.execute(
                STEPS.where(S.c.transaction_id == mine)
            ).all()
            rows = connection.execute(ROWS.where(H.c.task_id == mine)).all()
        size = len(COUNTERS)
        assert list(run[:size]) == [int(n) for n in run[size + 2 :]], run
        for step in found:
            assert (step.completed, step.failed, step.units) == tuple(
                int(n) for n in step[6:]
            ), step
            assert step.total >= step.units
            if step.failed:
                assert step.successful is False
            if step.successful:
                assert step.completed == step.total
        self.compare(rows)

    def compare(self, rows):
        assert {row.id for row in rows} >= self.known.keys()
        latest = Counter()
        for row in rows:
            before = self.known.get(row.id)
            status = TaskStatus(row.status)
            latest[row.node_id, row.deployment_graph_task_name] += row.latest
            if before is not None:
                assert status in self.after[TaskStatus(before.status)]
                for name in ("time_start", "time_end", "step_id"):
                    known = getattr(before, name)
                    assert known in {None, getattr(row, name)}
                assert before.latest or not row.latest
            if status in TASK.terminal:
                assert row.time_start <= row.time_end
            if not row.latest:
                assert status in TASK.terminal
            self.known[row.id] = row
        assert set(latest.values()) <= {1}


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    scripts=st.lists(ACTS, min_size=WRITERS, max_size=WRITERS),
    lossy=st.booleans(),
    declared=st.booleans(),
)
def test_counters_agree_and_moves_are_legal(
    database, together, scripts, lossy, declared
):
    ctx = internal_context(database)
    graph = {node: ["a", "b"] for node in "123"} if declared else None
    run, _is_new = transactions.create(
        ctx,
        NewTransaction(
            kind=Kind.DEPLOYMENT, name="deploy", lossy=lossy, graph=graph
        ),
    )
    reader = Reader(database, run, lossy=lossy)
    over = threading.Event()
    left = [len(scripts)]

    def write(script):
        try:
            for act in script:
                perform(internal_context(database), run, act)
        finally:
            left[0] -= 1
            if not left[0]:
                over.set()

    def read():
        while not over.is_set():
            reader.look()

    results = together(read, *(lambda s=s: write(s) for s in scripts))
    assert results == [None] * (1 + WRITERS)
    reader.look()
    now = transactions.get(ctx, run.id)
    if now.status is TransactionStatus.ERROR:
        assert now.counts.units == now.counts.finished
    if now.status is TransactionStatus.RUNNING:
        with database.read_engine.connect() as connection:
            states = connection.execute(
                sa.select(S.c.progress).where(S.c.transaction_id == run.id)
            ).all()
        if not states:
            assert now.progress == progress(now.counts, [])


def test_of_equal_reports_one_is_applied(ctx, database, together):
    run, _is_new = transactions.create(
        ctx, NewTransaction(kind=Kind.DEPLOYMENT, name="deploy")
    )
    batch = [
        ReportItem(str(n), "a", status, seq=2 * n + place)
        for n in range(50)
        for place, status in enumerate(["running", "ready"])
        for status in [TaskStatus(status)]
    ]
    results = together(
        *[lambda: reports.report(internal_context(database), run.id, batch)]
        * 4
    )
    applied = Counter(
        number
        for answers in results
        for number, answer in enumerate(answers)
        if answer.verdict is ReportVerdict.APPLIED
    )
    assert applied == Counter(range(100))
    assert transactions.get(ctx, run.id).counts.ready == 50
    assert len(events.list_events(ctx, run.uuid, 0, 1000)) == 50


def test_a_follower_misses_no_event(ctx, database, together):
    run, _is_new = transactions.create(
        ctx, NewTransaction(kind=Kind.DEPLOYMENT, name="deploy", lossy=True)
    )
    over = threading.Event()
    left = [3]

    def write(writer):
        for number in range(30):
            node = f"{writer}-{number}"
            item = ReportItem(node, "a", TaskStatus.READY)
            reports.report(internal_context(database), run.id, [item])
        left[0] -= 1
        if not left[0]:
            over.set()

    def follow():
        seen, cursor, last = [], 0, False
        while not last:
            last = over.is_set()
            for event in events.list_events(
                internal_context(database), run.uuid, cursor, 100
            ):
                seen.append(event.instance_id)
                cursor = event.id
        return seen

    seen, *_rest = together(follow, *(lambda w=w: write(w) for w in range(3)))
    assert len(seen) == len(set(seen)) == 90
