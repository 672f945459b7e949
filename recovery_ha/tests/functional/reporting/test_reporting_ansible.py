"""Real runs of ansible-playbook, where the service is not installed."""

import json
import signal
import subprocess

import pytest

from recovery_ha import reporter
from recovery_ha.tests.fixtures.playbooks import Playbooks
from recovery_ha.tests.fixtures.waiting import eventually

# The first of them makes an environment.
pytestmark = pytest.mark.timeout(600)

#: No task is said to run before it has ended.
PATIENT = {"RECOVERY_HA_START_DELAY": "600"}
EAGER = {"RECOVERY_HA_START_DELAY": "0"}
SECRET = "hidden-by-no-log"
ALL = """
- name: Deploy
  hosts: good
  tasks:
    - name: "Fine,\tand  well "
      ansible.builtin.debug: {msg: not recorded}
    - name: Changed
      ansible.builtin.command: "true"
    - name: Skipped
      ansible.builtin.debug:
      when: false
    - name: Twice
      ansible.builtin.debug:
    - name: Twice
      ansible.builtin.debug:
    - name: Ignored
      ansible.builtin.fail: {msg: This may fail.}
      ignore_errors: true
    - name: Loop
      ansible.builtin.debug: {msg: "{{ item }}"}
      loop: [1, 2, 3]
      changed_when: item == 2
      when: item != 3
    - name: Loop that fails
      ansible.builtin.fail: {msg: "No {{ item }}."}
      loop: [luck, hope]
      ignore_errors: true
    - name: Loop that is skipped
      ansible.builtin.debug:
      loop: [1, 2]
      when: false
    - name: Loop over nothing
      ansible.builtin.debug:
      loop: []
    - name: Secret
      ansible.builtin.command: "echo {{ secret }}"
      no_log: true
    - name: Secret that fails
      ansible.builtin.fail: {msg: "{{ secret }}"}
      no_log: true
      ignore_errors: true
    - name: Secret loop
      ansible.builtin.fail: {msg: "{{ item }}"}
      loop: ["{{ secret }}"]
      no_log: true
      ignore_errors: true
    - name: Loop with a secret
      ansible.builtin.fail: {msg: "{{ item }}"}
      loop: [public, "{{ secret }}"]
      no_log: "{{ item == secret }}"
      ignore_errors: true
    - name: Include
      ansible.builtin.include_tasks: included.yml
      loop: [1, 2]
    - block:
        - name: Broken
          ansible.builtin.fail: {msg: It broke.}
      rescue:
        - name: Rescue
          ansible.builtin.debug:
      always:
        - name: Always
          ansible.builtin.debug:
          changed_when: true
          notify: Handler
    - ansible.builtin.meta: flush_handlers
    - name: Retried
      ansible.builtin.command: "false"
      retries: 2
      delay: 0
      until: false
      changed_when: true
      ignore_errors: true
      notify: Handler
    - name: Notifying
      ansible.builtin.debug:
      changed_when: true
      notify: Handler
    - name: Fails on one
      ansible.builtin.fail: {msg: Not here.}
      when: inventory_hostname == "good-2"
  handlers:
    - name: Handler
      ansible.builtin.debug:
- name: Deploy
  hosts: all
  strategy: free
  serial: 2
  roles: [tidy]
"""
INNER = """
- name: Inner
  ansible.builtin.debug:
"""
ROLE = """
- name: Tidy up
  ansible.builtin.command: "true"
- name: Last
  ansible.builtin.debug:
"""
BOTH = {
    "Deploy : Fine, and well": ("ready", None),
    "Deploy : Changed": ("ready", None),
    "Deploy : Skipped": ("skipped", "Conditional result was False"),
    "Deploy : Twice": ("ready", None),
    "Deploy : Twice #2": ("ready", None),
    "Deploy : Ignored": ("error", "ignored: This may fail."),
    "Deploy : Loop": ("ready", None),
    "Deploy : Loop that fails": (
        "error",
        "ignored: One or more items failed; luck: No luck.; hope: No hope.",
    ),
    "Deploy : Loop that is skipped": ("skipped", "All items skipped"),
    "Deploy : Loop over nothing": ("skipped", "No items in the list"),
    "Deploy : Secret": ("ready", None),
    "Deploy : Secret that fails": ("error", "ignored: no_log"),
    "Deploy : Secret loop": ("error", "ignored: no_log"),
    "Deploy : Loop with a secret": ("error", "ignored: no_log"),
    "Deploy : Include": ("ready", None),
    "Deploy : Inner": ("ready", None),
    "Deploy : Inner [2]": ("ready", None),
    "Deploy : Broken": ("error", "It broke."),
    "Deploy : Rescue": ("ready", None),
    "Deploy : Always": ("ready", None),
    "Deploy : Handler": ("ready", None),
    "Deploy : Retried": ("error", "ignored: non-zero return code"),
    "Deploy : Notifying": ("ready", None),
}


