"""Nova and Placement, as openstacksdk sees them."""

import openstack
import pytest
from keystoneauth1 import exceptions as keystone_errors


def _service(cloud, host):
    [service] = cloud.compute.services(binary="nova-compute", host=host)
    return service


def test_the_catalog_leads_to_everything(simulator, cloud):
    assert cloud.compute.get_endpoint() == f"{simulator.url}/compute/v2.1"
    assert cloud.placement.get_endpoint() == f"{simulator.url}/placement/"
    endpoint = cloud.session.get_endpoint(service_type="instance-ha")
    assert endpoint == "http://127.0.0.1:15868/v1"
    data = cloud.compute.get_endpoint_data()
    assert data.max_microversion == (2, 96)
    assert data.min_microversion == (2, 1)


def test_microversions(cloud):
    answer = cloud.compute.get("/os-services", microversion="2.1")
    assert answer.headers["OpenStack-API-Version"] == "compute 2.1"
    assert isinstance(answer.json()["services"][-1]["id"], int)
    answer = cloud.compute.get("/os-services", microversion="2.999")
    assert answer.status_code == 406
    assert answer.json()["computeFault"]["message"] == (
        "Version 2.999 is not supported by the API. Minimum is 2.1 and "
        "maximum is 2.96."
    )


def test_paging_by_links(world, cloud):
    world.settings.page_limit = 3
    uuids = world.create_servers("compute-1", 10)
    found = list(
        cloud.compute.servers(all_projects=True, compute_host="compute-1")
    )
    assert [server.id for server in found] == uuids[::-1]
    assert world.journal.counts()["compute"]["GET /servers/detail"] == 4
    first = cloud.compute.get("/servers?limit=2&all_tenants=1").json()
    assert len(first["servers"]) == 2
    [link] = first["servers_links"]
    assert link["rel"] == "next"
    assert f"marker={uuids[-2]}" in link["href"]
    assert "limit=2" in link["href"]


def test_a_marker_that_does_not_exist(cloud):
    answer = cloud.compute.get("/servers/detail?marker=no")
    assert answer.status_code == 400
    assert answer.json() == {
        "badRequest": {"code": 400, "message": "marker [no] not found"}
    }


def test_migrations_are_paged_too(world, cloud):
    world.settings.page_limit = 3
    uuids = world.create_servers("compute-1", 7)
    world.kill("compute-1")
    world.wait(lambda: not world.up("compute-1"))
    for uuid in uuids:
        cloud.compute.evacuate_server(uuid)
    world.wait(lambda: all(m.status == "done" for m in world.migrations))
    found = list(cloud.compute.migrations(migration_type="evacuation"))
    assert [one.server_id for one in found] == uuids[::-1]
    assert {one.status for one in found} == {"done"}
    assert {one.source_compute for one in found} == {"compute-1"}
    by_source = cloud.compute.get(
        "/os-migrations?source_compute=compute-2", microversion="2.94"
    )
    assert by_source.json() == {"migrations": []}


def test_a_server_in_full(world, cloud, simulator):
    simulator.settings.hypervisor_suffix = ".example.org"
    world.reset(1, 0)
    [uuid] = world.create_servers("compute-1", metadata={"HA_Enabled": "True"})
    shown = cloud.compute.get(f"/servers/{uuid}", microversion="2.94")
    server = shown.json()["server"]
    expected = {
        "OS-EXT-SRV-ATTR:host": "compute-1",
        "OS-EXT-SRV-ATTR:hypervisor_hostname": "compute-1.example.org",
        "OS-EXT-STS:power_state": 1,
        "OS-EXT-STS:task_state": None,
        "OS-EXT-STS:vm_state": "active",
        "host_status": "UP",
        "locked": False,
        "locked_reason": None,
        "metadata": {"HA_Enabled": "True"},
        "status": "ACTIVE",
    }
    assert {key: server[key] for key in expected} == expected
    assert server["flavor"]["original_name"] == "tiny"
    assert server["flavor"]["extra_specs"] == {}
    old = cloud.compute.get(f"/servers/{uuid}", microversion="2.1")
    assert set(old.json()["server"]["flavor"]) == {"id", "links"}
    assert "locked" not in old.json()["server"]


