import ast
import itertools
import json
import pathlib
import sys
import textwrap

import pytest

from recovery_ha import reporter
from recovery_ha.reporter import ReporterError
from recovery_ha.tests.fixtures.ledger_api import (
    all_ready,
    url_of,
    write_tasks,
)
from recovery_ha.tests.fixtures.site import quick_simulator
from recovery_ha.tests.fixtures.waiting import eventually

SOURCE = pathlib.Path(reporter.__file__)
ROOT = SOURCE.parents[1]


def files(tmp_path, pattern="*"):
    return sorted((tmp_path / "spool").glob(pattern))


# What is sent


def test_a_run_is_created_reported_and_ended(api, report, tmp_path):
    with report(
        name="deploy", cluster_id=7, dry_run=True, graph_type="default"
    ) as run:
        run.task("node-1", "install", "running")
        run.task(
            "node-1",
            "install",
            "error",
            message="No room.",
            summary={"rc": 1},
            custom={"disk": "full"},
            attempt=1,
            step_name="base",
        )
    found = api.run("one")
    assert found.created == {
        "name": "deploy",
        "kind": "deployment",
        "reporter": "ours",
        "external_id": "one",
        "cluster_id": 7,
        "dry_run": True,
        "graph_type": "default",
        "lease_seconds": 60,
    }
    row = found.rows["node-1", "install", 1]
    assert {"No room.", "error", "base"} <= {*map(str, row.values())}
    assert (row["summary"], row["custom"]) == ({"rc": 1}, {"disk": "full"})
    assert found.end == {"status": "ready"}
    assert found.results == ["applied", "applied"]
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("raised", "end"),
    [
        (
            ValueError("That is wrong."),
            {"status": "error", "message": "ValueError: That is wrong."},
        ),
        (
            KeyboardInterrupt(),
            {
                "status": "error",
                "message": "KeyboardInterrupt",
                "outcome": "aborted",
            },
        ),
        (SystemExit(2), {"status": "error", "message": "SystemExit: 2"}),
        (SystemExit(0), {"status": "ready"}),
    ],
)
def test_what_is_raised_ends_the_run(api, report, raised, end):
    with pytest.raises(type(raised)), report():
        raise raised
    assert api.run("one").end == end


def test_a_run_can_be_ended_by_hand(api, report):
    with report() as run:
        run.end("error", "Three hosts failed.", result={"failed": 3})
        with pytest.raises(ReporterError, match="not open"):
            run.task("node-1", "install", "running")
    assert api.run("one").end == {
        "status": "error",
        "message": "Three hosts failed.",
        "result": {"failed": 3},
    }


def test_what_the_graph_does_not_have_blocks_nothing(api, report, caplog):
    declared = [{"task_name": "task-0", "nodes": ["node-1"]}]
    with report(tasks=declared, strict=False) as run:
        run.task("node-1", "other", "running")
        write_tasks(run, 1)
        run.task("node-1", "task-0", "skipped")
    assert "has refused 2 items" in caplog.text
    found = api.run("one")
    assert found.results == ["unknown", "applied", "applied", "illegal"]
    assert found.status("node-1", "task-0") == "ready"
    assert found.end == {"status": "ready"}
    assert "The graph has no such unit." in caplog.text


def test_an_item_that_has_a_report_refused_is_found(
    api, report, tmp_path, caplog
):
    with report(strict=False) as run:
        write_tasks(run, 100)
        run.task("node-1", "bad", "running", message=api.poison)
        write_tasks(run, 100, start=100)
    assert "has refused 1 items" in caplog.text
    assert all_ready(api.run("one"), 200)
    (kept,) = files(tmp_path)
    assert kept.suffix == ".bad"
    line = json.loads(kept.read_text())
    assert line["report"]["deployment_graph_task_name"] == "bad"


