"""Sessions as work: who owns one, and what is never lost or done twice."""

import datetime as dt

import pytest
import sqlalchemy as sa

from recovery_ha.db import models, work
from recovery_ha.db.ledger import steps, transactions
from recovery_ha.db.maintenance import (
    creation,
    host_work,
    project_work,
    replies,
    session_asks,
    session_runs,
    session_work,
    sessions,
    wishes,
)
from recovery_ha.db.maintenance.session_asks import Question
from recovery_ha.domain import errors
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.ledger import TaskStatus
from recovery_ha.domain.maintenance import (
    ActionStatus,
    Answer,
    HostStatus,
    HostType,
    InstanceAction,
    ReplyStatus,
    SessionAction,
    SessionHost,
    SessionInstance,
    SessionProject,
    SessionState,
)
from recovery_ha.domain.replies import Reply

KIND = WorkKind.MAINTENANCE
S = SessionState
HOSTS = ("compute-1", "compute-2")
PAYLOAD = {"service": "recovery_ha", "session_id": "s"}
UUID = "11111111-2222-3333-4444-555555555555"


def claim(ctx, owner="alpha", seconds=60.0, plugins=("default",)):
    return work.claim_next(ctx, KIND, owner, seconds, plugins=plugins)


def create(ctx, uuid=UUID, hosts=HOSTS):
    creation.create(
        ctx,
        uuid=uuid,
        hosts=hosts,
        maintenance_at=dt.datetime(2026, 1, 1),
        metadata={},
        workflow="default",
        actions=[],
        payload=PAYLOAD,
    )


@pytest.fixture
def session(ctx):
    create(ctx)
    return sessions.get(ctx, UUID)


@pytest.fixture
def owned(ctx, session):
    """The claim on a session with two projects and three instances."""
    owned = claim(ctx)
    session_work.begin(ctx, owned, session)
    project_work.set_instances(
        ctx,
        owned,
        [
            SessionProject(project_id=one, answer=Answer.ASK)
            for one in ("p-1", "p-2")
        ],
        [
            SessionInstance(
                instance_id=f"i-{number}",
                name=f"vm-{number}",
                project_id=project,
                host="compute-1",
            )
            for number, project in enumerate(("p-1", "p-1", "p-2"))
        ],
    )
    return owned


def read(ctx):
    return sessions.get(ctx, UUID)


def wakes_in(ctx):
    """Return seconds until the session may be claimed; None: never."""
    table = models.MaintenanceSession
    with ctx.database.read_engine.connect() as connection:
        found = connection.scalar(sa.select(table.wake_at))
    return None if found is None else found - work.clock(ctx)


def ask(ctx, owned, state="MAINTENANCE", seconds=60.0, **instances):
    session = read(ctx)
    deadline = work.clock(ctx) + seconds
    return session_asks.ask(
        ctx,
        owned,
        session,
        [
            Question(
                project_id=project,
                state=state,
                instances=dict.fromkeys(
                    instances.get(
                        project.replace("-", "_"),
                        [
                            one.instance_id
                            for one in session.instances
                            if one.project_id == project
                        ],
                    )
                ),
                deadline=deadline,
                allowed_actions=[str(one) for one in InstanceAction],
                payload={"state": state},
                dedupe_key=f"{UUID}:{session.round}:{state}:{project}",
            )
            for project in ("p-1", "p-2")
        ],
        ["maintenance.planned", "maintenance.scheduled"],
    )


def reply(ctx, project, state=S.MAINTENANCE, action=None):
    replies.reply(
        ctx,
        UUID,
        project,
        Reply(state=state, status=ReplyStatus.ACK, action=action),
    )


def outbox(ctx):
    table = models.OutboxMessage
    with ctx.database.read_engine.connect() as connection:
        return connection.execute(
            sa.select(table.event_type, table.project_id).order_by(table.id)
        ).all()


def test_claimable_by_who_has_the_workflow(ctx, session):
    assert claim(ctx, plugins=("other",)) is None
    assert claim(ctx).uuid == session.uuid
    assert claim(ctx) is None


@pytest.mark.parametrize("wish", [SessionAction.ABORT, SessionAction.DELETE])
def test_undone_by_anybody(ctx, session, wish):
    wishes.act(ctx, UUID, wish, payload=PAYLOAD)
    assert claim(ctx, plugins=()) is not None


