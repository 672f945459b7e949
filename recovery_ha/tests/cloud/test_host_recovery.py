"""Hosts of a real Nova are lost, and their servers run elsewhere, once."""

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

SERVERS = 10


def test_a_host_is_recovered(cloud, service):
    hosts = cloud.live_hosts()
    register(service, hosts)
    servers = cloud.boot(hosts[0], SERVERS)

    cloud.kill(hosts[0])
    ended = wait_until_ended(service, report(service, hosts[0]))

    assert ended.status == "finished", ended
    assert_moved(cloud, hosts[0], servers)
    assert cloud.service(hosts[0])["status"] == "disabled"


@pytest.mark.parametrize("at_least_asked", [0, 1, SERVERS])
def test_the_engine_is_killed_in_the_middle(cloud, service, at_least_asked):
    hosts = cloud.live_hosts()
    register(service, hosts)
    servers = cloud.boot(hosts[1], SERVERS)

    cloud.kill(hosts[1])
    uuid = report(service, hosts[1])
    owner = service.owning_engine(uuid)
    eventually(
        lambda: (
            sum(bool(cloud.evacuations(s)) for s in servers) >= at_least_asked
        ),
        f"{at_least_asked} evacuations were asked for",
        60,
    )
    owner.kill9()
    ended = wait_until_ended(service, uuid)

    assert ended.status == "finished", ended
    assert_moved(cloud, hosts[1], servers)
    moves = list(service.ha.vmoves(uuid))
    assert {move.status for move in moves} == {"succeeded"}
    assert len(moves) == SERVERS
