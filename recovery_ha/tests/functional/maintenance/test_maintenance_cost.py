"""How little is asked of Nova, of Placement and of the database."""

import dataclasses

import pytest
import sqlalchemy as sa

from recovery_ha.clients import compute
from recovery_ha.clients.compute import Nova
from recovery_ha.clients.placement import Placement
from recovery_ha.db import models
from recovery_ha.db.maintenance import sessions
from recovery_ha.engine.maintenance import owned as engine_session
from recovery_ha.engine.maintenance import snapshot
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.owned_session import OwnedSession

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def asked(site, env, session):
    """Return how many requests a look takes, by service."""
    before = site.world.journal.counts()
    found = snapshot.take(env, session)
    after = site.world.journal.counts()
    return found, {
        service: sum(after[service].values())
        - sum(before.get(service, {}).values())
        for service in ("compute", "placement")
    }


@pytest.mark.parametrize("each", [1, 20])
def test_a_look_asks_the_same_of_each_host(site, each):
    """Few hosts: what grows are they, not what is asked of each."""
    with site.world.lock:
        hosts = [one.host for one in site.world.computes]
    for host in hosts:
        site.servers(host, each, project_id="p-1")
    own = OwnedSession(site, "compute-1", "compute-2")

    def env():
        placement = Placement(
            Nova(own.env.conf),
            check=own.env.lease.check,
            wait=own.env.lease.wait,
            request_id="req-7",
        )
        return dataclasses.replace(own.env, placement=placement)

    asked(site, env(), own.session)  # tokens and versions are known from now
    found, all_hosts = asked(site, env(), own.session)
    assert len(found.hosts) == len(hosts) == 4
    assert sum(len(one.servers) for one in found.hosts.values()) == 4 * each

    with site.world.lock:
        for host in hosts[2:]:
            site.world.computes.get(host).disabled = True
    found, two_hosts = asked(site, env(), own.session)

    assert len(found.hosts) == 2
    assert {
        service: (all_hosts[service] - two_hosts[service]) / 2
        for service in all_hosts
    } == {"compute": 1, "placement": 2}


def test_servers_of_many_hosts_are_listed_at_once(site, monkeypatch):
    monkeypatch.setattr(compute, "_FEW_HOSTS", 3)
    with site.world.lock:
        hosts = [one.host for one in site.world.computes]
    wanted = {host: set(site.servers(host, 3)) for host in hosts}
    own = OwnedSession(site, *hosts)

    found, requests = asked(site, own.env, own.session)

    assert requests["compute"] <= 10
    assert wanted == {
        name: {server.id for server in host.servers}
        for name, host in found.hosts.items()
    }
    before = site.world.journal.counts()["compute"]
    snapshot.take_unmaintained(own.env, own.session)
    after = site.world.journal.counts()["compute"]
    assert sum(after.values()) - sum(before.values()) == 2


def test_what_has_not_changed_is_not_asked_for_again(site):
    with site.world.lock:
        hosts = [one.host for one in site.world.computes]
    own = OwnedSession(site, *hosts)
    asked(site, own.env, own.session)

    _, again = asked(site, own.env, own.session)
    assert again["placement"] == len(hosts)  # who uses it, of each

    site.servers(hosts[0], 1)
    site.world.computes.set_inventory(hosts[1], VCPU=3)
    found, changed = asked(site, own.env, own.session)
    assert changed["placement"] == len(hosts) + 2
    free = {name: one.amounts.free for name, one in found.hosts.items()}
    assert free[hosts[0]]["VCPU"] < free[hosts[2]]["VCPU"]
    assert found.hosts[hosts[1]].amounts.largest["VCPU"] == 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_instances_that_nobody_has_replied_for_are_read_once(
    site, monkeypatch
):
    site.servers("compute-1", 2, project_id="p-1")
    own = OwnedSession(site, "compute-1")
    reads = []
    read = sessions.read_instances
    monkeypatch.setattr(
        sessions,
        "read_instances",
        lambda *arguments: reads.append(1) or read(*arguments),
    )
    owned = engine_session.OwnedSession(own.env, own.session)
    reads.clear()

    owned.remember(colour="red")
    owned.disable_hosts(None)
    owned.check_replies("PLANNED_MAINTENANCE")
    assert owned.session.record["colour"] == "red"
    assert owned.session.hosts[0].disabled_by_us
    assert reads == []

    with site.database.engine.begin() as connection:
        connection.execute(  # as a reply does
            sa.update(models.MaintenanceSession).values(
                seen=models.MaintenanceSession.seen + 1
            )
        )
    owned.refresh()
    owned.refresh()
    assert reads == [1]
