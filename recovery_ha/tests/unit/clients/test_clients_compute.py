import functools

import pytest

from recovery_ha.clients.compute import Compute, Nova
from recovery_ha.domain import errors
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def make(bind):
    """Return a function that logs in with options of [nova]."""
    return functools.partial(bind, Compute)


@pytest.fixture
def compute(make):
    return make()


@pytest.fixture
def dead(world):
    """Give four servers of a host that Nova sees down."""
    uuids = world.create_servers("compute-1", 4)
    world.kill("compute-1")
    world.wait(lambda: not world.up("compute-1"))
    return uuids


def changes(world):
    return [c for c in world.journal.calls() if c.service == "compute"]


def test_a_service_is_what_nova_says(compute, world):
    service = compute.find_service("compute-2")
    assert (service.host, service.enabled, service.up) == (
        "compute-2",
        True,
        True,
    )
    assert (service.forced_down, service.disabled_reason) == (False, None)
    compute.disable_service(service.id, "It failed.")
    compute.force_service_down(service.id)
    service = compute.find_service("compute-2")
    assert (service.enabled, service.up, service.forced_down) == (
        False,
        False,
        True,
    )
    assert service.disabled_reason == "It failed."
    assert compute.find_service("nowhere") is None
    assert len(changes(world)) == 2


def test_a_server_is_what_nova_says(compute, world):
    (uuid,) = world.create_servers(
        "compute-2",
        1,
        metadata={"HA_Enabled": "True"},
        vm_state="paused",
        power_state=3,
    )
    server = compute.find_server(uuid)
    assert (server.id, server.host) == (uuid, "compute-2")
    assert (server.vm_state, server.power_state) == ("paused", 3)
    assert server.metadata == {"HA_Enabled": "True"}
    assert (server.task_state, server.locked, server.fault) == (
        None,
        False,
        None,
    )
    compute.lock_server(uuid, "Recovered.")
    assert compute.find_server(uuid).locked
    compute.unlock_server(uuid)
    assert not compute.find_server(uuid).locked
    compute.reset_server_state(uuid, "error")
    assert compute.find_server(uuid).vm_state == "error"
    assert compute.find_server("11111111-2222-3333-4444-555555555555") is None


def test_servers_of_a_host_are_listed_over_all_pages(compute, world):
    world.settings.page_limit = 3
    wanted = set(world.create_servers("compute-1", 10))
    wanted |= set(world.create_servers("compute-1", 1, project_id="other"))
    world.create_servers("compute-2", 5)
    found = compute.list_servers("compute-1")
    assert {server.id for server in found} == wanted
    assert len(found) == 11
    counts = world.journal.counts()["compute"]
    (pages,) = [n for route, n in counts.items() if "servers/detail" in route]
    assert pages == 4
    assert compute.list_servers("compute-3") == []


def test_a_list_whose_last_server_went_is_begun_anew(compute, world):
    world.settings.page_limit = 3
    wanted = set(world.create_servers("compute-1", 8))
    listed, gone = compute._get, []

    def get(api, path, params):
        body = listed(api, path, params)
        if len(gone) < 2:  # the next page is asked for after one of no more
            last = body["servers"][-1]["id"]
            with world.lock:
                world.delete_server(world.servers[last])
            world.wait(lambda: last not in world.servers)
            gone.append(last)
        return body

    compute._get = get
    found = compute.list_servers("compute-1")

    assert len(gone) == 2
    assert {server.id for server in found} == wanted - set(gone)


def test_a_list_that_never_ends_well_is_given_up(compute, world):
    world.settings.page_limit = 3
    world.create_servers("compute-1", 8)
    listed = compute._get

    def get(api, path, params):
        if "marker" in params:
            params = {**params, "marker": "11111111"}
        return listed(api, path, params)

    compute._get = get
    with pytest.raises(errors.ComputeError, match="marker"):
        compute.list_servers("compute-1")


def test_evacuations_are_listed_over_all_pages(compute, world, dead):
    world.settings.page_limit = 3
    for uuid in dead:
        compute.evacuate_server(uuid, None)

    def statuses():
        return [r.status for r in compute.list_evacuations("compute-1")]

    eventually(lambda: set(statuses()) == {"done"}, "all are done", 10)
    records = compute.list_evacuations("compute-1")
    assert sorted(r.instance_uuid for r in records) == sorted(dead)
    assert {r.source_compute for r in records} == {"compute-1"}
    assert all(r.dest_compute != "compute-1" for r in records)
    assert compute.list_evacuations("compute-2") == []
    # Below 2.95 an evacuated server goes on as it was.
    assert {compute.find_server(u).vm_state for u in dead} == {"active"}


