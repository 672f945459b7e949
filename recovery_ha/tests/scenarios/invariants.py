"""What must hold after any fault, read from the database and from the cloud.

None of it trusts what the service says of itself alone: claims of rows are
held against the servers, the migration records and the journal of the cloud.
"""

import collections
import itertools
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from recovery_ha.db import models, progress, reserved, vmoves
from recovery_ha.db.ledger import events, history, transactions
from recovery_ha.db.paging import Page
from recovery_ha.db.recovery import list_notifications
from recovery_ha.db.reserved import UseStatus
from recovery_ha.domain.evacuation import OPEN_MIGRATION
from recovery_ha.domain.history import HistoryFilter, HistoryRow
from recovery_ha.domain.ledger import (
    TASK,
    TRANSACTION,
    TaskStatus,
    TransactionStatus,
)
from recovery_ha.domain.recovery import (
    NOTIFICATION,
    Notification,
    NotificationStatus,
    NotificationType,
    VMove,
    VMoveStatus,
)
from recovery_ha.tests.fixtures.site import Site

_FAILED = frozenset({"error", "failed"})
_ENDS = ("Finished ", "Failed ", "Confirmed ", "Skipping ", "Ignoring ")
#: What Nova answers when the source host is up.
_IN_USE = 400
_DONE = NotificationStatus.FINISHED
_LEDGER_ENDS = {
    NotificationStatus.FINISHED: TransactionStatus.READY,
    NotificationStatus.IGNORED: TransactionStatus.READY,
    NotificationStatus.FAILED: TransactionStatus.ERROR,
}


def assert_invariants(
    site: Site,
    *,
    host_returns: bool = False,
) -> list[Notification]:
    """Check all invariants on everything that was ever reported.

    :param host_returns: a host comes to life between two looks, and Nova has
        to refuse to evacuate it.
    :returns: the notifications, in the order of their acceptance.
    """
    found = all_notifications(site)
    assert_i1_nothing_is_lost(site, found)
    assert_i2_no_living_host_is_evacuated(site, host_returns=host_returns)
    assert_i3_one_recovery_per_instance(site)
    assert_i4_one_owner(site, found)
    assert_i6_agrees_with_nova(site, found)
    assert_i7_limits(site)
    assert_i8_leftovers(site, found)
    assert_i8_services(site, found)
    assert_i9_history(site, found)
    assert_i10_reads(site, found)
    assert_i11_ledger(site, found)
    return found


def all_notifications(site: Site) -> list[Notification]:
    """Return everything that was ever accepted, in that order."""
    found = list_notifications(site.ctx, Page(limit=1000))
    return sorted(found, key=lambda n: n.id)


def assert_i1_nothing_is_lost(site: Site, found: list[Notification]) -> None:
    """I1, I5: what was accepted has ended, waits with a reason, or is owned.

    A transaction exists for each, so that it can be looked up as history.
    """
    for one in found:
        if one.status in NOTIFICATION.terminal:
            assert one.message, one
            continue
        row = _row(site, one)
        owned = row.lease_owner is not None
        assert owned or row.wake_at is not None, one
        assert owned or one.message or not one.attempts, one


def assert_i2_no_living_host_is_evacuated(
    site: Site, *, host_returns: bool = False
) -> None:
    """I2: Nova never had to refuse because the host is up; none runs twice."""
    for call in site.world.journal.calls(action="evacuate"):
        struck = call.fault is not None
        assert struck or host_returns or call.status != _IN_USE, call
    with site.world.lock:
        for uuid in site.world.servers:
            running = [c.host for c in site.world.computes if uuid in c.guests]
            assert len(running) <= 1, (uuid, running)


def assert_i3_one_recovery_per_instance(site: Site) -> None:
    """I3: an instance is evacuated again only after the first has failed.

    Or after it has arrived and its new host has failed as well.
    """
    with site.world.lock:
        records = [
            record
            for record in site.world.migrations
            if record.migration_type == "evacuation"
        ]
        records.sort(key=lambda r: (r.server.uuid, r.id))
        for one, two in itertools.pairwise(records):
            if one.server is not two.server:
                continue
            if one.dest_compute == two.source_compute:
                continue
            assert one.status in _FAILED, (one, two)
            assert one.updated_at is not None
            assert one.updated_at <= two.created_at, (one, two)


