"""What Prometheus reads of the API, by the port that it reads it from."""

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from recovery_ha import metrics
from recovery_ha.api.app import make_app
from recovery_ha.tests.fixtures.processes import Daemon, write_config
from recovery_ha.tests.fixtures.rest import Api
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def read(port):
    """Return each sample's value by its name with labels."""
    url = f"http://127.0.0.1:{port}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    pairs = (line.rpartition(" ") for line in lines if line[0] != "#")
    return {name: float(value) for name, _, value in pairs}


def test_requests_are_counted_by_route(conf, database, port):
    conf.set_override("enabled", True, "metrics")
    api = Api(make_app(conf, database, lambda: None))
    wanted = [
        ("GET", "/segments/5", "/v1/segments/{}", 404),
        ("GET", "/segments?limit=x", "/v1/segments", 400),
        ("POST", "/segments", "/v1/segments", 400),
        ("PATCH", "/segments", "/v1/segments", 405),
        ("GET", "", "/v1", 200),
        ("GET", "/what/ever", "unmatched", 404),
        ("BREW", "/segments", "/v1/segments", 405),
    ]

    def name(method, route, status):
        known = "other" if method == "BREW" else method
        labels = f'method="{known}",route="{route}",status="{status}"'
        return f"recovery_ha_api_request_seconds_count{{{labels}}}"

    with metrics.serving(conf, port):
        before = read(port)
        for method, path, _route, status in wanted:
            assert api(method, path).status == status
        after = read(port)
    for method, _path, route, status in wanted:
        key = name(method, route, status)
        assert after[key] == before.get(key, 0) + 1, key
    assert not any("/what/ever" in key for key in after)
    assert not any("/segments/5" in key for key in after)


def test_without_the_option_nothing_is_served(conf, port):
    with (
        metrics.serving(conf, port),
        pytest.raises(urllib.error.URLError, match="refused"),
    ):
        read(port)


def test_port_in_use_is_said(conf, port):
    conf.set_override("enabled", True, "metrics")
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with (
            pytest.raises(OSError, match=rf"127.0.0.1:{port} \(\[metrics\]"),
            metrics.serving(conf, port),
        ):
            pass


@pytest.mark.processes
def test_the_api_serves_them_on_a_port_of_their_own(conf, tmp_path, port):
    config = write_config(
        tmp_path / "api.conf",
        {
            "DEFAULT": {"transport_url": "fake://"},
            "api": {"auth_strategy": "noauth", "port": 0},
            "metrics": {"enabled": True, "port": port},
            "database": {"connection": conf.database.connection},
        },
    )
    daemon = Daemon("api", "api", config, ready="Listening on")
    try:
        daemon.wait_ready()
        assert "recovery_ha_events_dropped_total" in read(port)
        daemon.terminate()
        assert daemon.wait_ended() == 0
    finally:
        daemon.clean_up()
    assert not daemon.said("Traceback")


COMMANDS = {
    "engine": ("engine_port", "works.", "recovery_ha_sweep_seconds_count"),
    "standalone": ("port", "Serving http", "recovery_ha_sweep_seconds_count"),
}


@pytest.fixture(params=COMMANDS)
def daemon(request, conf, database, tmp_path, port):
    """Return what starts a command with metrics, and one of its numbers."""
    option, ready, number = COMMANDS[request.param]
    config = write_config(
        tmp_path / f"{request.param}.conf",
        {
            "DEFAULT": {"transport_url": "fake://"},
            "api": {"port": 0},
            "metrics": {"enabled": True, option: port},
            "database": {"connection": conf.database.connection},
            "nova": {
                "auth_type": "password",
                "auth_url": "http://127.0.0.1:1/v3",  # nobody is there
                "username": "service",
                "password": "secret",
            },
        },
    )
    started = []

    def start():
        started.append(
            Daemon(request.param, request.param, config, ready=ready)
        )
        return started[-1]

    yield start, number
    for found in started:
        found.clean_up()


@pytest.mark.processes
def test_engines_serve_them_too(daemon, port):
    start, number = daemon
    found = start().wait_ready()
    eventually(lambda: read(port)[number] > 0, "it has looked for work")
    found.terminate()
    assert found.wait_ended() == 0
    assert not found.said("Traceback")


@pytest.mark.processes
def test_a_command_whose_port_is_in_use_says_so_in_one_line(daemon, port):
    start, _number = daemon
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        found = start()
        assert found.wait_ended() == 1
    lines = found.log.read_text().splitlines()
    assert [line for line in lines if "Cannot listen" in line] == lines[-1:]
    assert f"127.0.0.1:{port} ([metrics])" in lines[-1]
    assert "Traceback" not in "".join(lines)


_GUNICORN = """
from prometheus_client import CollectorRegistry, multiprocess
from prometheus_client import start_http_server

bind = "127.0.0.1:0"
workers = 2

def when_ready(server):
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    start_http_server({port}, "127.0.0.1", registry)
    (listener,) = server.LISTENERS
    print("listening on", listener.sock.getsockname()[1], flush=True)

def child_exit(server, worker):
    multiprocess.mark_process_dead(worker.pid)
"""


@pytest.mark.processes
def test_processes_of_a_wsgi_server_add_up(conf, tmp_path, port):
    write_config(
        tmp_path / "recovery-ha.conf",
        {
            "DEFAULT": {"transport_url": "fake://"},
            "api": {"auth_strategy": "noauth", "allow_remote_noauth": True},
            "metrics": {"enabled": True},
            "database": {"connection": conf.database.connection},
        },
    )
    (tmp_path / "numbers").mkdir()
    settings = tmp_path / "gunicorn.conf.py"
    settings.write_text(_GUNICORN.format(port=port))
    log = tmp_path / "gunicorn.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [
                *(sys.executable, "-W", "ignore", "-m", "gunicorn"),
                *("-c", settings, "recovery_ha.wsgi.api:application"),
            ],
            stdout=out,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "OS_RECOVERY_HA_CONFIG_DIR": str(tmp_path),
                "PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "numbers"),
            },
        )
    try:
        eventually(lambda: "listening on" in log.read_text(), "it listens")
        text = log.read_text().partition("listening on ")[2]
        url = f"http://127.0.0.1:{int(text.split()[0])}/v1/segments"
        for _turn in range(20):
            with urllib.request.urlopen(url, timeout=60) as answer:
                assert json.load(answer) == {"segments": []}
        key = (
            'recovery_ha_api_request_seconds_count{method="GET",'
            'route="/v1/segments",status="200"}'
        )
        assert read(port)[key] == 20
    finally:
        server.terminate()
        server.wait(30)
