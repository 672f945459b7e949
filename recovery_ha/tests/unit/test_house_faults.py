"""The table of faults names every scenario, and every test in it exists."""

import pathlib
import re

import pytest

import recovery_ha

PACKAGE = pathlib.Path(recovery_ha.__file__).parent
TABLE = PACKAGE.parent / "doc" / "source" / "admin" / "faults.rst"
TESTS = PACKAGE / "tests"
#: What this release is tested with.
FAULTS = {
    f"F{number:02}"
    for number in (
        *range(1, 29),
        32,
        33,
        35,
        36,
        37,
        42,
        43,
        44,
        45,
        46,
        47,
        48,
        49,
        50,
        51,
        52,
    )
}


@pytest.fixture(scope="module")
def rows():
    """Return the named tests by fault."""
    parts = re.split(
        r"^   \* - (F\d\d)$", TABLE.read_text(), flags=re.MULTILINE
    )[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {
        fault: set(re.findall(r"``(test_\w+)``", text))
        for fault, text in pairs
    }


def names_below(directory):
    """Return the names of all tests below a directory."""
    texts = [path.read_text() for path in directory.rglob("test_*.py")]
    return set(
        re.findall(r"^def (test_\w+)", "\n".join(texts), flags=re.MULTILINE)
    )


def test_every_fault_is_in_the_table(rows):
    assert set(rows) == FAULTS
    assert all(rows.values())


def test_every_named_test_exists(rows):
    named = set().union(*rows.values())
    assert named <= names_below(TESTS)


def test_every_scenario_is_named(rows):
    for name in names_below(TESTS / "scenarios"):
        fault = re.match(r"test_f(\d\d)_", name)
        if fault is not None:
            assert any(name in rows[f] for f in rows), name
            found = {f for f in rows if name in rows[f]}
            assert f"F{fault[1]}" in found, name


def test_every_scenario_says_which_fault_it_is():
    for path in (TESTS / "scenarios").glob("test_*.py"):
        for name, said in re.findall(
            r'^def (test_f\d\d_\w+)\([^)]*\):\n    """(.*)$',
            path.read_text(),
            flags=re.MULTILINE,
        ):
            assert name[5:8].upper() in said, name
