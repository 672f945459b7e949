import os
import subprocess
import sys

import pytest

from recovery_ha import policies, policy
from recovery_ha.conf import new_config
from recovery_ha.context import RequestContext
from recovery_ha.domain import errors

RULE = "os_masakari_api:segments:index"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "recovery-ha.conf").write_text("")
    return tmp_path


@pytest.fixture
def conf(folder):
    return new_config(
        [], default_config_files=[str(folder / "recovery-ha.conf")]
    )


@pytest.fixture
def look_at_once(monkeypatch):
    monkeypatch.setattr(policy, "_LOOK_SECONDS", 0.0)


def caller(*roles, **more):
    return RequestContext(
        None, roles=list(roles), **{"is_admin": False, **more}
    )


def test_names_of_masakari_are_all_there():
    names = {rule.name for rule in policies.list_rules()}
    crud = ("index", "detail", "create", "update", "delete", "discoverable")
    groups = {
        "segments": crud,
        "os-hosts": crud,
        "notifications": ("index", "detail", "create", "discoverable"),
        "vmoves": ("index", "detail", "discoverable"),
        "extensions": ("index", "detail", "discoverable"),
        "versions": ("index", "discoverable"),
    }
    for group, verbs in groups.items():
        for verb in verbs:
            assert f"os_masakari_api:{group}:{verb}" in names
    assert {"context_is_admin", "admin_api", "admin_or_owner"} <= names


def test_each_rule_is_described():
    for rule in policies.list_rules():
        assert rule.description
        assert rule.description.endswith(".")


def test_refusal_names_the_rule(conf):
    rules = policy.Policy(conf)
    with pytest.raises(errors.Forbidden, match=RULE):
        rules.authorize(caller("member"), RULE)
    rules.authorize(caller("member", is_admin=True), RULE)


def test_unknown_rule_is_a_mistake_of_ours(conf):
    with pytest.raises(Exception, match="nothing"):
        policy.Policy(conf).check(caller("admin", is_admin=True), "nothing")


@pytest.mark.usefixtures("look_at_once")
def test_file_overrides_and_is_read_again_when_it_changes(folder, conf):
    rules = policy.Policy(conf)
    assert not rules.check(caller("member"), RULE)

    (folder / "policy.yaml").write_text(f'"{RULE}": "role:member"\n')
    assert rules.check(caller("member"), RULE)
    assert not rules.check(caller("service"), RULE)

    (folder / "policy.d").mkdir()
    (folder / "policy.d" / "a.yaml").write_text(f'"{RULE}": "role:reader"\n')
    assert rules.check(caller("reader"), RULE)

    (folder / "policy.d" / "a.yaml").unlink()
    (folder / "policy.yaml").unlink()
    assert not rules.check(caller("member"), RULE)
    assert rules.check(caller("service"), RULE)


@pytest.mark.usefixtures("look_at_once")
def test_broken_file_leaves_the_rules_of_before_in_force(folder, conf, caplog):
    (folder / "policy.yaml").write_text(f'"{RULE}": "role:member"\n')
    rules = policy.Policy(conf)
    (folder / "policy.yaml").write_text("{")

    assert rules.check(caller("member"), RULE)
    assert "policy.yaml cannot be used" in caplog.text


def test_broken_file_is_refused_at_the_start(folder, conf):
    (folder / "policy.yaml").write_text("{")
    with pytest.raises(errors.InvalidConfiguration, match=r"policy\.yaml"):
        policy.Policy(conf)


def test_files_are_not_looked_at_for_each_question(conf, monkeypatch):
    rules = policy.Policy(conf)

    def fail(_conf):
        raise AssertionError("looked")

    monkeypatch.setattr(policy, "_state_of_files", fail)
    for _turn in range(100):
        rules.check(caller("member"), RULE)


def test_rule_that_asks_others_is_asked_each_time(folder, conf, monkeypatch):
    (folder / "policy.yaml").write_text(f'"{RULE}": "http://127.0.0.1:1/"\n')
    asked = []
    monkeypatch.setattr(
        "oslo_policy._external.HttpCheck.__call__",
        lambda *_args, **_more: asked.append(1) or len(asked) == 1,
    )
    rules = policy.Policy(conf)
    assert rules.check(caller("member"), RULE)
    assert not rules.check(caller("member"), RULE)


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("oslopolicy-sample-generator", ["--namespace", "recovery_ha"]),
        ("oslopolicy-policy-generator", ["--namespace=recovery_ha"]),
        ("oslopolicy-list-redundant", ["--namespace", "recovery_ha"]),
    ],
)
def test_tools_of_oslo_policy(folder, tool, words):
    (folder / "policy.yaml").write_text(f'"{RULE}": "role:member"\n')
    program = os.path.join(os.path.dirname(sys.executable), tool)  # noqa: PTH118, PTH120
    done = subprocess.run(
        [program, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr
    if "redundant" not in tool:
        assert RULE in done.stdout


def test_enforcer_of_the_entry_point_reads_our_configuration(
    folder, monkeypatch
):
    (folder / "policy.yaml").write_text(f'"{RULE}": "role:member"\n')
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "oslopolicy-policy-generator",
            "--namespace",
            "recovery_ha",
            "--config-file",
            str(folder / "recovery-ha.conf"),
            "--output-file=x",
        ],
    )
    enforcer = policy.get_enforcer()
    enforcer.load_rules()
    assert str(enforcer.rules[RULE]) == "role:member"
