"""The documentation says what the code says: all of it, and nothing else."""

import configparser
import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys

import pytest

import recovery_ha
from recovery_ha import microversion, opts, policies
from recovery_ha.api import errors as api_errors
from recovery_ha.conf import CUSTOM_FLOWS_FILE, recovery_flows
from recovery_ha.conf.recovery_flows import TaskLists
from recovery_ha.domain import errors, recovery
from recovery_ha.simulator import settings

ROOT = pathlib.Path(recovery_ha.__file__).parents[1]
SOURCE = ROOT / "doc" / "source"

# The first test of the module that runs builds all pages.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return a function that gives a page's text as readers see it."""
    out = tmp_path_factory.mktemp("text")
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "sphinx", "-W", "-q"),
            *("--keep-going", "-b", "text", "-d", out / "doctrees"),
            *(SOURCE, out / "pages"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    def page(name):
        return (out / "pages" / f"{name}.txt").read_text()

    return page


def words_of(text):
    return " ".join(text.replace('"', "").split())


def test_every_page_is_built_without_a_warning(built):
    for path in SOURCE.rglob("*.rst"):
        assert built(path.relative_to(SOURCE).with_suffix(""))


def test_the_api_reference_is_built_without_a_warning(tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "sphinx", "-W", "-q"),
            *("--keep-going", "-b", "html", ROOT / "api-ref" / "source"),
            tmp_path,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # where the documentation's link leads to
    assert (tmp_path / "index.html").is_file()


def test_every_option_is_documented(built):
    page = built("configuration/options")
    parts = re.split(r"\nrecovery_ha[.\w]*: (\S+)\n-+\n", page)
    groups = dict(zip(parts[1::2], parts[2::2], strict=True))
    missing = [
        f"[{group}] {option.name}"
        for group, options in opts.list_all_opts()
        for option in options
        if not re.search(
            rf"^{option.dest.replace('_', '[-_]')}$",
            groups.get(group, ""),
            re.MULTILINE,
        )
    ]
    assert missing == []
    assert [
        o.name for o in settings.OPTIONS if f'"{o.name}"' not in page
    ] == []


def test_options_that_pages_name_exist():
    known = {
        (group, option.dest)
        for group, options in [
            *opts.list_all_opts(),
            ("simulator", settings.OPTIONS),
        ]
        for option in options
    }
    # Groups that libraries have options in are theirs to name.
    groups = {group for group, _name in known} - {"DEFAULT", "database"}
    pattern = re.compile(r"\[(\w+)\]\s+(\w+)")
    unknown = [
        f"{path.name}: [{group}] {name}"
        for path in SOURCE.rglob("*.rst")
        for text in re.findall(r"``([^`]+)``", path.read_text())
        for group, name in pattern.findall(text)
        if group in groups and (group, name) not in known
    ]
    assert unknown == []


def test_every_policy_rule_is_documented(built):
    page = built("configuration/policy")
    rules = policies.list_rules()
    assert [rule.name for rule in rules if f'"{rule.name}"' not in page] == []


def test_every_error_code_is_documented(built):
    page = built("api/errors")
    kinds = [
        kind
        for module in (errors, api_errors)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, errors.RecoveryHAError)
    ]
    assert len(kinds) > 10
    assert [k.code for k in kinds if f'"{k.code}"' not in page] == []


def test_every_command_is_documented(built):
    page = built("cli/index")
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["entry_points"]["console_scripts"].split("\n")
    commands = [line.split(" = ")[0] for line in lines if line]
    assert commands
    assert [c for c in commands if f"\n{c}\n=" not in page] == []
    assert [c for c in commands if f"$ {c} --help\n" not in page] == []


@pytest.mark.parametrize(
    "command", ["recovery-ha-manage db purge", "recovery-ha-status"]
)
def test_help_texts_are_the_real_ones(built, command):
    name, *rest = command.split()
    (point,) = importlib.metadata.entry_points(
        group="console_scripts", name=name
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", point.module, *rest, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "79", "NO_COLOR": "1"},
    )
    assert words_of(done.stdout) in words_of(built("cli/index"))


@pytest.mark.parametrize("machine", [recovery.NOTIFICATION, recovery.VMOVE])
def test_state_machines_are_drawn_from_the_code(built, machine):
    page = built("user/concepts")
    assert words_of(machine.to_dot()) in words_of(page)
    for state, after in machine.moves.items():
        first = r" \(the first\)" if state == machine.initial else ""
        following = (
            ", ".join(f'"{s}"' for s in machine.moves if s in after)
            or "nothing: it has ended"
        )
        row = rf'\| "{state}"{first} +\| {re.escape(following)} '
        assert re.search(row, page), state
        # and a sentence by hand about each
        assert re.search(rf'\| "{state}" +\| [A-Z]', page), state


def test_every_microversion_has_its_section(built):
    page = built("api/versions")
    for version, sentence in microversion.MICROVERSIONS:
        assert re.search(rf"\n{version}\n[-=~]+\n", page), version
        assert words_of(sentence) in words_of(page)


def test_every_builtin_task_is_documented(built):
    page = built("configuration/recovery-flows")
    points = importlib.metadata.entry_points(
        group="recovery_ha.task_flow.tasks"
    )
    ours = [p for p in points if p.value.startswith("recovery_ha.")]
    assert ours
    assert [p.name for p in ours if f'"{p.name}"' not in page] == []


def test_the_samples_hold_every_option_and_rule(built):
    page = built("configuration/samples")
    missing = [
        f"[{group}] {option.dest}"
        for group, options in opts.list_all_opts()
        for option in options
        if f"#{option.dest} =" not in page
    ]
    assert missing == []
    assert "#auth_url = " in page.split("[nova]\n")[-1]
    for rule in policies.list_rules():
        assert f'#"{rule.name}": "{rule.check_str}"' in page


def test_the_flows_have_a_sample_of_their_own(built):
    page = built("configuration/samples")
    main, name, rest = page.partition(f"\n{CUSTOM_FLOWS_FILE}\n")
    flows = rest.partition("\npolicy.yaml\n")[0]
    assert name
    group = "[taskflow_driver_recovery_flows]\n"
    assert group not in main
    assert re.findall(r"^ *(\[\w+\])$", flows, re.MULTILINE) == [
        "[DEFAULT]",
        group.strip(),
    ]
    # The values are ones that the options take.
    found = dict(re.findall(r"^ *#(\w+) = (pre:.*)$", flows, re.MULTILINE))
    assert {name: TaskLists()(value) for name, value in found.items()} == {
        option.dest: TaskLists()(option.default)
        for option in recovery_flows.OPTS
    }
    assert len(found) == 4
