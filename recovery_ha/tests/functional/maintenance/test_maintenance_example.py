"""The documentation's example of a workflow, installed and run."""

import pathlib

import pytest

import recovery_ha
from recovery_ha.conf import CUSTOM_FLOWS_FILE
from recovery_ha.db import services
from recovery_ha.domain.maintenance import InstanceAction, SessionState
from recovery_ha.tests.fixtures.processes import write_config
from recovery_ha.tests.fixtures.sessions import QUICK
from recovery_ha.tests.fixtures.third_party import (
    forget_entry_points,
    install,
)
from recovery_ha.tests.fixtures.waiting import eventually

ROOT = pathlib.Path(recovery_ha.__file__).parents[1]
EXAMPLE = ROOT / "doc" / "examples" / "recovery_ha_rolling"


@pytest.fixture
def _installed(site, tmp_path_factory, monkeypatch):
    """Have the example installed and configured."""
    where = install(EXAMPLE, tmp_path_factory.mktemp("example"))
    forget_entry_points(monkeypatch)
    monkeypatch.syspath_prepend(str(where))
    write_config(
        site.directory / CUSTOM_FLOWS_FILE,
        {"recovery_ha_rolling": {"rest": 2}},
    )


@pytest.mark.usefixtures("_installed")
def test_host_by_host_with_a_rest_in_between(site, sessions):
    servers = site.servers("compute-1", 2, project_id="p-1")
    sessions.subscribe("p-1")
    sessions.action = InstanceAction.LIVE_MIGRATE
    sessions.answer()
    site.engine_here(**QUICK)
    eventually(
        lambda: "rolling" in services.known_workflows(site.ctx),
        "the engine reports what it has",
    )
    uuid = sessions.create("compute-1", "compute-2", workflow="rolling")

    done = sessions.ended(uuid)

    assert done.state is SessionState.MAINTENANCE_DONE, done.message
    assert sessions.disabled() == {}
    first, second = sorted(done.hosts, key=lambda one: one.started_at)
    assert (first.host, second.host) == ("compute-2", "compute-1")
    assert (second.started_at - first.ended_at).total_seconds() > 2
    assert {site.world.servers[one].host for one in servers}.isdisjoint(
        {"compute-1"}
    )


@pytest.mark.usefixtures("_installed")
def test_it_is_not_known_where_it_is_not_installed(site):
    # No engine with it has ever reported itself.
    assert "rolling" not in services.known_workflows(site.ctx)
    assert {"default", "vnf"} <= services.known_workflows(site.ctx)
