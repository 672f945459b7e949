"""The control interface: hosts, faults, outages, the log and the counts."""

import socket
import threading
import time

import openstack
import pytest
import requests

from recovery_ha.simulator.control_client import ControlClient, ControlError


def eventually(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


@pytest.fixture
def in_background():
    """Run a call in a thread; returns a function that waits for its end."""
    threads = []

    def run(call):
        result = []

        def target():
            try:
                result.append(call())
            except (
                openstack.exceptions.SDKException,
                requests.ConnectionError,
            ) as error:
                result.append(error)

        thread = threading.Thread(target=target)
        threads.append(thread)
        thread.start()

        def end():
            thread.join(10)
            return result[0]

        return end

    yield run
    for thread in threads:
        thread.join(10)


@pytest.fixture
def stop(cloud):
    """Return a function that stops a server; no retries of any kind."""
    token = cloud.session.get_token()
    url = cloud.compute.get_endpoint()

    def stop(uuid):
        return requests.post(
            f"{url}/servers/{uuid}/action",
            json={"os-stop": None},
            headers={
                "X-Auth-Token": token,
                "X-OpenStack-Request-ID": "req-mine",
                "OpenStack-API-Version": "compute 2.94",
                "Connection": "close",
            },
            timeout=20,
        )

    return stop


def test_hosts(control):
    assert [one["host"] for one in control.computes()] == [
        f"compute-{number}" for number in range(1, 5)
    ]
    control.kill("compute-1")
    eventually(lambda: not control.compute("compute-1")["up"])
    control.start("compute-1")
    eventually(lambda: control.compute("compute-1")["up"])
    control.freeze("compute-1")
    assert control.compute("compute-1")["process"] == "frozen"
    control.thaw("compute-1")
    assert control.add_compute()["host"] == "compute-5"
    control.add_compute("special")
    control.remove_compute("special")
    with pytest.raises(ControlError) as error:
        control.kill("special")
    assert error.value.status == 404
    with pytest.raises(LookupError):
        control.compute("special")


def test_servers(control):
    uuids = control.create_servers(
        "compute-1",
        3,
        vm_state="paused",
        metadata={"HA_Enabled": "True"},
        name_prefix="vm",
        locked=True,
    )
    servers = {one["uuid"]: one for one in control.servers()}
    assert set(servers) == set(uuids)
    assert {one["status"] for one in servers.values()} == {"PAUSED"}
    changed = control.set_server(
        uuids[0], vm_state="error", fault={"message": "broken"}
    )
    assert (changed["status"], changed["fault"]) == ("ERROR", "broken")
    for wrong in ({"vm_state": "no"}, {"colour": "red"}):
        with pytest.raises(ControlError) as error:
            control.create_servers("compute-1", **wrong)
        assert error.value.status == 400
    assert len(control.servers()) == 3


def test_settings(world, control):
    assert control.settings()["rebuild_seconds"] == 0.05
    assert control.settings(rebuild_seconds=7)["rebuild_seconds"] == 7
    assert world.settings.rebuild_seconds == 7
    with pytest.raises(ControlError, match="port cannot be set"):
        control.settings(port=1)


def test_latency(control, cloud):
    cloud.session.get_token()
    control.settings(latency_seconds=0.1)
    start = time.monotonic()
    cloud.compute.get("/os-services")
    assert time.monotonic() - start >= 0.1
    control.settings(latency_seconds=0)


def test_answer_replaced_before_the_effect(world, control, stop):
    [uuid] = world.create_servers("compute-1")
    number = control.add_fault(
        action="os-stop", server=uuid, status=503, message="No, thanks"
    )
    answer = stop(uuid)
    assert answer.status_code == 503
    assert answer.json() == {
        "serviceUnavailable": {"code": 503, "message": "No, thanks"}
    }
    assert world.servers[uuid].task_state is None
    assert control.fault(number)["hits"] == 1
    assert stop(uuid).status_code == 202, "it struck once only"


def test_answer_replaced_after_the_effect(world, control, stop):
    [uuid] = world.create_servers("compute-1")
    control.add_fault(
        method="POST",
        path="^/servers/.*/action$",
        when="after",
        status=500,
        body={"strange": True},
        times=None,
    )
    answer = stop(uuid)
    assert (answer.status_code, answer.json()) == (500, {"strange": True})
    world.wait(lambda: world.servers[uuid].status == "SHUTOFF")


@pytest.mark.parametrize("when", ["before", "after"])
def test_disconnect(world, control, stop, when):
    [uuid] = world.create_servers("compute-1")
    control.add_fault(action="os-stop", disconnect=True, when=when)
    with pytest.raises(requests.ConnectionError):
        stop(uuid)
    if when == "after":
        world.wait(lambda: world.servers[uuid].status == "SHUTOFF")
    else:
        assert world.servers[uuid].task_state is None
    [call] = control.log()
    assert call["dropped"]


@pytest.mark.parametrize("drop", [False, True])
def test_hold_before(world, control, stop, in_background, drop):
    [uuid] = world.create_servers("compute-1")
    number = control.add_fault(action="os-stop", hold=True, drop=drop)
    end = in_background(lambda: stop(uuid))
    eventually(lambda: control.fault(number)["held"] == 1)
    assert world.servers[uuid].task_state is None
    control.release(number)
    if drop:
        assert isinstance(end(), requests.ConnectionError)
        assert world.servers[uuid].task_state is None
    else:
        assert end().status_code == 202
        world.wait(lambda: world.servers[uuid].status == "SHUTOFF")
    [call] = control.log()
    assert (call["held"], call["dropped"]) == (True, drop)
    assert control.fault(number)["held"] == 0


def test_hold_after(world, control, stop, in_background):
    [uuid] = world.create_servers("compute-1")
    number = control.add_fault(action="os-stop", hold=True, when="after")
    end = in_background(lambda: stop(uuid))
    world.wait(lambda: world.servers[uuid].status == "SHUTOFF")
    assert control.fault(number)["held"] == 1
    control.remove_fault(number)
    assert end().status_code == 202


def test_delay(world, control, stop):
    [uuid] = world.create_servers("compute-1")
    control.add_fault(action="os-stop", delay_seconds=0.1)
    start = time.monotonic()
    assert stop(uuid).status_code == 202
    assert time.monotonic() - start >= 0.1


def test_faults_that_make_no_sense(control):
    for fields in (
        {"colour": "red"},
        {"when": "never"},
        {"path": "("},
        {"kind": "flood"},
        {"status": "many"},
        {"id": 7},
    ):
        with pytest.raises(ControlError) as error:
            control.add_fault(**fields)
        assert error.value.status == 400
    with pytest.raises(ControlError):
        control.release(99)
    with pytest.raises(LookupError):
        control.fault(99)


def test_a_held_request_does_not_keep_the_simulator_alive(
    simulator, world, control, stop, in_background
):
    [uuid] = world.create_servers("compute-1")
    number = control.add_fault(action="os-stop", hold=True, drop=True)
    end = in_background(lambda: stop(uuid))
    eventually(lambda: control.fault(number)["held"] == 1)
    control.close()
    simulator.stop()
    assert isinstance(end(), requests.ConnectionError)


def test_the_log(world, control, cloud, stop):
    [uuid] = world.create_servers("compute-1")
    stop(uuid)
    list(cloud.compute.servers())
    cloud.compute.lock_server(uuid)
    first, second = control.log()
    expected = {
        "service": "compute",
        "method": "POST",
        "path": f"/servers/{uuid}/action",
        "action": "os-stop",
        "server": uuid,
        "body": {"os-stop": None},
        "user": "admin",
        "request_id": "req-mine",
        "microversion": "compute 2.94",
        "status": 202,
    }
    assert {key: first[key] for key in expected} == expected
    assert second["user_agent"].startswith("openstacksdk")
    assert control.log(since=first["seq"]) == [second]
    assert control.log(action="lock") == [second]
    control.clear_log()
    assert control.log() == []


def test_counts(world, control, cloud):
    [uuid] = world.create_servers("compute-1")
    cloud.compute.get_server(uuid)
    cloud.compute.get_server(uuid)
    cloud.compute.get("/nosuch")
    counts = control.counts()["compute"]
    assert counts["GET /servers/<server_id>"] == 2
    assert counts["GET (no such route)"] == 1
    control.reset_counts()
    assert "compute" not in control.counts()


def test_outage(control, cloud):
    list(cloud.compute.services())
    control.begin_outage("compute", status=503)
    answer = cloud.compute.get("/os-services", retriable_status_codes=[])
    assert answer.status_code == 503
    control.end_outage("compute")
    assert cloud.compute.get("/os-services").status_code == 200
    control.begin_outage("compute", status=500, seconds=0.05)
    eventually(lambda: cloud.compute.get("/os-services").status_code == 200)
    with pytest.raises(ControlError, match="service is one of"):
        control.begin_outage("weather")


def test_reset(world, control, cloud):
    world.create_servers("compute-1", 3)
    computes = control.reset(computes=2, servers_per_compute=5)
    assert [len(one["servers"]) for one in computes] == [5, 5]
    assert len(list(cloud.compute.servers(all_projects=True))) == 10


def test_a_dropped_keep_alive_connection_is_opened_again(simulator, control):
    assert control.computes()
    control._local.connection.sock.shutdown(socket.SHUT_RDWR)
    with ControlClient(simulator.url) as other:
        assert other.computes() == control.computes()


def test_paths_that_do_not_exist(simulator, control):
    with pytest.raises(ControlError) as error:
        control._call("GET", "/nosuch")
    assert error.value.status == 404
    answer = requests.get(f"{simulator.url}/nosuch", timeout=5)
    assert answer.status_code == 300


def test_two_evacuations_seen_from_outside(control, cloud):
    [uuid] = control.create_servers("compute-1")
    control.kill("compute-1")
    eventually(lambda: not control.compute("compute-1")["up"])
    for _ in range(2):
        cloud.compute.evacuate_server(uuid)
    eventually(lambda: cloud.compute.get_server(uuid).status == "ERROR")
    statuses = [one.status for one in cloud.compute.migrations()]
    assert statuses == ["accepted", "failed"]
    assert len(control.log(action="evacuate")) == 2
