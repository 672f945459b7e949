"""What engines and operators remove when its days are over."""

import subprocess
import sys
from datetime import timedelta

import pytest
import sqlalchemy as sa

from recovery_ha.db import models, types
from recovery_ha.db.ledger import clusters
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.waiting import eventually

_MANAGE = """
import sys
from recovery_ha.cmd.manage import main
sys.exit(main())
"""
_BELONGING = (
    models.Notification,
    models.VMove,
    models.Transaction,
    models.Step,
    models.DeploymentHistory,
    models.Event,
)


def rows(site):
    """Return how many rows there are of each table of a recovery."""
    found = {
        model.__tablename__: site.scalar(
            sa.select(sa.func.count()).select_from(model)
        )
        for model in _BELONGING
    }
    for name in ("logbooks", "flowdetails", "atomdetails"):
        found[name] = site.scalar(
            sa.select(sa.func.count()).select_from(sa.table(name))
        )
    return found


def age(site, uuid, days):
    """Have a notification and its run ended so many days ago."""
    with site.database.engine.begin() as connection:
        for model, column in (
            (models.Notification, models.Notification.notification_uuid),
            (models.Transaction, models.Transaction.uuid),
        ):
            row = connection.execute(
                sa.select(*model.__table__.c).where(column == uuid)
            ).one()
            times = {
                name: value - timedelta(days=days)
                for name, value in row._mapping.items()
                if name in {"created_at", "updated_at", "time_end"}
            }
            connection.execute(
                sa.update(model).where(column == uuid).values(**times)
            )


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_engine_removes_old_recoveries_by_itself(site):
    old = site.servers("compute-1", 2)
    young = site.servers("compute-2", 2)
    first = site.engine_here("first")
    gone, kept = site.lose("compute-1"), site.lose("compute-2")
    # Both run at once; neither is judged while the other holds its locks.
    site.ended(gone)
    site.ended(kept)
    site.assert_recovered(gone, old)
    site.assert_recovered(kept, young)
    first.stop()
    both = rows(site)
    age(site, gone, 8)

    site.engine_here("second", recoveries=7, interval=1)

    eventually(
        lambda: rows(site)["notifications"] == 1, "the old one is removed"
    )
    eventually(
        lambda: rows(site) == {name: n // 2 for name, n in both.items()},
        "with all that belongs to it",
    )
    assert site.notification(kept).status == "finished"


def purge(site, *arguments, **options):
    """Run the command and return what it says."""
    path = site.config("manage", **options)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _MANAGE,
            "--config-file",
            str(path),
            "db",
            "purge",
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_takes_the_days_of_the_configuration(site):
    servers = site.servers("compute-1", 1)
    site.engine_here()
    uuid = site.lose("compute-1")
    site.assert_recovered(uuid, servers)
    age(site, uuid, 8)

    assert purge(site, "--configured") == ""
    said = purge(site, "--configured", recoveries=9)
    assert said == "notifications: 0 removed\n"
    said = purge(site, "--configured", recoveries=7)
    assert said == "notifications: 1 removed\n"
    assert set(rows(site).values()) == {0}


def test_clusters_go_days_after_they_were_deleted(site):
    made = [
        clusters.create(
            site.ctx,
            name=name,
            project_id="p",
            status="Active",
            node_groups=[],
        ).uuid
        for name in ("old", "young", "alive")
    ]
    for uuid in made[:2]:
        clusters.delete(site.ctx, uuid)
    with site.database.engine.begin() as connection:
        connection.execute(
            sa.update(models.Cluster)
            .where(models.Cluster.uuid == made[0])
            .values(deleted_at=types.utcnow() - timedelta(days=8))
        )

    said = purge(site, "--configured", clusters=7)

    assert "clusters: 1 removed" in said
    left = site.scalar(sa.select(sa.func.count()).select_from(models.Cluster))
    assert left == 2
