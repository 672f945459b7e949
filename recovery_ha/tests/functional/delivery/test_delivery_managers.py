"""The whole way: session, message, alarm or webhook, manager, reply."""

import io
import time
from datetime import UTC, datetime, timedelta

import pytest
from oslo_utils import uuidutils
from rich.console import Console

from recovery_ha.cmd.demo_stage import standing
from recovery_ha.tests.fixtures.messages import RABBIT, skip_without_rabbit
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = [
    pytest.mark.processes,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    # openstacksdk warns of its own insides.
    pytest.mark.filterwarnings("ignore::openstack.warnings.OpenStackWarning"),
]

SECRET = "s3cret-s3cret-s3cret"
ENDS = {"MAINTENANCE_DONE", "MAINTENANCE_FAILED"}
OPTIONS = """\
computes = 3
migrate_seconds = 0.2
boot_seconds = 0.1
[maintenance]
poll_interval = 0.1
project_maintenance_reply = 8
[webhook]
allowed_networks = 127.0.0.0/8
"""


@pytest.fixture(params=["fake://", RABBIT], ids=["fake", "rabbit"])
def stage(request):
    options = OPTIONS
    if request.param == RABBIT:
        skip_without_rabbit()
        topic = f"managers-{uuidutils.generate_uuid()}"
        options += f"[outbox]\ntopic = {topic}\n"
        options += f"[DEFAULT]\ntransport_url = {RABBIT}\n"
    with standing(Console(file=io.StringIO()), options) as stage:
        yield stage
        stage.cloud.session.session.close()
        stage.cloud.close()


@pytest.fixture
def begin(stage):
    """Return a function that opens a session over all hosts."""

    def begin():
        when = datetime.now(UTC) + timedelta(seconds=1)
        return stage.cloud.instance_ha.post(
            "/maintenance",
            json={
                "state": "MAINTENANCE",
                "hosts": ["compute-1", "compute-2", "compute-3"],
                "maintenance_at": when.strftime("%Y-%m-%d %H:%M:%S"),
                "workflow": "default",
                "metadata": {},
            },
        ).json()["session_id"]

    return begin


@pytest.fixture
def ended(stage):
    """Return a function that waits for the end of a session."""

    def ended(uuid):
        def look():
            found = stage.cloud.instance_ha.get(f"/maintenance/{uuid}").json()
            return found if found["state"] in ENDS else None

        return eventually(look, "the session ends", 60)

    return ended


def statuses(manager):
    return [answer["status"] for answer in manager["answers"]]


@pytest.mark.parametrize("stage", [RABBIT], indirect=True, ids=["rabbit"])
def test_managers_hear_over_rabbitmq_by_alarm_and_webhook(stage, begin, ended):
    control = stage.control
    red = control.add_manager(
        "red", secret=SECRET, default={"action": "OWN_ACTION"}
    )
    blue = control.add_manager("blue", event_type="maintenance.*")
    for project in (red, blue):
        control.create_servers(
            "compute-1",
            2,
            name_prefix=project["project"],
            project_id=project["project_id"],
        )
    before = sorted(server["name"] for server in control.servers())
    stage.cloud.instance_ha.post(
        "/webhooks",
        json={
            "webhook": {
                "url": red["url"],
                "secret": SECRET,
                "project_id": red["project_id"],
            }
        },
    )
    found = ended(begin())
    assert found["state"] == "MAINTENANCE_DONE", found["message"]
    assert sorted(s["name"] for s in control.servers()) == before
    assert {s["status"] for s in control.servers()} == {"ACTIVE"}
    red, blue = control.manager("red"), control.manager("blue")
    asked = [a["state"] for a in red["answers"]]
    assert asked[0] == "MAINTENANCE"
    assert asked[-1] == "MAINTENANCE_COMPLETE"
    assert set(statuses(red) + statuses(blue)) == {200}
    # Each message came both ways, and was answered once.
    first = {}
    for message in red["received"]:
        first.setdefault(message["message_id"], set()).add(message["via"])
    assert list(first.values()).count({"alarm", "webhook"}) == len(first)
    names = {r["event_type"] for r in blue["received"]}
    assert names == {"maintenance.scheduled", "maintenance.planned"}
    assert "INSTANCE_ACTION_DONE" in {r["state"] for r in blue["received"]}


@pytest.mark.parametrize("stage", ["fake://"], indirect=True, ids=["fake"])
@pytest.mark.parametrize(
    ("manners", "state", "said"),
    [
        ({"answer": "nack", "reason": "Not now."}, "FAILED", "Not now"),
        ({"answer": "silent"}, "FAILED", "did not reply"),
        ({"answer": "late"}, "FAILED", "did not reply"),
        ({"answer": "nonsense"}, "FAILED", "did not reply"),
        ({"answer": "twice"}, "DONE", ""),
    ],
)
def test_managers_with_bad_manners(stage, begin, ended, manners, state, said):
    red = stage.control.add_manager("red", MAINTENANCE=manners)
    stage.control.create_servers(
        "compute-1", 1, name_prefix="red", project_id=red["project_id"]
    )
    found = ended(begin())
    assert found["state"] == f"MAINTENANCE_{state}"
    assert said in (found["message"] or "")

    def answered():
        return (
            manners["answer"] == "silent"
            or stage.control.manager("red")["answers"]
        )

    eventually(answered, "the manager has answered", 15)
    time.sleep(0.2)
    got = statuses(stage.control.manager("red"))
    expected = {
        "nack": [200],
        "silent": [],
        "late": [409],
        "nonsense": [400],
    }.get(manners["answer"])
    if expected is None:
        assert set(got) == {200}
        assert len(got) > 2
    else:
        assert got == expected


@pytest.mark.parametrize("stage", ["fake://"], indirect=True, ids=["fake"])
def test_a_project_without_an_alarm_fails_the_session(stage, begin, ended):
    red = stage.control.add_manager("red", event_type=None)
    stage.control.create_servers(
        "compute-1", 1, name_prefix="red", project_id=red["project_id"]
    )
    found = ended(begin())
    assert found["state"] == "MAINTENANCE_FAILED"
    assert red["project_id"] in found["message"]