def test_no_workflow_waits_before_it_is_due(ctx, owned, session):
    session_work.wait(ctx, owned, read(ctx), "Waiting.", wake_in=60)
    assert claim(ctx) is None
    assert read(ctx).message == "Waiting."


def test_a_reply_that_came_meanwhile_wakes(ctx, owned):
    ask(ctx, owned)
    snapshot = read(ctx)
    reply(ctx, "p-1")  # while its owner works
    session_work.wait(ctx, owned, snapshot, None, wake_in=600)
    assert wakes_in(ctx) <= 0


def test_a_reply_that_was_seen_does_not(ctx, owned):
    ask(ctx, owned)
    reply(ctx, "p-1")
    session_work.wait(ctx, owned, read(ctx), None, wake_in=600)
    assert wakes_in(ctx) > 500


def test_a_reply_wakes_what_nobody_owns(ctx, owned):
    ask(ctx, owned)
    session_work.wait(ctx, owned, read(ctx), None, wake_in=600)
    reply(ctx, "p-1")
    assert wakes_in(ctx) <= 0


def test_a_wish_for_one_that_fails_at_that_moment_is_not_lost(ctx, owned):
    snapshot = read(ctx)
    wishes.act(ctx, UUID, SessionAction.DELETE, payload=PAYLOAD)
    session_work.fail(ctx, owned, snapshot, PAYLOAD, "It broke.")
    assert wakes_in(ctx) <= 0
    assert sessions.get(ctx, UUID, deleted=True).requested == "delete"


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (SessionAction.ABORT, "abort"),
        (SessionAction.DELETE, "delete"),
        (SessionAction.RETRY, None),
    ],
)
def test_which_wishes_break_a_step_off(ctx, owned, wish, told):
    wishes.act(ctx, UUID, wish, payload=PAYLOAD)
    key = (owned.uuid, owned.epoch)
    assert work.renew(ctx, KIND, "alpha", 60.0, [key]) == {key: told}


def test_asked_once_in_a_round(ctx, owned):
    before = len(outbox(ctx))
    assert ask(ctx, owned) == 2
    deadline = read(ctx).projects[0].deadline
    reply(ctx, "p-1")
    assert ask(ctx, owned, seconds=600) == 0
    after = read(ctx)
    assert [one.reply for one in after.projects] == ["ack", "pending"]
    assert after.projects[0].deadline == deadline
    assert [tuple(one) for one in outbox(ctx)[before:]] == [
        ("maintenance.planned", "p-1"),
        ("maintenance.scheduled", "p-1"),
        ("maintenance.planned", "p-2"),
        ("maintenance.scheduled", "p-2"),
    ]
    assert all(one.listed and one.round == 1 for one in after.instances)


def test_a_new_round_forgets_the_replies(ctx, owned):
    ask(ctx, owned)
    reply(ctx, "p-1")
    session_work.enter(ctx, owned, read(ctx), S.SCALE_IN, PAYLOAD)
    again = claim(ctx, "beta")
    with pytest.raises(errors.Conflict):
        reply(ctx, "p-2", S.SCALE_IN)  # asked nothing yet
    assert ask(ctx, again, "SCALE_IN") == 2
    assert {one.reply for one in read(ctx).projects} == {"pending"}
    reply(ctx, "p-2", S.SCALE_IN)


def test_instances_of_the_question_alone_are_listed(ctx, owned):
    session_work.enter(ctx, owned, read(ctx), S.PREPARE_MAINTENANCE, PAYLOAD)
    owned = claim(ctx)
    ask(ctx, owned, "PREPARE_MAINTENANCE", p_1=["i-1"], p_2=[])
    assert [one.listed for one in read(ctx).instances] == [False, True, False]
    reply(ctx, "p-1", S.PREPARE_MAINTENANCE, InstanceAction.MIGRATE)
    found = {one.instance_id: one.action for one in read(ctx).instances}
    assert found == {"i-0": None, "i-1": "MIGRATE", "i-2": None}


def test_one_that_is_being_moved_keeps_its_action(ctx, owned, database):
    ask(ctx, owned)
    with database.engine.begin() as connection:
        connection.execute(
            sa.update(models.MaintenanceInstance)
            .where(models.MaintenanceInstance.instance_id == "i-0")
            .values(action_status="running", action="MIGRATE", baseline=7)
        )
    session_work.enter(ctx, owned, read(ctx), S.PREPARE_MAINTENANCE, PAYLOAD)
    owned = claim(ctx)
    ask(ctx, owned, "PREPARE_MAINTENANCE")
    moving = read(ctx).instances[0]
    assert moving.action is InstanceAction.MIGRATE
    assert moving.action_status is ActionStatus.RUNNING
    assert (moving.listed, moving.round, moving.baseline) == (True, 2, 7)


