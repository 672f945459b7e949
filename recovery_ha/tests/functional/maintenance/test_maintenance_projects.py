"""Projects that refuse, say nothing, or cannot be asked."""

import pytest
import sqlalchemy as sa

from recovery_ha.db.maintenance.constraints import INSTANCES
from recovery_ha.domain.maintenance import (
    Answer,
    InstanceAction,
    InstanceConstraints,
    SessionAction,
    SessionState,
)
from recovery_ha.tests.fixtures.sessions import QUICK

S = SessionState
HOSTS = ("compute-1", "compute-2", "compute-3")
ASKED = (S.MAINTENANCE, S.PLANNED_MAINTENANCE, S.MAINTENANCE_COMPLETE)


@pytest.fixture
def servers(site, sessions):
    """Instances of two projects on one host; both are told, and reply."""
    made = site.servers("compute-1", 1, project_id="p-1")
    made += site.servers("compute-1", 1, project_id="p-2")
    sessions.subscribe("p-1", "p-2")
    sessions.answer()
    return made


@pytest.mark.parametrize("state", ASKED)
def test_refused_and_then_continued(site, sessions, servers, state):
    sessions.refusing = {("p-2", state)}
    site.engine_here(**QUICK)
    uuid = sessions.create(*HOSTS, actions=[("dummy", "host", {})])

    failed = sessions.ended(uuid)

    assert failed.state is S.MAINTENANCE_FAILED
    assert failed.failed_state is state
    assert failed.message == f"Project p-2 refused {state}: not now."
    assert sessions.run(uuid).status == "error"
    assert site.locks() == len(HOSTS)  # they stay the session's
    maintained = failed.percent_done

    sessions.refusing = set()
    sessions.act(uuid, SessionAction.CONTINUE)

    done = sessions.until(uuid, S.MAINTENANCE_DONE)
    assert sessions.run(uuid).status == "ready"
    assert done.percent_done >= maintained
    # What was maintained before was not again, and no plug-in ran twice.
    assert {one.attempt for one in done.runs} == {1}
    assert site.locks() == 0
    assert sessions.disabled() == {}


@pytest.mark.parametrize("state", ASKED)
def test_a_project_that_says_nothing(site, sessions, servers, state):
    sessions.silent = {("p-1", state)}
    quick = QUICK | dict.fromkeys(
        ("project_maintenance_reply", "project_scale_in_reply"), 3
    )
    site.engine_here(**quick)
    uuid = sessions.create(*HOSTS)

    failed = sessions.ended(uuid)

    assert failed.state is S.MAINTENANCE_FAILED
    assert failed.failed_state is state
    assert f"Project p-1 did not reply to {state} in time" in failed.message


def test_nobody_to_ask_fails_by_default(site, sessions):
    site.servers("compute-1", 1, project_id="p-1")
    site.engine_here(**QUICK)
    failed = sessions.ended(sessions.create(*HOSTS))
    assert failed.state is S.MAINTENANCE_FAILED
    assert "Project p-1 has instances on the hosts" in failed.message
    assert "projects_without_alarm" in failed.message


@pytest.mark.parametrize(
    ("rule", "action"),
    [
        ("migrate", InstanceAction.MIGRATE),
        ("live_migrate", InstanceAction.LIVE_MIGRATE),
    ],
)
def test_nobody_to_ask_and_moved_unasked(site, sessions, rule, action):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    site.engine_here(projects_without_alarm=rule, **QUICK)
    uuid = sessions.create("compute-1", "compute-2")

    done = sessions.ended(uuid)

    assert done.state is S.MAINTENANCE_DONE, done.message
    (moved,) = done.instances
    assert (moved.instance_id, moved.action) == (server, action)
    assert site.world.servers[server].host == "compute-2"
    asked = [
        one["state"] for one in sessions.told(uuid, "maintenance.planned")
    ]
    assert asked == ["INSTANCE_ACTION_DONE"]


