"""One limit of hosts that are out, for recoveries and sessions alike."""

import pytest
import sqlalchemy as sa
from oslo_utils import uuidutils

from recovery_ha.context import internal_context
from recovery_ha.db import (
    hosts_out,
    models,
    precedence,
    recovery,
    reserved,
    session_hosts,
    work,
)
from recovery_ha.db.session import writer
from recovery_ha.domain import errors
from recovery_ha.domain.gates import InSession
from recovery_ha.domain.hosts_out import HostsOut
from recovery_ha.domain.lease import Claim, WorkKind
from recovery_ha.domain.recovery import NotificationStatus

NAMES = [f"compute-{number}" for number in range(1, 7)]


@pytest.fixture
def hosts(make_host):
    return [make_host(name) for name in NAMES]


@pytest.fixture
def begin(ctx, hosts, report, claim):
    """Return a function that has a report accepted and claims it."""

    def begin(hostname, type_="COMPUTE_HOST", **payload):
        made = recovery.create_notification(
            ctx, report(hostname, type_, **payload)
        )
        claimed = claim(f"engine of {made.id}")
        assert claimed.uuid == made.uuid
        return claimed, made

    return begin


@pytest.fixture
def session(ctx, database):
    """Return a function that makes a session, owned by an engine."""

    def session(*names, state="START_MAINTENANCE", status="pending"):
        uuid = uuidutils.generate_uuid()
        stamp = {"created_at": sa.func.current_timestamp()}
        with database.engine.begin() as connection:
            connection.execute(
                sa.insert(models.MaintenanceSession).values(
                    uuid=uuid,
                    state=state,
                    round=1,
                    workflow="default",
                    maintenance_at=sa.func.current_timestamp(),
                    session_metadata={},
                    all_hosts=False,
                    aborted=False,
                    paused=False,
                    seen=0,
                    percent_done=0,
                    record={},
                    attempts=0,
                    lease_epoch=1,
                    lease_owner="m",
                    lease_expires_at=work.clock(ctx) + 600,
                    **stamp,
                )
            )
            for place, name in enumerate(names):
                connection.execute(
                    sa.insert(models.MaintenanceHost).values(
                        session_uuid=uuid,
                        ordinal=place,
                        host=name,
                        live_name=name,
                        type="compute",
                        status=status,
                        disabled_by_us=False,
                        **stamp,
                    )
                )
        return Claim(
            kind=WorkKind.MAINTENANCE,
            uuid=uuid,
            owner="m",
            epoch=1,
            taken_over=False,
        )

    return session


@writer
def take(ctx, claimed, host, limit):
    """Do what a session does with a host that it may have."""
    why = hosts_out.refusal(ctx, claimed, host, limit=limit)
    if why is None:
        ctx.connection.execute(
            sa.update(models.MaintenanceHost)
            .where(models.MaintenanceHost.host == host)
            .values(status="in_maintenance")
        )
    return why


def locks(database):
    with database.read_engine.connect() as connection:
        return connection.scalars(sa.select(models.ResourceLock.type)).all()


def test_who_is_out(ctx, begin, session):
    assert hosts_out.look(ctx) == HostsOut({})
    claimed, made = begin("compute-1")
    session("compute-5", "compute-2", status="in_maintenance")
    session("compute-3")
    assert precedence.lock_host(ctx, claimed, made) is None
    # Taken as a reserve: it is not out.
    work.lock_resource(ctx, claimed, "host", "compute-4")

    assert hosts_out.look(ctx) == HostsOut(
        {"compute-1": made.uuid}, ("compute-2", "compute-5")
    )


def test_the_last_place_is_given_to_one(
    ctx, database, begin, session, together
):
    """Six at once: three recoveries and a session with three hosts."""
    reports = [begin(name) for name in NAMES[:3]]
    claimed = session(*NAMES[3:])

    def lock(one):
        return lambda: (
            precedence.lock_host(
                internal_context(database), *one, max_hosts_out=2
            )
            is None
        )

    def maintain(name):
        return lambda: (
            take(internal_context(database), claimed, name, 2) is None
        )

    got = together(*map(lock, reports), *map(maintain, NAMES[3:]))

    out = hosts_out.look(ctx)
    assert len(out.besides("")) == sum(got) == 2
    assert "limit" not in locks(database)


def test_a_recovery_beyond_the_limit_is_held_with_a_sentence(
    ctx, database, begin, session, row
):
    session("compute-2", status="in_maintenance")
    claimed, made = begin("compute-1")

    awaited = precedence.lock_host(ctx, claimed, made, max_hosts_out=1)

    assert awaited == precedence.Awaited(None)
    found = row(made.uuid)
    assert (found.status, bool(found.held)) == (NotificationStatus.NEW, True)
    assert found.message == (
        "1 other hosts are out of service (in maintenance: compute-2), and"
        " [host_failure] max_hosts_out is 1. Waiting until one is back."
    )
    assert locks(database) == []


