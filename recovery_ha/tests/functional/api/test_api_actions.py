import pytest
import sqlalchemy as sa

from recovery_ha.context import internal_context
from recovery_ha.db import (
    models,
    owned,
    recovery,
    recovery_runs,
    vmoves,
    work,
)
from recovery_ha.db.ledger import events
from recovery_ha.domain.gates import Decision, Verdict
from recovery_ha.domain.lease import WorkKind
from recovery_ha.domain.recovery import NotificationStatus

ACTIONS = ("retry", "restart", "rollback", "cancel")


@pytest.fixture
def ctx(database):
    return internal_context(database)


@pytest.fixture
def uuid(notification):
    return notification["notification_uuid"]


@pytest.fixture
def claim(ctx, uuid):
    """Return a function that has an engine work on the notification."""

    def claim(seconds=60.0):
        claimed = work.claim_next(ctx, WorkKind.RECOVERY, "e", seconds)
        assert claimed is not None
        assert claimed.uuid == uuid
        return claimed

    return claim


@pytest.fixture
def act(api, uuid):
    def act(action, reference=uuid, **more):
        url = f"/transactions/{reference}/action"
        return api.post(url, {"action": action}, **more)

    return act


@pytest.fixture
def row(database, uuid):
    def row():
        with database.read_engine.connect() as connection:
            return connection.execute(
                sa.select(models.Notification.__table__).where(
                    models.Notification.notification_uuid == uuid
                )
            ).one()

    return row


@pytest.fixture
def said(ctx, uuid):
    def said():
        found = events.list_events(ctx, uuid, 0, 100)
        return [(e.text, e.request_id) for e in found]

    return said


@pytest.fixture
def end(ctx, uuid, claim):
    """Return a function that has the recovery end after an attempt."""

    def end(status=NotificationStatus.FAILED, *, begun=True):
        claimed = claim()
        if begun:
            recovery_runs.start_flow(ctx, claimed, "flow", new_attempt=True)
            owned.remember(
                ctx, claimed, service={"id": 1}, host={"x": 1}, other=2
            )
        owned.finish(
            ctx,
            claimed,
            recovery.get_notification(ctx, uuid),
            status,
            "It has ended.",
            duplicate_window=0.0,
        )

    return end


def test_a_report_that_waits_is_cancelled_at_once(
    api, act, world, row, said, wakes
):
    joined = world.report(payload={"event": "STOPPED"})
    world.set(joined, joined_to=row().notification_uuid)
    before = wakes.count

    answer = act("cancel", version="1.3")
    assert answer.status == 202
    found = answer.json["transaction"]
    assert found["status"] == "error"
    assert found["kind"] == "recovery"
    assert found["origin_id"] == found["uuid"] == row().notification_uuid
    why = "Cancelled by an operator (user noauth)."
    assert (row().status, row().message) == ("failed", why)
    assert row().wake_at is None
    request_id = answer.headers["x-openstack-request-id"]
    assert said() == [(why, request_id)]
    assert wakes.count == before + 1
    other = api.get(f"/notifications/{joined['id']}").json["notification"]
    assert other["status"] == "failed"
    assert why in other["message"]


@pytest.mark.parametrize("action", ["cancel", "rollback"])
def test_the_engine_that_works_on_it_is_told(ctx, act, claim, row, action):
    claimed = claim()
    recovery_runs.start_flow(ctx, claimed, "flow", new_attempt=True)

    answer = act(action)
    assert answer.json["transaction"]["status"] == "running"
    held = (claimed.uuid, claimed.epoch)
    asked = work.renew(ctx, WorkKind.RECOVERY, "e", 60.0, [held])
    assert asked == {held: action}
    assert row().status == "running"
    assert row().lease_owner == "e"


@pytest.mark.parametrize("action", ["cancel", "rollback"])
def test_what_was_begun_is_handed_to_an_engine(
    ctx, act, claim, row, world, notification, action
):
    recovery_runs.start_flow(ctx, claim(), "flow", new_attempt=True)
    world.set(notification, lease_expires_at=1.0)  # its engine has died

    answer = act(action)
    assert answer.json["transaction"]["status"] == "running"
    assert (row().status, row().requested_action) == ("error", action)
    assert row().lease_owner is None
    assert claim().epoch == 2


@pytest.mark.parametrize("action", ["retry", "restart", "rollback"])
@pytest.mark.parametrize("status", ["failed", "finished", "ignored"])
def test_what_has_ended_is_opened_once_more(
    act, end, row, claim, world, notification, action, status
):
    end(NotificationStatus(status))
    world.set(notification, received_at=1.0)

    assert act(action).status == 202
    found = row()
    assert found.status == "error"
    assert (found.attempts, found.attempts_before) == (1, 1)
    assert found.received_at > 1000.0  # age counts from now on
    assert found.message == (
        f"{action.capitalize()} asked for by an operator (user noauth)."
    )
    asked = action if action == "rollback" else None
    assert found.requested_action == asked
    assert claim().taken_over is False


