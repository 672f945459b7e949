"""kill -9 and SIGSTOP around all that a session does outside.

Another engine goes on: each move is asked for once, each host disabled and
enabled once, and what projects are to be told reaches them.
"""

import http.client
import json
import signal
from collections import Counter

import pytest
import sqlalchemy as sa

from recovery_ha.db import models, types
from recovery_ha.db.maintenance import webhooks
from recovery_ha.domain.maintenance import (
    InstanceAction,
    RunStatus,
    SessionState,
)
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.members import Manager, constrain
from recovery_ha.tests.fixtures.receiver import Receiver
from recovery_ha.tests.fixtures.reporting import port_of
from recovery_ha.tests.fixtures.sessions import QUICK, Sessions
from recovery_ha.tests.fixtures.waiting import eventually

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]

S = SessionState
HOSTS = ("compute-1", "compute-2", "compute-3", "compute-4")
PROJECTS = ("p-1", "p-2")
OPTIONS = QUICK | {
    "lease_seconds": 2,
    "project_maintenance_reply": 120,
    "project_scale_in_reply": 120,
    "allowed_networks": "127.0.0.0/8",
}
LIVE, COLD = InstanceAction.LIVE_MIGRATE, InstanceAction.MIGRATE
MOVES = {"live-migration", "migration"}

COMMIT = "sqlalchemy.engine.default:DefaultDialect.do_commit"
SEND = "recovery_ha.clients.webhook:Webhooks.send"
QUEUE = "recovery_ha.engine.delivery:_Queue.send"
DISABLE = "recovery_ha.clients.compute:Compute.disable_service"
ENABLE = "recovery_ha.clients.compute:Compute.enable_service"
_MOVES = "recovery_ha.clients.migrations:Moves"
LIVE_MIGRATE = f"{_MOVES}.live_migrate_server"
MIGRATE = f"{_MOVES}.migrate_server"
CONFIRM = f"{_MOVES}.confirm_migration"
#: Where engines die one after the other, and at which call, in a session
#: whose instances leave their hosts in this way.
DEATHS = {
    LIVE: (
        *((SEND, 1), (DISABLE, 2), (ENABLE, 1)),
        *((LIVE_MIGRATE, 1), (LIVE_MIGRATE, 1), (ENABLE, 1)),
    ),
    COLD: (
        *((QUEUE, 2), (DISABLE, 3), (ENABLE, 2)),
        *((MIGRATE, 1), (CONFIRM, 1), (CONFIRM, 1), (ENABLE, 1)),
    ),
}
BOTH = pytest.mark.parametrize("when", ["before", "after"])
EVERYWHERE = pytest.mark.parametrize("backend", BACKENDS)


@pytest.fixture
def receiver(site):
    """Somebody whom both projects have told by webhooks."""
    with Receiver() as made:
        for project in PROJECTS:
            webhooks.create(
                site.ctx,
                project_id=project,
                url=f"{made.url}/{project}",
                secret="s3cret",
            )
        yield made


@pytest.fixture
def sessions(site, receiver):
    made = Sessions(site)
    made.subscribe(*PROJECTS)
    yield made
    made.close()


@pytest.fixture
def servers(site):
    made = site.servers("compute-1", 2, project_id="p-1")
    return made + site.servers("compute-2", 1, project_id="p-2")


@pytest.fixture
def manager(site, sessions):
    made = Manager(site, sessions)
    yield made
    made.close()


def die(site, name, when, target, call):
    """Have an engine work until it dies where it is to."""
    crash = ("KILL", when, target, str(call))
    engine = site.engine(name, crash=crash, **OPTIONS)
    assert engine.wait_ended(60) == -signal.SIGKILL, (name, when, target)
    forget_claims(site)


def forget_claims(site):
    """Have the time over within which a dead engine might yet send."""
    table = models.OutboxMessage
    with site.database.engine.begin() as connection:
        connection.execute(
            sa.update(table)
            .where(table.due_at.is_not(None))
            .values(due_at=types.now())
        )


