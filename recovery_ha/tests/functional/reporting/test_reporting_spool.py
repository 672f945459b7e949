import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recovery_ha import reporter
from recovery_ha.reporter import NotDelivered, Reporter, ReporterError
from recovery_ha.tests.fixtures.ledger_api import (
    LedgerApi,
    all_ready,
    url_of,
    write_tasks,
)
from recovery_ha.tests.fixtures.waiting import eventually

SOURCE = pathlib.Path(reporter.__file__)
UNAVAILABLE = ("503 Service Unavailable", {})


def files(tmp_path, pattern="*"):
    return sorted((tmp_path / "spool").glob(pattern))


# When the API is away


FAULTS = st.lists(
    st.sampled_from(
        [
            UNAVAILABLE,
            ("500 Internal Server Error", {}),
            ("401 Unauthorized", {}),
            ("403 Forbidden", {}),
            ("429 Too Many Requests", {"Retry-After": "0"}),
            ("lost", {}),
            ("", {}),
        ]
    ),
    max_size=8,
)


@settings(max_examples=15, deadline=None)
@given(faults=FAULTS)
def test_nothing_is_lost_and_nothing_said_twice(faults):
    with (
        LedgerApi() as api,
        tempfile.TemporaryDirectory() as spool,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(reporter, "_delay", lambda *_: 0.001)
        api.faults = list(faults)
        with Reporter(
            endpoint=api.url,
            reporter="ours",
            name="deploy",
            external_id="one",
            spool=spool,
            close_seconds=60,
            strict=True,
        ) as run:
            write_tasks(run, 30)
        assert all_ready(api.run("one"), 30)
        assert api.run("one").end == {"status": "ready"}
        assert set(api.run("one").results) <= {"applied", "duplicate", "stale"}
        assert os.listdir(spool) == []  # noqa: PTH208


@pytest.mark.parametrize(
    ("failures", "retry_after", "least", "most"),
    [
        (1, 0, 0, 0),
        (1, 7, 7, 7),
        (2, 0, 0.5, 1),
        (3, 0, 1, 2),
        (3, 9, 9, 9),
        (50, 0, 15, 30),
    ],
)
def test_delays(failures, retry_after, least, most):
    assert least <= reporter._delay(failures, retry_after) <= most


def test_an_api_that_is_away_is_waited_for(api, report, network):
    network.down()
    with report(url_of(network)) as run:
        write_tasks(run, 5)
        eventually(lambda: network.connections, "it was tried")
        network.up()
        write_tasks(run, 5, start=5)
    assert all_ready(api.run("one"), 10)


def test_what_could_not_be_sent_is_sent_by_a_replay(
    api, report, network, tmp_path, monkeypatch, caplog
):
    network.down()
    with report(url_of(network), close_seconds=0.1, strict=False) as run:
        write_tasks(run, 5)
    assert "reporter.py replay" in caplog.text
    (kept,) = files(tmp_path)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    monkeypatch.setattr(reporter, "_delay", lambda *_: 0.0)
    assert reporter.main(["replay", str(kept.parent)]) == 1
    assert api.runs == []
    network.up()
    assert reporter.main(["replay", str(kept.parent)]) == 0
    assert all_ready(api.run("one"), 5)
    assert api.run("one").end == {"status": "ready"}
    assert files(tmp_path) == []


def test_the_next_run_sends_what_is_left(api, report, network, tmp_path):
    network.down()
    there = url_of(network)
    with pytest.raises(NotDelivered), report(there, close_seconds=0.1) as run:
        write_tasks(run, 5)
    # of another API: that is not to be told of this one's runs
    with report(external_id="elsewhere"):
        pass
    assert [r.created["external_id"] for r in api.runs] == ["elsewhere"]
    network.up()
    with report(there, external_id="next"):
        pass
    assert all_ready(api.run("one"), 5)
    assert api.run("one").end == api.run("next").end == {"status": "ready"}
    assert files(tmp_path) == []


def test_a_run_that_goes_on_counts_on(api, report):
    first, second = report(), report()
    first.start()
    first.task("node-1", "install", "running")
    first.close_seconds = 0
    with pytest.raises(ReporterError, match="in use"):
        second.start()
    with pytest.raises(NotDelivered):
        first.close()  # without an end
    second.start()
    second.task("node-1", "install", "ready")
    second.end("ready")
    second.close()
    assert api.run("one").results == ["applied", "applied"]
    assert len(api.runs) == 1


KILLED = """
import os, signal, sys
from reporter import Reporter

run = Reporter(
    endpoint=sys.argv[1], reporter="ours", name="deploy", external_id="killed",
    spool=sys.argv[2], strict=True, flush_seconds=float(sys.argv[3]),
)
run.start()
for number in range(500):
    run.task("node-1", f"task-{number}", "running")
    run.task("node-1", f"task-{number}", "ready")
if "ended" in sys.argv:
    run.end("ready")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("ended", ["ended", "not"])
@pytest.mark.parametrize("away", [True, False])
def test_a_killed_process_loses_nothing_it_has_said(
    api, report, network, tmp_path, away, ended
):
    shutil.copy(SOURCE, tmp_path)
    (tmp_path / "killed.py").write_text(KILLED)
    if away:
        network.down()
    there = url_of(network)
    spool = tmp_path / "spool"
    done = subprocess.run(
        [sys.executable, tmp_path / "killed.py", there, spool, "0", ended],
        check=False,
        cwd=tmp_path,
        timeout=60,
    )
    assert done.returncode == -signal.SIGKILL
    network.up()
    with report(there, external_id="next"):
        pass
    assert all_ready(api.run("killed"), 500)
    end = {"status": "ready"} if ended == "ended" else None
    assert api.run("killed").end == end
    assert files(tmp_path) == []


# The spool


def leave(report, network, count=3):
    """Have a run that could not be sent, and return its file."""
    network.down()
    run = report(url_of(network), close_seconds=0.05, strict=False)
    with run:
        write_tasks(run, count)
    network.up()
    return run._spool.path


def test_poisoned_lines_are_set_aside(api, report, network, tmp_path):
    path = leave(report, network)
    header, *rest = path.read_bytes().splitlines(keepends=True)
    bad = [b"{not json\n", b"[]\n", b"\xff\xfe\n", b'{"create": {}}\n']
    path.write_bytes(b"".join([header, *bad, *rest, b'{"report": {"torn']))
    assert reporter.replay(path.parent) == 0
    assert all_ready(api.run("one"), 3)
    assert api.run("one").end == {"status": "ready"}
    (kept,) = files(tmp_path)
    assert kept.read_bytes().splitlines(keepends=True) == [
        *bad,
    ]


def test_a_line_that_a_killed_process_left_unfinished(
    api, report, network, tmp_path
):
    path = leave(report, network)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:-1], b'{"report": {"torn']))
    with report(url_of(network), strict=False) as run:
        write_tasks(run, 1, start=3)
    assert all_ready(api.run("one"), 4)
    (kept,) = files(tmp_path)
    assert kept.read_bytes() == b'{"report": {"torn\n'


def test_a_file_that_is_no_run_s_stays(api, report, tmp_path, monkeypatch):
    monkeypatch.setattr(reporter, "_delay", lambda *_: 0.0)
    (tmp_path / "spool").mkdir()
    other = tmp_path / "spool" / "other.jsonl"
    other.write_text("what is this\n")
    with report():
        pass
    assert reporter.replay(other.parent, reporter.Api(None, api.url)) == 1
    assert other.read_text() == "what is this\n"


def test_a_run_that_the_api_refuses_is_set_aside(
    api, report, tmp_path, caplog
):
    api.faults = [("400 Bad Request", {})]
    with report(strict=False) as run:
        eventually(lambda: files(tmp_path, "*.bad"), "it is set aside")
        run.task("node-1", "install", "running")
    assert "Nothing of the run can be sent." in caplog.text
    (kept,) = files(tmp_path)
    assert '"create"' in kept.read_text()
    assert api.runs == []


def test_a_full_spool_is_said_once_and_stops_nobody(
    api, report, network, tmp_path, caplog
):
    network.down()
    with report(
        url_of(network), spool_bytes=5000, strict=False, close_seconds=30
    ) as run:
        write_tasks(run, 100)
        assert sum(f.stat().st_size for f in files(tmp_path)) <= 5000
        network.up()
    assert caplog.text.count("is full of what could not be sent") == 1
    assert "were never written down" in caplog.text
    assert api.run("one").end == {"status": "ready"}
    network.down()
    with (
        pytest.raises(reporter.SpoolFull),
        report(
            url_of(network), spool_bytes=5000, close_seconds=0, external_id="b"
        ) as run,
    ):
        write_tasks(run, 100)
    with pytest.raises(reporter.SpoolFull):
        report(spool_bytes=600, external_id="c").start()


def test_a_long_file_gives_back_its_room(
    api, report, network, tmp_path, monkeypatch
):
    monkeypatch.setattr(reporter, "_COMPACT_BYTES", 1000)
    monkeypatch.setattr(reporter, "_MOST_ITEMS", 50)
    path = leave(report, network, count=300)
    size = path.stat().st_size
    spool = reporter.Spool(path)
    delivery = reporter.Delivery(spool, reporter.Api(None, api.url))
    while path.stat().st_size == size:
        assert delivery.step()
    assert path.stat().st_size < size / 2 + 1000
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    spool.close()
    assert reporter.replay(path.parent) == 0
    assert all_ready(api.run("one"), 300)
    assert files(tmp_path) == []


def test_a_child_keeps_no_file_locked(api, report, network, tmp_path):
    network.down()
    run = report(url_of(network))
    run.start()
    write_tasks(run, 3)
    # It lives on, and has what its parent had open.
    child = os.fork()
    if child == 0:
        signal.pause()
    try:
        run._patience = 0.05
        with pytest.raises(NotDelivered):
            run.close()
        network.up()
        assert reporter.replay(tmp_path / "spool") == 0
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert all_ready(api.run("one"), 3)
