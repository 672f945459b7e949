"""The moves of a host's instances, tick by tick, against a simulated Nova."""

import pytest

from recovery_ha.db import models, types
from recovery_ha.domain.leaving import MovesStatus
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.owned_session import OwnedSession

every_backend = pytest.mark.parametrize("backend", BACKENDS)
LIVE, COLD, OWN = "LIVE_MIGRATE", "MIGRATE", "OWN_ACTION"
ASK_LIVE = {"action": "os-migrateLive"}
ASK_COLD = {"action": "migrate"}
CONFIRM = {"action": "confirmResize"}


@pytest.fixture(autouse=True)
def quick(site):
    site.world.settings.migrate_seconds = 0.2


@pytest.fixture
def own(site):
    """Return a function that makes a session which this test owns."""

    def own(**options):
        return OwnedSession(site, "compute-1", **options)

    return own


def host_of(site, server):
    with site.world.lock:
        return site.world.servers[server].host


def state_of(site, server):
    with site.world.lock:
        found = site.world.servers[server]
        return found.vm_state, found.task_state


# What projects want


@every_backend
@pytest.mark.parametrize("action", [LIVE, COLD])
def test_instances_are_moved_and_each_is_told(site, own, action):
    servers = site.servers("compute-1", 3, project_id="p-1")
    session = own()
    session.ask(action, *servers)

    state = session.settle()

    assert state.status is MovesStatus.SETTLED
    assert state.sentence == "3 of 3 instances have left compute-1."
    assert site.servers_on("compute-1") == []
    for server in servers:
        assert state_of(site, server) == ("active", None)
        row = session.row(server)
        assert row.action_status == "done"
        assert row.host == host_of(site, server)
        assert row.source_host == "compute-1"
        assert row.message == f"On {row.host}, active."
        assert row.moved_at is not None
        assert session.history(server) == [
            (f"{action} (7)", "ready", f"On {row.host}, active.")
        ]
    assert sorted(session.done_told()) == servers
    assert session.kicks.count
    name = ASK_LIVE if action == LIVE else ASK_COLD
    assert sorted(site.asked(name["action"])) == servers
    confirmed = servers if action == COLD else []
    assert sorted(site.asked("confirmResize")) == confirmed
    # and nothing happens when it is asked once more
    assert session.tick().status is MovesStatus.SETTLED
    assert len(session.done_told()) == 3


def test_no_more_at_once_than_allowed(site, own):
    servers = site.servers("compute-1", 5, project_id="p-1")
    session = own(max_parallel_moves=2)
    session.ask(COLD, *servers)
    most = 0
    for _ in range(200):
        state = session.tick()
        with site.world.lock:
            moving = [m for m in site.world.migrations if m.status != "error"]
            most = max(
                most,
                sum(m.status in {"migrating", "finished"} for m in moving),
            )
        if state.status is not MovesStatus.BUSY:
            break
    assert state.status is MovesStatus.SETTLED
    assert most == 2


def test_only_some_of_them(site, own):
    first, second = site.servers("compute-1", 2, project_id="p-1")
    session = own()
    session.ask(LIVE, first, second)
    state = session.settle(instance_ids=[second])
    assert state.sentence == "1 of 1 instances have left compute-1."
    assert site.servers_on("compute-1") == [first]
    assert session.row(first).action_status == "pending"


def test_own_action_is_awaited(site, own):
    moved, deleted = site.servers("compute-1", 2, project_id="p-1")
    session = own()
    session.ask(OWN, moved, deleted)
    for _ in range(3):
        state = session.tick()
        assert state.status is MovesStatus.BUSY
        assert "waiting for server-" in state.sentence
    assert session.row(moved).message == "Its project is to act itself."
    with site.world.lock:
        site.world.set_server(moved, host="compute-3")
        site.world.delete_server(site.world.servers[deleted])

    assert session.settle().status is MovesStatus.SETTLED
    assert session.row(moved).message == "On compute-3, active."
    assert session.row(deleted).message == "The instance was deleted."
    assert sorted(session.done_told()) == sorted([moved, deleted])
    assert site.world.journal.calls(action="migrate") == []


def test_own_action_that_does_not_come(site, own):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    session = own(own_action_timeout=1)
    session.ask(OWN, server)
    state = session.settle()
    assert state.status is MovesStatus.FAILED
    assert state.sentence == (
        "1 of 1 instances could not be moved from compute-1:"
        f" {session.row(server).name} ({server}): Its project is to act"
        " itself. That took longer than 1 s."
    )


