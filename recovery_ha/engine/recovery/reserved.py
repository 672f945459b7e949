"""Reserved hosts: taken in their order, used when needed, given back.

What is about to be done to one is on its row before it is done, so that
another engine can go on with it or undo it.
"""

import logging

from recovery_ha.db import reserved, vmoves
from recovery_ha.db.reserved import Use, UseStatus
from recovery_ha.domain import errors
from recovery_ha.domain.recovery import VMove, VMoveStatus
from recovery_ha.engine.recovery.environment import Environment
from recovery_ha.engine.recovery.services import find_service

LOG = logging.getLogger(__name__)


def use(environment: Environment, host: str) -> None:
    """Let Nova place instances on a reserved host that was taken.

    :raises errors.RecoveryFailed: Nova knows no service on it, or sees it
        down.
    """
    taken = _find(environment, host)
    compute = environment.compute
    service = find_service(compute, host)
    if not service.up:
        raise errors.RecoveryFailed(
            f"Nova sees the compute service on reserved host {host} down."
        )
    if taken.status is UseStatus.TAKEN:
        reserved.begin(
            environment.ctx,
            environment.lease.claim,
            taken,
            disabled=not service.enabled,
            reason=service.disabled_reason,
            aggregates=_missing_aggregates(environment, host),
        )
        taken = _find(environment, host)
    for aggregate_id in taken.aggregates:
        compute.add_to_aggregate(aggregate_id, host)
    if not service.enabled:
        compute.enable_service(service.id)


def _find(environment: Environment, host: str) -> Use:
    found = [
        use
        for use in reserved.list_uses(
            environment.ctx, environment.notification.uuid
        )
        if use.host_name == host
    ]
    if not found:
        raise errors.RecoveryFailed(
            f"{host} is not a reserved host of this recovery."
        )
    return found[-1]


def _missing_aggregates(environment: Environment, host: str) -> list[int]:
    """Return the aggregates that the failed host is in and this one not."""
    if not environment.conf.host_failure.add_reserved_host_to_aggregate:
        return []
    failed = environment.notification.source_host_name
    return [
        aggregate.id
        for aggregate in environment.compute.list_aggregates()
        if failed in aggregate.hosts and host not in aggregate.hosts
    ]


def settle(environment: Environment, *, under_way: bool = False) -> list[str]:
    """Keep the reserved hosts that serve, give the others back.

    To be called between attempts to evacuate, never during one.

    :param under_way: Nova may still bring instances to the latest one: then
        it serves.
    :returns: sentences about what could not be undone.
    """
    ctx, uuid = environment.ctx, environment.notification.uuid
    open_uses = [
        use
        for use in reserved.list_uses(ctx, uuid)
        if use.status in {UseStatus.TAKEN, UseStatus.USED}
    ]
    if not open_uses:
        return []
    moves = vmoves.list_vmoves(ctx, uuid)
    serving = {
        move.dest_host
        for move in moves
        if move.status is VMoveStatus.SUCCEEDED
    }
    used = [use for use in open_uses if use.status is UseStatus.USED]
    if under_way and used and any(_may_arrive(move) for move in moves):
        serving.add(used[-1].host_name)
    left = []
    for found in open_uses:
        if found.host_name in serving:
            reserved.keep(ctx, environment.lease.claim, found)
            continue
        try:
            _undo(environment, found)
        except errors.ComputeError as exc:
            left.append(
                f"Reserved host {found.host_name} was not given back: {exc}"
            )
            LOG.warning("%s", left[-1])
    return left


def _may_arrive(move: VMove) -> bool:
    return move.status is VMoveStatus.ONGOING and (
        move.accepted or move.requested_at is not None
    )


def _undo(environment: Environment, found: Use) -> None:
    compute = environment.compute
    with environment.undoing():
        if found.status is UseStatus.USED and found.enabled_by_us:
            service = compute.find_service(found.host_name)
            if service is not None and service.enabled:
                compute.disable_service(
                    service.id, found.disabled_reason or "Reserved host"
                )
        for aggregate_id in found.aggregates:
            compute.remove_from_aggregate(aggregate_id, found.host_name)
        reserved.give_back(environment.ctx, environment.lease.claim, found)