def test_filters(world, cloud):
    world.create_servers("compute-1", 2, vm_state="stopped")
    world.create_servers("compute-2", 3, name_prefix="db", locked=True)

    def number(query):
        answer = cloud.compute.get(f"/servers?all_tenants=1&{query}")
        return len(answer.json()["servers"])

    assert number("host=compute-1") == 2
    assert number("status=ACTIVE") == 3
    assert number("status=ACTIVE&status=SHUTOFF") == 5
    assert number("vm_state=stopped") == 2
    assert number("name=db") == 3
    assert number("changes-since=2100-01-01T00:00:00Z") == 0
    answer = cloud.compute.get("/servers?status=nonsense")
    assert answer.json()["badRequest"]["message"] == "Invalid status value"


def test_deleted_servers_show_with_changes_since(world, cloud):
    [uuid] = world.create_servers("compute-1")
    cloud.compute.delete_server(uuid)
    assert cloud.compute.get(f"/servers/{uuid}").status_code == 404
    query = "all_tenants=1&changes-since=2020-01-01T00:00:00Z"
    [found] = cloud.compute.get(f"/servers/detail?{query}").json()["servers"]
    assert (found["id"], found["status"]) == (uuid, "DELETED")


def test_boot_on_a_named_host(world, cloud):
    server = cloud.compute.create_server(
        name="new", flavorRef="1", imageRef=None, host="compute-3"
    )
    world.wait(lambda: world.servers[server.id].status == "ACTIVE")
    assert cloud.compute.get_server(server.id).compute_host == "compute-3"
    other = cloud.compute.create_server(
        name="new",
        flavorRef="1",
        imageRef=None,
        availability_zone="nova:compute-2",
    )
    assert world.servers[other.id].host == "compute-2"


def test_services_are_disabled_and_forced_down(cloud):
    service = _service(cloud, "compute-1")
    assert (service.status, service.state) == ("enabled", "up")
    cloud.compute.disable_service(service, disabled_reason="broken")
    service = _service(cloud, "compute-1")
    assert service.status == "disabled"
    assert service.disabled_reason == "broken"
    cloud.compute.enable_service(service)
    cloud.compute.update_service_forced_down(service, forced=True)
    assert _service(cloud, "compute-1").state == "down"
    cloud.compute.update_service_forced_down(service, forced=False)
    assert _service(cloud, "compute-1").state == "up"


def test_forced_down_stays_until_the_restart(world, cloud):
    [uuid] = world.create_servers("compute-1")
    service = _service(cloud, "compute-1")
    world.kill("compute-1")
    cloud.compute.update_service_forced_down(service, forced=True)
    cloud.compute.evacuate_server(uuid)
    world.wait(lambda: [m.status for m in world.migrations] == ["done"])
    path = f"/os-services/{service.id}"
    body = {"forced_down": False}
    answer = cloud.compute.put(path, json=body, microversion="2.94")
    assert answer.status_code == 400
    assert "`done` evacuation" in answer.json()["badRequest"]["message"]
    world.start("compute-1")
    world.wait(lambda: [m.status for m in world.migrations] == ["completed"])
    answer = cloud.compute.put(path, json=body, microversion="2.94")
    assert answer.status_code == 200
    assert _service(cloud, "compute-1").state == "up"


def test_evacuation_ends_shut_off_from_2_95_on(world, cloud):
    below, above = world.create_servers("compute-1", 2)
    world.kill("compute-1")
    world.wait(lambda: not world.up("compute-1"))
    for uuid, version in ((below, "2.94"), (above, "2.95")):
        answer = cloud.compute.post(
            f"/servers/{uuid}/action",
            json={"evacuate": {}},
            microversion=version,
        )
        assert (answer.status_code, answer.content) == (200, b"")
    world.wait(lambda: all(m.status == "done" for m in world.migrations))
    world.wait(lambda: world.servers[above].task_state is None)
    assert cloud.compute.get_server(below).status == "ACTIVE"
    assert cloud.compute.get_server(above).status == "SHUTOFF"