def test_a_target_is_passed_on(compute, world, dead):
    compute.evacuate_server(dead[0], "compute-3")
    (call,) = changes(world)
    assert call.body == {"evacuate": {"host": "compute-3"}}
    compute.evacuate_server(dead[1], None)
    assert changes(world)[1].body == {"evacuate": {}}


# Errors


def test_nova_s_own_sentence_is_kept(compute, world):
    (uuid,) = world.create_servers("compute-1", 1)
    with pytest.raises(errors.ComputeError) as caught:
        compute.evacuate_server(uuid, None)
    assert caught.value.status == 400
    assert str(caught.value) == (
        "Nova answered 400: Compute service of compute-1 is still in use."
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.ComputeError),
        (403, errors.ComputeError),
        (404, errors.ComputeNotFound),
        (409, errors.ComputeConflict),
        (429, errors.ComputeUnavailable),
        (500, errors.ComputeFailed),
        (503, errors.ComputeUnavailable),
    ],
)
def test_each_refusal_has_its_class(compute, world, dead, status, kind):
    world.faults.add(action="evacuate", status=status, message="Said so.")
    with pytest.raises(errors.ComputeError) as caught:
        compute.evacuate_server(dead[0], None)
    assert type(caught.value) is kind
    assert caught.value.status == status
    assert str(caught.value) == f"Nova answered {status}: Said so."


@pytest.mark.parametrize(
    ("body", "reason"),
    [({}, "{}"), ({"what": "x"}, '"what"'), ([1], "[1]")],
)
def test_an_odd_answer_is_shown_as_it_is(compute, world, dead, body, reason):
    world.faults.add(action="evacuate", status=418, body=body)
    with pytest.raises(errors.ComputeError, match="Nova answered 418") as e:
        compute.evacuate_server(dead[0], None)
    assert reason in str(e.value)


def test_a_lost_answer_is_an_outage(compute, world, dead):
    world.faults.add(action="evacuate", disconnect=True, when="after")
    with pytest.raises(errors.ComputeUnavailable) as caught:
        compute.evacuate_server(dead[0], None)
    assert caught.value.status is None
    # It took effect once, and nothing repeated it.
    assert [c.action for c in changes(world)] == ["evacuate"]


# Repeating


@pytest.mark.parametrize("status", [429, 500, 503])
def test_reads_are_repeated_with_growing_pauses(compute, world, work, status):
    world.faults.add(method="GET", path="/os-services", status=status, times=3)
    assert compute.find_service("compute-1") is not None
    assert len(work.slept) == 3
    assert work.slept == sorted(work.slept)
    assert work.slept[0] < 1


def test_a_read_whose_answer_is_lost_is_repeated(compute, world, work):
    world.faults.add(
        method="GET", path="/os-services", disconnect=True, times=2
    )
    assert compute.find_service("compute-1") is not None
    assert len(work.slept) == 2


def test_repeating_is_bounded(make, world, work):
    compute = make(read_retries=2)
    fault = world.faults.add(path="/servers", status=503, times=None)
    with pytest.raises(errors.ComputeUnavailable, match="503"):
        compute.list_servers("compute-1")
    assert fault.hits == 3
    assert len(work.slept) == 2


@pytest.mark.parametrize("status", [400, 403, 404, 409])
def test_a_refused_read_is_not_repeated(compute, world, work, status):
    fault = world.faults.add(path="/os-services", status=status, times=None)
    with pytest.raises(errors.ComputeError):
        compute.find_service("compute-1")
    assert (fault.hits, work.slept) == (1, [])


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize(
    ("method", "call"),
    [
        ("POST", lambda c, uuid: c.evacuate_server(uuid, None)),
        ("POST", lambda c, uuid: c.lock_server(uuid, "-")),
        ("POST", lambda c, uuid: c.stop_server(uuid)),
        ("POST", lambda c, uuid: c.start_server(uuid)),
        ("POST", lambda c, uuid: c.reboot_server(uuid)),
        ("POST", lambda c, _: c.add_to_aggregate(1, "compute-2")),
        ("POST", lambda c, _: c.remove_from_aggregate(1, "compute-2")),
        ("PUT", lambda c, _: c.enable_service("x")),
        ("PUT", lambda c, _: c.clear_forced_down("x")),
        ("PUT", lambda c, _: c.disable_service("x", "-")),
    ],
)
def test_what_changes_something_is_never_repeated(
    compute, world, work, dead, status, method, call
):
    fault = world.faults.add(method=method, status=status, times=None)
    fault.service = "compute"
    with pytest.raises(errors.ComputeError):
        call(compute, dead[0])
    assert (fault.hits, work.slept) == (1, [])


