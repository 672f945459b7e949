"""The clients that people have, unchanged: openstacksdk and the CLI."""

import json
import subprocess
import sys
import warnings

import pytest

from recovery_ha.api.app import make_app
from recovery_ha.api.server import Server
from recovery_ha.simulator.server import Simulator
from recovery_ha.tests.fixtures.keystone import ask_keystone
from recovery_ha.tests.fixtures.rest import REPORT, World

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import openstack

pytestmark = [
    pytest.mark.parametrize("backend", ["sqlite"], indirect=True),
    # openstacksdk warns of its own insides, whatever its users do.
    pytest.mark.filterwarnings(
        "ignore::openstack.warnings._RemovedInSDKWarning"
    ),
]


@pytest.fixture
def cloud(app, conf, database):
    """Serve the API with tokens of the simulator's Keystone."""
    with Simulator() as simulator:
        conf.set_override("port", 0, "api")
        ask_keystone(conf, simulator.auth_url)
        made = make_app(conf, database, lambda: None, check_responses=True)
        server = Server(conf, made)
        simulator.settings.change(
            {"instance_ha_url": f"http://127.0.0.1:{server.port}/v1"}
        )
        server.start()
        yield simulator
        server.stop()


@pytest.fixture
def connect(cloud):
    made = []

    def connect(user="admin", password=None, **options):
        connection = openstack.connect(
            auth_url=cloud.auth_url,
            username=user,
            password=password or user,
            user_domain_id="default",
            project_name="admin" if user == "admin" else "demo",
            project_domain_id="default",
            region_name="RegionOne",
            load_envvars=False,
            load_yaml_config=False,
            **options,
        )
        made.append(connection)
        return connection

    yield connect
    for connection in made:
        connection.session.session.close()
        connection.close()


@pytest.mark.parametrize("version", [None, "1.3"])
def test_openstacksdk(connect, database, version):
    options = {} if version is None else {"ha_api_version": version}
    ha = connect(**options).instance_ha

    segment = ha.create_segment(
        name="one", recovery_method="auto", service_type="COMPUTE"
    )
    assert segment.is_enabled is True
    # The SDK's objects carry the integer id, and that is what it sends.
    assert isinstance(segment.id, int)
    changed = ha.update_segment(segment, description="text", is_enabled=False)
    assert (changed.description, changed.is_enabled) == ("text", False)
    assert ha.get_segment(segment.uuid).uuid == segment.uuid
    ha.update_segment(segment.uuid, is_enabled=True)

    host = ha.create_host(
        segment.uuid,
        name="compute-1",
        type="COMPUTE",
        control_attributes="SSH",
        reserved="False",
        on_maintenance=False,
    )
    assert host.failover_segment_id == segment.uuid
    changed = ha.update_host(host.uuid, segment_id=segment.uuid, reserved=True)
    assert changed.reserved is True
    assert [h.name for h in ha.hosts(segment.uuid, reserved=True)] == [
        "compute-1"
    ]
    assert ha.get_host(host.uuid, segment.uuid).name == "compute-1"

    for number in range(3):
        ha.create_segment(
            name=f"more-{number}",
            recovery_method="auto",
            service_type="compute",
        )
    names = [item.name for item in ha.segments(limit=2)]
    assert names == ["more-2", "more-1", "more-0", "one"]

    report = ha.create_notification(**REPORT)
    assert report.status == "new"
    assert ha.get_notification(report.notification_uuid).type == report.type
    assert [
        item.notification_uuid
        for item in ha.notifications(
            generated_since="2026-11-20T00:00:00", status="new"
        )
    ] == [report.notification_uuid]
    with pytest.raises(openstack.exceptions.ConflictException) as failure:
        ha.create_notification(**REPORT)
    assert "duplicate" in str(failure.value)

    world = World(None, database)
    move = world.vmove(
        {"notification_uuid": report.notification_uuid}, status="ongoing"
    )
    (found,) = ha.vmoves(report.notification_uuid)
    assert found.server_id == move["instance_uuid"]
    one = ha.get_vmove(found.uuid, report.notification_uuid)
    assert one.status == "ongoing"

    world.set({"id": report.id}, status="finished")
    ha.delete_host(host, segment.uuid)
    ha.delete_segment(segment.uuid)
    ha.delete_segment(segment.uuid)
    with pytest.raises(openstack.exceptions.NotFoundException):
        ha.delete_segment(segment.uuid, ignore_missing=False)


def test_openstacksdk_as_a_plain_user(connect):
    ha = connect("demo").instance_ha
    with pytest.raises(openstack.exceptions.ForbiddenException):
        list(ha.segments())


@pytest.fixture
def run(cloud):
    def run(*words, lines=False):
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "openstackclient.shell",
            f"--os-auth-url={cloud.auth_url}",
            "--os-username=admin",
            "--os-password=admin",
            "--os-project-name=admin",
            "--os-user-domain-id=default",
            "--os-project-domain-id=default",
            "--os-region-name=RegionOne",
            *words,
        ]
        if not lines:
            command += ["-f", "json"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout if lines else json.loads(done.stdout)

    return run


def test_command_line(run, api, database):
    segment = run("segment", "create", "one", "auto", "COMPUTE")
    assert segment["name"] == "one"
    assert [row["name"] for row in run("segment", "list")] == ["one"]
    assert run("segment", "show", "one")["uuid"] == segment["uuid"]
    changed = run(
        "segment",
        "update",
        "one",
        "--name=two",
        "--description=text",
        "--recovery_method=reserved_host",
    )
    assert changed["recovery_method"] == "reserved_host"

    host = run(
        "segment", "host", "create", "compute-1", "COMPUTE", "SSH", "two"
    )
    assert host["failover_segment_id"] == segment["uuid"]
    rows = run("segment", "host", "list", "two")
    assert [row["name"] for row in rows] == ["compute-1"]
    shown = run("segment", "host", "show", "two", "compute-1")
    assert shown["control_attributes"] == "SSH"
    changed = run(
        *("segment", "host", "update", "two", "compute-1"),
        *("--reserved=True", "--on_maintenance=False"),
    )
    assert changed["reserved"] is True

    report = run(
        *("notification", "create", "COMPUTE_HOST", "compute-1"),
        "2026-11-20T12:37:37",
        json.dumps(REPORT["payload"]),
    )
    uuid = report["notification_uuid"]
    rows = run("notification", "list", "--limit=1", "--sort=created_at:asc")
    assert [row["notification_uuid"] for row in rows] == [uuid]
    shown = run("notification", "show", uuid)
    assert shown["recovery_workflow_details"] == []

    world = World(None, database)
    move = world.vmove({"notification_uuid": uuid}, status="succeeded")
    rows = run("notification", "vmove", "list", uuid)
    assert [row["uuid"] for row in rows] == [move["uuid"]]
    shown = run("notification", "vmove", "show", uuid, move["uuid"])
    assert move["instance_uuid"] in shown.values()

    (found,) = api.get("/notifications").json["notifications"]
    world.set(found, status="finished")
    run("segment", "host", "delete", "two", "compute-1", lines=True)
    run("segment", "delete", "two", lines=True)
    assert run("segment", "list") == []
