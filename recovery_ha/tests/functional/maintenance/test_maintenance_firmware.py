"""The example action of the documentation, installed and run by engines."""

import os
import pathlib

import pytest

import recovery_ha
from recovery_ha.conf import CUSTOM_FLOWS_FILE
from recovery_ha.domain.maintenance import (
    HostStatus,
    RunStatus,
    SessionAction,
    SessionState,
)
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.processes import write_config
from recovery_ha.tests.fixtures.sessions import QUICK
from recovery_ha.tests.fixtures.third_party import (
    forget_entry_points,
    install,
)

ROOT = pathlib.Path(recovery_ha.__file__).parents[1]
EXAMPLE = ROOT / "doc" / "examples" / "recovery_ha_firmware"
HOSTS = ["compute-1", "compute-2", "compute-3"]
FIRMWARE = ("firmware", "host", {"version": "2.1"})
every_backend = pytest.mark.parametrize("backend", BACKENDS)


@pytest.fixture(scope="session")
def installed_firmware(tmp_path_factory):
    """Install the example, once."""
    return install(EXAMPLE, tmp_path_factory.mktemp("firmware"))


@pytest.fixture
def firmware(site, installed_firmware, monkeypatch):
    """Have the example installed and configured; return its directory."""
    forget_entry_points(monkeypatch)
    monkeypatch.syspath_prepend(str(installed_firmware))
    monkeypatch.setenv(
        "PYTHONPATH", str(installed_firmware), prepend=os.pathsep
    )
    path = site.directory / "firmware"
    path.mkdir()
    write_config(
        site.directory / CUSTOM_FLOWS_FILE,
        {"recovery_ha_firmware": {"path": path, "restart_seconds": 5}},
    )
    return path


@pytest.fixture
def one_server(site, sessions):
    """A cloud with an instance, whose project replies."""
    site.servers("compute-1", 1, project_id="p-1")
    sessions.subscribe("p-1")
    sessions.answer()


def versions(firmware):
    return {
        host: (firmware / host).read_text()
        for host in HOSTS
        if (firmware / host).exists()
    }


def outputs(session):
    return {run.host: run.output for run in session.runs}


def test_every_host_gets_it(site, sessions, firmware, one_server):
    (firmware / "compute-2").write_text("2.1")
    (firmware / "compute-3").write_text("1.0")
    site.engine_here(**QUICK)
    uuid = sessions.create(*HOSTS, actions=[FIRMWARE])

    done = sessions.ended(uuid)

    assert done.state is SessionState.MAINTENANCE_DONE, done.message
    assert versions(firmware) == dict.fromkeys(HOSTS, "2.1")
    assert outputs(done) == {
        "compute-1": "compute-1 has version 2.1 now, None before.",
        "compute-2": "compute-2 has version 2.1 already.",
        "compute-3": "compute-3 has version 2.1 now, 1.0 before.",
    }
    assert "compute-1: Writing version 2.1" in sessions.said(uuid)


def test_one_that_fails_says_why_and_is_gone_on_with(
    site, sessions, firmware, one_server
):
    (firmware / "compute-2.broken").touch()
    site.engine_here(max_parallel_hosts=1, **QUICK)
    uuid = sessions.create(*HOSTS, actions=[FIRMWARE])

    failed = sessions.ended(uuid)

    assert failed.state is SessionState.MAINTENANCE_FAILED
    assert failed.message == (
        "Action firmware (host) failed on compute-2: The flash memory of"
        " compute-2 is broken."
    )
    assert {h.host: h.status for h in failed.hosts}["compute-2"] == (
        HostStatus.FAILED
    )
    assert outputs(failed)["compute-2"] == (
        "The flash memory of compute-2 is broken."
    )
    (firmware / "compute-2.broken").unlink()
    sessions.act(uuid, SessionAction.CONTINUE)
    sessions.until(uuid, SessionState.MAINTENANCE_DONE)
    assert versions(firmware) == dict.fromkeys(HOSTS, "2.1")
    attempts = {run.host: run.attempt for run in sessions.get(uuid).runs}
    assert attempts == {"compute-1": 1, "compute-2": 2, "compute-3": 1}


def test_what_the_session_says_is_checked(
    site, sessions, firmware, one_server
):
    site.engine_here(**QUICK)
    uuid = sessions.create(*HOSTS, actions=[("firmware", "pre", {})])
    failed = sessions.ended(uuid)
    assert failed.message == (
        "Action firmware (pre) failed on localhost: The metadata lacks the"
        " version."
    )


@pytest.mark.processes
@every_backend
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["flash", "restart"])
def test_killed_in_the_middle_another_engine_goes_on(
    site, sessions, firmware, one_server, name, when
):
    target = f"recovery_ha_firmware.firmware:Firmware.{name}"
    dying = site.engine(
        "dying",
        crash=("KILL", when, target, "2"),
        max_parallel_hosts=1,
        **QUICK,
    ).wait_ready()
    uuid = sessions.create(*HOSTS, actions=[FIRMWARE])
    dying.wait_ended()
    assert sessions.get(uuid).state is SessionState.START_MAINTENANCE
    site.engine("other", **QUICK).wait_ready()

    done = sessions.ended(uuid)

    assert done.state is SessionState.MAINTENANCE_DONE, done.message
    assert versions(firmware) == dict.fromkeys(HOSTS, "2.1")
    assert {run.status for run in done.runs} == {RunStatus.DONE}
    # that one has run twice, the others once
    assert sorted(run.attempt for run in done.runs) == [1, 1, 2]
    assert sessions.disabled() == {}
