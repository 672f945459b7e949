"""Which hosts a session counts on."""

import pytest
import sqlalchemy as sa

from recovery_ha.db import models
from recovery_ha.engine.maintenance import snapshot
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.owned_session import OwnedSession

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_goes_to_a_host_that_another_session_is_to_empty(
    site, sessions
):
    other = sessions.create("compute-3")
    own = OwnedSession(site, "compute-1")
    seen = snapshot.take(own.env, own.session).hosts
    assert set(seen) == {"compute-1", "compute-2", "compute-4"}

    with site.database.engine.begin() as connection:
        connection.execute(
            sa.update(models.MaintenanceHost)
            .where(models.MaintenanceHost.session_uuid == other)
            .values(status="maintained")
        )
    seen = snapshot.take(own.env, own.session).hosts
    assert "compute-3" in seen