@pytest.fixture
def playbooks(api, tmp_path):
    return Playbooks(tmp_path / "playbooks", api.url)


def rows_of(run, host):
    return {
        f"{task}, attempt {attempt}" if attempt > 1 else task: (
            row["task_status"],
            row.get("message"),
        )
        for (node, task, attempt), row in run.rows.items()
        if node == host
    }


def summary(run, task, host="good-1"):
    found = dict(run.rows[host, task, 1]["summary"])
    assert found.pop("path").partition(":")[2].isdecimal()
    return found


def test_the_service_is_not_installed_there(playbooks):
    done = subprocess.run(
        [playbooks.environment / "bin" / "pip", "list", "--format=json"],
        check=True,
        capture_output=True,
        text=True,
    )
    names = {package["name"] for package in json.loads(done.stdout)}
    assert {"ansible-core", "keystoneauth1"} <= names
    assert not {n for n in names if n.startswith(("oslo", "recovery"))}


def test_every_kind_of_result(api, playbooks):
    playbooks.write("site.yml", ALL)
    playbooks.write("included.yml", INNER)
    playbooks.write("roles/tidy/tasks/main.yml", ROLE)
    status, output = playbooks.play(
        "site.yml",
        *("-e", f"secret={SECRET}"),
        env={
            "RECOVERY_HA_CLUSTER_ID": "7",
            "RECOVERY_HA_EXTERNAL_ID": "build-4",
            "RECOVERY_HA_RUN_NAME": "nightly",
            **PATIENT,
        },
    )
    assert status != 0, output
    assert "[WARNING]" not in output
    (run,) = api.runs
    assert run.created == {
        "kind": "deployment",
        "reporter": "ansible",
        "name": "nightly",
        "external_id": "build-4",
        "cluster_id": "7",
        "dry_run": False,
        "lease_seconds": 60,
    }
    assert set(run.results) == {"applied"}
    end = {
        "Deploy #2 : tidy : Tidy up": ("ready", None),
        "Deploy #2 : tidy : Last": ("ready", None),
    }
    assert rows_of(run, "good-1") == {
        **BOTH,
        "Deploy : Fails on one": ("skipped", "Conditional result was False"),
        "Deploy : Handler, attempt 2": ("ready", None),
        **end,
    }
    assert rows_of(run, "good-2") == {
        **BOTH,
        "Deploy : Fails on one": ("error", "Not here."),
    }
    ((name, (state, message)),) = rows_of(run, "gone").items()
    assert (name, state) == ("Deploy #2 : tidy : Tidy up", "error")
    assert "ssh" in message
    assert run.end["status"] == "error"
    assert run.end["message"] == (
        "Hosts: 1 failed (good-2), 1 unreachable (gone)"
    )
    assert run.end["result"]["ignored"] == 12
    assert {row["step_name"] for row in run.rows.values()} == {
        "Deploy",
        "Deploy #2",
    }
    loop = summary(run, "Deploy : Loop")
    assert loop["items"] == {"ok": 1, "changed": 1, "skipped": 1}
    assert summary(run, "Deploy : Retried")["attempts"] == 2
    assert summary(run, "Deploy : Secret loop")["items"] == {"hidden": 1}
    assert summary(run, "Deploy : Changed") == {
        "action": "ansible.builtin.command",
        "changed": True,
        "rc": 0,
    }
    assert run.rows["good-1", "Deploy : Ignored", 1]["custom"] == {
        "ignored": True
    }
    (gone,) = [r for (node, *_), r in run.rows.items() if node == "gone"]
    assert gone["custom"] == {"unreachable": True}
    everything = json.dumps([body for *_rest, body in api.requests])
    assert SECRET not in everything
    assert "not recorded" not in everything


