"""Events raise alarms as in Aodh, and managers of projects react to them."""

import time
from datetime import UTC, datetime, timedelta

import oslo_messaging
import pytest
import requests
from oslo_config import cfg
from oslo_utils import uuidutils

from recovery_ha.clients import maintenance_events as events
from recovery_ha.clients.webhook import signature
from recovery_ha.simulator.control_client import ControlError
from recovery_ha.simulator.server import Simulator
from recovery_ha.tests.fixtures.messages import RABBIT, skip_without_rabbit
from recovery_ha.tests.fixtures.receiver import Answer, Receiver
from recovery_ha.tests.fixtures.waiting import eventually

SESSION = "5e55105e-0000-4000-8000-000000000001"


@pytest.fixture(params=["fake://", RABBIT], ids=["fake", "rabbit"])
def url(request):
    if request.param == RABBIT:
        skip_without_rabbit()
    return request.param


@pytest.fixture
def topic():
    return f"simulator-{uuidutils.generate_uuid()}"


@pytest.fixture
def simulator(url, topic):
    with Simulator(
        computes=3,
        boot_seconds=0.02,
        transport_url=url,
        notification_topic=topic,
    ) as simulator:
        yield simulator


@pytest.fixture
def tell(url, topic):
    """Return a function that sends a notification as services do."""
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[])
    transport = oslo_messaging.get_notification_transport(conf, url=url)
    notifier = oslo_messaging.Notifier(
        transport, "recovery_ha.test", driver="messagingv2", topics=[topic]
    )

    def tell(payload, event_type=events.SCHEDULED):
        notifier.info({}, event_type, payload)

    yield tell
    transport.cleanup()


@pytest.fixture
def service():
    """Stand for the service: a receiver of replies."""
    instances = []

    def answer(received):
        if received.method == "GET":
            return Answer(body={"instance_ids": instances})
        return Answer()

    with Receiver(answer) as receiver:
        receiver.instances = instances
        yield receiver


@pytest.fixture
def ask(tell, service):
    """Return a function that asks a project as the service does."""

    def ask(project, state, *, in_seconds=60, **values):
        payload = events.project_payload(
            session=SESSION,
            project_id=project["project_id"],
            state=state,
            api_url=service.url,
            reply_at=datetime.now(UTC) + timedelta(seconds=in_seconds),
            actions_at=datetime.now(UTC) + timedelta(seconds=in_seconds + 1),
            metadata={"openstack_release": "Queens"},
            **values,
        )
        tell(payload)
        return payload

    return ask


def replies(service):
    return [r.body for r in service.requests if r.method == "PUT"]


def test_a_manager_hears_by_its_alarm_and_replies(control, ask, service):
    red = control.add_manager("red")
    control.add_manager("blue")
    payload = ask(red, "MAINTENANCE")
    (request,) = service.wait_for(2)[1:]
    assert (request.method, request.body) == (
        "PUT",
        {"state": "ACK_MAINTENANCE"},
    )
    assert request.path == f"/v1/maintenance/{SESSION}/{red['project_id']}"
    assert request.headers["X-Auth-Token"].startswith("sim-")
    (received,) = control.manager("red")["received"]
    assert received["via"] == "alarm"
    fields = received["fields"]
    assert fields["metadata"] == "{'openstack_release': 'Queens'}"
    assert fields["allowed_actions"] == "[]"
    assert fields["reply_at"] == payload["reply_at"].replace(" ", "T")
    assert fields["instance_ids"] == payload["reply_url"]
    eventually(
        lambda: control.manager("red")["answers"], "the answer is on record"
    )
    (answer,) = control.manager("red")["answers"]
    assert (answer["status"], answer["url"]) == (200, payload["reply_url"])
    assert control.manager("blue")["received"] == []


