"""Engines die at random points of random workloads, and all still holds.

RECOVERY_HA_SCENARIO_EXAMPLES asks for more examples than the default, and
for other ones each time.
"""

import contextlib
import os
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from recovery_ha.db import recovery, segments
from recovery_ha.domain.recovery import NotificationType, RecoveryMethod
from recovery_ha.tests.fixtures.databases import empty
from recovery_ha.tests.fixtures.mortal import MortalEngine, quiet_deaths
from recovery_ha.tests.fixtures.site import new_report
from recovery_ha.tests.fixtures.waiting import eventually
from recovery_ha.tests.scenarios.invariants import assert_invariants

EXAMPLES = os.environ.get("RECOVERY_HA_SCENARIO_EXAMPLES")
LIMIT = 3
OPTIONS = {
    "lease_seconds": 1,
    "settle_seconds": 1,
    "sweep_interval": 0.1,
    "max_attempts": 2,
    "host_failure_recovery_threads": LIMIT,
    "wait_period_after_service_update": 5,
    "wait_period_after_evacuation": 5,
    "wait_period_after_power_off": 5,
    "wait_period_after_power_on": 5,
    "process_all_instances": True,
}
#: Where VM and PROCESS reports are about; those hosts live.
BUSY, BROKEN = "compute-3", "compute-6"
RESERVED = ("compute-4", "compute-5")

instances = st.fixed_dictionaries(
    {
        "vm_state": st.sampled_from(
            ["active", "stopped", "error", "paused", "rescued", "resized"]
        ),
        "metadata": st.sampled_from([{}, {"HA_Enabled": "True"}]),
        "locked": st.booleans(),
    }
)
deaths = st.tuples(
    st.sampled_from(["before", "after"]),
    st.sampled_from(["commit", "request"]),
    st.integers(1, 40),
)


@dataclass(frozen=True)
class Workload:
    """What fails, and who dies while it is recovered."""

    hosts: list[list[dict]]
    crashed: int
    process: bool
    method: RecoveryMethod
    reserved: int
    deaths: list[tuple[str, str, int]]


workloads = st.builds(
    Workload,
    hosts=st.lists(
        st.lists(instances, min_size=1, max_size=6), min_size=1, max_size=2
    ),
    crashed=st.integers(0, 3),
    process=st.booleans(),
    method=st.sampled_from(list(RecoveryMethod)),
    reserved=st.integers(0, 2),
    deaths=st.lists(deaths, min_size=2, max_size=4),
)


def set_up(site, load):
    """Have a new cloud and an empty database, with reserved hosts."""
    site.world.reset(6, 0)
    empty(site.database)
    segment = segments.create_segment(
        site.ctx,
        name="segment",
        recovery_method=load.method,
        service_type="compute",
    )
    spare = RESERVED[: load.reserved]
    for compute in site.world.computes:
        segments.create_host(
            site.ctx,
            segment.uuid,
            name=compute.host,
            type="COMPUTE",
            control_attributes="-",
            reserved=compute.host in spare,
        )
        if compute.host in RESERVED:
            compute.disabled, compute.disabled_reason = True, "spare"
    for number, found in enumerate(load.hosts, start=1):
        for fields in found:
            site.servers(f"compute-{number}", 1, **fields)


def fail(site, load):
    """Let everything fail, and report it; return what was accepted."""
    reports = []
    for number in range(1, len(load.hosts) + 1):
        site.world.kill(f"compute-{number}")
        reports.append(new_report(f"compute-{number}"))
    for instance in site.servers(BUSY, load.crashed):
        site.world.crash(instance)
        reports.append(
            new_report(
                BUSY,
                NotificationType.VM,
                event="LIFECYCLE",
                instance_uuid=instance,
                vir_domain_event="STOPPED_FAILED",
            )
        )
    if load.process:
        reports.append(
            new_report(
                BROKEN,
                NotificationType.PROCESS,
                event="STOPPED",
                process_name="nova-compute",
            )
        )
    return [
        recovery.create_notification(site.ctx, report).uuid
        for report in reports
    ]


@contextlib.contextmanager
def engines(site):
    """Return a function that starts engines; none is left behind."""
    made = []

    def start(crash=None):
        conf = site.conf(f"engine-{len(made)}", **OPTIONS)
        made.append(MortalEngine(conf, crash))
        return made[-1]

    try:
        yield start
    finally:
        for engine in made:
            engine.kill()
        for engine in made:
            engine.close()


@pytest.mark.timeout(900)
@settings(
    deadline=None,
    max_examples=int(EXAMPLES or 20),
    derandomize=EXAMPLES is None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(load=workloads)
def test_engines_die_at_random_points(site, load):
    """F01, F02: whatever engines die of, the invariants hold."""
    with pytest.MonkeyPatch.context() as patch, engines(site) as start:
        quiet_deaths(patch)
        set_up(site, load)
        uuids = fail(site, load)
        mortal = [start(crash) for crash in load.deaths[:2]]
        for crash in [*load.deaths[2:], None]:
            _wait_for_a_death(site, mortal, uuids)
            mortal = [one for one in mortal if not one.dead.is_set()]
            mortal.append(start(crash))
        for uuid in uuids:
            site.ended(uuid)
        assert_invariants(site)


def _over(site, uuid):
    return site.notification(uuid).status in {"finished", "failed", "ignored"}


def _wait_for_a_death(site, engines_, uuids):
    """Wait until an engine has died, or nothing is left to die of."""
    eventually(
        lambda: (
            any(one.dead.is_set() for one in engines_)
            or all(_over(site, uuid) for uuid in uuids)
        ),
        "an engine dies or all is done",
    )