def test_reports_have_1000_items_and_100_kilobytes_at_most(
    api, report, network
):
    network.down()
    with report(url_of(network)) as run:
        write_tasks(run, 1200)
        run.task("node-1", "large", "running", summary={"x": "x" * 200_000})
        run.task("node-1", "long", "running", message="m" * 9000)
        network.up()
    bodies = [b["reports"] for _m, _p, b in api.requests if "reports" in b]
    assert max(map(len, bodies)) <= 1000
    assert max(len(json.dumps(b)) for b in bodies) < 110_000
    assert len(bodies) > 1
    assert [m for m, *_rest in api.requests if m == "PUT"] == ["PUT"]
    large = api.run("one").rows["node-1", "large", 1]
    assert large["summary"] == {"left_out": "too large"}
    assert len(api.run("one").rows["node-1", "long", 1]["message"]) == 4000


def test_a_silent_reporter_sends_heartbeats(api, report):
    with report(lease_seconds=1):
        eventually(
            lambda: api.runs and api.runs[0].heartbeats > 2, "heartbeats"
        )


def test_a_token_is_got_as_the_environment_says(api, report, monkeypatch):
    with quick_simulator() as simulator:
        for name, value in {
            "OS_AUTH_URL": simulator.auth_url,
            "OS_USERNAME": "service",
            "OS_PASSWORD": "secret",
            "OS_PROJECT_NAME": "service",
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
        }.items():
            monkeypatch.setenv(name, value)
        with report() as run:
            write_tasks(run, 1)
    assert all_ready(api.run("one"), 1)
    assert api.tokens
    assert api.tokens.isdisjoint({"", "notused"})


def test_the_endpoint_may_come_from_the_environment(api, report, monkeypatch):
    monkeypatch.setenv("OS_ENDPOINT_OVERRIDE", f"{api.url}/v1/")
    with report(None) as run:
        write_tasks(run, 1)
    assert api.tokens == {"notused"}


def test_the_example_of_the_guide(api, monkeypatch, tmp_path):
    page = ROOT / "doc/source/user/reporting.rst"
    block = page.read_text().partition(".. code-block:: python\n")[2]
    lines = itertools.takewhile(
        lambda line: not line or line.startswith("   "), block.splitlines()
    )
    monkeypatch.setenv("OS_ENDPOINT_OVERRIDE", api.url)
    monkeypatch.setenv("RECOVERY_HA_SPOOL", str(tmp_path))
    exec(textwrap.dedent("\n".join(lines)))  # noqa: S102 - it is our own
    run = api.run("build-1207")
    assert run.results == ["applied"] * 4
    assert run.status("node-2", "packages") == "ready"
    assert run.end == {"status": "ready"}


# The host


@pytest.mark.parametrize("strict", [True, False])
def test_errors_are_the_host_s_only_if_it_wants_them(
    report, tmp_path, caplog, strict
):
    (tmp_path / "spool").write_text("no directory")
    run = report(strict=strict)
    if strict:
        with pytest.raises(OSError, match="exists"):
            run.start()
        return
    with run:
        run.task("node-1", "install", "running")
        run.task("node-1", "install", "what?", summary={1: object()})
    assert "Not reported" in caplog.text


def test_a_login_that_is_not_told_keeps_the_items(
    api, report, tmp_path, monkeypatch, caplog
):
    with monkeypatch.context() as patch:
        patch.setenv("OS_AUTH_TYPE", "no-such-plug-in")
        with report(strict=False) as run:
            write_tasks(run, 1)
    assert "no-such-plug-in" in caplog.text
    assert len(files(tmp_path)) == 1
    assert reporter.replay(tmp_path / "spool") == 0
    assert all_ready(api.run("one"), 1)


def test_it_needs_keystoneauth_and_nothing_else():
    tree = ast.parse(SOURCE.read_text())
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module)
    roots = {name.partition(".")[0] for name in imported}
    assert roots - sys.stdlib_module_names == {"keystoneauth1"}