def test_instances_and_projects_come_and_go(ctx, owned):
    project_work.set_instances(
        ctx,
        owned,
        [SessionProject(project_id="p-1", answer=Answer.SKIP)],
        [
            SessionInstance(
                instance_id="i-1",
                name="renamed",
                project_id="p-1",
                host="compute-2",
                group_id="g",
            )
        ],
    )
    found = read(ctx)
    assert [(p.project_id, p.answer) for p in found.projects] == [
        ("p-1", Answer.SKIP)
    ]
    (one,) = found.instances
    assert (one.name, one.host, one.group_id) == ("renamed", "compute-2", "g")


def test_hosts_are_locked_all_or_none(ctx, owned, session):
    other = "22222222-2222-3333-4444-555555555555"
    create(ctx, other, ("compute-9",))
    theirs = claim(ctx, "beta")
    assert host_work.lock_hosts(ctx, theirs, ["compute-2"]) is None

    taken = host_work.lock_hosts(ctx, owned, HOSTS)

    assert (taken.host, taken.kind, taken.uuid) == (
        "compute-2",
        "maintenance",
        other,
    )
    assert not work.has_locks(ctx, UUID)
    work.unlock_resources(ctx, theirs)
    assert host_work.lock_hosts(ctx, owned, HOSTS) is None
    assert host_work.lock_hosts(ctx, owned, HOSTS) is None  # once more


def test_failed_it_keeps_its_hosts_and_aborted_it_does_not(ctx, owned):
    host_work.lock_hosts(ctx, owned, HOSTS)
    session_work.fail(ctx, owned, read(ctx), PAYLOAD, "It broke.")
    failed = read(ctx)
    assert (failed.state, failed.failed_state) == (
        S.MAINTENANCE_FAILED,
        S.MAINTENANCE,
    )
    assert work.has_locks(ctx, UUID)
    assert transactions.get(ctx, UUID).status == "error"
    with pytest.raises(errors.Conflict):
        create(ctx, "33333333-2222-3333-4444-555555555555")

    wishes.act(ctx, UUID, SessionAction.ABORT, payload=PAYLOAD)
    owned = claim(ctx)
    session_work.fail(ctx, owned, read(ctx), PAYLOAD, "Aborted.", aborted=True)
    assert not work.has_locks(ctx, UUID)
    assert read(ctx).failed_state is S.MAINTENANCE
    assert read(ctx).requested is None
    create(ctx, "33333333-2222-3333-4444-555555555555")


def test_hosts_that_were_found_out(ctx, owned):
    hosts = [
        SessionHost(
            ordinal=place,
            host=name,
            type=HostType.COMPUTE,
            status=HostStatus.PENDING,
            service_id=f"s-{place}",
        )
        for place, name in enumerate((*HOSTS, "compute-3"))
    ]
    host_work.settle_hosts(ctx, owned, hosts)
    host_work.settle_hosts(ctx, owned, hosts)
    found = read(ctx).hosts
    assert [one.host for one in found] == [*HOSTS, "compute-3"]
    assert {one.type for one in found} == {HostType.COMPUTE}
    assert found[2].service_id == "s-2"


def test_percent_follows_the_hosts(ctx, owned):
    session = read(ctx)
    payload = {"host": "compute-1", "state": "IN_MAINTENANCE"}
    for _again in range(2):
        why = host_work.take_host(
            ctx, owned, session, "compute-1", payload, max_hosts_out=0
        )
        assert why is None
    assert read(ctx).hosts[0].status is HostStatus.IN_MAINTENANCE
    host_work.end_host(ctx, owned, session, "compute-1", None)
    found = read(ctx)
    assert (found.percent_done, found.hosts[0].status) == (50, "maintained")
    events = [one.event_type for one in outbox(ctx)]
    assert events.count("maintenance.host") == 1


