"""What recoveries ask of a cloud besides moving servers."""

import pytest
from openstack import exceptions as sdk_errors

from recovery_ha.simulator.control_client import ControlError


def _states(world, uuid):
    server = world.servers[uuid]
    return server.vm_state, server.task_state, server.power_state


# What was done to servers


def test_each_action_is_recorded_with_its_user(world, cloud):
    server = cloud.compute.create_server(
        name="new", flavorRef="1", imageRef=None
    )
    world.wait(lambda: world.servers[server.id].status == "ACTIVE")
    answer = cloud.compute.post(
        f"/servers/{server.id}/action", json={"os-stop": None}
    )
    world.wait(lambda: world.servers[server.id].status == "SHUTOFF")
    cloud.compute.reset_server_state(server, "error")
    stop, create = list(cloud.compute.server_actions(server))[1:]
    assert (stop.action, create.action) == ("stop", "create")
    assert stop.request_id == answer.headers["x-openstack-request-id"]
    assert stop.user_id == world.identity.user("admin").id
    assert stop.project_id == world.identity.project("admin").id


def test_an_action_is_shown_alone_too(world, cloud):
    [uuid] = world.create_servers("compute-1")
    request_id = world.servers[uuid].actions[0].request_id
    path = f"/servers/{uuid}/os-instance-actions"
    shown = cloud.compute.get(f"{path}/{request_id}").json()["instanceAction"]
    assert (shown["action"], shown["events"]) == ("create", [])
    assert cloud.compute.get(f"{path}/req-none").status_code == 404


@pytest.mark.parametrize(("version", "status"), [("2.1", 404), ("2.21", 200)])
def test_actions_outlive_their_server(world, cloud, version, status):
    [uuid] = world.create_servers("compute-1")
    cloud.compute.delete_server(uuid)
    path = f"/servers/{uuid}/os-instance-actions"
    answer = cloud.compute.get(path, microversion=version)
    assert answer.status_code == status
    if answer.ok:
        assert answer.json()["instanceActions"][0]["action"] == "delete"


def test_actions_are_paged_by_request_ids(world, cloud):
    [uuid] = world.create_servers("compute-1")
    for _ in range(3):
        cloud.compute.lock_server(uuid)
    path = f"/servers/{uuid}/os-instance-actions"
    first = cloud.compute.get(f"{path}?limit=3", microversion="2.58").json()
    marker = first["instanceActions"][-1]["request_id"]
    [link] = first["links"]
    assert f"marker={marker}" in link["href"]
    rest = cloud.compute.get(
        f"{path}?limit=3&marker={marker}", microversion="2.58"
    ).json()
    assert [one["action"] for one in rest["instanceActions"]] == ["create"]
    assert "links" not in rest


# Guests that end


def test_a_crashed_guest_is_active_and_shut_down(world, cloud, control):
    [uuid] = control.create_servers("compute-1")
    control.crash(uuid)
    assert _states(world, uuid) == ("active", None, 4)
    assert control.compute("compute-1")["guests"] == []
    cloud.compute.stop_server(uuid)
    world.wait(lambda: _states(world, uuid) == ("stopped", None, 4))
    cloud.compute.start_server(uuid)
    world.wait(lambda: _states(world, uuid) == ("active", None, 1))
    assert control.compute("compute-1")["guests"] == [uuid]


def test_a_guest_that_nova_finds_crashed_is_stopped_by_nobody(control, cloud):
    [uuid] = control.create_servers("compute-1")
    shown = control.crash(uuid, noticed=True)
    assert (shown["status"], shown["power_state"]) == ("SHUTOFF", 4)
    newest = next(iter(cloud.compute.server_actions(uuid)))
    assert (newest.action, newest.user_id) == ("stop", None)


def test_a_server_that_never_ran_is_not_stopped(world, cloud):
    server = cloud.compute.create_server(
        name="new", flavorRef="1", imageRef=None, host="compute-1"
    )
    world.set_server(server.id, vm_state="error", task_state=None)
    with pytest.raises(sdk_errors.ConflictException, match="launched_at"):
        cloud.compute.stop_server(server.id)


# Room


