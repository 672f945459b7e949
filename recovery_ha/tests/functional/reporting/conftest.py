"""Reporters, and what they report to."""

import os

import pytest

from recovery_ha.reporter import Reporter
from recovery_ha.tests.fixtures.ledger_api import LedgerApi
from recovery_ha.tests.fixtures.proxy import Proxy


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch):
    for name in [n for n in os.environ if n.startswith("OS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def api():
    with LedgerApi() as api:
        yield api


@pytest.fixture
def network(api):
    """A way to the API that can be cut."""
    with Proxy("127.0.0.1", api.port) as proxy:
        yield proxy


@pytest.fixture
def report(api, tmp_path):
    """Return a function that makes reporters."""

    def make(url=api.url, **arguments):
        arguments = {
            "endpoint": url,
            "reporter": "ours",
            "name": "deploy",
            "external_id": "one",
            "spool": tmp_path / "spool",
            "flush_seconds": 0.01,
            "close_seconds": 30,
            "strict": True,
        } | arguments
        return Reporter(**arguments)

    return make