def test_one_that_has_begun_keeps_its_place(ctx, begin, session):
    claimed, made = begin("compute-1")
    assert precedence.lock_host(ctx, claimed, made, max_hosts_out=1) is None
    session("compute-2", status="in_maintenance")
    assert precedence.lock_host(ctx, claimed, made, max_hosts_out=1) is None


def test_a_session_takes_no_further_host_while_one_is_recovered(
    ctx, begin, session
):
    claimed = session("compute-2", "compute-3")
    assert take(ctx, claimed, "compute-2", 0) is None
    report, made = begin("compute-1")
    assert precedence.lock_host(ctx, report, made) is None

    why = take(ctx, claimed, "compute-3", 0)

    assert why.startswith("Host compute-1 is being recovered")
    assert made.uuid in why
    # What it works on already, it goes on with.
    assert take(ctx, claimed, "compute-2", 1) is None


def test_a_session_that_is_somebody_else_s_takes_nothing(ctx, session):
    claimed = session("compute-2")
    stale = Claim(
        kind=claimed.kind,
        uuid=claimed.uuid,
        owner="m",
        epoch=0,
        taken_over=False,
    )
    with pytest.raises(errors.LeaseLost):
        take(ctx, stale, "compute-2", 0)


# What recoveries know of sessions


def test_the_session_of_a_host(ctx, session):
    assert session_hosts.find(ctx, "compute-1") is None
    claimed = session("compute-1", status="in_maintenance")
    other = session("compute-2")
    assert session_hosts.find(ctx, "compute-1") == InSession(
        claimed.uuid, "START_MAINTENANCE", in_work=True
    )
    assert session_hosts.find(ctx, "compute-2") == InSession(
        other.uuid, "START_MAINTENANCE"
    )


@pytest.mark.parametrize(
    ("state", "status", "moves"),
    [
        ("PLANNED_MAINTENANCE", "running", True),
        ("PLANNED_MAINTENANCE", "pending", False),
        ("PLANNED_MAINTENANCE", "done", False),
        ("MAINTENANCE_FAILED", "running", False),
    ],
)
def test_who_moves_an_instance(ctx, database, session, state, status, moves):
    claimed = session("compute-1", state=state)
    with database.engine.begin() as connection:
        connection.execute(
            sa.insert(models.MaintenanceInstance).values(
                session_uuid=claimed.uuid,
                instance_id="i-1",
                name="vm",
                project_id="p-1",
                host="compute-1",
                round=1,
                listed=True,
                reply="ack",
                action_status=status,
                baseline=0,
                attempts=0,
                created_at=sa.func.current_timestamp(),
            )
        )
    found = session_hosts.find_mover(ctx, "i-1")
    assert found == (claimed.uuid if moves else None)


def test_a_lock_of_a_session_is_waited_for(ctx, begin, session, row):
    claimed = session("compute-1")
    work.lock_resource(ctx, claimed, "host", "compute-1")
    report, made = begin("compute-1")

    awaited = precedence.lock_host(ctx, report, made)

    assert awaited == precedence.Awaited(claimed.uuid)
    found = row(made.uuid)
    assert found.held
    assert found.joined_to is None
    assert found.message == (
        f"Waiting for maintenance session {claimed.uuid}, which has host"
        " compute-1."
    )


def test_so_is_that_of_an_instance(ctx, begin, session, row):
    claimed = session("compute-2")
    work.lock_resource(ctx, claimed, "instance", "i-1")
    report, made = begin("compute-1", "VM", instance_uuid="i-1", event="X")

    awaited = precedence.lock_instance(ctx, report, made, "i-1")

    assert awaited == precedence.Awaited(claimed.uuid)
    assert "which has instance i-1" in row(made.uuid).message


def test_reserved_hosts_of_sessions_are_not_there(
    ctx, segment, begin, session, make_host
):
    for name in ("reserve-1", "reserve-2"):
        make_host(name, reserved=True)
    session("reserve-1")
    report, _made = begin("compute-1")

    assert reserved.list_reserved(ctx, segment.uuid) == ["reserve-2"]
    assert not reserved.take(ctx, report, 1, "reserve-1")
    assert reserved.take(ctx, report, 1, "reserve-2")


def test_held_reports_are_looked_at_again(ctx, begin, session, row):
    session("compute-3", status="in_maintenance")
    made = [begin(name) for name in NAMES[:2]]
    for one in made:
        precedence.lock_host(ctx, *one, max_hosts_out=1)
    before = work.clock(ctx)
    assert all(row(m.uuid).wake_at > before for _c, m in made)

    hosts_out.wake_reports(ctx, "compute-1")

    assert row(made[0][1].uuid).wake_at <= work.clock(ctx)
    assert row(made[1][1].uuid).wake_at > before
