"""What several tasks do with a host's compute service."""

import logging
import threading

from recovery_ha.domain import errors
from recovery_ha.domain.ports import ComputePort, ComputeService

LOG = logging.getLogger(__name__)


def find_service(compute: ComputePort, host_name: str) -> ComputeService:
    """Return the compute service of a host.

    :raises errors.RecoveryFailed: Nova knows none.
    """
    service = compute.find_service(host_name)
    if service is None:
        raise errors.RecoveryFailed(
            f"Nova has no compute service on a host named {host_name}."
        )
    return service


def disable_meanwhile(
    compute: ComputePort, service: ComputeService, reason: str
) -> None:
    """Have the scheduler avoid a host that Nova still takes for alive.

    The effect is immediate, but Nova then asks the service itself and
    answers only when that has timed out, after a minute. Nobody waits for
    the answer: the caller looks at the service again and, if need be,
    disables it again.
    """

    def disable() -> None:
        try:
            compute.disable_service(service.id, reason)
        except errors.RecoveryHAError as exc:
            LOG.info("Disabling %s early: %s", service.host, exc)

    threading.Thread(
        target=disable, name=f"disable-{service.host}", daemon=True
    ).start()