def test_actions_are_chosen_for_each_instance(control, ask, service):
    red = control.add_manager("red", default={"action": "LIVE_MIGRATE"})
    service.instances += ["i-1", "i-2"]
    ask(red, "PREPARE_MAINTENANCE", allowed_actions=["LIVE_MIGRATE"])
    eventually(lambda: replies(service), "it replies")
    assert replies(service) == [
        {
            "state": "ACK_PREPARE_MAINTENANCE",
            "instance_actions": {"i-1": "LIVE_MIGRATE", "i-2": "LIVE_MIGRATE"},
        }
    ]


def test_one_instance_is_answered_for_alone(control, ask, service):
    red = control.add_manager("red")
    ask(red, "PLANNED_MAINTENANCE", instance_ids=["i-1"])
    (request,) = service.wait_for(1)
    assert request.path.endswith("/i-1")
    assert request.body == {
        "state": "ACK_PLANNED_MAINTENANCE",
        "instance_action": "MIGRATE",
    }


@pytest.mark.parametrize(
    ("answer", "bodies"),
    [
        ("silent", []),
        ("nack", [{"state": "NACK_SCALE_IN", "reason": "Never."}]),
        (
            "nonsense",
            [{"state": "PERHAPS", "instance_actions": "all of them"}],
        ),
        ("twice", [{"state": "ACK_SCALE_IN"}, {"state": "ACK_SCALE_IN"}]),
    ],
)
def test_manners_can_be_chosen_by_state(control, ask, service, answer, bodies):
    red = control.add_manager("red")
    control.set_manager("red", SCALE_IN={"answer": answer, "reason": "Never."})
    ask(red, "SCALE_IN")
    ask(red, "MAINTENANCE_COMPLETE")
    done = {"state": "ACK_MAINTENANCE_COMPLETE"}
    eventually(lambda: len(replies(service)) == len(bodies) + 1, "it replies")
    assert [body for body in replies(service) if body != done] == bodies


def test_a_late_answer_comes_after_the_time(control, ask, service):
    red = control.add_manager("red", default={"answer": "late"})
    ask(red, "MAINTENANCE", in_seconds=1)
    begun = time.monotonic()
    eventually(lambda: replies(service), "it replies")
    assert time.monotonic() - begun > 1


def test_servers_go_and_come_back(control, ask, service, world):
    red = control.add_manager("red", SCALE_IN={"scale_in": 2})
    ids = control.create_servers(
        "compute-1", 3, project_id=red["project_id"], name_prefix="red"
    )
    control.create_servers("compute-1", 1)
    names = sorted(s.name for s in world.servers.values())
    ask(red, "SCALE_IN")
    eventually(lambda: replies(service), "it replies")
    left = set(ids) & set(world.servers)
    assert (len(left), len(world.servers)) == (1, 2)
    assert control.manager("red")["scaled_in"] == 2
    ask(red, "MAINTENANCE_COMPLETE")
    world.wait(lambda: sorted(s.name for s in world.servers.values()) == names)


def test_an_own_action_makes_the_instance_anew(control, ask, service, world):
    red = control.add_manager("red", default={"action": "OWN_ACTION"})
    (old,) = control.create_servers(
        "compute-1", 1, project_id=red["project_id"], name_prefix="red"
    )
    name = world.servers[old].name
    with world.lock:
        world.computes.get("compute-1").disabled = True
    service.instances += [old]
    ask(red, "PREPARE_MAINTENANCE")
    world.wait(lambda: old not in world.servers)
    (new,) = world.servers.values()
    assert (new.name, new.status) == (name, "ACTIVE")
    assert new.host != "compute-1"


def test_what_comes_twice_is_answered_once(control, service, simulator):
    control.add_manager("red", event_type="maintenance.*")
    payload = events.project_payload(
        session=SESSION,
        project_id=control.manager("red")["project_id"],
        state="MAINTENANCE",
        api_url=service.url,
    )
    for name in events.PROJECT_EVENTS:
        simulator._listening.notify("m-1", name, payload)
    simulator._listening.notify("m-2", events.SCHEDULED, payload)
    eventually(lambda: len(replies(service)) == 2, "both are answered")
    time.sleep(0.1)
    heard = control.manager("red")["received"]
    assert [(r["event_type"], r["again"]) for r in heard] == [
        ("maintenance.scheduled", False),
        ("maintenance.planned", True),
        ("maintenance.scheduled", False),
    ]
    assert len(replies(service)) == 2


