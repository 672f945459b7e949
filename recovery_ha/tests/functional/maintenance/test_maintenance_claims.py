"""Sessions claim by claim: what one costs, and what becomes of wishes."""

import time
import warnings

import pytest
import sqlalchemy as sa

from recovery_ha.clients.compute import Nova
from recovery_ha.db import models, work
from recovery_ha.db.maintenance import session_work
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.maintenance import SessionAction, SessionState
from recovery_ha.engine.lease import Lease
from recovery_ha.engine.maintenance.handler import MaintenanceHandler
from recovery_ha.engine.maintenance.workflows import load_workflows
from recovery_ha.engine.runner import FlowRunner
from recovery_ha.tests.fixtures.owned_session import Kicks
from recovery_ha.tests.fixtures.sessions import QUICK

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
S, A = SessionState, SessionAction
LONG = 600.0


class Engine:
    """An engine that claims when this test says so."""

    def __init__(self, site):
        self.site = site
        conf = site.conf("owner", **QUICK)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nova = Nova(conf)
        self.handler = MaintenanceHandler(
            conf,
            site.ctx,
            nova,
            FlowRunner(site.database),
            load_workflows(),
            [],
            Kicks(),
        )

    def claim(self, uuid):
        """Have the session owned."""
        table = models.MaintenanceSession
        with self.site.database.engine.begin() as connection:
            connection.execute(
                sa.update(table).where(table.uuid == uuid).values(wake_at=0.0)
            )
        claim = work.claim_next(
            self.site.ctx,
            WorkKind.MAINTENANCE,
            "owner",
            LONG,
            plugins=["default"],
        )
        assert claim is not None
        assert claim.uuid == uuid
        return claim

    def handle(self, claim):
        """Bring the session as far as it goes now."""
        self.handler.handle(Lease(claim, time.monotonic() + LONG))


@pytest.fixture
def engine(site):
    return Engine(site)


@pytest.fixture
def statements(site):
    """Return a function that counts the statements of what it calls."""
    seen = []

    def note(_connection, _cursor, statement, *_rest):
        if not statement.startswith("BEGIN"):
            seen.append(statement)

    def count(call, *args):
        seen.clear()
        call(*args)
        return len(seen)

    engines = {site.database.engine, site.database.read_engine}
    for one in engines:
        sa.event.listen(one, "before_cursor_execute", note)
    yield count
    for one in engines:
        sa.event.remove(one, "before_cursor_execute", note)


def test_a_claim_costs_the_same_with_many_instances(
    site, sessions, engine, statements
):
    sessions.subscribe("p-1")
    costs = []
    for host, count in (("compute-1", 3), ("compute-2", 30)):
        site.servers(host, count, project_id="p-1")
        uuid = sessions.create(host)
        # The first asks, the second looks whether there is a reply.
        mine = [
            statements(engine.handle, engine.claim(uuid)) for _ in range(2)
        ]
        assert "reply of p-1" in sessions.get(uuid).message
        sessions.reply(uuid, "p-1", S.MAINTENANCE)
        found = sessions.get(uuid)
        assert len(found.instances) == count
        assert found.state is S.MAINTENANCE
        costs.append(mine)
    assert costs[0] == costs[1]


def test_a_retry_is_of_the_round_in_which_it_was_wanted(
    site, sessions, engine
):
    sessions.subscribe("p-1")
    site.servers("compute-1", 1, project_id="p-1")
    uuid = sessions.create("compute-1")
    engine.handle(engine.claim(uuid))

    claim = engine.claim(uuid)
    sessions.act(uuid, A.RETRY)
    session_work.enter(
        site.ctx, claim, sessions.get(uuid), S.PREPARE_MAINTENANCE, {}
    )
    engine.handle(engine.claim(uuid))

    found = sessions.get(uuid)
    assert (found.state, found.round) == (S.PREPARE_MAINTENANCE, 2)
    assert found.requested is None
    (said,) = [one for one in sessions.said(uuid) if "No retry" in one]
    assert "wanted in round 1, and this is round 2" in said

    # Wanted of this very round it is done.
    claim = engine.claim(uuid)
    sessions.act(uuid, A.RETRY)
    session_work.wait(site.ctx, claim, sessions.get(uuid), None, wake_in=LONG)
    engine.handle(engine.claim(uuid))
    found = sessions.get(uuid)
    assert (found.state, found.round) == (S.PREPARE_MAINTENANCE, 3)
    assert found.requested is None


def test_a_retry_of_an_earlier_round_does_not_stand_in_for_a_later(
    site, sessions, engine
):
    sessions.subscribe("p-1")
    site.servers("compute-1", 1, project_id="p-1")
    uuid = sessions.create("compute-1")
    claim = engine.claim(uuid)
    sessions.act(uuid, A.RETRY)
    session_work.enter(
        site.ctx, claim, sessions.get(uuid), S.PREPARE_MAINTENANCE, {}
    )
    claim = engine.claim(uuid)

    sessions.act(uuid, A.RETRY)

    found = sessions.get(uuid)
    assert (found.requested, found.requested_round) == (A.RETRY, 2)
    engine.handle(claim)
    assert sessions.get(uuid).round == 3
