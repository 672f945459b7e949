"""Each call of the adapters, on a real cloud, which is left as it was."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openstack
import pytest

from recovery_ha.clients.compute import Compute, Nova
from recovery_ha.clients.images import Images
from recovery_ha.clients.placement import Placement
from recovery_ha.conf import new_config
from recovery_ha.domain import errors
from recovery_ha.tests.fixtures.processes import write_config
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

#: With it one may boot on a host by name, and without networks.
NOVA = "2.94"
NO_SUCH = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def sdk() -> Iterator[Any]:
    if not os.environ.get("OS_CLOUD"):
        pytest.skip("OS_CLOUD names no cloud")
    connection = openstack.connect()
    yield connection
    connection.close()


@pytest.fixture
def bound(sdk: Any, tmp_path: Path) -> dict[str, Any]:
    """What adapters are made with, as ``engine`` does."""
    access = {"auth_type": "password", **sdk.config.get_auth_args()}
    path = write_config(tmp_path / "engine.conf", {"nova": access})
    return {
        "api": Nova(new_config(["--config-file", str(path)])),
        "check": lambda: None,
        "wait": lambda _seconds: None,
        "request_id": None,
    }


@pytest.fixture
def compute(bound: dict[str, Any]) -> Compute:
    return Compute(**bound)


@pytest.fixture
def host(sdk: Any) -> str:
    """Return a host that is up and may take servers."""
    for service in sdk.compute.services(binary="nova-compute"):
        if service.state == "up" and service.status == "enabled":
            return str(service.host)
    pytest.skip("No compute host is up and enabled")


@pytest.fixture
def server(sdk: Any, host: str) -> Iterator[str]:
    response = sdk.compute.post(
        "/servers",
        microversion=NOVA,
        json={
            "server": {
                "name": "recovery-ha-client",
                "flavorRef": next(iter(sdk.compute.flavors())).id,
                "imageRef": next(iter(sdk.image.images())).id,
                "networks": "none",
                "host": host,
            }
        },
    )
    assert response.ok, response.text
    uuid = response.json()["server"]["id"]
    yield uuid
    sdk.compute.delete_server(uuid)


def wait_for(compute: Compute, uuid: str, vm_state: str) -> None:
    def there() -> bool:
        found = compute.find_server(uuid)
        return (
            found is not None
            and found.vm_state == vm_state
            and found.task_state is None
        )

    eventually(there, f"the server is {vm_state}", 60)


def test_servers_and_what_was_done_to_them(compute, sdk, host, server):
    wait_for(compute, server, "active")
    found = compute.find_server(server)
    flavor = next(iter(sdk.compute.flavors()))
    assert found in compute.list_servers(host)
    assert found.project_id == sdk.current_project_id
    assert found.user_id == sdk.current_user_id == compute.user_id()
    assert found.flavor.vcpus >= 1
    assert found.flavor.memory_mb >= 1
    assert (found.flavor.name, found.flavor.disk_gb) == (
        flavor.name,
        flavor.disk + flavor.ephemeral,
    )
    assert found.image_id == next(iter(sdk.image.images())).id
    compute.stop_server(server)
    wait_for(compute, server, "stopped")
    compute.start_server(server)
    wait_for(compute, server, "active")
    compute.reboot_server(server)
    wait_for(compute, server, "active")
    actions = compute.list_actions(server)
    assert [one.action for one in actions] == [
        "reboot",
        "start",
        "stop",
        "create",
    ]
    assert {one.user_id for one in actions} == {compute.user_id()}
    assert actions[0].start_time >= actions[-1].start_time


def test_actions_outlive_their_server(compute, sdk, server):
    wait_for(compute, server, "active")
    sdk.compute.delete_server(server)
    eventually(lambda: compute.find_server(server) is None, "it is gone", 60)
    assert compute.list_actions(server)[0].action == "delete"
    with pytest.raises(errors.ComputeNotFound):
        compute.list_actions(NO_SUCH)


def test_a_service_is_disabled_and_enabled(compute, host):
    service = compute.find_service(host)
    compute.disable_service(service.id, "Tried by recovery_ha.")
    try:
        assert not compute.find_service(host).enabled
    finally:
        compute.enable_service(service.id)
    assert compute.find_service(host) == service


def test_a_service_is_forced_down_and_up(compute, host):
    service = compute.find_service(host)
    compute.force_service_down(service.id)
    try:
        assert not compute.find_service(host).up
    finally:
        try:
            compute.clear_forced_down(service.id)
        except errors.ComputeError as exc:
            pytest.fail(f"{host} is left forced down: {exc}")
    eventually(lambda: compute.find_service(host).up, "it is up", 60)
    assert not compute.find_service(host).forced_down


def test_a_host_comes_into_an_aggregate_and_out(compute, sdk, host):
    made = sdk.compute.create_aggregate(name="recovery-ha-client")

    def hosts() -> tuple[str, ...]:
        aggregates = compute.list_aggregates()
        return next(a.hosts for a in aggregates if a.id == made.id)

    try:
        assert hosts() == ()
        for _ in range(2):
            compute.add_to_aggregate(made.id, host)
            assert hosts() == (host,)
        with pytest.raises(errors.ComputeNotFound):
            compute.add_to_aggregate(made.id, "no-such-host")
        for _ in range(2):
            compute.remove_from_aggregate(made.id, host)
            assert hosts() == ()
    finally:
        compute.remove_from_aggregate(made.id, host)
        sdk.compute.delete_aggregate(made)
    compute.remove_from_aggregate(made.id, host)


def test_a_server_takes_room(bound, compute, sdk, host, server):
    wait_for(compute, server, "active")
    taken = compute.find_server(server).flavor
    with_it = Placement(**bound).free(host)
    assert 0 < with_it.vcpus < math.inf
    sdk.compute.delete_server(server)
    eventually(lambda: compute.find_server(server) is None, "it is gone", 60)

    def freed() -> bool:
        without = Placement(**bound).free(host)
        return (
            without.vcpus - with_it.vcpus,
            without.memory_mb - with_it.memory_mb,
        ) == (taken.vcpus, taken.memory_mb)

    eventually(freed, "its room is free again", 30)
    assert Placement(**bound).free("no-such-host") is None


def test_properties_of_images(bound, sdk):
    images = Images(**bound)
    image = sdk.image.create_image(
        name="recovery-ha-client",
        container_format="bare",
        disk_format="raw",
        ha_tried="yes",
        tags=["b", "a"],
    )
    try:
        told = images.properties(image.id)
        assert (told["ha_tried"], told["tags"]) == ("yes", "a,b")
        assert not {"id", "name", "status", "owner"} & set(told)
    finally:
        sdk.image.delete_image(image.id)
    assert images.properties(image.id) == {}