@pytest.mark.parametrize(
    ("action", "status", "message"),
    [
        ({"os-start": None}, 409, "Cannot 'start' instance {uuid} while it "),
        ({"nosuch": None}, 400, "There is no such action: nosuch"),
        ({}, 400, "Malformed request body"),
        ({"reboot": {"type": "BAD"}}, 400, "Invalid input"),
        ({"os-resetState": {"state": "bad"}}, 400, "Invalid input"),
        ({"evacuate": {"force": True}}, 400, "Invalid input"),
        ({"evacuate": {}}, 400, "Compute service of compute-1 is still"),
        ({"evacuate": {"host": "no"}}, 404, "Compute host no not found."),
        ({"confirmResize": None}, 409, "Cannot 'confirmResize' instance"),
        ({"migrate": {"host": "compute-1"}}, 400, "Cannot migrate to the"),
        ({"os-migrateLive": {"host": None}}, 400, "Invalid input"),
    ],
)
def test_refused_actions(world, cloud, action, status, message):
    [uuid] = world.create_servers("compute-1")
    answer = cloud.compute.post(
        f"/servers/{uuid}/action", json=action, microversion="2.94"
    )
    assert answer.status_code == status
    [fault] = answer.json().values()
    assert fault["code"] == status
    assert fault["message"].startswith(message.format(uuid=uuid))


def test_actions_through_the_sdk(world, cloud):
    [uuid] = world.create_servers("compute-1")
    server = world.servers[uuid]
    cloud.compute.lock_server(uuid, locked_reason="recovery")
    shown = cloud.compute.get_server(uuid)
    assert (shown.is_locked, shown.locked_reason) == (True, "recovery")
    cloud.compute.unlock_server(uuid)
    cloud.compute.stop_server(uuid)
    world.wait(lambda: server.status == "SHUTOFF")
    cloud.compute.start_server(uuid)
    world.wait(lambda: server.status == "ACTIVE")
    cloud.compute.live_migrate_server(uuid, host="compute-2")
    world.wait(lambda: server.host == "compute-2")
    cloud.compute.migrate_server(uuid)
    world.wait(lambda: server.status == "VERIFY_RESIZE")
    cloud.compute.confirm_server_resize(uuid)
    cloud.compute.reset_server_state(uuid, "error")
    assert cloud.compute.get_server(uuid).status == "ERROR"
    cloud.compute.reboot_server(uuid, "HARD")
    world.wait(lambda: server.status == "ACTIVE")
    cloud.compute.set_server_metadata(uuid, HA_Enabled="True")
    assert server.metadata == {"HA_Enabled": "True"}


def test_aggregates(cloud):
    compute = cloud.compute
    aggregate = compute.create_aggregate(name="rack-1")
    compute.add_host_to_aggregate(aggregate, "compute-1")
    with pytest.raises(openstack.exceptions.ConflictException):
        compute.add_host_to_aggregate(aggregate, "compute-1")
    with pytest.raises(openstack.exceptions.NotFoundException):
        compute.add_host_to_aggregate(aggregate, "nowhere")
    compute.set_aggregate_metadata(aggregate, {"ssd": "true"})
    [found] = compute.aggregates()
    assert (found.hosts, found.metadata) == (["compute-1"], {"ssd": "true"})
    compute.remove_host_from_aggregate(aggregate, "compute-1")
    compute.delete_aggregate(aggregate)
    assert list(compute.aggregates()) == []


def test_server_groups(world, cloud):
    group = cloud.compute.create_server_group(name="g", policy="anti-affinity")
    hints = {"group": group.id}
    made = [
        cloud.compute.create_server(
            name="x", flavorRef="1", imageRef=None, scheduler_hints=hints
        )
        for _ in range(4)
    ]
    hosts = {world.servers[server.id].host for server in made}
    assert len(hosts) == 4
    [found] = cloud.compute.server_groups()
    assert set(found.member_ids) == {server.id for server in made}