def delivered(site, uuid, receiver):
    """Wait until nothing is left to be told; show what has arrived."""
    table = models.OutboxMessage

    def rows():
        with site.database.read_engine.connect() as connection:
            return connection.execute(
                sa.select(
                    table.message_id,
                    table.project_id,
                    table.webhook_uuid,
                    table.sent_at,
                    table.event_type,
                )
                .where(table.session_uuid == uuid)
                .order_by(table.id)
            ).all()

    eventually(lambda: all(row.sent_at for row in rows()), "all is sent")
    for project in PROJECTS:
        wanted = [
            row.message_id
            for row in rows()
            if row.project_id == project and row.webhook_uuid
        ]
        got = [
            one.headers["webhook-id"]
            for one in receiver.requests
            if one.path == f"/{project}"
        ]
        assert wanted
        # In order as well, but for what was sent again.
        assert list(dict.fromkeys(got)) == wanted
    queued = {row.message_id for row in rows() if not row.webhook_uuid}
    assert {row.message_id for row in rows()} == queued


def assert_done_once(site, sessions, uuid, servers, receiver, *, hosts=HOSTS):
    """Show that a session has ended well, everywhere, and did all once."""
    done = sessions.ended(uuid)
    assert done.state is S.MAINTENANCE_DONE, done.message
    assert site.locks() == 0
    assert sessions.disabled() == {}
    assert sessions.placing() == {
        (host, status): 1
        for host in hosts
        for status in ("disabled", "enabled")
    }
    with site.world.lock:
        moves = Counter(
            (one.server.uuid, one.migration_type)
            for one in site.world.migrations
            if one.migration_type in MOVES
        )
        for one in servers:
            assert site.world.servers[one].status == "ACTIVE"
    kind = "live-migration" if site.asked("os-migrateLive") else "migration"
    assert moves == {(one, kind): 1 for one in servers}
    for action in ("os-migrateLive", "migrate", "confirmResize"):
        asked = [
            call.server
            for call in site.world.journal.calls(action=action)
            if not call.dropped
        ]
        live = action == "os-migrateLive"
        wanted = servers if live == (kind == "live-migration") else []
        assert sorted(asked) == sorted(wanted), action
    assert len(done.runs) == len(hosts)
    assert {one.status for one in done.runs} == {RunStatus.DONE}
    told = Counter(
        (one["host"], one["state"])
        for one in sessions.told(uuid, "maintenance.host")
    )
    assert set(told.values()) == {1}
    assert len(told) == 2 * len(hosts)
    delivered(site, uuid, receiver)
    return done


@EVERYWHERE
@BOTH
@pytest.mark.parametrize("action", [LIVE, COLD])
def test_killed_at_each_effect(
    site, sessions, servers, receiver, action, when
):
    sessions.action = action
    sessions.answer()
    uuid = sessions.create(*HOSTS, actions=[("dummy", "host", {})])

    for number, (target, call) in enumerate(DEATHS[action]):
        die(site, f"engine-{number}", when, target, call)
    site.engine("last", **OPTIONS)

    assert_done_once(site, sessions, uuid, servers, receiver)


@BOTH
def test_killed_while_a_webhook_is_sent_to(
    site, sessions, servers, receiver, when
):
    """Another one sends it, long before the reply to it is due."""
    crash = ("KILL", when, SEND, "1")
    dying = site.engine("dying", crash=crash, **OPTIONS)
    uuid = sessions.create(*HOSTS)
    assert dying.wait_ended(60) == -signal.SIGKILL
    begun = len(receiver.requests)

    site.engine("heir", **OPTIONS).wait_ready()

    def told():
        return {one.path for one in receiver.requests[begun:]}

    everybody = {f"/{project}" for project in PROJECTS}
    eventually(lambda: told() == everybody, "both are told", 30)
    assert sessions.get(uuid).state is S.MAINTENANCE


#: What becomes of the request that was under way when its sender died.
FATES = {
    "lost": {"when": "before", "hold": True, "drop": True},
    "late": {"when": "before", "hold": True},
    "done": {"when": "after", "hold": True},
}