def test_restart_forgets_what_was_skipped(
    ctx, act, end, row, claim, uuid, world, notification, database
):
    for status in ("succeeded", "failed", "ignored"):
        world.vmove(notification, status=status, attempts=2, message="x")
    end()
    with database.engine.begin() as connection:
        connection.execute(
            sa.insert(models.GateDecision).values(
                notification_uuid=uuid,
                gate="g",
                subject="",
                verdict="pass",
                sentence="s",
                inputs={},
                limit=None,
                created_at=row().created_at,
            )
        )

    act("retry")
    assert row().record.keys() == {"service", "host", "other"}
    assert row().flow_uuid == "flow"
    act("restart")
    assert row().record.keys() == {"service", "host"}
    assert row().flow_uuid is None
    moves = vmoves.list_vmoves(ctx, uuid)
    states = [(str(m.status), m.attempts, m.message) for m in moves]
    assert states == [
        ("succeeded", 2, "x"),
        ("pending", 2, None),
        ("pending", 2, None),
    ]
    with database.read_engine.connect() as connection:
        assert (
            connection.scalars(sa.select(models.GateDecision.id)).all() == []
        )


@pytest.mark.parametrize(
    ("state", "refused"),
    [
        ("new", {"retry", "restart", "rollback"}),
        ("running", {"retry", "restart"}),
        ("ended", {"cancel"}),
    ],
)
@pytest.mark.parametrize("action", ACTIONS)
def test_what_does_not_fit_is_refused(
    act, claim, end, row, said, state, refused, action
):
    if state == "running":
        claim()
    elif state == "ended":
        end(begun=False)
    before = (row(), said())

    answer = act(action)
    if action not in refused:
        assert answer.status == 202
        return
    assert (answer.status, answer.key) == (409, "conflictingRequest")
    assert answer.fault["error"] == ("recovery_ha.transaction.action_refused")
    assert (row(), said()) == before


def test_a_host_that_another_recovery_works_on_is_not_rolled_back(
    ctx, act, end, world
):
    end()
    other = world.report(payload={"event": "STOPPED"})
    claimed = work.claim_next(ctx, WorkKind.RECOVERY, "e", 60.0)
    work.lock_resource(ctx, claimed, "host", "compute-1")

    answer = act("rollback")
    assert answer.status == 409
    assert other["notification_uuid"] in answer.fault["message"]


def test_the_end_of_a_recovery_does_not_swallow_a_rollback(
    ctx, act, claim, uuid, row
):
    claimed = claim()
    act("rollback")

    with pytest.raises(Exception, match="rollback"):
        owned.finish(
            ctx,
            claimed,
            recovery.get_notification(ctx, uuid),
            NotificationStatus.FINISHED,
            "x",
            duplicate_window=0.0,
        )
    assert row().status == "running"


def test_transactions_have_ids_too(act, ctx, database, uuid):
    with database.read_engine.connect() as connection:
        number = connection.scalar(
            sa.select(models.Transaction.id).where(
                models.Transaction.uuid == uuid
            )
        )
    assert act("cancel", number).json["transaction"]["id"] == number
    answer = act("cancel", number + 1)
    assert answer.status == 404
    assert answer.fault["error"] == "recovery_ha.transaction.not_found"


@pytest.mark.parametrize(
    "body", [None, {}, {"action": "stop"}, {"action": None}, {"retry": 1}]
)
def test_unknown_actions_are_refused(api, uuid, body):
    answer = api.post(f"/transactions/{uuid}/action", body)
    assert answer.status == 400
    if body and "action" in body:
        for action in ACTIONS:
            assert action in answer.fault["message"]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize("role", ["service", "recovery_auditor", "member"])
def test_actions_are_for_administrators(guarded, tokens, uuid, role):
    api = guarded(tokens.add(role))
    answer = api.post(f"/transactions/{uuid}/action", {"action": "cancel"})
    assert answer.status == 403


def test_decisions_are_shown_in_order(ctx, api, uuid, claim):
    assert api.get(f"/notifications/{uuid}/decisions").json == {
        "decisions": []
    }
    claimed = claim()
    notification = recovery.get_notification(ctx, uuid)
    first = Decision("b", Verdict.HOLD, "Wait.", {"up": True}, 5.0)
    second = Decision("a", Verdict.LEAVE_OUT, "No.", {}, None, "instance")
    for said in (
        [first],
        [Decision("b", Verdict.PASS, "Go.", {"up": False}, 5.0), second],
    ):
        owned.decide(ctx, claimed, notification, said)

    found = api.get(f"/notifications/{uuid}/decisions", version="1.0").json
    times = [
        (d.pop("created_at"), d.pop("updated_at")) for d in found["decisions"]
    ]
    assert found["decisions"] == [
        {
            "gate": "b",
            "verdict": "pass",
            "sentence": "Go.",
            "inputs": {"up": False},
            "limit": 5.0,
            "subject": None,
        },
        {
            "gate": "a",
            "verdict": "leave_out",
            "sentence": "No.",
            "inputs": {},
            "limit": None,
            "subject": "instance",
        },
    ]
    assert [updated is None for _created, updated in times] == [False, True]


@pytest.mark.parametrize("tail", ["events", "decisions"])
@pytest.mark.usefixtures("database")
def test_unknown_notification_is_404(api, tail):
    answer = api.get(f"/notifications/7777777/{tail}")
    assert answer.status == 404
    assert answer.fault["error"] == "recovery_ha.notification.not_found"
