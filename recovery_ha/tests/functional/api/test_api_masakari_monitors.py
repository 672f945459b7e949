"""masakari-monitors, unchanged: what they send, and what they do then."""

import io
import itertools
import json
import shutil
import socket
import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recovery_ha.api.app import make_app
from recovery_ha.api.server import Server
from recovery_ha.db.paging import Page
from recovery_ha.db.recovery import list_notifications
from recovery_ha.domain.recovery import NotificationStatus
from recovery_ha.simulator.server import Simulator
from recovery_ha.tests.fixtures.keystone import ask_keystone
from recovery_ha.tests.fixtures.monitors import (
    Monitor,
    credentials,
    no_credentials,
    skip_without_monitors,
    write_command,
    write_process_list,
)
from recovery_ha.tests.fixtures.reporting import port_of
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = [
    pytest.mark.processes,
    pytest.mark.parametrize("backend", ["sqlite"], indirect=True),
]
#: What process and introspective monitor report; nothing changes it.
HERE = socket.gethostname()
LIFECYCLE, REBOOT, RTC_CHANGE, WATCHDOG, IO_ERROR = range(5)
IO_ERROR_REASON, CONTROL_ERROR = 6, 7
SUSPENDED, RESUMED, STOPPED, SHUTDOWN = 3, 4, 5, 6


class Door:
    """The API on a port, with a note of each report and its answer.

    :ivar reports: status and body of each, in the order of the answers.
    """

    def __init__(self, conf, database):
        self.reports = []
        self.port = 0
        self._conf = conf
        self._app = make_app(
            conf, database, lambda: None, check_responses=True
        )
        self._server = None

    def __call__(self, environ, start_response):
        if environ["REQUEST_METHOD"] != "POST":
            return self._app(environ, start_response)
        raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(raw)

        def answer(status, headers, *rest):
            report = json.loads(raw)["notification"]
            self.reports.append((int(status[:3]), report))
            return start_response(status, headers, *rest)

        return self._app(environ, answer)

    def open(self):
        self._conf.set_override("port", self.port, "api")
        self._server = Server(self._conf, self)
        self.port = self._server.port
        # How long stopping takes.
        self._server._server.expiration_interval = 0.05
        self._server.start()

    def close(self):
        if self._server is not None:
            self._server.stop()
        self._server = None

    def wait(self, count):
        """Wait for that many reports, and return the statuses of all."""
        eventually(lambda: len(self.reports) >= count, f"{count} reports")
        return [status for status, _report in self.reports]


