"""Fixtures and hooks of all tests."""

from collections.abc import Iterator

import pytest

# First of all: it chooses threads, which cannot be chosen any more once
# oslo.messaging has been imported.
import recovery_ha.cmd  # noqa: F401
from recovery_ha.tests.fixtures.databases import (
    databases,
    empty,
    migrated_url,
    open_database,
)
from recovery_ha.tests.fixtures.site import Site, quick_simulator
from recovery_ha.tests.fixtures.thinning import thin_out

__all__ = ["databases", "migrated_url"]
_LOG_LINES = 60


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the logs of a test's processes when it fails."""
    report = yield
    site = getattr(item, "funcargs", {}).get("site")
    if report.failed and site is not None:
        for daemon in site.daemons:
            lines = daemon.log.read_text(errors="replace").splitlines()
            text = "\n".join(lines[-_LOG_LINES:])
            report.sections.append((f"log of {daemon.name}", text))
    return report


def pytest_collection_modifyitems(config, items):
    """Leave the longest tables of cases to those who want all of them."""
    thin_out(config, items)


@pytest.fixture
def backend() -> str:
    """The kind of database; a test's parameter of that name overrides it."""
    return "sqlite"


@pytest.fixture
def site(backend, migrated_url, tmp_path) -> Iterator[Site]:
    """A cloud of four hosts, registered in one segment; no engine."""
    database = open_database(migrated_url(backend))
    empty(database)
    with quick_simulator() as simulator:
        site = Site(simulator, database, tmp_path)
        try:
            site.register_hosts()
            yield site
        finally:
            site.close()
            database.dispose()
