"""Events of what the API does, as a listener on RabbitMQ gets them."""

import json
import socket

import pytest
from oslo_utils import uuidutils

from recovery_ha.api.app import make_app
from recovery_ha.clients import events
from recovery_ha.conf import new_config
from recovery_ha.tests.fixtures.messages import (
    RABBIT,
    Listener,
    skip_without_rabbit,
)
from recovery_ha.tests.fixtures.rest import HOST, REPORT, SEGMENT, Api, World

pytestmark = pytest.mark.parametrize("backend", ["sqlite"], indirect=True)


@pytest.fixture
def serve(conf, database, tmp_path):
    """Return a function that serves the API with events to a queue."""
    emitters = []

    def serve(url):
        path = tmp_path / "events.conf"
        path.write_text(
            f"[DEFAULT]\ntransport_url = {url}\n"
            # An exchange of its own: nothing is to be left in the broker.
            f"control_exchange = test.{uuidutils.generate_uuid()}\n"
            "[oslo_messaging_notifications]\ndriver = messagingv2\n"
            "[oslo_messaging_rabbit]\namqp_auto_delete = true\n"
        )
        told = new_config(["--config-file", str(path)])
        emitters.append(events.Emitter(told, "recovery-ha-api", "here"))
        app = make_app(
            conf,
            database,
            lambda: None,
            events=emitters[-1],
            check_responses=True,
        )
        return Api(app), told

    yield serve
    for emitter in emitters:
        emitter.stop()


@pytest.fixture
def listened(serve):
    """Return an API and somebody who listens to it."""
    skip_without_rabbit()
    api, told = serve(RABBIT)
    with Listener(told, events.TOPIC) as listener:
        yield api, listener


def test_what_is_made_changed_and_removed_is_told(listened, database):
    api, listener = listened
    world = World(api, database)
    segment = world.segment()
    url = f"/segments/{segment['id']}"
    api.put(url, {"segment": {"name": "two"}})
    host = world.host(segment)
    api.put(f"{url}/hosts/{host['id']}", {"host": {"reserved": True}})
    report = world.report()
    world.set(report, status="finished")
    assert api.delete(f"{url}/hosts/{host['uuid']}").status == 204
    assert api.delete(url).status == 204

    verbs = ("create", "update", "delete")
    expected = {
        f"{noun}.{verb}.{phase}"
        for noun in ("segment", "host")
        for verb in verbs
        for phase in ("start", "end")
    } | {"notification.create.start", "notification.create.end"}
    assert set(listener.wait_for(len(expected))) == expected
    assert {(p, who) for _t, p, who, _d in listener.heard} == {
        ("info", "recovery-ha-api:here")
    }
    for verb in verbs:
        data = listener.data(f"segment.{verb}.end")
        assert (data["id"], data["uuid"]) == (segment["id"], segment["uuid"])
        data = listener.data(f"host.{verb}.end")
        assert (data["id"], data["uuid"]) == (host["id"], host["uuid"])
        assert data["failover_segment_id"] == segment["uuid"]
    assert listener.data("segment.update.start")["name"] == "one"
    assert listener.data("segment.update.end")["name"] == "two"
    told = listener.data("notification.create.end")
    assert told["notification_uuid"] == report["notification_uuid"]
    assert told["source_host_uuid"] == host["uuid"]
    assert told["status"] == "new"
    text = json.dumps(listener.heard)
    assert HOST["control_attributes"] not in text
    assert "cluster_status" not in text  # a key of the report's payload


def test_what_is_refused_is_told_with_its_cause(listened, database):
    api, listener = listened
    world = World(api, database)
    world.segment()
    assert api.post("/segments", {"segment": SEGMENT}).status == 409
    assert api.delete("/segments/7777777").status == 404  # tells nothing
    listener.wait_for(4)
    (found,) = [e for e in listener.heard if e[1] == "error"]
    assert found[0] == "segment.create.error"
    fault = listener.data(found[0])["fault"]["masakari_object.data"]
    assert fault["exception"] == "NameExists"
    assert "already exists" in fault["exception_message"]
    assert "in create_segment" in fault["traceback"]
    assert "INSERT" not in json.dumps(fault)
    assert len(listener.heard) == 4


def test_without_a_queue_requests_go_on(serve, database):
    # Nobody listens there, and nobody else can.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        api, _told = serve(f"rabbit://127.0.0.1:{port}/")
        world = World(api, database)
        world.host(world.segment())
        for _turn in range(20):
            world.vm_report()


def test_each_names_the_request_it_comes_from(listened, database):
    api, listener = listened
    world = World(api, database)
    world.host(world.segment())
    listener.wait_for(4)
    answer = api.post("/notifications", {"notification": REPORT})
    listener.wait_for(6)
    request_id = answer.headers["x-openstack-request-id"]
    # And nothing else, least of all a token.
    assert listener.contexts[-2:] == [{"request_id": request_id}] * 2
    refused = api.post("/segments", {"segment": SEGMENT})
    listener.wait_for(8)
    request_id = refused.headers["x-openstack-request-id"]
    assert listener.contexts[-2:] == [{"request_id": request_id}] * 2


def test_a_recovery_that_the_api_ends_is_told_like_an_engine_would(
    listened, database
):
    api, listener = listened
    world = World(api, database)
    world.host(world.segment())
    uuid = world.report()["notification_uuid"]
    listener.wait_for(6)
    url = f"/transactions/{uuid}/action"
    answer = api.post(url, {"action": "cancel"})
    assert answer.status == 202
    listener.wait_for(7)
    kind, priority, _publisher, _payload = listener.heard[-1]
    assert (kind, priority) == ("notification.process.error", "error")
    told = listener.data(kind)
    assert (told["notification_uuid"], told["status"]) == (uuid, "failed")
    fault = told["fault"]["masakari_object.data"]
    assert fault["exception_message"] == (
        "Cancelled by an operator (user noauth)."
    )
    request_id = answer.headers["x-openstack-request-id"]
    assert listener.contexts[-1] == {"request_id": request_id}
    # What an engine ends is told by the engine; a refusal is told by none.
    assert api.post(url, {"action": "cancel"}).status == 409
    assert api.post(url, {"action": "retry"}).status == 202
    world.segment(name="two")
    assert listener.wait_for(9)[7:] == [
        "segment.create.start",
        "segment.create.end",
    ]
