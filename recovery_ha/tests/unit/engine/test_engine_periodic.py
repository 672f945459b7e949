from recovery_ha.db.ledger import transactions
from recovery_ha.domain.history import NewTransaction
from recovery_ha.domain.ledger import Kind, Outcome, TransactionStatus
from recovery_ha.engine import periodic
from recovery_ha.tests.fixtures.databases import configure
from recovery_ha.tests.fixtures.waiting import eventually


def test_runs_whose_reporters_fell_silent_are_ended(
    ctx, database, monkeypatch, caplog
):
    monkeypatch.setattr(periodic, "_INTERVAL_SECONDS", 0.05)
    new = NewTransaction(
        kind=Kind.DEPLOYMENT, name="deploy", reporter="tool", lease_seconds=0.1
    )
    silent, _is_new = transactions.create(ctx, new)
    url = database.engine.url.render_as_string(hide_password=False)
    threads = periodic.Periodic(ctx, configure(url))
    try:
        eventually(
            lambda: transactions.get(ctx, silent.uuid).time_end is not None,
            "the run has ended",
        )
    finally:
        threads.stop()
    ended = transactions.get(ctx, silent.uuid)
    assert ended.status is TransactionStatus.ERROR
    assert ended.outcome is Outcome.LOST
    assert f"{silent.uuid} (deploy, reported by tool) is ended" in caplog.text
