"""Fixtures of the fault matrix, and on which databases it runs."""

import os
import re

import pytest

from recovery_ha.tests.fixtures.databases import (
    BACKENDS,
    databases,
    migrated_url,
)
from recovery_ha.tests.fixtures.mortal import MortalEngine, quiet_deaths
from recovery_ha.tests.fixtures.rest import Api
from recovery_ha.tests.fixtures.sessions import Sessions

from recovery_ha.api.app import make_app  # isort: skip - after fixtures
from recovery_ha.db.session import Database

__all__ = ["databases", "migrated_url"]

_EVERYWHERE = os.environ.get("RECOVERY_HA_SCENARIOS") == "all"


def pytest_generate_tests(metafunc):
    """Run a fault on all databases, or on the one that is its turn."""
    if "backend" not in metafunc.fixturenames:
        return
    found = re.match(r"test_f(\d\d)_", metafunc.function.__name__)
    mark = metafunc.definition.get_closest_marker("only_on")
    names = mark.args if mark else BACKENDS
    number = int(found[1]) if found else 0
    if not _EVERYWHERE:
        names = [names[number % len(names)]]
    metafunc.parametrize("backend", names)


@pytest.fixture
def engine(site, monkeypatch):
    """Return a function that starts an engine that can die.

    Options that are not the service's: ``crash`` of
    :class:`MortalEngine`, and ``connection``, another way to the database.
    """
    made = []
    quiet_deaths(monkeypatch)

    def engine(name="alpha", crash=None, connection=None, **options):
        conf = site.conf(name, **options)
        if connection is not None:
            conf.set_override("connection", connection, "database")
        made.append(MortalEngine(conf, crash))
        return made[-1]

    yield engine
    # Whatever a test has left: none waits for another one's end.
    site.world.faults.clear()
    for one in made:
        one.kill()
    for one in made:
        one.close()


@pytest.fixture
def owner(site):
    """Return a function that finds the engine that owns a notification."""

    def owner(uuid, *engines):
        name = site.owner(uuid)
        return next(one for one in engines if one.name == name)

    return owner


@pytest.fixture
def api(site):
    """Return a function that starts an API; each is a process of its own."""
    opened = []

    def api(wake=lambda: None, **database):
        conf = site.conf("api", api={"auth_strategy": "noauth"})
        for name, value in database.items():
            conf.set_override(name, value, "database")
        opened.append(Database(conf))
        app = make_app(conf, opened[-1], wake, check_responses=True)
        made = Api(app)
        made.database = opened[-1]
        return made

    yield api
    for database in opened:
        database.dispose()


@pytest.fixture
def sessions(site):
    """The sessions of a site, whose project ``p-1`` replies."""
    made = Sessions(site)
    made.subscribe("p-1")
    made.answer()
    yield made
    made.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark everything here."""
    for item in items:
        if item.path.parent.name == "scenarios":
            item.add_marker(pytest.mark.scenarios)
