"""The options of packages that have tasks of recovery flows.

In processes of their own: what is imported there is what counts.
"""

import os
import subprocess
import sys

import pytest

from recovery_ha.tests.fixtures.third_party import write_distribution

TASKS = "[recovery_ha.task_flow.tasks]\na_task = nobody_imports_this:Task\n"
OPTIONS = "[oslo.config.opts]\nparty = party:list_opts\n"
MODULE = """
from oslo_config import cfg

def list_opts():
    return [
        ("party", [cfg.IntOpt("guests", default=2)]),
        (None, [cfg.StrOpt("party_place", default="here")]),
        ("DEFAULT", [cfg.StrOpt("party_time", default="now")]),
    ]
"""
SHOW = """
import sys
import recovery_ha.cmd
from recovery_ha.cmd import start
from recovery_ha.conf import new_config

def main():
    conf = new_config(sys.argv[1:], default_config_files=[])
    if "party" in conf:
        print(conf.party.guests, conf.party_place, conf.party_time)
    print("party" in sys.modules)
    return 0

sys.exit(start.command(main)())
"""


@pytest.fixture
def show(tmp_path):
    """Return a function that reads options with a package installed."""

    def show(module, entry_points, *argv):
        directory = tmp_path / "site"
        write_distribution(directory, "party", module, entry_points)
        path = os.pathsep.join([str(directory), *filter(None, [_inherited()])])
        return subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SHOW, *argv],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )

    return show


def _inherited():
    return os.environ.get("PYTHONPATH", "")


def test_they_are_read_from_the_file(show, tmp_path):
    path = tmp_path / "main.conf"
    path.write_text("[DEFAULT]\nparty_time = noon\n[party]\nguests = 7\n")
    done = show(MODULE, TASKS + OPTIONS, "--config-file", str(path))
    assert done.stdout.splitlines() == ["7 here noon", "True"], done.stderr


def test_their_defaults_count(show):
    done = show(MODULE, TASKS + OPTIONS)
    assert done.stdout.splitlines() == ["2 here now", "True"], done.stderr


def test_a_package_without_tasks_is_not_imported(show):
    done = show("raise RuntimeError('imported')", OPTIONS)
    assert done.stdout.splitlines() == ["False"], done.stderr
    assert done.returncode == 0


def test_a_package_without_options_is_not_imported(show):
    done = show("raise RuntimeError('imported')", TASKS)
    assert done.stdout.splitlines() == ["False"], done.stderr


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ("", "AttributeError: "),
        ("def list_opts(): return 1 / 0", "ZeroDivisionError: division"),
        ("def list_opts(): return None", "TypeError: "),
        ("def list_opts(): return ['party']", "ValueError: "),
        ("def list_opts(): return [('party', ['guests'])]", "AttributeError"),
        (
            MODULE.replace("party", "engine").replace("guests", "workers"),
            "DuplicateOptError: duplicate option: workers",
        ),
    ],
)
def test_one_that_is_broken_is_named_in_one_line(show, module, said):
    done = show(module, TASKS + OPTIONS)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "The options of package party, which has tasks of recovery" in line
    assert f"cannot be registered: {said}" in line
