"""python-fuelclient 11.0.0, unchanged, against the service without tokens."""

import json
import os
import subprocess

import pytest
import yaml

from recovery_ha.api.server import Server
from recovery_ha.tests.fixtures.rest import Api
from recovery_ha.tests.fixtures.third_party import fuelclient

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),  # the client is installed first
    pytest.mark.parametrize("backend", ["sqlite"], indirect=True),
]


@pytest.fixture(scope="session")
def commands(tmp_path_factory):
    scratch = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        scratch = scratch.parent
    return fuelclient(scratch)


@pytest.fixture
def run(app, conf, commands, tmp_path):
    """Serve the API; give what runs a command of the client."""
    conf.set_override("port", 0, "api")
    server = Server(conf, app)
    server.start()
    settings = tmp_path / "settings.yml"
    settings.write_text(
        f"SERVER_ADDRESS: 127.0.0.1\nSERVER_PORT: {server.port}\n"
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "FUELCLIENT_CUSTOM_SETTINGS": str(settings),
        "COLUMNS": "200",
        "PYTHONWARNINGS": "ignore",
    }

    def run(*words):
        return subprocess.run(
            [commands / words[0], *words[1:]],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=environment,
        )

    yield run
    server.stop()


@pytest.fixture
def deployed(app):
    """Have a run with nodes 5, 6 and master; return its id."""
    api = Api(app)
    tasks = [
        {
            "task_name": "generate_keys",
            "nodes": ["master"],
            "type": "shell",
            "parameters": {"timeout": 60},
        },
        {
            "task_name": "swift-keystone",
            "nodes": ["5", "6", "1"],
            "type": "puppet",
            "requires": ["generate_keys"],
            "status": "faked",
            "node_id": "faked",
        },
        {"task_name": "nowhere", "nodes": [], "type": "puppet"},
    ]
    made = api.post(
        "/transactions",
        {
            "name": "deploy",
            "reporter": "tool",
            "external_id": "1",
            "cluster_id": 7,
            "graph_type": "default",
            "tasks": tasks,
        },
    ).json
    said = [
        ("master", "generate_keys", "running", 1457362143),
        ("master", "generate_keys", "ready", 1457362273),
        ("5", "swift-keystone", "running", 1457362146),
        ("5", "swift-keystone", "error", 1457362276),
        ("6", "swift-keystone", "running", 1457362147),
    ]
    answer = api.post(
        f"/transactions/{made['id']}/reports",
        {
            "reports": [
                {
                    "node_id": node,
                    "deployment_graph_task_name": name,
                    "task_status": status,
                    "time": time,
                    "summary": {"changed": 3},
                }
                for node, name, status, time in said
            ]
        },
    )
    assert {r["result"] for r in answer.json["reports"]} == {"applied"}
    return str(made["id"])


def ok(answer):
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def units(rows):
    return {(r["node_id"], r["task_name"], r["status"]) for r in rows}


KEYS = ("master", "generate_keys", "ready")
FIVE = ("5", "swift-keystone", "error")
SIX = ("6", "swift-keystone", "running")
ONE = ("1", "swift-keystone", "pending")
NOWHERE = ("-", "nowhere", "skipped")


def test_the_commands_of_the_specification(run, deployed):
    def old(*words):
        shown = ok(run("fuel", "--json", "deployment-tasks", *words))
        return units(json.loads(shown))

    def new(*words):
        shown = ok(run("fuel2", "task", "history", "show", *words))
        command = ("fuel2", "task", "history", "show", "-f", "json")
        found = units(json.loads(ok(run(*command, *words))))
        assert all(name in shown for _node, name, _status in found)
        return found

    task = ("--task-id", deployed)
    every = {KEYS, FIVE, SIX, ONE, NOWHERE}
    assert old(*task) == every
    assert old(*task, "--node-id", "5,6") == {FIVE, SIX}
    assert old(*task, "--status", "error,ready") == {KEYS, FIVE}
    both = ("--node-id", "5,6", "--status", "error,ready")
    assert old(*task, *both) == {FIVE}
    assert new(deployed) == every
    assert new(deployed, "--nodes", "5", "6") == {FIVE, SIX}
    assert new(deployed, "--statuses", "error", "ready") == {KEYS, FIVE}
    both = ("--nodes", "1", "2", "--statuses", "pending", "skipped")
    assert new(deployed, *both) == {ONE}
    assert new(deployed, "-d", "generate_keys") == {KEYS}
    table = ok(run("fuel", "deployment-tasks", *task, "--node", "5"))
    assert "task_name" in table
    assert "2016-03-07T14:51:16" in table


def test_parameters_and_summaries(run, deployed):
    command = ("fuel2", "task", "history", "show", deployed, "-f", "json")
    found = json.loads(ok(run(*command, "--include-summary", "-n", "5")))
    assert [row["summary"] for row in found] == [{"changed": 3}]

    (keys, nowhere, swift) = json.loads(ok(run(*command, "-p")))
    assert swift["task_name"] == "swift-keystone"
    assert swift["status_by_node"].splitlines() == [
        "5 - error - 2016-03-07T14:49:06 - 2016-03-07T14:51:16",
        "6 - running - 2016-03-07T14:49:07 - not ended",
        "1 - pending - not started - not ended",
    ]
    shown = yaml.safe_load(swift["task_parameters"])
    assert (shown["type"], shown["requires"]) == ("puppet", ["generate_keys"])
    assert set(shown) == {"id", "task_id", "type", "requires"}
    shown = yaml.safe_load(keys["task_parameters"])
    assert shown["parameters"] == {"timeout": 60}
    assert nowhere["status_by_node"].startswith("- - skipped - not started")


def test_tasks(run, deployed, app, tmp_path):
    command = ("fuel2", "task", "list", "-f", "json")
    (found,) = json.loads(ok(run(*command)))
    assert found["id"] == int(deployed)
    assert (found["status"], found["name"]) == ("running", "deploy")
    assert (found["cluster"], found["graph_type"]) == (7, "default")
    assert json.loads(ok(run(*command, "-e", "8"))) == []
    assert len(json.loads(ok(run(*command, "-e", "7")))) == 1
    assert json.loads(ok(run(*command, "-t", "ready", "error"))) == []
    assert len(json.loads(ok(run(*command, "-n", "deploy")))) == 1
    ok(run("fuel2", "task", "list"))

    shown = json.loads(
        ok(run("fuel2", "task", "show", deployed, *command[3:]))
    )
    assert (shown["id"], shown["progress"]) == (int(deployed), 60)
    missing = run("fuel2", "task", "show", "999")
    assert missing.returncode != 0
    assert "No transaction with id 999." in missing.stdout + missing.stderr

    for kind in ("settings", "deployment-info", "network-configuration"):
        ok(run("fuel2", "task", kind, "download", deployed))
    assert len(list(tmp_path.glob(f"*_{deployed}.yaml"))) == 3

    refused = run("fuel2", "task", "delete", deployed)
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    assert "You cannot delete running task manually" in said
    ok(run("fuel2", "task", "delete", "--force", deployed))
    assert Api(app).get("/tasks").json == []
    # Deleted, but never gone.
    assert len(json.loads(ok(run(*command)))) == 1
