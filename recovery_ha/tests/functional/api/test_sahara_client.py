"""Sahara's own client, unchanged, in an environment of its own."""

import json
import subprocess

import pytest

from recovery_ha.api.server import Server
from recovery_ha.tests.fixtures.third_party import environment

pytestmark = [
    pytest.mark.parametrize("backend", ["sqlite"], indirect=True),
    # The first test to run installs the client.
    pytest.mark.timeout(400),
]


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    return environment(
        tmp_path_factory.mktemp("client") / "venv",
        "python-openstackclient>=7.4.0",
        "python-saharaclient==4.2.0",
    )


@pytest.fixture
def sahara(app, conf, commands, tmp_path):
    """Return a function that runs ``openstack dataprocessing``."""
    conf.set_override("port", 0, "api")
    server = Server(conf, app)
    server.start()
    url = f"http://127.0.0.1:{server.port}/v1.1/ee258cbf45894584"

    def sahara(*arguments, fails=False):
        done = subprocess.run(
            [
                *(commands / "openstack", "--os-auth-type", "none"),
                *("--os-endpoint", url, "--os-data-processing-url", url),
                *("dataprocessing", *arguments),
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=60,
            env={"PATH": str(commands), "HOME": str(tmp_path)},
        )
        assert (done.returncode != 0) is fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    yield sahara
    server.stop()


@pytest.fixture
def cluster(api):
    """Have a cluster whose first step is done, and whose second failed."""
    body = {
        "name": "one",
        "plugin_name": "vanilla",
        "hadoop_version": "2.7.1",
        "node_groups": [{"name": "worker", "count": 2}],
    }
    cluster = api.post("/clusters", body).json["cluster"]
    path = f"/clusters/{cluster['id']}/steps"
    for name, total, successful in (
        ("Launching instances", 2, (True, True)),
        ("Waiting for ssh", 2, (True, False)),
        ("Configuring instances", 2, (True,)),
    ):
        step = {"step_name": name, "step_type": "creating", "total": total}
        answer = api.post(path, {"step": step})
        events = [
            {"instance_id": f"i-{n}", "instance_name": f"vm-{n}"}
            | {"successful": done}
            for n, done in enumerate(successful)
        ]
        told = api.post(
            f"{path}/{answer.json['step']['id']}/events", {"events": events}
        )
        assert told.status == 201, told
    return cluster


def test_show_progress(sahara, cluster):
    for name in ("one", cluster["id"]):
        out = sahara(
            *("cluster", "show", name, "--show-progress", "-f", "json")
        )
        found = json.loads(out)
        assert found["Id"] == cluster["id"]
        assert found["Name"] == "one"
        assert found["Node groups"] == "worker:2"
        assert found["Plugin version"] == "2.7.1"
        steps = {key: found[key] for key in found if "creating" in key}
        assert list(steps.items()) == [
            ("creating: Launching instances", "Step completed successfully"),
            ("creating: Waiting for ssh", "Step has failed events"),
            ("creating: Configuring instances", "Step in progress"),
        ]


def test_full_dump_of_events(sahara, cluster, tmp_path):
    sahara("cluster", "show", "one", "--full-dump-events")
    (path,) = tmp_path.glob("event-logs-*")
    steps = json.loads(path.read_text())
    assert [step["step_name"] for step in steps] == [
        "Launching instances",
        "Waiting for ssh",
        "Configuring instances",
    ]
    assert [len(step["events"]) for step in steps] == [2, 2, 1]
    assert steps[1]["events"][1]["successful"] is False


def test_list_scale_and_delete(sahara, api, cluster, tmp_path):
    api.put(f"/clusters/{cluster['id']}", {"status": "Active"})
    (listed,) = json.loads(sahara("cluster", "list", "-f", "json"))
    assert (listed["Name"], listed["Status"]) == ("one", "Active")

    wanted = {"resize_node_groups": [{"name": "worker", "count": 7}]}
    (tmp_path / "scale.json").write_text(json.dumps(wanted))
    sahara("cluster", "scale", "one", "--json", "scale.json")
    found = api.get(f"/clusters/{cluster['id']}").json["cluster"]
    assert found["node_groups"][0]["count"] == 7
    assert found["status"] == "Scaling"

    sahara("cluster", "delete", "one")
    assert api.get(f"/clusters/{cluster['id']}").status == 404
    unknown = cluster["id"]
    said = sahara("cluster", "show", unknown, fails=True)
    assert f"No cluster with id {unknown}." in said
