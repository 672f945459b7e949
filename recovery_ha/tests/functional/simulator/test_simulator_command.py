"""The command recovery-ha-simulator as a process."""

import os
import signal
import subprocess
import sys

from recovery_ha.simulator.control_client import ControlClient

COMMAND = (
    sys.executable,
    # Libraries warn of things that no operator of the simulator can change.
    "-W",
    "ignore",
    "-m",
    "recovery_ha.cmd.simulator",
)


def test_starts_answers_and_ends(tmp_path):
    config = tmp_path / "simulator.conf"
    config.write_text("[simulator]\nrebuild_seconds = 9\ncomputes = 7\n")
    with subprocess.Popen(
        [
            *COMMAND,
            f"--config-file={config}",
            "--port=0",
            "--computes=2",
            "--servers-per-compute=3",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline()
            assert "with 2 compute hosts" in line
            url = line.split(" ready at ")[1].split()[0]
            assert "OS_AUTH_URL=" + url in process.stdout.readline()
            with ControlClient(url) as control:
                servers = [one["servers"] for one in control.computes()]
                assert [len(some) for some in servers] == [3, 3]
                assert control.settings()["rebuild_seconds"] == 9
                port = control.settings()["port"]
                assert port == 0
        finally:
            os.kill(process.pid, signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")


def test_a_port_in_use_is_one_clear_line(simulator):
    done = subprocess.run(
        [*COMMAND, f"--port={simulator.port}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert f"cannot listen on 127.0.0.1 port {simulator.port}" in line


def test_a_wrong_option_is_one_clear_line(tmp_path):
    config = tmp_path / "simulator.conf"
    config.write_text("[simulator]\nrebuild_seconds = -1\n")
    done = subprocess.run(
        [*COMMAND, f"--config-file={config}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert "rebuild_seconds" in line