@pytest.mark.parametrize(
    ("rule", "fires"),
    [
        ({"event_type": "maintenance.*"}, True),
        ({"event_type": "maintenance.planned"}, False),
        ({}, True),
        (
            {
                "event_type": "maintenance.scheduled",
                "query": [
                    {"field": "traits.state", "op": "eq", "value": "SCALE_IN"}
                ],
            },
            True,
        ),
        (
            {
                "event_type": "*",
                "query": [{"field": "traits.state", "value": "MAINTENANCE"}],
            },
            False,
        ),
    ],
)
def test_an_alarm_fires_as_its_rule_says(simulator, rule, fires):
    payload = {"project_id": "p", "state": "SCALE_IN"}
    alarms = simulator.world.alarms
    body = {"name": "a", "event_rule": rule, "alarm_actions": ["http://x/"]}
    alarm = alarms.add(body, "p", "u")
    other = alarms.add(body, "another", "u")
    off = alarms.add(body | {"enabled": False}, "p", "u")
    simulator._listening.notify("m", events.SCHEDULED, payload)
    assert (alarm.state == "alarm") is fires
    assert {other.state, off.state} == {"insufficient data"}


def test_an_alarm_that_does_not_repeat_fires_once(simulator):
    with Receiver() as receiver:
        alarms = simulator.world.alarms
        body = {"name": "a", "alarm_actions": [receiver.url, "log://"]}
        alarms.add(body, "p", "u")
        repeating = body | {"repeat_actions": True, "name": "b"}
        alarms.add(repeating, "p", "u")
        for number in range(3):
            simulator._listening.notify(f"m{number}", "x", {"project_id": "p"})
        eventually(lambda: len(receiver.requests) >= 4, "four calls")
        time.sleep(0.1)
        names = [request.body["alarm_name"] for request in receiver.requests]
    assert names == ["a", "b", "b", "b"]
    first = receiver.requests[0].body
    assert first["current"] == "alarm"
    assert first["previous"] == "insufficient data"
    assert first["reason_data"]["event"]["traits"] == [["project_id", 1, "p"]]


def test_a_webhook_is_heard_if_its_signature_is_right(control, service):
    red = control.add_manager("red", event_type=None, secret="s3cret")
    body = (
        b'{"message_id": "m", "event_type": "maintenance.scheduled",'
        b' "payload": {"state": "INSTANCE_ACTION_DONE"}}'
    )

    def post(sign):
        stamp = int(time.time())
        return requests.post(
            red["url"],
            data=body,
            headers={
                "webhook-id": "m",
                "webhook-timestamp": str(stamp),
                "webhook-signature": signature(sign, "m", stamp, body),
            },
            timeout=10,
        ).status_code

    assert post("wrong") == 403
    assert post("s3cret") == 202
    (received,) = control.manager("red")["received"]
    assert (received["via"], received["state"]) == (
        "webhook",
        "INSTANCE_ACTION_DONE",
    )


def test_what_cannot_be_is_refused(control):
    control.add_manager("red")
    for behaviours in (
        {"default": {"answer": "shout"}},
        {"default": {"action": "PRAY"}},
        {"default": {"manners": "good"}},
        {"default": {"scale_in": "many"}},
        {"PARTY": {"answer": "ack"}},
    ):
        with pytest.raises(ControlError, match="400"):
            control.set_manager("red", **behaviours)
    with pytest.raises(ControlError, match="404"):
        control.manager("nobody")
    control.remove_manager("red")
    assert control.managers() == []


def test_what_was_heard_can_be_forgotten(control, ask, service):
    red = control.add_manager("red", default={"answer": "silent"})
    ask(red, "MAINTENANCE")
    eventually(lambda: control.manager("red")["received"], "it hears")
    control.clear_manager("red")
    assert control.manager("red")["received"] == []
    assert control.add_project("green")["name"] == "green"