def test_hypervisors(world, cloud):
    [uuid] = world.create_servers("compute-2")
    found = list(cloud.compute.hypervisors(details=True, with_servers=True))
    assert [one.name for one in found] == [
        f"compute-{number}" for number in range(1, 5)
    ]
    assert [one["uuid"] for one in found[1].servers] == [uuid]
    assert found[0].service_details["host"] == "compute-1"
    assert cloud.compute.get_hypervisor(found[0].id).state == "up"


def test_placement_follows(world, cloud):
    [uuid] = world.create_servers("compute-1", flavor="small")
    [provider] = cloud.placement.resource_providers(name="compute-1")
    answer = cloud.placement.get(f"/resource_providers/{provider.id}/usages")
    assert answer.json()["usages"] == {
        "VCPU": 2,
        "MEMORY_MB": 2048,
        "DISK_GB": 20,
    }
    answer = cloud.placement.get(f"/allocations/{uuid}")
    assert set(answer.json()["allocations"]) == {provider.id}
    answer = cloud.placement.get(
        "/allocation_candidates?resources=VCPU:1&limit=2",
        microversion="1.39",
    )
    assert len(answer.json()["allocation_requests"]) == 2
    answer = cloud.placement.get("/resource_providers?resources=VCPU:9999")
    assert answer.json() == {"resource_providers": []}


def test_those_who_are_no_admin(world, connect):
    demo = connect("demo", project="demo")
    [hers] = world.create_servers(
        "compute-1",
        project_id=world.identity.project("demo").id,
        locked=True,
    )
    [other] = world.create_servers("compute-1")
    [seen] = demo.compute.servers()
    assert (seen.id, seen.compute_host) == (hers, None)
    assert demo.compute.get(f"/servers/{other}").status_code == 404
    assert demo.compute.get("/os-services").status_code == 403
    action = f"/servers/{hers}/action"
    answer = demo.compute.post(action, json={"os-stop": None})
    assert answer.status_code == 409
    answer = demo.compute.post(action, json={"evacuate": {}})
    assert answer.status_code == 403


def test_without_a_token(simulator, cloud):
    http = cloud.session.session
    answer = http.get(f"{simulator.url}/compute/v2.1/servers")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Keystone uri=")
    for path in ("/identity", "/compute", "/compute/v2.1", "/placement/"):
        answer = http.get(simulator.url + path)
        assert answer.status_code in {200, 300}, path
    with pytest.raises(keystone_errors.EndpointNotFound):
        cloud.session.get("/", endpoint_filter={"service_type": "nosuch"})


def test_aodh(world, connect):
    admin, demo = connect(), connect("demo", project="demo")

    def call(who, method, path, **options):
        return who.session.request(
            path,
            method,
            endpoint_filter={"service_type": "alarming"},
            raise_exc=False,
            **options,
        )

    rule = {"event_type": "maintenance.host", "query": []}
    body = {"name": "a", "type": "event", "event_rule": rule}
    answer = call(demo, "POST", "/v2/alarms", json=body)
    assert answer.status_code == 201
    alarm = answer.json()
    assert alarm["event_rule"] == rule
    assert alarm["project_id"] == world.identity.project("demo").id
    assert call(admin, "GET", "/v2/alarms").json() == []
    everyones = call(admin, "GET", "/v2/alarms?all_projects=true").json()
    assert everyones == [alarm]
    path = f"/v2/alarms/{alarm['alarm_id']}"
    call(demo, "PUT", path, json={**body, "alarm_actions": ["http://x"]})
    assert call(demo, "GET", path).json()["alarm_actions"] == ["http://x"]
    query = "q.field=type&q.op=eq&q.value=event"
    assert len(call(demo, "GET", f"/v2/alarms?{query}").json()) == 1
    assert call(demo, "DELETE", path).status_code == 204
    answer = call(demo, "GET", path)
    assert answer.status_code == 404
    assert answer.json()["error_message"]["faultcode"] == "Client"
