"""All hosts of a real cloud are maintained, one by one, with its projects.

The cloud has no Aodh: the simulator lends its own, which has the alarms and
calls nobody. The projects' managers hear of it on the message queue.
"""

import threading
from datetime import UTC, datetime

import oslo_messaging
import pytest
import requests
from oslo_config import cfg

from recovery_ha.simulator.server import Simulator
from recovery_ha.tests.cloud.conftest import RABBIT
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.timeout(900),
]

EVENT = "maintenance.scheduled"
MOVING = {"PREPARE_MAINTENANCE", "PLANNED_MAINTENANCE"}
ENDS = {"MAINTENANCE_DONE", "MAINTENANCE_FAILED"}


class Manager:
    """Replies for a project, with the token of its member."""

    def __init__(self, project, sdk, action):
        self.project = project
        self._sdk = sdk
        self._action = action
        self.said = []

    def hear(self, payload):
        state = payload["state"]
        if state == "INSTANCE_ACTION_DONE":
            return
        url = payload["reply_url"]
        body = {"state": f"ACK_{state}"}
        if state in MOVING:
            listed = self.call("GET", url).json()["instance_ids"]
            body["instance_actions"] = dict.fromkeys(listed, self._action)
        answer = self.call("PUT", url, body)
        self.said.append((state, answer.status_code))

    def call(self, method, url, body=None):
        headers = {"X-Auth-Token": self._sdk.auth_token}
        return requests.request(
            method, url, json=body, headers=headers, timeout=30
        )


class Managers:
    """Hears on the message queue, and has each project's manager reply."""

    def __init__(self, url, topic, managers):
        self._managers = {one.project: one for one in managers}
        self._lock = threading.Lock()
        self._heard = set()
        self.sessions = []
        conf = cfg.ConfigOpts()
        conf([], project="recovery_ha", default_config_files=[])
        self._transport = oslo_messaging.get_notification_transport(conf, url)
        self._listener = oslo_messaging.get_notification_listener(
            self._transport,
            [oslo_messaging.Target(topic=topic)],
            [self],
            executor="threading",
        )

    def info(self, context, publisher_id, event_type, payload, metadata):
        with self._lock:
            if event_type == "maintenance.session":
                self.sessions.append((payload["state"], payload))
            fresh = metadata["message_id"] not in self._heard
            if event_type != EVENT or not fresh:
                return
            self._heard.add(metadata["message_id"])
        manager = self._managers.get(payload["project_id"])
        if manager is not None:
            manager.hear(payload)

    def __enter__(self):
        self._listener.start()
        return self

    def __exit__(self, *_exc):
        self._listener.stop()
        self._listener.wait()
        self._transport.cleanup()


@pytest.fixture
def aodh():
    with Simulator(computes=0) as simulator:
        yield simulator


@pytest.fixture
def managers(cloud, aodh):
    """Two projects, each with an alarm and a way to move its instances."""
    made = []
    for name, action in (("red", "LIVE_MIGRATE"), ("blue", "MIGRATE")):
        project, sdk = cloud.member(f"recovery-ha-{name}")
        made.append(Manager(project, sdk, action))
        with aodh.world.lock:
            aodh.world.alarms.add(
                {"name": name, "event_rule": {"event_type": EVENT}},
                project_id=project,
                user_id="-",
            )
    return made


@pytest.fixture
def service(cloud, unstarted, aodh, tmp_path):
    topic = f"maintenance-{tmp_path.name}-{datetime.now(UTC):%H%M%S}"
    unstarted.topic = topic
    unstarted.options = {
        "alarm": {"endpoint_override": f"{aodh.url}/alarm"},
        "outbox": {"topic": topic},
        "maintenance": {
            "api_url": f"http://127.0.0.1:{unstarted.port}/v1",
        },
    }
    hosts = cloud.live_hosts()
    unstarted.start_all()
    yield unstarted
    unstarted.clean_up()
    for host in hosts:  # whatever a session that failed has left
        cloud.enable(host, True)


def call(cloud, service, method, path, body=None):
    answer = requests.request(
        method,
        f"http://127.0.0.1:{service.port}/v1{path}",
        json=body,
        headers={"X-Auth-Token": cloud.sdk.auth_token},
        timeout=30,
    )
    assert answer.ok, answer.text
    return answer.json()


def test_all_hosts_are_maintained_while_engines_are_killed(
    cloud, service, managers
):
    hosts = cloud.live_hosts()
    assert len(hosts) == 4
    servers = [
        uuid
        for host in hosts
        for manager in managers
        for uuid in cloud.boot(host, 1, manager.project)
    ]
    with Managers(RABBIT, service.topic, managers) as heard:
        session = call(
            cloud,
            service,
            "POST",
            "/maintenance",
            {
                "hosts": hosts,
                "state": "MAINTENANCE",
                "maintenance_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
                "metadata": {"openstack_release": "Gazpacho"},
                "workflow": "default",
                "actions": [
                    {"plugin": "dummy", "type": "host", "metadata": {}}
                ],
            },
        )["session_id"]

        def state():
            path = f"/maintenance/{session}"
            return call(cloud, service, "GET", path)["state"]

        killed, dead = 0, []
        for wanted in ("PREPARE_MAINTENANCE", "PLANNED_MAINTENANCE"):
            eventually(
                lambda wanted=wanted: state() in {wanted, *ENDS},
                f"the session is in {wanted}",
                180,
            )
            owner = service.maintaining_engine(session, *dead)
            dead.append(owner)
            owner.kill9()
            killed += 1
            service.start("engine", f"engine-{killed}", "works.")
        eventually(lambda: state() in ENDS, "the session has ended", 600)

        detail = call(cloud, service, "GET", f"/maintenance/{session}/detail")
        assert state() == "MAINTENANCE_DONE", detail
        eventually(
            lambda: [s for s, _p in heard.sessions][-1:] == [state()],
            "administrators are told",
            30,
        )
    assert killed == 2
    assert {status for m in managers for _s, status in m.said} == {200}
    for host in hosts:
        assert cloud.service(host)["status"] == "enabled"
    for uuid in servers:
        server = cloud.server(uuid)
        assert server["status"] == "ACTIVE", server
        records = cloud.get("/os-migrations", instance_uuid=uuid)
        kinds = {r["migration_type"] for r in records["migrations"]}
        ends = {r["status"] for r in records["migrations"]}
        assert kinds <= {"live-migration", "migration"}, records
        assert ends <= {"completed", "confirmed"}, records
    told = {s for m in managers for s, _status in m.said}
    assert told >= {
        "MAINTENANCE",
        "PREPARE_MAINTENANCE",
        "PLANNED_MAINTENANCE",
        "MAINTENANCE_COMPLETE",
    }
