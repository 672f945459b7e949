"""What the service relies on in the libraries below it, and must not do."""

import subprocess
import sys

import pytest
from taskflow.persistence.backends import impl_sqlalchemy

from recovery_ha.engine.runner import _Backend

MODULES = [
    "recovery_ha.engine.service",
    "recovery_ha.api.app",
    "recovery_ha.cmd.engine",
]


def test_closing_taskflow_s_connection_does_nothing(database):
    """One connection object is used for all, so nobody may close it."""
    backend = _Backend(
        {"connection": str(database.engine.url)}, engine=database.engine
    )
    connection = backend.get_connection()
    connection.close()
    assert backend.get_connection() is connection
    assert list(connection.get_logbooks()) == []
    assert impl_sqlalchemy.Connection.close.__code__.co_consts == (None,)


def test_taskflow_shares_the_service_s_engine(database):
    backend = _Backend(
        {"connection": str(database.engine.url)}, engine=database.engine
    )
    assert backend.get_connection()._engine is database.engine


CHECK = """
import importlib, sys, warnings
warnings.simplefilter("ignore")
importlib.import_module(sys.argv[1])
found = sys.modules.get("eventlet")
if found is not None:
    from eventlet import patcher
    for name in ("socket", "thread", "time", "select", "os"):
        assert not patcher.is_monkey_patched(name), name
import socket, threading
assert socket.socket.__module__ == "socket", socket.socket.__module__
assert type(threading.Lock()).__module__ == "_thread"
"""


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_patched_by_eventlet(module):
    done = subprocess.run(
        [sys.executable, "-c", CHECK, module],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