@pytest.mark.parametrize("action", [LIVE, COLD, OWN])
def test_one_that_has_left_by_itself_is_done(site, own, action):
    moved, deleted = site.servers("compute-1", 2, project_id="p-1")
    session = own()
    session.ask(action, moved, deleted)
    with site.world.lock:
        site.world.set_server(moved, host="compute-4")
        site.world.delete_server(site.world.servers[deleted])
    assert session.tick().status is MovesStatus.SETTLED
    assert sorted(session.done_told()) == sorted([moved, deleted])
    assert site.asked("migrate") == site.asked("os-migrateLive") == []


# What state they are in


@pytest.mark.parametrize(
    ("vm_state", "action", "used"),
    [
        ("stopped", LIVE, "migrate"),
        ("stopped", COLD, "migrate"),
        ("paused", LIVE, "os-migrateLive"),
        ("paused", COLD, "os-migrateLive"),
    ],
)
def test_what_is_not_running_is_moved_as_nova_allows(
    site, own, vm_state, action, used
):
    (server,) = site.servers(
        "compute-1", 1, vm_state=vm_state, project_id="p-1"
    )
    session = own()
    session.ask(action, server)
    assert session.settle().status is MovesStatus.SETTLED
    assert state_of(site, server) == (vm_state, None) or used != "migrate"
    assert host_of(site, server) != "compute-1"
    assert site.asked(used) == [server]


def test_a_stopped_instance_is_confirmed_and_stays_stopped(site, own):
    (server,) = site.servers(
        "compute-1", 1, vm_state="stopped", project_id="p-1"
    )
    session = own()
    session.ask(COLD, server)
    assert session.settle().status is MovesStatus.SETTLED
    assert state_of(site, server) == ("stopped", None)
    assert site.asked("confirmResize") == [server]


def test_a_locked_instance_is_moved_all_the_same(site, own):
    (server,) = site.servers("compute-1", 1, locked=True, project_id="p-1")
    session = own()
    session.ask(COLD, server)
    assert session.settle().status is MovesStatus.SETTLED


@pytest.mark.parametrize(
    ("vm_state", "why"),
    [
        ("suspended", "it is suspended"),
        ("rescued", "it is in rescue"),
        ("shelved", "it is shelved"),
        ("resized", "it waits for its user to confirm or revert"),
        ("error", "it is in error: out of luck"),
    ],
)
def test_what_nova_cannot_move_is_said(site, own, vm_state, why):
    (server,) = site.servers(
        "compute-1", 1, vm_state=vm_state, project_id="p-1"
    )
    with site.world.lock:
        site.world.servers[server].blame("out of luck")
    session = own()
    session.ask(COLD, server)
    state = session.settle()
    assert state.status is MovesStatus.FAILED
    assert f"Nova cannot move it: {why}" in state.sentence
    assert site.asked("migrate") == site.asked("os-migrateLive") == []
    assert session.history(server)[0][1:] == (
        "error",
        session.row(server).message,
    )


def test_a_busy_instance_is_awaited(site, own):
    (server,) = site.servers(
        "compute-1", 1, task_state="rebooting", project_id="p-1"
    )
    session = own()
    session.ask(LIVE, server)
    for _ in range(2):
        assert session.tick().status is MovesStatus.BUSY
    assert session.row(server).message == "It is busy: rebooting."
    site.world.set_server(server, task_state=None)
    assert session.settle().status is MovesStatus.SETTLED
    assert site.asked("os-migrateLive") == [server]


def test_one_that_somebody_moves_already_is_adopted(site, own):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    site.world.settings.migrate_seconds = 1.0
    session = own()
    session.ask(COLD, server)
    with site.world.lock:
        site.world.moves.live_migrate(site.world.servers[server], None)
    assert session.settle().status is MovesStatus.SETTLED
    assert site.asked("migrate") == []
    assert session.row(server).kind == LIVE


# F50: what does not go well


def test_a_live_migration_that_does_not_end_is_aborted_and_done_cold(
    site, own
):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    site.fault(kind="migration", result="stuck", times=1)
    session = own(live_migration_timeout=1)
    session.ask(LIVE, server)

    assert session.settle().status is MovesStatus.SETTLED

    with site.world.lock:
        records = [(m.migration_type, m.status) for m in site.world.migrations]
    assert records == [
        ("live-migration", "cancelled"),
        ("migration", "confirmed"),
    ]
    row = session.row(server)
    assert (row.action, row.kind) == (LIVE, COLD)
    assert session.history(server) == [
        ("LIVE_MIGRATE (7)", "ready", row.message)
    ]


