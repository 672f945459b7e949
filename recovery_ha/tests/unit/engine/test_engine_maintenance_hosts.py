"""What hosts are, by the services that Nova knows on them."""

import pytest

from recovery_ha.domain.maintenance import HostType
from recovery_ha.engine.maintenance.hosts import host_type


@pytest.mark.parametrize(
    ("binaries", "expected"),
    [
        (["nova-compute"], HostType.COMPUTE),
        (["nova-conductor", "nova-compute"], HostType.COMPUTE),
        (["nova-scheduler", "nova-compute"], HostType.COMPUTE),
        (["nova-conductor"], HostType.CONTROLLER),
        (["nova-scheduler"], HostType.CONTROLLER),
        (["nova-consoleauth"], HostType.CONTROLLER),
        (["nova-cert", "nova-network"], HostType.CONTROLLER),
    ],
)
def test_what_a_host_is(binaries, expected):
    assert host_type(binaries) is expected
