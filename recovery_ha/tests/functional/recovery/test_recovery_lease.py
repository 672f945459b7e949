"""A lease is kept as long as the database answers now and then."""

import pytest
import sqlalchemy as sa
from oslo_db import exception as db_exc

from recovery_ha.db import models, work
from recovery_ha.domain import errors

EPOCH = sa.select(sa.func.max(models.Notification.lease_epoch))


@pytest.mark.parametrize(
    "failure",
    [
        db_exc.DBConnectionError(),
        errors.DatabaseUnavailable("no connection became free"),
        sa.exc.OperationalError("UPDATE", {}, Exception("is locked")),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_renewal_that_fails_once_is_repeated(site, monkeypatch, failure):
    site.world.settings.rebuild_seconds = 4
    renew, failures = work.renew, [failure]

    def flaky(*args):
        if failures:
            raise failures.pop()
        return renew(*args)

    monkeypatch.setattr(work, "renew", flaky)
    servers = site.servers("compute-1", 2)
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert not failures
    assert site.scalar(EPOCH) == 1


def test_a_claim_is_not_kept_by_an_engine_that_stopped(site):
    site.world.settings.rebuild_seconds = 2
    servers = site.servers("compute-1", 2)
    first = site.engine_here("first", lease_seconds=300)

    uuid = site.lose("compute-1")
    site.owner(uuid)
    first.stop()
    site.engine_here("second", lease_seconds=300)

    site.assert_recovered(uuid, servers)
    assert site.scalar(EPOCH) == 2