def test_waiting_for_a_repetition_ends_with_the_work(compute, world, work):
    fault = world.faults.add(path="/os-services", status=503, times=None)
    work.refusal = errors.LeaseLost("gone")
    with pytest.raises(errors.LeaseLost):
        compute.find_service("compute-1")
    assert fault.hits == 1


# The guard


@pytest.mark.parametrize(
    "refusal", [errors.LeaseLost("gone"), errors.EngineStopping("stop")]
)
def test_nothing_is_sent_for_work_that_is_lost(
    compute, world, work, dead, refusal
):
    compute.find_service("compute-1")  # logged in
    work.refusal = refusal
    for call in (
        lambda: compute.evacuate_server(dead[0], None),
        lambda: compute.lock_server(dead[0], "-"),
        lambda: compute.unlock_server(dead[0]),
        lambda: compute.stop_server(dead[0]),
        lambda: compute.start_server(dead[0]),
        lambda: compute.reboot_server(dead[0]),
        lambda: compute.reset_server_state(dead[0], "error"),
        lambda: compute.disable_service("x", "-"),
        lambda: compute.force_service_down("x"),
        lambda: compute.enable_service("x"),
        lambda: compute.clear_forced_down("x"),
        lambda: compute.add_to_aggregate(1, "compute-2"),
        lambda: compute.remove_from_aggregate(1, "compute-2"),
    ):
        with pytest.raises(type(refusal)):
            call()
    assert changes(world) == []
    work.refusal = None
    compute.lock_server(dead[0], "-")
    assert len(changes(world)) == 1


def test_the_guard_is_asked_last_of_all(compute, world, work, dead):
    """The lease ends while a new token is fetched: nothing is sent then."""
    compute.find_service("compute-1")
    world.identity.expire_all()
    fault = world.faults.add(service="identity", delay_seconds=0.3, path="")
    asked = work.check

    def end_meanwhile():
        if fault.hits:
            work.refusal = errors.LeaseLost("gone")
        asked()

    compute._check = end_meanwhile
    with pytest.raises(errors.LeaseLost):
        compute.evacuate_server(dead[0], None)
    assert [c for c in changes(world) if c.status == 202] == []


def test_reads_are_allowed_without_the_guard(compute, work):
    compute.find_service("compute-1")
    assert work.checks == 0


# Logging in


def test_the_request_id_reaches_nova(make, world, dead):
    make("req-42").lock_server(dead[0], "-")
    assert changes(world)[-1].request_id == "req-42"
    make(None).unlock_server(dead[0])
    assert changes(world)[-1].request_id is None


def test_a_token_that_expires_midway_is_replaced(compute, world, dead):
    compute.lock_server(dead[0], "-")
    for _ in range(3):
        assert world.identity.expire_all() >= 1
        compute.list_servers("compute-1")
        world.identity.expire_all()
        compute.unlock_server(dead[0])
    done = [c.action for c in changes(world) if c.status == 202]
    assert done == ["lock", *["unlock"] * 3]


def test_an_endpoint_may_be_named(make, simulator, world, dead):
    compute = make(endpoint_override=f"{simulator.url}/compute/v2.1")
    compute.lock_server(dead[0], "-")
    assert len(changes(world)) == 1


def test_an_endpoint_that_is_not_there_is_an_outage(make, work):
    compute = make(endpoint_override="http://127.0.0.1:1/v2.1", read_retries=1)
    with pytest.raises(errors.ComputeUnavailable, match=r"127\.0\.0\.1"):
        compute.find_service("compute-1")
    assert len(work.slept) == 1


def test_a_keystone_that_is_not_there_is_an_outage(make):
    compute = make(auth_url="http://127.0.0.1:1/v3", read_retries=0)
    with pytest.raises(errors.ComputeUnavailable):
        compute.find_service("compute-1")


def test_a_keystone_that_fails_is_an_outage(make, world):
    world.outages.begin("identity", 503)
    with pytest.raises(errors.ComputeUnavailable):
        make(read_retries=0).find_service("compute-1")
    world.outages.end()


def test_a_wrong_password_is_an_error_and_not_shown(make):
    compute = make(password="wrong-word")
    with pytest.raises(errors.ComputeError) as caught:
        compute.find_service("compute-1")
    assert caught.value.status == 401
    assert not isinstance(caught.value, errors.ComputeUnavailable)
    assert "wrong-word" not in str(caught.value)


def test_without_auth_type_the_option_is_named(configure):
    conf = configure(username="service")
    with pytest.raises(errors.InvalidConfiguration) as caught:
        Nova(conf)
    assert str(caught.value).startswith("[nova] auth_type is not set")


def test_nothing_is_sent_before_it_is_needed(make, world):
    make()
    assert world.journal.counts() == {}
