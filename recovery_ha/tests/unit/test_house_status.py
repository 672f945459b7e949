"""``recovery-ha-status upgrade check``: each check, and the exit status."""

import subprocess
import sys

import pytest

from recovery_ha.conf import new_config
from recovery_ha.db import migration
from recovery_ha.db.session import Database

NOVA = """\
[nova]
auth_type = password
auth_url = http://127.0.0.1:9/v3
username = somebody
password = secret
project_name = service
"""


QUEUE = "[DEFAULT]\ntransport_url = rabbit://a:b@127.0.0.1:9/\n"
KEYSTONE = NOVA.replace("nova", "keystone_authtoken")
REST = f"{QUEUE}{NOVA}{KEYSTONE}"


@pytest.fixture
def check(tmp_path):
    """Return a function that runs the checks on some configuration."""

    def check(*texts, words=("upgrade", "check")):
        config = tmp_path / "recovery-ha.conf"
        config.write_text("\n".join(texts))
        done = subprocess.run(
            [
                *(sys.executable, "-W", "ignore"),
                *("-m", "recovery_ha.cmd.status"),
                *("--config-file", config, *words),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        text = " ".join(done.stdout.replace("|", " ").split())
        text = text.replace("- ", "-")  # lines are broken at hyphens too
        results = {}
        for part in text.split("Check: ")[1:]:
            name, _, rest = part.partition(" Result: ")
            result, _, details = rest.partition(" Details: ")
            results[name] = (result, details)
        return done.returncode, results, done.stderr

    return check


@pytest.fixture
def synced(tmp_path):
    """Return the configuration of a database with all tables."""
    url = f"sqlite:///{tmp_path}/recovery_ha.sqlite"
    conf = new_config([], default_config_files=[])
    conf.set_override("connection", url, "database")
    database = Database(conf)
    migration.upgrade(database)
    database.dispose()
    return f"[database]\nconnection = {url}\n"


def test_all_is_well(check, synced):
    code, results, _errors = check(synced, REST)
    assert {result for result, _details in results.values()} == {"Success"}
    assert code == 0
    assert migration.head() in results["Database"][1]
    assert len(results) == 9


def test_nothing_is_configured(check):
    code, results, _errors = check("")
    assert code == 2
    assert results["Database"][0] == "Failure"
    assert "[database] connection is not set" in results["Database"][1]
    assert results["Nova credentials"][0] == "Failure"
    assert "auth_type" in results["Nova credentials"][1]


def test_the_database_was_never_synced(check, tmp_path):
    url = f"sqlite:///{tmp_path}/empty.sqlite"
    code, results, _errors = check(f"[database]\nconnection = {url}", NOVA)
    assert code == 2
    assert "recovery-ha-manage db sync" in results["Database"][1]


def test_a_required_part_of_the_credentials_is_missing(check, synced):
    code, results, _errors = check(
        synced, NOVA.replace("auth_url = http://127.0.0.1:9/v3", "")
    )
    assert code == 2
    assert results["Nova credentials"][0] == "Failure"
    assert "auth_url" in results["Nova credentials"][1]


def test_the_credentials_for_keystone_are_missing(check, synced):
    code, results, _errors = check(synced, QUEUE, NOVA)
    assert code == 2
    assert results["Keystone"][0] == "Failure"
    assert (
        "[keystone_authtoken] auth_type is not set" in results["Keystone"][1]
    )
    code, results, _errors = check(
        synced, QUEUE, NOVA, "[api]\nauth_strategy = noauth"
    )
    assert results["Keystone"][0] == "Success"
    assert code == 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("transport_url = fake://", "stays inside one process"),
        ("", "transport_url is not set"),
    ],
)
def test_a_message_queue_that_nobody_shares(check, synced, line, said):
    code, results, _errors = check(
        synced, f"[DEFAULT]\n{line}", NOVA, KEYSTONE
    )
    assert code == 1
    result, details = results["Message queue"]
    assert result == "Warning"
    assert said in details
    assert "Set transport_url = rabbit://" in details


def test_options_of_masakari_that_nobody_reads(check, synced):
    code, results, _errors = check(
        synced,
        REST,
        "[DEFAULT]\nos_privileged_user_name = masakari",
        "[coordination]\nbackend_url = etcd3://127.0.0.1",
    )
    assert code == 1
    result, details = results["Leftovers"]
    assert result == "Warning"
    assert "os_privileged_user_name of Masakari is not read" in details
    assert "[coordination] of Masakari is not read" in details


def test_rules_that_nothing_looks_at(check, synced, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        '"operators": "role:operator"\n'
        '"os_masakari_api:segments:index": "rule:operators"\n'
        '"os_masakari_api:segment:index": "role:member"\n'
    )
    code, results, _errors = check(
        synced, REST, f"[oslo_policy]\npolicy_file = {policy}"
    )
    assert code == 1
    result, details = results["Policy"]
    assert result == "Warning"
    assert "os_masakari_api:segment:index" in details
    assert "operators" not in details


def test_the_policy_file_is_json(check, synced, tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"admin_api": "role:boss"}')
    code, results, _errors = check(
        synced, REST, f"[oslo_policy]\npolicy_file = {policy}"
    )
    assert code == 2
    assert results["Policy file is not JSON"][0] == "Failure"


def test_the_policy_file_is_broken(check, synced, tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text('"admin_api": "role:boss"\n  - nonsense: [\n')
    code, results, _errors = check(
        synced, REST, f"[oslo_policy]\npolicy_file = {policy}"
    )
    assert code == 2
    assert results["Policy"][0] == "Failure"
    assert "policy.yaml" in results["Policy"][1]


def test_a_flow_names_an_unknown_task(check, synced):
    code, results, _errors = check(
        synced,
        REST,
        "[taskflow_driver_recovery_flows]\n"
        "host_auto_failure_recovery_tasks = main:['no_such_task']",
    )
    assert code == 2
    assert "no_such_task" in results["Recovery flows"][1]


def test_a_value_that_its_option_does_not_take(check, synced):
    code, results, _errors = check(synced, NOVA, "[engine]\nworkers = many")
    assert code == 2
    assert results["Options"][0] == "Failure"
    assert "workers" in results["Options"][1]


def test_the_checks_cannot_be_made(check, synced):
    words = ("--config-file", "/nowhere.conf", "upgrade", "check")
    code, results, errors = check(synced, NOVA, words=words)
    assert code == 255
    assert results == {}
    assert "/nowhere.conf" in errors
    assert len(errors.splitlines()) == 1


def test_no_command_is_given(check):
    code, _results, errors = check("", words=())
    assert code == 2  # argparse's, as with every command
    assert "usage: recovery-ha-status" in errors
