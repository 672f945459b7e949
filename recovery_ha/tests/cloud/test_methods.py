"""Every method and every kind of recovery, on a real Nova."""

import pytest

from recovery_ha.tests.cloud.reporting import (
    assert_moved,
    register,
    report,
    wait_until_ended,
)
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.timeout(600),
]

CRASH = {"event": "LIFECYCLE", "vir_domain_event": "STOPPED_FAILED"}


@pytest.fixture
def spare(cloud):
    """The last host, disabled as a reserved one is."""
    host = cloud.live_hosts()[-1]
    cloud.enable(host, False)
    yield host
    cloud.enable(host, True)


@pytest.mark.parametrize("method", ["reserved_host", "rh_priority"])
def test_a_reserved_host_takes_the_servers(cloud, service, spare, method):
    hosts = cloud.live_hosts()
    register(service, [hosts[0], spare], method, reserved=1)
    servers = cloud.boot(hosts[0], 5)

    cloud.kill(hosts[0])
    ended = wait_until_ended(service, report(service, hosts[0]))

    assert ended.status == "finished", ended
    assert_moved(cloud, hosts[0], servers)
    homes = {cloud.server(s)["OS-EXT-SRV-ATTR:host"] for s in servers}
    assert homes == {spare}
    assert cloud.service(spare)["status"] == "enabled"
    (segment,) = service.ha.segments()
    found = {h.name: h.reserved for h in service.ha.hosts(segment.uuid)}
    assert found[spare] is False


def test_auto_first_leaves_the_reserve_alone(cloud, service, spare):
    hosts = cloud.live_hosts()
    register(service, [hosts[1], spare], "auto_priority", reserved=1)
    servers = cloud.boot(hosts[1], 5)

    cloud.kill(hosts[1])
    ended = wait_until_ended(service, report(service, hosts[1]))

    assert ended.status == "finished", ended
    assert_moved(cloud, hosts[1], servers)
    assert cloud.service(spare)["status"] == "disabled"


def test_auto_first_falls_back_to_the_reserve(cloud, service, spare):
    hosts = cloud.live_hosts()
    register(service, [hosts[0], spare], "auto_priority", reserved=1)
    servers = cloud.boot(hosts[0], 3)
    others = hosts[1:]
    for host in others:  # nowhere to go but the reserve
        cloud.enable(host, False)
    try:
        cloud.kill(hosts[0])
        ended = wait_until_ended(service, report(service, hosts[0]))
    finally:
        for host in others:
            cloud.enable(host, True)

    assert ended.status == "finished", ended
    for uuid in servers:
        server = cloud.server(uuid)
        assert server["status"] == "ACTIVE"
        assert server["OS-EXT-SRV-ATTR:host"] == spare
        assert not server["locked"]


def crash(service, host, server):
    """Report an instance's crash and return how its recovery ended."""
    uuid = report(service, host, "VM", instance_uuid=server, **CRASH)
    return wait_until_ended(service, uuid)


def test_instances_are_recovered(cloud, service):
    host = cloud.live_hosts()[0]
    register(service, [host])
    plain, crashed, broken, stopped = cloud.boot(host, 4)
    for uuid in (crashed, broken, stopped):
        cloud.sdk.compute.set_server_metadata(uuid, HA_Enabled="True")
    cloud.act(broken, {"os-resetState": {"state": "error"}})
    cloud.act(stopped, {"os-stop": None})
    eventually(
        lambda: cloud.server(stopped)["status"] == "SHUTOFF",
        "its user has stopped a server",
        60,
    )

    ended = [crash(service, host, s) for s in (crashed, broken)]
    assert [e.status for e in ended] == ["finished", "finished"], ended
    assert cloud.server(crashed)["status"] == "ACTIVE"
    assert cloud.actions(crashed)[:2] == ["start", "stop"]
    assert cloud.server(broken)["status"] == "ACTIVE"
    assert cloud.actions(broken)[0] == "reboot"

    assert crash(service, host, stopped).status == "ignored"
    assert cloud.server(stopped)["status"] == "SHUTOFF"
    assert crash(service, host, plain).status == "finished"
    assert cloud.actions(plain) == ["create"]


def test_a_guest_that_went_without_a_trace(cloud, service):
    host = cloud.live_hosts()[0]
    register(service, [host])
    (server,) = cloud.boot(host, 1)
    cloud.sdk.compute.set_server_metadata(server, HA_Enabled="True")
    cloud.restart(host)

    ended = crash(service, host, server)

    assert ended.status == "finished", ended
    assert cloud.server(server)["status"] == "ACTIVE"
    assert cloud.actions(server)[0] == "reboot"


def test_a_failed_process_disables_its_host(cloud, service):
    host = cloud.live_hosts()[0]
    register(service, [host])
    cloud.kill(host)

    uuid = report(
        service,
        host,
        "PROCESS",
        event="STOPPED",
        process_name="nova-compute",
    )

    assert wait_until_ended(service, uuid).status == "finished"
    assert cloud.service(host)["status"] == "disabled"