def assert_i4_one_owner(site: Site, found: list[Notification]) -> None:
    """I4: who has ended owns nothing; flows were begun one after another."""
    for one in found:
        if one.status in NOTIFICATION.terminal:
            assert _row(site, one).lease_owner is None, one
        flows = _flows(site, one)
        numbers = sorted(meta["number"] for meta in flows)
        assert numbers == list(range(1, len(flows) + 1)), flows
        attempts = {meta["attempt"] for meta in flows}
        assert len(attempts) <= one.attempts, (one, flows)


def assert_i6_agrees_with_nova(site: Site, found: list[Notification]) -> None:
    """I6: what is called a success is one in the cloud."""
    with site.world.lock:
        for one in found:
            if one.status is _DONE and not one.joined_to:
                _assert_instance_runs(site, one)
            for move in site.moves(one.uuid):
                _assert_move(site, one, move)


def _assert_move(site: Site, one: Notification, move: VMove) -> None:
    if one.status in NOTIFICATION.terminal:
        ended = {"succeeded", "failed", "ignored"}
        assert move.status in ended, (one, move)
    if one.status is _DONE:
        assert move.status is not VMoveStatus.FAILED, move
    if move.status in {VMoveStatus.FAILED, VMoveStatus.IGNORED}:
        assert move.message, move
    if move.status is not VMoveStatus.SUCCEEDED:
        return
    server = site.world.servers.get(move.instance_uuid)
    if server is None or _has_left(site, move):
        return
    assert server.host == move.dest_host != move.source_host, move
    wanted = {"stopped": "SHUTOFF", "active": "ACTIVE", "error": "ERROR"}
    if move.vm_state in wanted:
        assert server.status == wanted[move.vm_state], (move, server.status)


def _has_left(site: Site, move: VMove) -> bool:
    """Tell whether the instance was moved on from where the move ended.

    Or whether that host has failed since.
    """
    dest = site.world.computes.find(move.dest_host)
    return (
        dest is None
        or not site.world.computes.up(dest)
        or any(
            record.server.uuid == move.instance_uuid
            and record.source_compute == move.dest_host
            for record in site.world.migrations
        )
    )


def _assert_instance_runs(site: Site, one: Notification) -> None:
    if one.type is NotificationType.PROCESS and "is disabled" in (
        one.message or ""
    ):
        assert site.world.computes.get(one.source_host_name).disabled, one
    said = "is active" in (one.message or "")
    if one.type is NotificationType.VM and said:
        server = site.world.servers.get(str(one.payload["instance_uuid"]))
        host = site.world.computes.find(server.host if server else None)
        if server and host and site.world.computes.up(host):
            assert server.status == "ACTIVE", (one, server.status)


def assert_i7_limits(site: Site) -> None:
    """I7: never more evacuations under way than allowed.

    Of one host: as many as the most generous engine allows; of all: as many
    as all engines that there were allow together.
    """
    per_host = max(
        site.limits["host_failure_recovery_threads"].values(), default=0
    )
    at_once = sum(site.limits["max_evacuations"].values())
    with site.world.lock:
        records = [
            record
            for record in site.world.migrations
            # a host that returned has rewritten the end of those
            if record.status != "completed"
        ]
    hosts = {record.source_compute for record in records}
    for host in hosts:
        mine = [r for r in records if r.source_compute == host]
        assert most_at_once(mine) <= per_host, host
    assert most_at_once(records) <= at_once


def most_at_once(records: list[Any]) -> int:
    """Return how many evacuations were open at the same time."""
    begun = [(record.created_at, 1) for record in records]
    ended = [
        (record.updated_at, -1)
        for record in records
        if record.updated_at and record.status not in OPEN_MIGRATION
    ]
    changes = sorted(begun + ended)
    return max(itertools.accumulate(c for _t, c in changes), default=0)


