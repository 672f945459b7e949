"""The house around the code: files that have to agree with each other."""

import configparser
import importlib.metadata
import pathlib
import re
import subprocess
import sys

import pytest

import recovery_ha
from recovery_ha import opts

ROOT = pathlib.Path(recovery_ha.__file__).parents[1]
LONGEST_MODULE = 500
#: It is copied to where nothing else of the package is.
ONE_FILE = "recovery_ha/reporter.py"
OPTIONS = {
    (group, option.dest): option
    for group, found in opts.list_all_opts()
    for option in found
}


def section(name):
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return {
        key: [line for line in value.split("\n") if line]
        for key, value in setup[name].items()
    }


def requirements(name):
    lines = (ROOT / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def modules():
    return [
        path
        for folder in (
            *("recovery_ha", "contrib", "doc", ".ci", "benchmarks", "tools"),
        )
        for path in (ROOT / folder).rglob("*.py")
    ]


def test_no_module_is_too_long():
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in modules()
    }
    assert lengths
    lengths.pop(ONE_FILE)
    long = {p: n for p, n in lengths.items() if n > LONGEST_MODULE}
    assert long == {}


ENTRY_POINTS = [
    line for lines in section("entry_points").values() for line in lines
]


@pytest.mark.parametrize("line", ENTRY_POINTS)
def test_every_entry_point_leads_somewhere(line):
    _name, _, target = line.partition(" = ")
    module, _, attribute = target.partition(":")
    # In a process of its own: commands choose a threading backend.
    subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-c"),
            f"import recovery_ha.cmd; from {module} import {attribute}",
        ],
        check=True,
        capture_output=True,
    )


def test_nothing_is_imported_that_is_not_required():
    """Each third-party module the package imports is in requirements.txt."""
    distributions = importlib.metadata.packages_distributions()
    known = {
        re.split(r"[^\w.-]", line)[0].lower().replace("_", "-")
        for line in requirements("requirements.txt")
    }
    statement = re.compile(r"^(?:from|import) (\w+)(?:[.\w]*)", re.MULTILINE)
    missing = {}
    for path in (ROOT / "recovery_ha").rglob("*.py"):
        if "tests" in path.parts:
            continue
        for name in statement.findall(path.read_text()):
            owners = {
                owner.lower().replace("_", "-")
                for owner in distributions.get(name, ())
            }
            if owners and not owners & {*known, "recovery-ha"}:
                missing[name] = str(path.relative_to(ROOT))
    assert missing == {}


@pytest.mark.parametrize("name", ["requirements.txt", "test-requirements.txt"])
def test_requirements_have_one_line_each(name):
    names = [
        re.split(r"[^\w.-]", line)[0].lower() for line in requirements(name)
    ]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("shell", "name"),
    [
        ("bash", ".ci/run"),
        ("sh", "tools/make-venv"),
        ("sh", "tools/pbr-version"),
    ],
)
def test_scripts_are_valid(shell, name):
    subprocess.run([shell, "-n", ROOT / name], check=True)
    assert (ROOT / name).stat().st_mode & 0o100


def test_the_lint_gate_fetches_nothing():
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    assert set(re.findall(r"- repo: (\S+)", text)) == {"local"}
    assert set(re.findall(r"language: (\S+)", text)) == {"system"}


def test_one_gate_and_one_test_command_everywhere():
    gate = "pre-commit run --all-files"
    for name in (".ci/run", "Makefile", "tox.ini"):
        assert gate in (ROOT / name).read_text(), name
    tests = "python -m pytest -n 4 --dist worksteal"
    for name in (".ci/run", "Makefile", "tox.ini", "README.md"):
        assert tests in (ROOT / name).read_text(), name


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(name):
    text = (ROOT / name).read_text()
    targets = [
        *re.findall(r"\]\(([^)#:]+)[^)]*\)", text),
        *re.findall(r"`(doc/source/[\w./-]+)`", text),
    ]
    assert targets
    assert [t for t in targets if not (ROOT / t).exists()] == []


def test_readme_table_tells_the_defaults():
    rows = re.findall(
        r"^\| `\[(\w+)\] (\w+)` \| `([^`]*)` \|",
        (ROOT / "README.md").read_text(),
        re.MULTILINE,
    )
    assert rows
    for group, name, default in rows:
        assert str(OPTIONS[group, name].default) == default, name


def test_page_on_limits_tells_the_defaults():
    rows = re.findall(
        r"^   \* - ``\[(\w+)\] (\w+)``\n     - (\d+)(?: s)?\n",
        (ROOT / "doc/source/admin/limits.rst").read_text(),
        re.MULTILINE,
    )
    assert len(rows) > 5
    for group, name, default in rows:
        assert str(OPTIONS[group, name].default) == default, name


def test_readme_names_every_make_target():
    text = (ROOT / "Makefile").read_text()
    (targets,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    for target in {*targets.split()} - {"help", "clean"}:
        assert f"make {target}" in (ROOT / "README.md").read_text()


def test_pbr_version_is_said_where_git_does_not_know(tmp_path):
    (tmp_path / "tools").mkdir()
    script = tmp_path / "tools" / "pbr-version"
    script.write_bytes((ROOT / "tools" / "pbr-version").read_bytes())

    def told():
        return subprocess.run(
            ["sh", script], check=True, capture_output=True, text=True
        ).stdout

    assert re.fullmatch(r"\d+\.\d+\.\d+\n", told())
    (tmp_path / "PKG-INFO").touch()
    assert told() == ""