def test_what_does_not_fit_ends_in_error(world, cloud, control):
    control.add_flavor("wide", vcpus=16, ram=1024, disk=10)
    for host in ("compute-2", "compute-3", "compute-4"):
        control.set_compute(host, vcpus=8)
    control.set_compute("compute-2", vcpus=16)
    one, other = control.create_servers("compute-1", 2, flavor="wide")
    control.kill("compute-1")
    world.wait(lambda: not world.up("compute-1"))
    # There are 32 to be had, but no host may give more than it has to one.
    cloud.compute.evacuate_server(one, host="compute-3")
    server = cloud.compute.get_server(one)
    assert (server.status, server.compute_host) == ("ERROR", "compute-1")
    assert "No valid host was found" in server.fault["message"]
    control.set_compute("compute-2", memory_mb=2048 + 511)
    cloud.compute.evacuate_server(other)
    world.wait(lambda: world.servers[other].host == "compute-2")
    cloud.compute.evacuate_server(one)
    assert cloud.compute.get_server(one).status == "ERROR"


def test_a_server_on_a_volume_needs_no_disk_of_its_host(world, cloud, control):
    control.set_compute("compute-1", disk_gb=1)
    control.create_servers("compute-1", 3, flavor="small", image_id=None)
    assert "DISK_GB" in world.computes.get("compute-1").inventory
    assert world.allocations.used("compute-1")["DISK_GB"] == 0
    [uuid] = control.create_servers("compute-2", image_id=None)
    assert cloud.compute.get(f"/servers/{uuid}").json()["server"]["image"] == (
        ""
    )


def test_a_host_may_offer_no_disks(world, cloud, control):
    shown = control.set_compute("compute-1", disk_gb=None)
    assert set(shown["inventory"]) == {"VCPU", "MEMORY_MB"}
    [uuid] = control.create_servers("compute-1", flavor="large")
    assert set(world.allocations.of(uuid)["compute-1"]) == {
        "VCPU",
        "MEMORY_MB",
    }
    hypervisor = cloud.compute.get(
        f"/os-hypervisors/{world.computes.get('compute-1').uuid}",
        microversion="2.53",
    ).json()["hypervisor"]
    assert hypervisor["local_gb"] == 0


@pytest.mark.parametrize(
    "amounts", [{"vcpus": None}, {"cores": 3}, {"disk_gb": "much"}]
)
def test_an_impossible_capacity_is_refused(control, amounts):
    with pytest.raises(ControlError) as caught:
        control.set_compute("compute-1", **amounts)
    assert caught.value.status == 400


# Aggregates


def test_zones_keep_hosts_out_of_aggregates(world, cloud):
    east, west = (
        cloud.compute.create_aggregate(name=name, availability_zone=name)
        for name in ("east", "west")
    )
    cloud.compute.add_host_to_aggregate(east, "compute-1")
    with pytest.raises(sdk_errors.ConflictException, match=r"zone\(s\)"):
        cloud.compute.add_host_to_aggregate(west, "compute-1")
    world.create_servers("compute-1")
    with pytest.raises(sdk_errors.ConflictException, match="already has 1 in"):
        cloud.compute.remove_host_from_aggregate(east, "compute-1")
    assert world.aggregates[east.id].hosts == ["compute-1"]


def test_removing_from_an_aggregate_that_is_gone(cloud):
    answer = cloud.compute.post(
        "/os-aggregates/7/action",
        json={"remove_host": {"host": "compute-1"}},
    )
    assert answer.status_code == 404
    assert answer.json()["itemNotFound"]["message"] == (
        "Cannot remove host compute-1 in aggregate 7"
    )


# Images


def test_images_are_found_through_the_catalog(simulator, cloud, control):
    tiny, *others = control.images()
    assert others == []
    control.set_image(
        tiny["id"], properties={"hw_qemu_guest_agent": "yes"}, tags=["gold"]
    )
    image = cloud.image.get_image(tiny["id"])
    assert (image.name, image.tags) == ("tiny", ["gold"])
    assert image.hw_qemu_guest_agent == "yes"
    assert [one.id for one in cloud.image.images()] == [tiny["id"]]
    [uuid] = control.create_servers("compute-1")
    assert cloud.compute.get_server(uuid).image.id == tiny["id"]
    simulator.world.reset(1, 0)
    assert control.images()[0]["tags"] == []


def test_a_removed_image_is_not_found(control, cloud):
    image = control.set_image(properties={"os_distro": "debian"})
    control.remove_image(image["id"])
    with pytest.raises(sdk_errors.NotFoundException):
        cloud.image.get_image(image["id"])


def test_properties_are_texts(control):
    with pytest.raises(ControlError, match="properties"):
        control.set_image(properties={"one": 1})
