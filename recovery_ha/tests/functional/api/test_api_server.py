"""``recovery-ha-api`` and the WSGI entry point as processes."""

import json
import os
import socket
import subprocess
import sys
import urllib.request

import pytest

from recovery_ha.tests.fixtures.databases import Databases, open_database
from recovery_ha.tests.fixtures.processes import Daemon, write_config

pytestmark = [
    pytest.mark.processes,
    pytest.mark.parametrize("backend", ["sqlite"], indirect=True),
]
_RUN = "import sys; from recovery_ha.cmd.api import main; sys.exit(main())"


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def options(port, conf):
    return {
        "DEFAULT": {"transport_url": "fake://"},
        "api": {"auth_strategy": "noauth", "port": port},
        "database": {"connection": conf.database.connection},
    }


@pytest.fixture
def run(tmp_path, options):
    def run():
        config = write_config(tmp_path / "recovery-ha.conf", options)
        return subprocess.run(
            [sys.executable, "-c", _RUN, "--config-file", str(config)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def last_words(done):
    """Return the one line that is for the operator."""
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def get(port, path):
    url = f"http://127.0.0.1:{port}{path}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.parametrize("how", ["terminate", "interrupt"])
def test_serves_until_told_to_stop(tmp_path, options, database, port, how):
    config = write_config(tmp_path / "recovery-ha.conf", options)
    daemon = Daemon("api", "api", config, ready="Listening on 127.0.0.1")
    try:
        daemon.wait_ready()
        assert get(port, "/v1/segments") == {"segments": []}
        os.kill(daemon.pid, 15 if how == "terminate" else 2)
        assert daemon.wait_ended() == 0
    finally:
        daemon.clean_up()
    assert not daemon.said("Traceback")


def test_port_in_use_is_one_line(run, port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        line = last_words(run())
    assert f"Cannot listen on 127.0.0.1:{port}: Address already in" in line


def test_everyone_an_administrator_on_a_public_address(run, options):
    options["api"]["host"] = "0.0.0.0"  # noqa: S104 - that is the point
    line = last_words(run())
    assert "noauth" in line
    assert "allow_remote_noauth" in line


def test_database_that_is_not_synced(run, options, tmp_path):
    options["database"]["connection"] = f"sqlite:///{tmp_path}/new.sqlite"
    assert "recovery-ha-manage db sync" in last_words(run())


def test_database_of_a_newer_release(run, options, tmp_path):
    from recovery_ha.db import migration  # noqa: PLC0415

    url = Databases(tmp_path).create("sqlite")
    database = open_database(url)
    migration.upgrade(database)
    with database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE recovery_ha_alembic_version SET version_num = '9999'"
        )
    database.dispose()
    options["database"]["connection"] = url
    assert "newer" in last_words(run())


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("api", "port", "many"),
        ("api", "auth_strategy", "trust"),
        ("database", "connection", "nothing"),
        ("policy", "auditor", "two words"),
    ],
)
def test_bad_configuration_is_one_line(run, options, group, name, value):
    options.setdefault(group, {})[name] = value
    assert name in last_words(run())


def test_broken_policy_file_is_one_line(run, tmp_path):
    (tmp_path / "policy.yaml").write_text("{")
    assert "policy.yaml" in last_words(run())


_CALL = """
from recovery_ha.wsgi.api import application
from webob import Request
print(Request.blank("/v1/segments").get_response(application).text)
"""


def load(tmp_path, call=_CALL, **environ):
    return subprocess.run(
        [sys.executable, "-c", call],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "OS_RECOVERY_HA_CONFIG_DIR": str(tmp_path)}
        | environ,
    )


@pytest.mark.usefixtures("database")
def test_wsgi_application(tmp_path, options):
    options["api"]["allow_remote_noauth"] = True
    write_config(tmp_path / "recovery-ha.conf", options)
    done = load(tmp_path)
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer == {"segments": []}

    (tmp_path / "recovery-ha.conf").rename(tmp_path / "a.conf")
    write_config(
        tmp_path / "b.conf",
        {
            "api": {"auth_strategy": "keystone"},
            "keystone_authtoken": {
                "auth_type": "password",
                "auth_url": "http://127.0.0.1:1/v3",
                "username": "service",
                "password": "secret",
            },
        },
    )
    done = load(tmp_path, OS_RECOVERY_HA_CONFIG_FILES="a.conf;b.conf")
    assert "unauthorized" in done.stdout.splitlines()[-1]


def test_wsgi_application_does_not_trust_everyone(tmp_path, options):
    write_config(tmp_path / "recovery-ha.conf", options)
    done = load(tmp_path)
    assert done.returncode != 0
    assert "allow_remote_noauth" in done.stdout + done.stderr


def test_wsgi_application_without_a_database(tmp_path, options):
    options["api"]["allow_remote_noauth"] = True
    options["database"]["connection"] = f"sqlite:///{tmp_path}/new.sqlite"
    write_config(tmp_path / "recovery-ha.conf", options)
    done = load(tmp_path)
    assert done.returncode != 0
    assert "db sync" in done.stdout + done.stderr


_CHANGE = """
from recovery_ha.wsgi.api import application
from webob import Request
for name in range(3):
    body = {"segment": {
        "name": f"s{name}",
        "recovery_method": "auto",
        "service_type": "compute",
    }}
    asked = Request.blank("/v1/segments", method="POST", json=body)
    assert asked.get_response(application).status_int == 201
"""


@pytest.mark.usefixtures("database")
def test_wsgi_application_sends_its_last_events(tmp_path, options):
    options["api"]["allow_remote_noauth"] = True
    options["oslo_messaging_notifications"] = {"driver": "log"}
    write_config(tmp_path / "recovery-ha.conf", options)
    done = load(tmp_path, _CHANGE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"segment.create.end"') == 3


@pytest.mark.usefixtures("database")
def test_wsgi_application_gives_up_on_its_last_events(tmp_path, options, port):
    options["api"]["allow_remote_noauth"] = True
    options["oslo_messaging_notifications"] = {
        "driver": "messagingv2",
        "transport_url": f"rabbit://127.0.0.1:{port}/",
    }
    write_config(tmp_path / "recovery-ha.conf", options)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", port))
        silent.listen()
        done = load(tmp_path, _CHANGE)
    assert done.returncode == 0, done.stderr
    assert "5 events were not sent." in done.stdout
