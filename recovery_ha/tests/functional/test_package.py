"""What is shipped: an sdist and a wheel with every file in them.

Both are built from a tree without git, as from an archive of the source:
MANIFEST.in alone says what belongs to it.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

import recovery_ha

ROOT = pathlib.Path(recovery_ha.__file__).parents[1]
NOT_SOURCE = (
    ".git",
    ".tox",
    ".venv*",
    ".*_cache",
    ".hypothesis",
    ".coverage*",
    "__pycache__",
    "*.egg-info",
    "*.pyc",
    "*.sample",
    "AUTHORS",
    "ChangeLog",
    "RELEASENOTES.rst",
    "build",
    "cover",
    "dist",
)

pytestmark = pytest.mark.timeout(600)


def build(kind, source, out):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "build", "--no-isolation", f"--{kind}"),
            *("--outdir", out, source),
        ],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PBR_VERSION": "9.8.7"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Return a copy of the source tree that git knows nothing of."""
    tree = tmp_path_factory.mktemp("source") / "tree"
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    return tree


@pytest.fixture(scope="module")
def files(source):
    """Return the paths of all files of the source."""
    return {
        str(path.relative_to(source))
        for path in source.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def sdist(source, files, tmp_path_factory):
    """Return the unpacked sdist."""
    assert files
    out = tmp_path_factory.mktemp("sdist")
    build("sdist", source, out)
    (archive,) = out.glob("*.tar.gz")
    # The module's own command: the method's arguments differ by version.
    subprocess.run(
        [sys.executable, "-m", "tarfile", "-e", archive, out], check=True
    )
    return out / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """Return the path of the wheel that is built from the sdist."""
    out = tmp_path_factory.mktemp("wheel")
    build("wheel", sdist, out)
    (path,) = out.glob("*.whl")
    return path


def test_sdist_has_every_file(files, sdist):
    assert sdist.name == "recovery_ha-9.8.7"
    ours = files - {".gitignore"}
    assert sorted(f for f in ours if not (sdist / f).is_file()) == []


def test_wheel_has_every_file_of_the_package(files, wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {f for f in files if f.startswith("recovery_ha/")}
    assert {
        "recovery_ha/py.typed",
        "recovery_ha/rest_api_version_history.rst",
        "recovery_ha/db/migrations/script.py.mako",
        "recovery_ha/db/migrations/env.py",
        "recovery_ha/db/migrations/versions/0001_recovery_tables.py",
    } <= wanted
    assert sorted(wanted - names) == []
    others = {n.split("/")[0] for n in names}
    assert others == {"recovery_ha", "recovery_ha-9.8.7.dist-info"}


def test_wheel_says_what_it_needs(wheel):
    info = "recovery_ha-9.8.7.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(f"{info}/METADATA").decode()
        points = archive.read(f"{info}/entry_points.txt").decode()
    for line in (
        "Version: 9.8.7",
        "License: Apache-2.0",
        "Requires-Python: >=3.11",
        "Provides-Extra: mysql",
        "Provides-Extra: postgresql",
        "Description-Content-Type: text/markdown",
    ):
        assert line in metadata.splitlines(), line
    assert "# recovery_ha" in metadata
    assert "Requires-Dist: taskflow>=" in metadata
    for group in (
        "console_scripts",
        "oslo.config.opts",
        "oslo.policy.enforcer",
        "oslo.policy.policies",
        "recovery_ha.task_flow.tasks",
    ):
        assert f"[{group}]" in points


def test_wheel_runs(wheel, tmp_path):
    """The tables are made by what was installed, not by the source tree."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    config = tmp_path / "recovery-ha.conf"
    config.write_text(f"[database]\nconnection = sqlite:///{tmp_path}/db\n")
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "recovery_ha.cmd.manage"),
            *("--config-file", config, "db", "sync"),
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )
    assert "The database is at revision" in done.stdout
    where = subprocess.run(
        [
            sys.executable,
            "-c",
            "import recovery_ha; print(*recovery_ha.__path__)",
        ],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
    )
    assert where.stdout.strip() == str(tmp_path / "site" / "recovery_ha")
