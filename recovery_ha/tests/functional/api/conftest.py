import contextlib

import pytest
import sqlalchemy as sa
from keystonemiddleware import auth_token

from recovery_ha.tests.fixtures.databases import (
    BACKENDS,
    configure,
    databases,
    empty,
    migrated_url,
)
from recovery_ha.tests.fixtures.rest import Api, World, demand_tokens
from recovery_ha.tests.fixtures.tokens import Tokens

from recovery_ha.api.app import make_app  # isort: skip - after fixtures
from recovery_ha.db.session import Database

__all__ = ["databases", "migrated_url"]


class Wakes:
    """Counts wake-ups."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def conf(backend, migrated_url):
    """Give a configuration whose database has no rows."""
    conf = configure(migrated_url(backend))
    conf.set_override("auth_strategy", "noauth", "api")
    database = Database(conf)
    empty(database)
    database.dispose()
    return conf


@pytest.fixture
def database(conf):
    database = Database(conf)
    yield database
    database.dispose()


@pytest.fixture
def wakes():
    return Wakes()


@pytest.fixture
def app(conf, database, wakes):
    return make_app(conf, database, wakes, check_responses=True)


@pytest.fixture
def api(app):
    return Api(app)


@pytest.fixture
def world(api, database):
    return World(api, database)


@pytest.fixture
def segment(world):
    return world.segment()


@pytest.fixture
def host(world, segment):
    return world.host(segment)


@pytest.fixture
def notification(world, host):
    return world.report()


@pytest.fixture
def statements(database):
    """Return a context manager that collects the statements sent in it."""

    @contextlib.contextmanager
    def statements():
        seen = []

        def note(_conn, _cursor, statement, *_rest):
            seen.append(statement)

        for engine in {database.engine, database.read_engine}:
            sa.event.listen(engine, "before_cursor_execute", note)
        yield seen
        for engine in {database.engine, database.read_engine}:
            sa.event.remove(engine, "before_cursor_execute", note)

    return statements


@pytest.fixture
def tokens(monkeypatch):
    tokens = Tokens()
    monkeypatch.setattr(
        auth_token.AuthProtocol,
        "fetch_token",
        tokens.fetch,
    )
    return tokens


@pytest.fixture
def guarded(app, conf, database, tokens):
    demand_tokens(conf)
    conf.set_override(
        "www_authenticate_uri", "http://keystone:5000", "keystone_authtoken"
    )
    app = make_app(conf, database, lambda: None, check_responses=True)

    def guarded(token=None, prefix="/v1", **headers):
        if token is not None:
            headers["X_Auth_Token"] = token
        return Api(app, prefix, **headers)

    return guarded