@EVERYWHERE
@pytest.mark.parametrize("fate", FATES)
@pytest.mark.parametrize("action", [LIVE, COLD])
def test_killed_while_nova_is_asked(
    site, sessions, servers, receiver, action, fate
):
    sessions.action = action
    sessions.answer()
    asked = ["os-migrateLive"] if action is LIVE else ["migrate"]
    asked += ["confirmResize"] * (action is COLD)
    faults = [site.fault(method="PUT", path="/os-services/", **FATES[fate])]
    faults += [site.fault(action=one, **FATES[fate]) for one in asked]
    uuid = sessions.create(*HOSTS, actions=[("dummy", "host", {})])

    for number, held in enumerate(faults):
        engine = site.engine(f"engine-{number}", **OPTIONS)
        site.held(held)
        engine.kill9()
        site.world.faults.release(held.id)
        forget_claims(site)
    site.engine("last", **OPTIONS)

    assert_done_once(site, sessions, uuid, servers, receiver)


@EVERYWHERE
@pytest.mark.parametrize("call", [2, 9, 16, 25])
@BOTH
def test_killed_at_a_commit(site, sessions, servers, receiver, call, when):
    sessions.action = LIVE
    sessions.answer()
    uuid = sessions.create(*HOSTS, actions=[("dummy", "host", {})])

    for number in range(3):
        die(site, f"engine-{number}", when, COMMIT, call + number)
    site.engine("last", **OPTIONS)

    assert_done_once(site, sessions, uuid, servers, receiver)


@EVERYWHERE
@BOTH
@pytest.mark.parametrize("action", [LIVE, COLD])
def test_killed_in_the_turns_of_a_group(
    site, sessions, receiver, manager, action, when
):
    servers = site.servers("compute-1", 3, project_id="p-1")
    other = site.servers("compute-2", 1, project_id="p-2")
    constrain(site, servers)
    theirs = {"project_id": "p-2"}
    constrain(site, other, group="other", instance=theirs, **theirs)
    manager.action = action
    manager.start()
    uuid = sessions.create(
        *HOSTS, workflow="vnf", actions=[("dummy", "host", {})]
    )

    move = LIVE_MIGRATE if action is LIVE else MIGRATE
    deaths = [(DISABLE, 2), (move, 1), (COMMIT, 9), (move, 1), (ENABLE, 1)]
    for number, (target, call) in enumerate(deaths):
        die(site, f"engine-{number}", when, target, call)
    site.engine("last", **OPTIONS)

    assert_done_once(site, sessions, uuid, servers + other, receiver)
    assert manager.most == {"g": 1, "other": 1}


# Frozen


def owner(site, uuid):
    """Wait until an engine works on a session; return it."""
    table = models.MaintenanceSession

    def find():
        name = site.scalar(
            sa.select(table.lease_owner).where(table.uuid == uuid)
        )
        return name and name.partition(":")[0]

    name = eventually(find, f"somebody works on {uuid}")
    return next(one for one in site.daemons if one.name == name)


@EVERYWHERE
@pytest.mark.parametrize("during", [False, True], ids=["after", "during"])
@pytest.mark.parametrize("action", [LIVE, COLD])
def test_frozen_while_nova_is_asked(
    site, sessions, servers, receiver, action, during
):
    site.world.settings.migrate_seconds = 1
    sessions.action = action
    sessions.answer()
    name = "os-migrateLive" if action is LIVE else "migrate"
    held = site.hold("before", {"action": name})
    for engine in ("alpha", "beta"):
        site.engine(engine, **OPTIONS).wait_ready()
    uuid = sessions.create(*HOSTS, actions=[("dummy", "host", {})])

    site.held(held)
    stale = owner(site, uuid)
    site.freeze(stale)
    site.world.faults.release(held.id)
    forget_claims(site)
    if during:
        eventually(lambda: owner(site, uuid) is not stale, "the other goes on")
    else:
        sessions.ended(uuid)
    stale.thaw()

    stale.wait_said("It goes on elsewhere.")
    assert_done_once(site, sessions, uuid, servers, receiver)


