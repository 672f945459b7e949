"""How a database finds clusters and what they consist of."""

import contextlib
from datetime import datetime

import pytest
import sqlalchemy as sa

from recovery_ha.db import models
from recovery_ha.db.ledger import clusters
from recovery_ha.db.paging import Page
from recovery_ha.domain import errors
from recovery_ha.tests.fixtures.plans import explained, scanned

__all__ = ["explained"]

_MANY = 500
WHEN = datetime(2026, 1, 2, 3, 4, 5)
LISTS = [
    {},
    {"project_id": "p-1"},
    {"status": "Error"},
    {"name": "c-7"},
    {"plugin_name": "plugin-1"},
    {"project_id": "p-1", "name": "c-21"},
    {"project_id": "p-1", "status": "Error", "plugin_name": "plugin-1"},
]


@pytest.fixture
def many(database):
    """Give a cluster among many, each with groups of instances."""
    numbers = range(1, _MANY + 1)
    rows = {
        models.Cluster: [
            {
                "uuid": f"u-{n}",
                "name": f"c-{n}",
                "project_id": f"p-{n % 20}",
                "status": "Active" if n % 50 else "Error",
                "plugin_name": f"plugin-{n % 30}",
                "extra": {},
                "created_at": WHEN,
                "deleted": 0 if n % 10 else n,
            }
            for n in numbers
        ],
        models.ClusterNodeGroup: [
            {
                "uuid": f"g-{n}-{group}",
                "cluster_id": f"u-{n}",
                "name": group,
                "count": 2,
                "node_processes": [],
                "created_at": WHEN,
            }
            for n in numbers
            for group in ("master", "worker")
        ],
        models.ClusterInstance: [
            {
                "node_group_id": f"g-{n}-{group}",
                "instance_id": f"i-{n}-{group}-{place}",
                "instance_name": f"{n}-{group}-{place}",
                "created_at": WHEN,
            }
            for n in numbers
            for group in ("master", "worker")
            for place in range(2)
        ],
    }
    with database.engine.begin() as connection:
        for model, values in rows.items():
            connection.execute(sa.insert(model.__table__), values)
    with database.engine.connect() as connection:
        for model in rows:
            word = "TABLE " * (database.engine.dialect.name == "mysql")
            connection.exec_driver_sql(f"ANALYZE {word}{model.__tablename__}")
        connection.commit()


@pytest.mark.parametrize("backend", ["mysql", "postgresql"], indirect=True)
def test_no_page_of_clusters_reads_a_whole_table(ctx, many, explained):
    page, bad = Page(limit=10), {}
    cases = [
        *((w, lambda w=w: clusters.list_page(ctx, page, **w)) for w in LISTS),
        ("the next", lambda: clusters.list_page(ctx, Page(10, "u-200"))),
        ("one", lambda: clusters.get(ctx, "u-7")),
        ("one by its number", lambda: clusters.get(ctx, "7")),
        ("its project's", lambda: clusters.get(ctx, "u-7", project_id="p-7")),
        ("its run", lambda: clusters.find_run(ctx, "u-7", unfinished=True)),
    ]
    for name, call in cases:
        with explained() as plans, contextlib.suppress(errors.NotFound):
            call()
        assert plans
        found = [table for plan in plans for table in scanned(plan)]
        if found:
            bad[str(name)] = (found, plans)
    assert bad == {}