QUICK = """
- hosts: good
  tasks:
    - name: Would change
      ansible.builtin.command: "true"
    - name: Fine
      ansible.builtin.debug:
"""


NOT_RUN = "Command would have run if not in check mode"


def test_check_mode_and_several_playbooks(api, playbooks):
    playbooks.write("one.yml", QUICK)
    playbooks.write("two.yml", QUICK.replace("good", "good-1"))
    status, output = playbooks.play(
        *("--check", "one.yml", "two.yml"),
        env={**PATIENT, "RECOVERY_HA_EXTERNAL_ID": "build"},
    )
    assert status == 0, output
    assert [r.created["name"] for r in api.runs] == ["one", "two"]
    first, second = api.run("build"), api.run("build-2")
    assert first.created["dry_run"]
    assert rows_of(first, "good-2") == {
        "good : Would change": ("skipped", NOT_RUN),
        "good : Fine": ("ready", None),
    }
    assert summary(first, "good : Fine")["check_mode"]
    assert first.end == {
        "status": "ready",
        "result": {"ok": 2, "skipped": 2},
    }
    assert second.end == {
        "status": "ready",
        "result": {"ok": 1, "skipped": 1},
    }


def test_what_was_said_to_run_is_not_said_to_be_skipped(api, playbooks):
    playbooks.write("one.yml", QUICK)
    status, output = playbooks.play("--check", "one.yml", env=EAGER)
    assert status == 0, output
    (run,) = api.runs
    assert set(run.results) == {"applied"}
    assert rows_of(run, "good-1") == {
        "good : Would change": ("ready", f"skipped: {NOT_RUN}"),
        "good : Fine": ("ready", None),
    }


def test_an_api_that_is_away_is_told_later(api, playbooks):
    playbooks.write("site.yml", QUICK)
    status, output = playbooks.play(
        "site.yml", env={"RECOVERY_HA_ENDPOINT": "http://127.0.0.1:1"}
    )
    assert status == 0, output
    assert "[WARNING]: recovery_ha: " in output
    assert "reporter.py replay" in output
    there = reporter.Api(None, api.url)
    assert reporter.replay(playbooks.spool, there) == 0
    (run,) = api.runs
    assert rows_of(run, "good-1") == {
        "good : Would change": ("ready", None),
        "good : Fine": ("ready", None),
    }
    assert run.end["status"] == "ready"


WAITS = """
- hosts: good-1
  tasks:
    - name: Waits
      ansible.builtin.wait_for: {path: "{{ playbook_dir }}/go-on"}
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_from_outside(api, playbooks, end):
    playbooks.write("site.yml", WAITS)
    with playbooks.start("site.yml", env=EAGER) as process:
        try:
            eventually(
                lambda: (
                    api.runs
                    and rows_of(api.runs[0], "good-1")
                    == {"good-1 : Waits": ("running", None)}
                ),
                "it is said to run",
                60,
            )
            process.send_signal(end)
            assert process.wait(60) != 0
            # A killed process's workers live on, and must not be waited for.
            assert reporter.replay(playbooks.spool) == 0
        finally:
            process.kill()
            playbooks.write("go-on", "")
    (run,) = api.runs
    if end is signal.SIGKILL:
        assert run.end is None  # that is what the lease is for
    else:
        assert run.end == {
            "status": "error",
            "message": "Ansible has ended before the playbook did.",
            "outcome": "aborted",
        }


def test_without_the_reporter_the_playbook_runs_on(api, playbooks):
    playbooks.write("site.yml", QUICK)
    (playbooks.directory / "reporter.py").unlink()
    status, output = playbooks.play("site.yml")
    assert status == 0, output
    assert "There is no reporter.py" in output
    assert api.runs == []