@pytest.fixture(scope="module")
def cloud():
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def door(api, conf, database, cloud):
    """Open the API to whoever has a token; `api` itself needs none."""
    ask_keystone(conf, cloud.auth_url)
    door = Door(conf, database)
    door.open()
    cloud.settings.change(
        {"instance_ha_url": f"http://127.0.0.1:{door.port}/v1"}
    )
    yield door
    door.close()


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a monitor."""
    skip_without_monitors()
    started = []

    def start(kind, api, commands=None, **groups):
        directory = tmp_path / "monitors"
        directory.mkdir(exist_ok=True)
        groups["api"] = api
        started.append(Monitor(directory, kind, groups, commands))
        return started[-1]

    yield start
    for monitor in started:
        monitor.stop()


@pytest.fixture
def watch_processes(tmp_path, start):
    """Return a function that has processes watched which are not there."""
    if shutil.which("ps") is None:
        pytest.skip("the process monitor needs the command ps")

    def watch_processes(api, *names):
        path = write_process_list(tmp_path / "list.yaml", names)
        return start(
            "processmonitor",
            api,
            process={
                "process_list_path": path,
                "restart_retries": 1,
                "restart_interval": 0,
            },
        )

    return watch_processes


def helper():
    """Return the command that privileged commands go through."""
    return Path(sys.executable).with_name("privsep-helper")


def nowhere(name):
    """Return the path of a process that is certainly not there."""
    return f"/{uuid.uuid4()}/{name}"


def shown(api):
    """Return what the API shows of all notifications, the oldest first."""
    rows = api.get("/notifications?sort_key=id&sort_dir=asc").json
    return rows["notifications"]


def assert_rows(api, door):
    """Show that there is a row of what was sent, for each accepted report."""
    accepted = [report for status, report in door.reports if status == 202]
    names = ("type", "payload", "generated_time")
    rows = shown(api)
    assert len(rows) == len(accepted) > 0
    for row, report in zip(rows, accepted, strict=True):
        assert {n: row[n] for n in names} == {n: report[n] for n in names}


def test_process_monitor(door, api, world, segment, cloud, watch_processes):
    host = world.host(segment, name=HERE)
    # The second looks like the first to us: the monitor sends basenames.
    names = ["nova-compute", "nova-compute", "libvirtd"]

    watch_processes(credentials(cloud.auth_url), *map(nowhere, names))

    # It gives up what is refused with 409 and goes on with the next.
    assert door.wait(3)[:3] == [202, 409, 202]
    sent = [report for _status, report in door.reports]
    assert [report["hostname"] for report in sent] == [HERE] * 3
    assert [report["payload"] for report in sent] == [
        {"event": "STOPPED", "process_name": name} for name in names
    ]
    assert_rows(api, door)
    assert {row["source_host_uuid"] for row in shown(api)} == {host["uuid"]}


def test_host_on_maintenance(
    door, api, world, segment, cloud, watch_processes
):
    world.host(segment, name=HERE, on_maintenance=True)
    names = ["nova-compute", "libvirtd"]

    watch_processes(credentials(cloud.auth_url), *map(nowhere, names))

    assert door.wait(2)[:2] == [409, 409]
    assert [
        report["payload"]["process_name"] for _status, report in door.reports
    ] == names
    assert shown(api) == []


def test_api_that_is_away(door, api, world, segment, cloud, watch_processes):
    world.host(segment, name=HERE)
    door.close()
    monitor = watch_processes(
        credentials(cloud.auth_url), nowhere("nova-compute")
    )
    monitor.wait_said("Retry sending a notification.")
    assert shown(api) == []

    door.open()

    assert door.wait(1) == [202]
    assert_rows(api, door)


#: What libvirt tells its callbacks, and what becomes of it.
EVENTS = [
    ((LIFECYCLE, SUSPENDED, 2), "LIFECYCLE", "SUSPENDED_IOERROR"),
    ((LIFECYCLE, SUSPENDED, 3), "LIFECYCLE", "SUSPENDED_WATCHDOG"),
    ((LIFECYCLE, SUSPENDED, 6), "LIFECYCLE", "SUSPENDED_API_ERROR"),
    ((LIFECYCLE, STOPPED, 0), "LIFECYCLE", "STOPPED_SHUTDOWN"),
    ((LIFECYCLE, STOPPED, 1), "LIFECYCLE", "STOPPED_DESTROYED"),
    ((LIFECYCLE, STOPPED, 5), "LIFECYCLE", "STOPPED_FAILED"),
    ((LIFECYCLE, SHUTDOWN, 0), "LIFECYCLE", "SHUTDOWN_FINISHED"),
    ((REBOOT,), "REBOOT", "UNKNOWN"),
    ((WATCHDOG, 0), "WATCHDOG", "WATCHDOG_NONE"),
    ((WATCHDOG, 1), "WATCHDOG", "WATCHDOG_PAUSE"),
    ((WATCHDOG, 2), "WATCHDOG", "WATCHDOG_RESET"),
    ((WATCHDOG, 3), "WATCHDOG", "WATCHDOG_POWEROFF"),
    ((WATCHDOG, 4), "WATCHDOG", "WATCHDOG_SHUTDOWN"),
    ((WATCHDOG, 5), "WATCHDOG", "WATCHDOG_DEBUG"),
    ((IO_ERROR, "disk", "vda", 0), "IO_ERROR", "IO_ERROR_NONE"),
    ((IO_ERROR, "disk", "vda", 1), "IO_ERROR", "IO_ERROR_PAUSE"),
    ((IO_ERROR, "disk", "vda", 2), "IO_ERROR", "IO_ERROR_REPORT"),
    ((IO_ERROR_REASON, "disk", "vda", 1, "x"), "IO_ERROR_REASON", "UNKNOWN"),
    ((CONTROL_ERROR,), "CONTROL_ERROR", "UNKNOWN"),
]


@pytest.mark.usefixtures("host")
def test_instance_monitor(door, api, cloud, start):
    monitor = start(
        "instancemonitor",
        credentials(cloud.auth_url),
        DEFAULT={"hostname": "compute-1"},
    )
    expected = []
    for event, name, detail in EVENTS:
        server = str(uuid.uuid4())
        monitor.tell("event", server, LIFECYCLE, RESUMED, 0)  # not reported
        monitor.tell("event", server, RTC_CHANGE, 0)  # neither
        monitor.tell("event", server, *event)
        expected.append(
            {
                "event": name,
                "instance_uuid": server,
                "vir_domain_event": detail,
            }
        )
        # One at a time: each is sent by a thread of its own.
        door.wait(len(expected))
    monitor.tell("event", server, *event)
    monitor.wait_said("409: Client Error")

    # Had it meant to send the duplicate again, it would have said so there.
    assert "Retry sending" not in monitor.log
    assert door.wait(0) == [202] * len(EVENTS) + [409]
    sent = [report for _status, report in door.reports]
    assert {(r["type"], r["hostname"]) for r in sent} == {("VM", "compute-1")}
    assert [r["payload"] for r in sent[: len(EVENTS)]] == expected
    assert_rows(api, door)


def test_introspective_instance_monitor(
    door, api, world, segment, cloud, start
):
    world.host(segment, name=HERE)
    deaf = str(uuid.uuid4())
    monitor = start(
        "introspectiveinstancemonitor",
        credentials(cloud.auth_url),
        introspectiveinstancemonitor={
            "guest_monitoring_interval": 0,
            "guest_monitoring_failure_threshold": 0,
        },
    )

    monitor.tell("guest", str(uuid.uuid4()), 10**9)
    monitor.tell("guest", deaf, 1)

    assert door.wait(1) == [202]
    ((_status, report),) = door.reports
    assert (report["type"], report["hostname"]) == ("VM", HERE)
    assert report["payload"] == {
        "event": "QEMU_GUEST_AGENT_ERROR",
        "instance_uuid": deaf,
        "vir_domain_event": "STOPPED_FAILED",
    }
    assert_rows(api, door)


STOPPED_HOST = {
    "event": "STOPPED",
    "cluster_status": "OFFLINE",
    "host_status": "NORMAL",
}
STARTED_HOST = {
    "event": "STARTED",
    "cluster_status": "ONLINE",
    "host_status": "NORMAL",
}
#: How pacemaker may ask whether compute-1, and it alone, has power.
STONITH = """<configuration><resources><group><primitive type="external/ipmi">
<instance_attributes>
<nvpair name="hostname" value="compute-1"/>
<nvpair name="ipaddr" value="192.0.2.1"/>
<nvpair name="userid" value="user"/>
<nvpair name="passwd" value="secret"/>
<nvpair name="interface" value="lanplus"/>
</instance_attributes>
</primitive></group></resources></configuration>"""


@pytest.fixture
def pacemaker(tmp_path):
    """Return a function that sets what pacemaker says of its nodes."""
    commands = tmp_path / "commands"

    def pacemaker(state, *nodes):
        states = "".join(
            f'<node_state uname="{node}" crmd="{state}"/>' for node in nodes
        )
        cib = f'<cib have-quorum="1">{STONITH}<status>{states}</status></cib>'
        write_command(commands / "cibadmin", f"cat <<'END'\n{cib}\nEND")
        write_command(commands / "ipmitool", "echo Chassis Power is off")
        return commands

    return pacemaker


def test_host_monitor(door, api, world, segment, cloud, start, pacemaker):
    names = ["compute-1", "compute-2"]
    for name in names:
        world.host(segment, name=name)
    commands = pacemaker("online", *names)
    monitor = start(
        "hostmonitor",
        credentials(cloud.auth_url),
        commands,
        host={"monitoring_interval": 0, "pacemaker_node_type": "remote"},
        masakarimonitors_privileged={"helper_command": helper()},
    )
    monitor.wait_said("Recognized 'compute-2'")

    pacemaker("offline", *names)
    assert door.wait(2) == [202, 202]
    pacemaker("online", *names)
    assert door.wait(4) == [202] * 4

    sent = [report for _status, report in door.reports]
    assert {report["type"] for report in sent} == {"COMPUTE_HOST"}
    assert [(report["hostname"], report["payload"]) for report in sent] == [
        ("compute-1", STOPPED_HOST),
        ("compute-2", STOPPED_HOST | {"host_status": "UNKNOWN"}),
        ("compute-1", STARTED_HOST),
        ("compute-2", STARTED_HOST),
    ]
    assert_rows(api, door)


CLUSTERS = ("agent_manage", "agent_tenant", "agent_storage")


@pytest.fixture
def consul():
    """Stand in for an agent of Consul, whose one member fails.

    It does so between two rounds of the monitor, which asks three clusters.
    """
    alive, failed = 1, 4
    statuses = itertools.chain(
        [alive] * 2 * len(CLUSTERS), itertools.repeat(failed)
    )

    class Agent(BaseHTTPRequestHandler):
        def do_GET(self):
            member = {"Name": "compute-1", "Status": next(statuses)}
            content = json.dumps([member]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Agent) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.usefixtures("host")
def test_host_monitor_with_consul(door, api, cloud, start, consul):
    start(
        "hostmonitor",
        credentials(cloud.auth_url),
        host={"monitoring_interval": 0, "monitoring_driver": "consul"},
        consul=dict.fromkeys(CLUSTERS, consul),
    )

    assert door.wait(1) == [202]
    ((_status, report),) = door.reports
    assert report["type"] == "COMPUTE_HOST"
    assert report["hostname"] == "compute-1"
    assert report["payload"] == STOPPED_HOST
    assert_rows(api, door)


@pytest.mark.usefixtures("host")
def test_event_of_kubernetes(door, api, cloud, start):
    start("kubernetes", credentials(cloud.auth_url))

    assert door.wait(1) == [202]
    ((_status, report),) = door.reports
    assert report["hostname"] == "compute-1"
    assert report["payload"] == {"event": "STOPPED", "host_status": "NORMAL"}
    assert_rows(api, door)


def test_what_they_report_is_recovered(site, start, watch_processes):
    site.world.add_compute(HERE)
    site.register_host(HERE)
    (server,) = site.servers("compute-1", metadata={"HA_Enabled": "True"})
    port = port_of(site.api("api"))
    site.engine_here()

    watch_processes(no_credentials(port), nowhere("nova-compute"))
    site.world.crash(server, noticed=True)
    assert site.world.servers[server].status == "SHUTOFF"
    start(
        "instancemonitor",
        no_credentials(port),
        DEFAULT={"hostname": "compute-1"},
    ).tell("event", server, LIFECYCLE, STOPPED, 5)

    def find():
        found = list_notifications(site.ctx, Page())
        return found if len(found) == 2 else None

    for one in eventually(find, "both reports have arrived"):
        ended = site.ended(one.uuid)
        assert ended.status is NotificationStatus.FINISHED, ended.message
    assert site.world.servers[server].status == "ACTIVE"
    assert site.world.computes.get(HERE).disabled
    assert not site.world.computes.get("compute-1").disabled