def test_the_instance_itself_says_how_long_it_may_take(site, own):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    site.fault(kind="migration", result="stuck", times=1)
    with site.database.engine.begin() as connection:
        connection.execute(
            models.InstanceConstraints.__table__.insert().values(
                instance_id=server,
                project_id="p-1",
                max_interruption_time=1,
                resource_mitigation=False,
                lead_time=0,
                created_at=types.utcnow(),
            )
        )
    session = own()
    session.ask(LIVE, server)
    assert session.settle().status is MovesStatus.SETTLED
    assert site.asked("migrate") == [server]


def test_without_fallback_it_fails_and_others_are_awaited(site, own):
    bad, good, later = site.servers("compute-1", 3, project_id="p-1")
    site.world.settings.migrate_seconds = 1.5
    site.fault(kind="migration", server=bad, message="No way out")
    session = own(live_migration_fallback="fail", max_parallel_moves=2)
    session.ask(LIVE, bad, good, later)

    state = session.settle()

    assert state.status is MovesStatus.FAILED
    assert f"({bad}): The live migration failed" in state.sentence
    assert state.sentence.endswith(" No way out")
    assert host_of(site, good) != "compute-1"
    assert session.row(good).action_status == "done"
    # the third was not begun with, and can be in a later round
    assert session.row(later).action_status == "pending"
    assert sorted(site.asked("os-migrateLive")) == sorted([bad, good])
    assert session.done_told() == [good]


def test_a_refused_live_migration_is_done_cold(site, own):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    site.fault(**ASK_LIVE, status=400, message="Not with this device")
    session = own()
    session.ask(LIVE, server)
    session.tick()
    assert session.row(server).message == (
        "Nova answered 400: Not with this device It is moved cold."
    )
    assert session.settle().status is MovesStatus.SETTLED
    assert site.asked("migrate") == [server]


def test_no_valid_host_is_said_in_novas_words(site, own):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    site.place_nothing_on("compute-2", "compute-3", "compute-4")
    session = own()
    session.ask(LIVE, server)
    state = session.settle()
    assert state.status is MovesStatus.FAILED
    assert "The cold migration failed" in state.sentence
    assert "No valid host was found." in state.sentence


@pytest.mark.parametrize("result", ["refused", "error"])
def test_a_cold_migration_that_fails(site, own, result):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    site.fault(kind="cold-migration", result=result, message="Disk is full")
    session = own()
    session.ask(COLD, server)
    state = session.settle()
    assert state.status is MovesStatus.FAILED
    assert state.sentence.endswith("Disk is full")
    assert site.asked("migrate") == [server]


def test_a_cold_migration_that_does_not_end(site, own):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    site.fault(kind="cold-migration", result="stuck")
    session = own(cold_migration_timeout=1)
    session.ask(COLD, server)
    state = session.settle()
    assert state.status is MovesStatus.FAILED
    assert "That took longer than 1 s." in state.sentence


def test_what_nova_refuses_for_now_is_asked_again(site, own):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    site.fault(**ASK_COLD, status=409, message="in task_state x", times=2)
    session = own()
    session.ask(COLD, server)
    assert session.settle().status is MovesStatus.SETTLED
    with site.world.lock:
        assert len(list(site.world.migrations)) == 1


def test_what_nova_refuses_again_and_again_fails(site, own):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    fault = site.fault(**ASK_COLD, status=409, message="Never", times=None)
    session = own(max_move_attempts=2)
    session.ask(COLD, server)
    state = session.settle()
    assert state.status is MovesStatus.FAILED
    assert state.sentence.endswith(
        "Nova was asked 2 times and did nothing: Nova answered 409: Never"
    )
    assert fault.hits == 2


@pytest.mark.parametrize("drop", [{"disconnect": True}, {"status": 500}])
@pytest.mark.parametrize("request_", [ASK_LIVE, ASK_COLD, CONFIRM])
def test_an_answer_that_is_lost_is_looked_for(site, own, request_, drop):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    site.fault(when="after", **request_, **drop)
    session = own()
    session.ask(LIVE if request_ is ASK_LIVE else COLD, server)
    assert session.settle().status is MovesStatus.SETTLED
    with site.world.lock:
        assert len(list(site.world.migrations)) == 1
    assert state_of(site, server) == ("active", None)


@pytest.mark.parametrize("request_", [ASK_LIVE, ASK_COLD, CONFIRM])
def test_a_request_that_is_lost_is_sent_again(site, own, request_):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    site.fault(when="before", **request_, disconnect=True)
    session = own()
    session.ask(LIVE if request_ is ASK_LIVE else COLD, server)
    assert session.settle().status is MovesStatus.SETTLED
    with site.world.lock:
        assert len(list(site.world.migrations)) == 1
