"""The plug-in of .ci/run: a skip whose service answers is a failure."""

import pathlib
import socket
import subprocess
import sys

import pytest

import recovery_ha

ROOT = pathlib.Path(recovery_ha.__file__).parents[1]

SKIPPING = """\
import pytest

def test_database():
    pytest.skip("no mysql server: access denied")

@pytest.mark.skip(reason="no RabbitMQ here")
def test_queue():
    pass

def test_other():
    pytest.skip("no cloud")

def test_fine():
    pass
"""
MODULE = 'import pytest\npytest.skip("mysql", allow_module_level=True)\n'


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def run(directory, mysql, rabbit):
    return subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "answering_services"),
            *("-p", "no:cacheprovider", "-c", "/dev/null", directory),
        ],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        env={
            "PYTHONPATH": str(ROOT / ".ci"),
            "RECOVERY_HA_TEST_MYSQL_URL": f"mysql://root@127.0.0.1:{mysql}/",
            "RECOVERY_HA_TEST_RABBIT_URL": f"rabbit://127.0.0.1:{rabbit}/",
        },
    )


def test_a_skip_whose_service_answers_fails(tmp_path, port, closed):
    (tmp_path / "test_it.py").write_text(SKIPPING)
    done = run(tmp_path, mysql=port, rabbit=closed)
    assert done.returncode == 1
    assert "Skipped although MariaDB answers" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert "1 failed, 1 passed, 2 skipped" in last


def test_a_skipped_module_whose_service_answers_fails(tmp_path, port, closed):
    (tmp_path / "test_it.py").write_text(MODULE)
    assert run(tmp_path, mysql=port, rabbit=closed).returncode != 0


def test_skips_without_a_service_are_fine(tmp_path, closed):
    (tmp_path / "test_it.py").write_text(SKIPPING)
    done = run(tmp_path, mysql=closed, rabbit=closed)
    assert done.returncode == 0
    assert "1 passed, 3 skipped" in done.stdout.splitlines()[-1]