def assert_i8_leftovers(site: Site, found: list[Notification]) -> None:
    """I8: what was done on the way is undone, or the message names it."""
    unfinished = {
        one.uuid for one in found if one.status not in NOTIFICATION.terminal
    }
    owners = _column(site, models.ResourceLock.owner_uuid)
    assert set(owners) <= unfinished
    for one in found:
        if one.uuid in unfinished:
            continue
        _assert_unlocked(site, one)
        for use in reserved.list_uses(site.ctx, one.uuid):
            _assert_given_back(site, one, use)


def assert_i8_services(site: Site, found: list[Notification]) -> None:
    """I8: a service that we have disabled or forced down is accounted for.

    By a message that names host and state, of a recovery of that host.
    """
    with site.world.lock:
        computes = {one.service_uuid: one for one in site.world.computes}
    changed: dict[tuple[str, str], bool] = {}
    for call in site.world.journal.calls():
        service = computes.get(call.path.rpartition("/")[2])
        if call.method != "PUT" or service is None or call.body is None:
            continue  # or whoever sent it died in the middle of it
        if "status" in call.body:
            disabled = call.body["status"] == "disabled"
            changed[service.host, "disabled"] = disabled
        if call.body.get("forced_down") is not None:
            changed[service.host, "forced down"] = call.body["forced_down"]
    spare = {
        use.host_name
        for one in found
        for use in reserved.list_uses(site.ctx, one.uuid)
    }
    for (host, state), on in changed.items():
        compute = site.world.computes.get(host)
        now = compute.disabled if state == "disabled" else compute.forced_down
        mine = [
            one
            for one in found
            if one.source_host_name == host
            and one.type is not NotificationType.VM
        ]
        unfinished = any(
            one.status not in NOTIFICATION.terminal for one in mine
        )
        if not (on and now) or unfinished or (host in spare and not mine):
            continue
        named = f"on {host} is left "
        assert any(
            state in (one.message or "").partition(named)[2] for one in mine
        ), (host, state, mine)


def _assert_unlocked(site: Site, one: Notification) -> None:
    for move in site.moves(one.uuid):
        named = move.instance_name in (one.message or "")
        assert not move.locked_by_us or named, (one, move)
        with site.world.lock:
            server = site.world.servers.get(move.instance_uuid)
            locked = server is not None and server.locked
            ours = locked and one.uuid in (server.locked_reason or "")
        assert not ours or named, (one, move)


def _assert_given_back(
    site: Site, one: Notification, use: reserved.Use
) -> None:
    named = use.host_name in (one.message or "")
    ended = {UseStatus.KEPT, UseStatus.GIVEN_BACK}
    assert use.status in ended or named, (one, use)
    if use.status is UseStatus.KEPT:
        moves = site.moves(one.uuid)
        dests = {
            m.dest_host for m in moves if m.status is VMoveStatus.SUCCEEDED
        }
        assert use.host_name in dests, (one, use)
    elif use.status is UseStatus.GIVEN_BACK:
        with site.world.lock:
            if use.enabled_by_us and not _is_kept(site, use):
                assert site.world.computes.get(use.host_name).disabled, use
            for aggregate in site.world.aggregates.values():
                if aggregate.id in use.aggregates:
                    assert use.host_name not in aggregate.hosts


def _is_kept(site: Site, use: reserved.Use) -> bool:
    """Tell whether a later recovery has kept the host for itself."""
    return any(
        other.host_name == use.host_name and other.status is UseStatus.KEPT
        for one in all_notifications(site)
        for other in reserved.list_uses(site.ctx, one.uuid)
    )