@pytest.mark.parametrize(
    ("rule", "own", "action"),
    [
        ("migrate", InstanceAction.LIVE_MIGRATE, InstanceAction.LIVE_MIGRATE),
        ("live_migrate", InstanceAction.MIGRATE, InstanceAction.MIGRATE),
        # Nobody would tell the project when.
        ("migrate", InstanceAction.OWN_ACTION, InstanceAction.MIGRATE),
    ],
)
def test_nobody_to_ask_and_moved_as_constraints_say(
    site, sessions, rule, own, action
):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    other = next(one for one in InstanceAction if one not in {own, action})
    for project, kind in (("p-2", other), ("p-1", own)):
        INSTANCES.put(
            site.ctx,
            InstanceConstraints(
                instance_id=server, project_id=project, migration_type=kind
            ),
        )
    site.engine_here(projects_without_alarm=rule, **QUICK)

    done = sessions.ended(sessions.create("compute-1", "compute-2"))

    assert done.state is S.MAINTENANCE_DONE, done.message
    (moved,) = done.instances
    assert (moved.instance_id, moved.action) == (server, action)
    assert moved.kind is action


def test_nobody_to_ask_and_left_where_they_are(site, sessions):
    (server,) = site.servers("compute-1", 1, project_id="p-1")
    site.engine_here(projects_without_alarm="skip", **QUICK)

    done = sessions.ended(sessions.create("compute-1", "compute-2"))

    assert done.state is S.MAINTENANCE_DONE, done.message
    assert [one.answer for one in done.projects] == [Answer.SKIP]
    assert site.world.servers[server].host == "compute-1"


def test_a_project_whose_last_instance_left_is_dropped(
    site, sessions, servers
):
    sessions.silent = {("p-1", S.PLANNED_MAINTENANCE)}
    site.engine_here(**QUICK)
    uuid = sessions.create(*HOSTS)
    sessions.until_said(uuid, "reply of p-1 to PLANNED_MAINTENANCE")

    site.world.delete_server(site.world.servers[servers[0]])
    sessions.silent = set()

    done = sessions.until(uuid, S.MAINTENANCE_DONE)
    assert [one.project_id for one in done.projects] == ["p-2"]


def test_who_comes_to_a_maintained_host_meanwhile_does_no_harm(
    site, sessions, servers
):
    sessions.silent = {("p-1", S.PLANNED_MAINTENANCE)}
    site.engine_here(**QUICK)
    uuid = sessions.create(*HOSTS)
    sessions.until_said(uuid, "reply of p-1 to PLANNED_MAINTENANCE")

    site.servers("compute-2", 1, project_id="p-9")  # told by nobody
    sessions.silent = set()

    done = sessions.ended(uuid)
    assert done.state is S.MAINTENANCE_DONE, done.message
    assert {one.project_id: one.answer for one in done.projects} == {
        "p-1": Answer.ASK,
        "p-2": Answer.ASK,
        "p-9": Answer.SKIP,
    }


def test_a_host_that_a_recovery_has_is_waited_for(site, sessions):
    lock = sa.table(
        "resource_locks",
        *map(sa.column, ("type", "key", "owner_kind", "owner_uuid", "epoch")),
    )
    with site.database.engine.begin() as connection:
        connection.execute(
            sa.insert(lock).values(
                type="host",
                key="compute-2",
                owner_kind="recovery",
                owner_uuid="n-1",
                epoch=1,
            )
        )
    site.engine_here(**QUICK)
    uuid = sessions.create(*HOSTS)

    waiting = sessions.until_said(uuid, "Waiting for host compute-2")
    assert "notification n-1" in waiting.message
    assert site.locks() == 1  # it has none of the others meanwhile

    with site.database.engine.begin() as connection:
        connection.execute(sa.delete(lock).where(lock.c.owner_uuid == "n-1"))
    assert sessions.ended(uuid).state is S.MAINTENANCE_DONE