def test_no_more_hosts_out_than_the_limit(ctx, owned):
    session = read(ctx)
    payload = {"host": "compute-1", "state": "IN_MAINTENANCE"}
    limit = {"max_hosts_out": 1}
    first = host_work.take_host(
        ctx, owned, session, "compute-1", payload, **limit
    )
    second = host_work.take_host(
        ctx, owned, session, "compute-2", payload, **limit
    )
    assert first is None
    assert "max_hosts_out is 1" in second
    assert read(ctx).hosts[1].status is HostStatus.PENDING


def test_a_record_is_kept_and_facts_go_with_none(ctx, owned):
    session_work.remember(ctx, owned, one=1, two=[2])
    session_work.remember(ctx, owned, one=None, three="3")
    assert read(ctx).record == {"two": [2], "three": "3"}


def test_a_step_for_each_round(ctx, owned):
    ask(ctx, owned)
    session_work.enter(ctx, owned, read(ctx), S.SCALE_IN, PAYLOAD)
    owned = claim(ctx)
    session_work.enter(ctx, owned, read(ctx), S.SCALE_IN, PAYLOAD)
    run = transactions.get(ctx, UUID)
    found = steps.list_steps(ctx, [run.id])[run.id]
    assert [(one.step_name, one.round) for one in found] == [
        ("MAINTENANCE", 1),
        ("SCALE_IN", 2),
        ("SCALE_IN", 3),
    ]
    assert run.status == "running"
    assert found[0].total == 2  # two projects were asked


def test_what_has_ended_in_the_ledger_stays_so(ctx, owned):
    ask(ctx, owned)
    session = read(ctx)

    def told(status):
        return session_runs.Told(
            node_id="p-1", node_type="project", status=status
        )

    for status in (TaskStatus.READY, TaskStatus.RUNNING, TaskStatus.READY):
        session_work.tell(ctx, owned, session, [told(status)])
    run = transactions.get(ctx, UUID)
    assert (run.counts.ready, run.counts.running) == (1, 1)


def test_removed_with_all_that_belongs_to_it(ctx, owned):
    ask(ctx, owned)
    host_work.lock_hosts(ctx, owned, HOSTS)
    session_work.remove(ctx, owned, read(ctx), "Deleted.")
    with pytest.raises(errors.NotFound):
        sessions.get(ctx, UUID, deleted=True)
    assert not work.has_locks(ctx, UUID)
    assert transactions.get(ctx, UUID).outcome == "aborted"
    create(ctx, "33333333-2222-3333-4444-555555555555")


def test_a_stale_owner_changes_nothing(ctx, owned, database):
    session = read(ctx)
    with database.engine.begin() as connection:
        connection.execute(
            sa.update(models.MaintenanceSession).values(lease_expires_at=1.0)
        )
    assert claim(ctx, "beta").taken_over
    before = read(ctx)
    payload = {"host": "compute-1", "state": "IN_MAINTENANCE"}
    for change in (
        lambda: session_work.snapshot(ctx, owned),
        lambda: session_work.begin(ctx, owned, session),
        lambda: session_work.enter(ctx, owned, session, S.SCALE_IN, PAYLOAD),
        lambda: session_work.wait(ctx, owned, session, "no", wake_in=1),
        lambda: session_work.hand_over(ctx, owned),
        lambda: session_work.finish(ctx, owned, session, PAYLOAD, "no"),
        lambda: session_work.fail(ctx, owned, session, PAYLOAD, "no"),
        lambda: session_work.remove(ctx, owned, session, "no"),
        lambda: session_work.remember(ctx, owned, no=1),
        lambda: session_work.say(ctx, owned, session, "no"),
        lambda: session_work.tell(ctx, owned, session, []),
        lambda: session_work.begin_again(ctx, owned, session, PAYLOAD, "no"),
        lambda: host_work.lock_hosts(ctx, owned, HOSTS),
        lambda: host_work.settle_hosts(ctx, owned, session.hosts),
        lambda: host_work.update_host(
            ctx, owned, "compute-1", disabled_by_us=True
        ),
        lambda: host_work.set_host_status(
            ctx, owned, "compute-1", HostStatus.MAINTAINED
        ),
        lambda: host_work.take_host(
            ctx, owned, session, "compute-1", payload, max_hosts_out=0
        ),
        lambda: host_work.tell_host(ctx, owned, session, "compute-1", payload),
        lambda: host_work.end_host(ctx, owned, session, "compute-1", None),
        lambda: project_work.set_instances(ctx, owned, [], []),
        lambda: ask(ctx, owned),
    ):
        with pytest.raises(errors.LeaseLost):
            change()
    assert read(ctx) == before
