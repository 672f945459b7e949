"""Following a recovery by its events."""

import threading

import pytest

from recovery_ha.api.app import make_app
from recovery_ha.context import internal_context
from recovery_ha.db import recovery
from recovery_ha.db.ledger import events
from recovery_ha.domain.history import Remark
from recovery_ha.tests.fixtures.rest import Api
from recovery_ha.tests.fixtures.waiting import eventually


@pytest.fixture
def url(notification):
    return f"/notifications/{notification['notification_uuid']}/events"


@pytest.fixture
def say(database, notification):
    ctx = internal_context(database)

    def say(*texts):
        remarks = [Remark(text, "Task", 0.5) for text in texts]
        uuid = notification["notification_uuid"]
        events.add_events(ctx, uuid, remarks, "req-1")

    return say


class Later:
    """A request in a thread of its own."""

    def __init__(self, api, url):
        self._thread = threading.Thread(target=self._run, args=(api, url))
        self._thread.start()

    def _run(self, api, url):
        self._answer = api.get(url)

    @property
    def answer(self):
        self._thread.join(20)
        return self._answer


@pytest.fixture
def waits(monkeypatch):
    """Count the looks of requests that wait."""
    looks = []
    latest = events.latest

    def counted(*args):
        looks.append(args)
        return latest(*args)

    monkeypatch.setattr(events, "latest", counted)
    return looks


@pytest.mark.parametrize("version", ["1.0", "1.3"])
def test_events_after_a_cursor(api, url, say, version):
    assert api.get(url).json == {"events": [], "cursor": 0, "ended": False}
    say("one", "two", "three")

    found = api.get(url, version=version).json
    assert [e["message"] for e in found["events"]] == ["one", "two", "three"]
    first = found["events"][0]
    assert first.keys() == {
        *("id", "task", "progress", "message", "request_id", "created_at")
    }
    assert (first["task"], first["progress"]) == ("Task", 0.5)
    assert first["request_id"] == "req-1"
    ids = [event["id"] for event in found["events"]]
    assert ids == sorted(set(ids))
    assert found["cursor"] == ids[-1]

    page = api.get(f"{url}?since={ids[0]}&limit=1").json
    assert [e["message"] for e in page["events"]] == ["two"]
    assert page["cursor"] == ids[1]
    rest = api.get(f"{url}?since={ids[-1]}").json
    assert (rest["events"], rest["cursor"]) == ([], ids[-1])


def test_the_end_comes_with_the_last_event(api, world, notification, url, say):
    say("one", "two")
    world.set(notification, status="finished", wake_at=None)

    page = api.get(f"{url}?limit=1").json
    assert page["ended"] is False
    page = api.get(f"{url}?since={page['cursor']}&limit=1").json
    assert page["ended"] is True
    # There is nothing to wait for.
    last = api.get(f"{url}?since={page['cursor']}&wait=30").json
    assert last == page | {"events": []}


@pytest.mark.parametrize(
    "query",
    [
        *("since=-1", "since=x", "since=1.5", "since=" + "9" * 19),
        *("wait=31", "wait=-1", "wait=x", "wait=1.5", "wait="),
        *("limit=0", "limit=-1", "limit=x"),
    ],
)
def test_bad_parameters_are_named(api, url, query):
    answer = api.get(f"{url}?{query}")
    assert (answer.status, answer.key) == (400, "badRequest")
    assert f" {query.partition('=')[0]}." in answer.fault["message"]


def test_waiting_ends_with_an_event(api, url, say, waits):
    later = Later(api, f"{url}?wait=30")
    eventually(lambda: waits, "it has looked")
    say("news")
    answer = later.answer.json
    assert [event["message"] for event in answer["events"]] == ["news"]


def test_waiting_ends_with_the_recovery(api, world, notification, url, waits):
    later = Later(api, f"{url}?wait=30")
    eventually(lambda: waits, "it has looked")
    world.set(notification, status="failed", wake_at=None)
    assert later.answer.json["ended"] is True


def test_waiting_ends_with_its_time(api, url, waits):
    answer = api.get(f"{url}?wait=1")
    assert answer.json == {"events": [], "cursor": 0, "ended": False}
    assert "retry-after" not in answer.headers
    # One before, one after, and two a second between.
    assert 3 <= len(waits) <= 6


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_who_waits_holds_no_connection(api, database, url, waits):
    later = Later(api, f"{url}?wait=1")
    eventually(lambda: len(waits) > 1, "it waits")
    eventually(
        lambda: database.read_engine.pool.checkedout() == 0,
        "no connection is held",
    )
    assert later.answer.status == 200


def test_a_look_is_one_statement(database, notification, statements):
    ctx = internal_context(database)
    with statements() as seen:
        events.latest(ctx, notification["notification_uuid"])
    assert len([s for s in seen if s.lstrip().startswith("SELECT")]) == 1
    assert len([s for s in seen if not s.startswith("BEGIN")]) == 1


def test_waiting_requests_are_capped(conf, database, url, waits):
    conf.set_override("max_waiting", 1, "api")
    stopping = threading.Event()
    app = make_app(
        conf, database, print, stopping=stopping, check_responses=True
    )
    api = Api(app)
    later = Later(api, f"{url}?wait=30")
    eventually(lambda: len(waits) > 1, "it waits")

    answer = api.get(f"{url}?wait=30")
    assert answer.status == 200
    assert answer.headers["retry-after"] == "1"
    # And what waits does not keep the API from stopping.
    stopping.set()
    assert later.answer.status == 200


def test_a_notification_that_is_purged_meanwhile(
    api, database, notification, url, waits
):
    later = Later(api, f"{url}?wait=30")
    eventually(lambda: waits, "it has looked")
    with database.engine.begin() as connection:
        table = recovery.models.Notification.__table__
        connection.execute(table.delete())
    assert later.answer.status == 404
