"""Reports to the service itself, and what is in its database then."""

import json

import pytest
import sqlalchemy as sa

from recovery_ha.db import models
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.ledger_api import url_of, write_tasks
from recovery_ha.tests.fixtures.playbooks import Playbooks
from recovery_ha.tests.fixtures.proxy import Proxy
from recovery_ha.tests.fixtures.reporting import port_of

pytestmark = pytest.mark.timeout(600)

ON_ALL = pytest.mark.parametrize("backend", BACKENDS)
PLAY = """
- name: Deploy
  hosts: all
  tasks:
    - name: Fine
      ansible.builtin.ping:
    - name: Skipped
      ansible.builtin.debug:
      when: false
    - name: Ignored
      ansible.builtin.fail: {msg: This may fail.}
      ignore_errors: true
"""


@pytest.fixture
def network(site):
    with Proxy("127.0.0.1", port_of(site.api("api"))) as proxy:
        yield proxy


def run_of(site, external_id):
    with site.database.engine.connect() as conn:
        table = models.Transaction.__table__
        return conn.execute(
            sa.select(table).where(table.c.external_id == external_id)
        ).one()


def rows_of(site, run):
    table = models.DeploymentHistory.__table__
    with site.database.engine.connect() as conn:
        rows = conn.execute(sa.select(table).where(table.c.task_id == run.id))
        return {
            (r.node_id, r.deployment_graph_task_name, r.attempt): r
            for r in rows
        }


@ON_ALL
@pytest.mark.processes
def test_a_network_that_is_bad(site, network, report):
    network.lose_answers(b"/reports", 0.5)
    with report(url_of(network)) as run:
        for start in range(0, 500, 50):
            write_tasks(run, 50, start)
        network.down()
        write_tasks(run, 500, 500)
        network.up()
        run.task("node-1", "task-0", "running")
        run.task("node-1", "task-0", "error", message="It was well before.")
    found = run_of(site, "one")
    assert (found.status, found.kind) == ("ready", "deployment")
    rows = rows_of(site, found)
    again = rows.pop(("node-1", "task-0", 2))
    assert (again.status, again.message) == ("error", "It was well before.")
    assert len(rows) == 1000
    assert {r.status for r in rows.values()} == {"ready"}
    assert all(r.time_start <= r.time_end for r in rows.values())


@pytest.mark.processes
def test_a_declared_graph(site, network, report):
    graph = [{"task_name": f"task-{n}", "nodes": ["node-1"]} for n in range(3)]
    with report(url_of(network), tasks=graph, strict=False) as run:
        write_tasks(run, 2)
        run.task("node-1", "other", "running")
        run.end("error", "Somebody else's fault.", result={"failed": 1})
    found = run_of(site, "one")
    assert (found.status, found.message) == (
        "error",
        "Somebody else's fault.",
    )
    states = {
        name: r.status for (_, name, _), r in rows_of(site, found).items()
    }
    assert states == {
        "task-0": "ready",
        "task-1": "ready",
        "task-2": "skipped",
    }


@pytest.mark.processes
def test_a_playbook(site, network, tmp_path):
    playbooks = Playbooks(tmp_path / "playbooks", url_of(network))
    playbooks.write("site.yml", PLAY)
    _status, output = playbooks.play(
        "site.yml",
        env={
            "RECOVERY_HA_EXTERNAL_ID": "build-4",
            "RECOVERY_HA_START_DELAY": "600",
        },
    )
    assert "[WARNING]" not in output
    found = run_of(site, "build-4")
    assert (found.name, found.status) == ("site", "error")
    assert found.message == "Hosts: 1 unreachable (gone)"
    rows = rows_of(site, found)
    assert {
        (name, r.status)
        for (node, name, _attempt), r in rows.items()
        if node == "good-1"
    } == {
        ("Deploy : Fine", "ready"),
        ("Deploy : Skipped", "skipped"),
        ("Deploy : Ignored", "error"),
    }
    ignored = rows["good-2", "Deploy : Ignored", 1]
    assert ignored.message == "ignored: This may fail."
    assert json.dumps(ignored.custom) == '{"ignored": true}'