@pytest.mark.parametrize("backend", ["mysql", "postgresql"])
@pytest.mark.parametrize("call", [5, 14])
def test_frozen_inside_a_transaction(site, sessions, servers, receiver, call):
    sessions.action = LIVE
    sessions.answer()
    uuid = sessions.create(*HOSTS, actions=[("dummy", "host", {})])
    crash = ("STOP", "before", COMMIT, str(call))
    stale = site.engine("stale", crash=crash, **OPTIONS)
    stale.wait_ready()
    stale.wait_frozen()
    site.engine("heir", **OPTIONS)

    sessions.ended(uuid)
    forget_claims(site)
    stale.thaw()

    assert_done_once(site, sessions, uuid, servers, receiver)


# Engines, or the API, are away while replies come in


def put(port, path, **body):
    """Send a reply to an API; return the status of its answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(
            "PUT",
            f"/v1/maintenance/{path}",
            json.dumps(body),
            {"Content-Type": "application/json"},
        )
        return connection.getresponse().status
    finally:
        connection.close()


def waits(sessions, uuid, state):
    """Wait until projects are asked about a state; return their ids."""

    def find():
        found = sessions.get(uuid)
        return found.state is state and [
            one.project_id
            for one in found.projects
            if one.round == found.round and one.reply == "pending"
        ]

    return eventually(find, f"somebody is asked about {state}")


@EVERYWHERE
def test_replies_come_in_while_no_engine_is_there(
    site, sessions, servers, receiver
):
    port = port_of(site.api("api"))
    uuid = sessions.create(*HOSTS, actions=[("dummy", "host", {})])
    planned = S.PLANNED_MAINTENANCE
    asked = []

    for state in (S.MAINTENANCE, planned, planned, S.MAINTENANCE_COMPLETE):
        engine = site.engine(f"engine-{len(asked)}", **OPTIONS)
        projects = waits(sessions, uuid, state)
        engine.kill9()
        forget_claims(site)
        before = sessions.get(uuid)
        body = {"instance_action": LIVE} if state is planned else {}
        for project in projects:
            path = f"{uuid}/{project}"
            assert put(port, path, state=f"ACK_{state}", **body) == 200
        after = sessions.get(uuid)
        assert (after.state, after.round) == (before.state, before.round)
        assert after.seen == before.seen + len(projects)
        asked.append(projects)
        site.engine(f"again-{len(asked)}", **OPTIONS)
        sessions.until_round(uuid, before.round + 1)
        site.daemons[-1].kill9()
    site.engine("last", **OPTIONS)

    assert sorted(map(len, asked)) == [1, 1, 2, 2]
    assert_done_once(site, sessions, uuid, servers, receiver)


REPLY = "recovery_ha.db.maintenance.replies:reply"


@EVERYWHERE
@BOTH
def test_the_api_dies_at_a_reply_that_is_repeated(
    site, sessions, servers, receiver, when
):
    state = S.MAINTENANCE
    sessions.silent = {(one, state) for one in PROJECTS}
    sessions.action = LIVE
    sessions.answer()
    api = site.api("dying", crash=("KILL", when, REPLY, "1"))
    port = port_of(api)
    uuid = sessions.create(*HOSTS, actions=[("dummy", "host", {})])
    site.engine("engine", **OPTIONS)
    waits(sessions, uuid, state)

    with pytest.raises((http.client.HTTPException, ConnectionError)):
        put(port, f"{uuid}/p-1", state=f"ACK_{state}")
    assert api.wait_ended() == -signal.SIGKILL
    with pytest.raises(ConnectionError):
        put(port, f"{uuid}/p-2", state=f"ACK_{state}")
    replies = {
        one.project_id: one.reply for one in sessions.get(uuid).projects
    }
    assert replies["p-1"] == ("ack" if when == "after" else "pending")
    assert replies["p-2"] == "pending"
    port = port_of(site.api("api"))
    for project in PROJECTS:
        assert put(port, f"{uuid}/{project}", state=f"ACK_{state}") == 200

    assert_done_once(site, sessions, uuid, servers, receiver)
    assert sessions.asked(uuid, state) == len(PROJECTS)