def assert_i9_history(site: Site, found: list[Notification]) -> None:
    """I9: each attempt has a start, an end and an outcome, in order."""
    for one in found:
        found = events.list_events(site.ctx, one.uuid, 0, 10000)
        over = one.status in NOTIFICATION.terminal and not one.joined_to
        if over and found:
            assert found[-1].text == one.message, (one, found[-1])
        if over:
            assert found, one
            for meta in _flows(site, one):
                assert meta["state"] in {"SUCCESS", "REVERTED"}, (one, meta)
        for task in progress.list_task_progress(site.ctx, one.uuid):
            times = [detail.timestamp for detail in task.details]
            assert times == sorted(times), task
            if over and task.state in {"SUCCESS", "REVERTED"}:
                assert task.progress == 1.0, task
                assert task.details[-1].message.startswith(_ENDS), task
        for move in site.moves(one.uuid):
            if move.status is VMoveStatus.SUCCEEDED:
                assert move.start_time is not None, move
                assert move.end_time is not None, move
                assert move.start_time <= move.end_time, move


def assert_i10_reads(site: Site, found: list[Notification]) -> None:
    """I10: everything can be read, by what the API reads it with."""
    for one in found:
        assert site.notification(one.uuid).uuid == one.uuid
        for move in site.moves(one.uuid):
            assert vmoves.get_vmove(site.ctx, one.uuid, move.uuid).id
        progress.list_task_progress(site.ctx, one.uuid)


def assert_i11_ledger(site: Site, found: list[Notification]) -> None:
    """I11: the ledger says the same of each recovery as its notification.

    Its counters are those of its rows, and nothing is left unended.
    """
    for one in found:
        run = transactions.get(site.ctx, one.uuid)
        rows = history.list_page(
            site.ctx, run.id, HistoryFilter(attempts=True)
        )
        latest = collections.Counter(
            str(row.status) for row in rows if row.latest
        )
        assert latest == +collections.Counter(asdict(run.counts)), (one, run)
        units = [(r.node_id, r.deployment_graph_task_name) for r in rows]
        for unit, number in collections.Counter(units).items():
            mine = [
                r
                for r in rows
                if unit == (r.node_id, r.deployment_graph_task_name)
            ]
            attempts = [row.attempt for row in mine]
            assert attempts == list(range(1, number + 1)), mine
            assert [row.latest for row in mine].count(True) == 1, mine
        if one.status not in NOTIFICATION.terminal:
            assert run.status not in TRANSACTION.terminal, (one, run)
            continue
        assert run.status == _LEDGER_ENDS[one.status], (one, run)
        assert run.time_end is not None, run
        assert not run.counts.pending + run.counts.running, (one, run)
        assert all(row.status in TASK.terminal for row in rows), (one, rows)
        _assert_moves_in_ledger(site, one, rows)


def _assert_moves_in_ledger(
    site: Site, one: Notification, rows: list[HistoryRow]
) -> None:
    latest = {row.node_id: row for row in rows if row.node_type == "instance"}
    for move in site.moves(one.uuid):
        if move.status is VMoveStatus.SUCCEEDED:
            row = latest[move.instance_uuid]
            assert row.status is TaskStatus.READY, (move, row)
            assert row.summary["dest_host"] == move.dest_host, (move, row)


def _row(site: Site, one: Notification) -> sa.Row[Any]:
    table = models.Notification.__table__
    query = sa.select(table).where(table.c.notification_uuid == one.uuid)
    with site.database.read_engine.connect() as connection:
        return connection.execute(query).one()


def _column(site: Site, column: Any) -> list[Any]:
    with site.database.read_engine.connect() as connection:
        return list(connection.scalars(sa.select(column)))


def _flows(site: Site, one: Notification) -> list[dict[str, Any]]:
    """Return what is on record of a notification's flows."""
    table = sa.table(
        "flowdetails",
        sa.column("parent_uuid"),
        sa.column("meta", sa.JSON),
        sa.column("state"),
    )
    query = sa.select(table.c.meta, table.c.state).where(
        table.c.parent_uuid == one.uuid
    )
    with site.database.read_engine.connect() as connection:
        return [
            {**row.meta, "state": row.state}
            for row in connection.execute(query)
        ]
