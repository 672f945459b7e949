"""What an engine writes on the hosts of the session that it owns.

Each function is fenced by the claim, see :mod:`session_work`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from oslo_db import exception as db_exc

from recovery_ha.context import RequestContext
from recovery_ha.db import hosts_out, models, types, work
from recovery_ha.db.ledger.book import clock
from recovery_ha.db.maintenance import outbox, session_runs
from recovery_ha.db.maintenance.session_runs import Told
from recovery_ha.db.session import connection, writer
from recovery_ha.domain import errors
from recovery_ha.domain.lease import Claim
from recovery_ha.domain.ledger import TaskStatus
from recovery_ha.domain.maintenance import (
    HostStatus,
    Session,
    SessionHost,
)

_M = models.MaintenanceSession
_H = models.MaintenanceHost
_P = models.MaintenanceProject
_I = models.MaintenanceInstance
_LOCK = models.ResourceLock
_W = models.Webhook

LONGEST_REASON = 255
HOST_EVENT = "maintenance.host"


@dataclass(frozen=True, slots=True)
class HostTaken:
    """Other work has a host.

    :ivar kind: of that work: ``recovery``, or another.
    """

    host: str
    kind: str
    uuid: str


@writer
def lock_hosts(
    ctx: RequestContext, claim: Claim, hosts: Sequence[str]
) -> HostTaken | None:
    """Have hosts for this session until it ends.

    :returns: None when it has them all, else who has the first other one:
        then it has none.
    :raises errors.LeaseLost: and nothing was changed.
    """
    for host in sorted(hosts):
        owner = work.lock_resource(ctx, claim, "host", host)
        if owner is not None:
            kind = connection(ctx).scalar(
                sa.select(_LOCK.owner_kind).where(
                    _LOCK.type == "host", _LOCK.key == host
                )
            )
            # Others may wait for those, while they have this one.
            work.unlock_resources(ctx, claim)
            return HostTaken(host, str(kind), owner)
    return None


@writer
def settle_hosts(
    ctx: RequestContext, claim: Claim, hosts: Sequence[SessionHost]
) -> None:
    """Have the session's hosts, with type and service; new ones are added.

    :raises errors.Conflict: one is in another session; nothing was changed.
    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    conn, stamp = connection(ctx), types.utcnow()
    known = set(
        conn.scalars(sa.select(_H.host).where(_H.session_uuid == claim.uuid))
    )
    for one in hosts:
        values = {"type": str(one.type), "service_id": one.service_id}
        if one.host in known:
            conn.execute(
                sa.update(_H)
                .where(_H.session_uuid == claim.uuid, _H.host == one.host)
                .values(**values, updated_at=stamp)
            )
            continue
        try:
            with conn.begin_nested():
                conn.execute(
                    sa.insert(_H).values(
                        **values,
                        session_uuid=claim.uuid,
                        ordinal=one.ordinal,
                        host=one.host,
                        live_name=one.host,
                        status=str(one.status),
                        disabled_by_us=False,
                        created_at=stamp,
                    )
                )
        except db_exc.DBDuplicateEntry as exc:
            other = conn.scalar(
                sa.select(_H.session_uuid).where(_H.live_name == one.host)
            )
            raise errors.Conflict(
                f"Host {one.host} is in maintenance session {other}."
            ) from exc


@writer
def update_host(
    ctx: RequestContext, /, claim: Claim, host: str, **values: Any
) -> None:
    """Change columns of one of the session's hosts.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    if "reason_before" in values and values["reason_before"] is not None:
        values["reason_before"] = values["reason_before"][:LONGEST_REASON]
    connection(ctx).execute(
        sa.update(_H)
        .where(_H.session_uuid == claim.uuid, _H.host == host)
        .values(**values, updated_at=types.utcnow())
    )


@writer
def set_host_status(
    ctx: RequestContext,
    claim: Claim,
    host: str,
    status: HostStatus,
    message: str | None = None,
) -> None:
    """Say how far a host is, and with it how far the session is.

    :raises errors.LeaseLost: and nothing was changed.
    """
    values: dict[str, Any] = {"status": str(status), "message": message}
    if status is HostStatus.IN_MAINTENANCE:
        # One that is gone on with has been in it since it was begun. (Read
        # first: MariaDB lets what an UPDATE sets show within it.)
        was = connection(ctx).scalar(
            sa.select(_H.status).where(
                _H.session_uuid == claim.uuid, _H.host == host
            )
        )
        values["ended_at"] = None
        if was != HostStatus.IN_MAINTENANCE:
            values["started_at"] = clock()
    elif status is not HostStatus.PENDING:
        values["ended_at"] = clock()
    update_host(ctx, claim, host, **values)
    statuses = (
        connection(ctx)
        .scalars(sa.select(_H.status).where(_H.session_uuid == claim.uuid))
        .all()
    )
    done = statuses.count(str(HostStatus.MAINTAINED))
    work.update_owned(ctx, claim, percent_done=100 * done // len(statuses))


@writer
def take_host(
    ctx: RequestContext,
    claim: Claim,
    session: Session,
    host: str,
    payload: Mapping[str, Any],
    *,
    max_hosts_out: int,
) -> str | None:
    """Have a host in maintenance from now on, and tell of it.

    :param payload: of ``maintenance.host``.
    :param max_hosts_out: how many hosts may be out of service at once.
    :returns: why it may not be now, in a sentence; None: it is.
    :raises errors.LeaseLost: and nothing was changed.
    """
    why = hosts_out.refusal(ctx, claim, host, limit=max_hosts_out)
    if why is not None:
        return why
    set_host_status(ctx, claim, host, HostStatus.IN_MAINTENANCE)
    tell_host(ctx, claim, session, host, payload)
    running = Told(node_id=host, node_type="host", status=TaskStatus.RUNNING)
    session_runs.tell(ctx, session, [running])
    return None


@writer
def tell_host(
    ctx: RequestContext,
    claim: Claim,
    session: Session,
    host: str,
    payload: Mapping[str, Any],
) -> None:
    """Have administrators told of a host, once per round and state.

    :raises errors.LeaseLost: and nothing was changed.
    """
    work.fence(ctx, claim)
    outbox.add(
        ctx,
        session=session,
        event_type=HOST_EVENT,
        payload=payload,
        dedupe_key=f"{session.uuid}:{session.round}:{HOST_EVENT}"
        f":{payload['state']}:{host}",
    )


@writer
def end_host(
    ctx: RequestContext,
    claim: Claim,
    session: Session,
    host: str,
    failure: str | None,
) -> None:
    """Have a host maintained, or failed.

    :param failure: why it has failed; None: it has not.
    :raises errors.LeaseLost: and nothing was changed.
    """
    done = failure is None
    set_host_status(
        ctx,
        claim,
        host,
        HostStatus.MAINTAINED if done else HostStatus.FAILED,
        failure,
    )
    told = Told(
        node_id=host,
        node_type="host",
        status=TaskStatus.READY if done else TaskStatus.ERROR,
        message=failure,
    )
    session_runs.tell(ctx, session, [told])
    said = f"Host {host} is maintained." if done else failure
    session_runs.say(ctx, session.uuid, said, session.request_id)
    if done:
        hosts_out.wake_reports(ctx)
