"""A pytest plug-in: whoever answers must be tested against.

A test that needs a database or a message queue skips itself where there is
none. This turns such a skip into a failure when something listens on the
service's usual port, or where its environment variable points: then the skip
means that the test's own set-up is broken.
"""

import os
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

#: Name: (what skip reasons call it, usual port, variable with its URL).
SERVICES = {
    "MariaDB": (r"mysql|mariadb", 3306, "RECOVERY_HA_TEST_MYSQL_URL"),
    "PostgreSQL": (r"postgres", 5432, "RECOVERY_HA_TEST_POSTGRESQL_URL"),
    "RabbitMQ": (r"rabbit|amqp", 5672, "RECOVERY_HA_TEST_RABBIT_URL"),
}


def _answers(port: int, variable: str) -> bool:
    url = urlsplit(os.environ.get(variable, ""))
    try:
        where = (url.hostname or "127.0.0.1", url.port or port)
        with socket.create_connection(where, timeout=2):
            return True
    except (OSError, ValueError):
        return False


def complaint(reason: str) -> str | None:
    """Return why a skip with that reason is a failure, or None."""
    for name, (words, port, variable) in SERVICES.items():
        if re.search(words, reason, re.IGNORECASE) and _answers(
            port, variable
        ):
            return f"Skipped although {name} answers: {reason}"
    return None


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr
    if isinstance(reason, tuple):
        reason = reason[2]
    found = complaint(f"{report.nodeid}: {reason}")
    if found:
        report.outcome = "failed"
        report.longrepr = found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Look at each test's outcome."""
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    """Look at modules that skip themselves as a whole."""
    report = yield
    _judge(report)
    return report
