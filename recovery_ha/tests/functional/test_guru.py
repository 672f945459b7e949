"""The Guru Meditation Report of real processes."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

from recovery_ha.tests.fixtures.processes import Daemon, write_config
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = pytest.mark.processes

READY = {
    "api": "Listening on",
    "engine": "works.",
    "standalone": "Serving http://",
}


@pytest.fixture
def start(migrated_url, tmp_path, backend):
    """Return a function that starts a program."""
    daemons = []

    def start(program, **options):
        groups = {
            "DEFAULT": {"transport_url": "fake://a:hunter2@nowhere/"},
            "api": {"auth_strategy": "noauth", "port": 0},
            "database": {"connection": migrated_url(backend)},
            "nova": {
                "auth_type": "password",
                "auth_url": "http://127.0.0.1:1/v3",
                "username": "service",
                "password": "hunter2",
            },
            "oslo_reports": options,
        }
        config = write_config(tmp_path / f"{program}.conf", groups)
        daemons.append(Daemon(program, program, config, ready=READY[program]))
        return daemons[-1].wait_ready()

    yield start
    for daemon in daemons:
        daemon.clean_up()


def catches(daemon, number):
    """Tell whether a process has a handler for a signal by now."""
    status = pathlib.Path(f"/proc/{daemon.pid}/status").read_text()
    (mask,) = re.findall(r"^SigCgt:\s*(\w+)$", status, re.MULTILINE)
    return bool(int(mask, 16) & 1 << number - 1)


def check(text):
    assert "Guru Meditation" in text
    assert "recovery_ha" in text
    assert "MainThread" in text or "Thread #" in text
    assert "Green Threads" not in text
    # The configuration is ours, and says no secret.
    assert "transport_url = ***" in text
    assert "connection = ***" in text
    assert "max_evacuations = " in text
    assert "hunter2" not in text


@pytest.mark.parametrize("program", READY)
def test_no_program_has_green_threads(program):
    look = (
        f"import recovery_ha.cmd.{program}, sys, threading;"
        "assert sys.modules['eventlet'] is None;"
        "assert 'eventlet.patcher' not in sys.modules;"
        "assert threading.Thread.__module__ == 'threading'"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", look], check=True)


@pytest.mark.parametrize("program", READY)
def test_a_signal_writes_one_and_all_goes_on(start, program):
    daemon = start(program)
    eventually(lambda: catches(daemon, signal.SIGTERM), "it can be stopped")
    for turn in (1, 2):
        os.kill(daemon.pid, signal.SIGUSR2)
        eventually(
            lambda n=turn: daemon.log.read_text().count("max_evac") == n,
            "the report is written",
        )
    check(daemon.log.read_text())
    daemon.terminate()
    assert daemon.wait_ended() == 0


def test_a_changed_file_writes_one_into_a_directory(start, tmp_path):
    trigger, reports = tmp_path / "trigger", tmp_path / "reports"
    trigger.touch()
    reports.mkdir()
    start("api", file_event_handler=trigger, log_dir=reports)

    def find():
        os.utime(trigger)
        found = list(reports.glob("recovery-ha-api_gurumeditation_*"))
        return found and found[0].read_text()

    check(eventually(find, "the report is written"))
