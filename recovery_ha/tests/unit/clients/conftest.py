import warnings

import pytest

from recovery_ha.clients.compute import Nova
from recovery_ha.conf import new_config
from recovery_ha.simulator.server import Simulator


@pytest.fixture(scope="module")
def simulator():
    with Simulator(
        computes=4,
        rebuild_seconds=0.05,
        done_delay_seconds=0.02,
        action_seconds=0.02,
        start_seconds=0.05,
        down_time_seconds=0.05,
    ) as simulator:
        yield simulator


@pytest.fixture
def world(simulator):
    world = simulator.world
    world.settings.page_limit = 1000
    world.settings.hypervisor_suffix = ""
    world.reset(4, 0)
    return world


class Work:
    """A piece of work: whether it may be acted on, and how long it slept."""

    def __init__(self):
        self.refusal = None
        self.checks = 0
        self.slept = []

    def check(self):
        self.checks += 1
        if self.refusal is not None:
            raise self.refusal

    def wait(self, seconds):
        self.slept.append(seconds)
        self.check()


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def configure(tmp_path):
    """Return a function that reads a file with options of [nova]."""

    def configure(**values):
        path = tmp_path / "nova.conf"
        lines = [f"{name} = {value}" for name, value in values.items()]
        path.write_text("\n".join(["[nova]", *lines, ""]))
        return new_config(["--config-file", str(path)])

    return configure


@pytest.fixture
def bind(simulator, world, configure, work):
    """Return a function that makes an adapter, with options of [nova]."""

    def bind(adapter, request_id="req-7", **changes):
        values = {
            "auth_type": "password",
            "auth_url": simulator.auth_url,
            "username": "service",
            "password": "secret",
            "project_name": "service",
            "user_domain_id": "default",
            "project_domain_id": "default",
        }
        conf = configure(**values | changes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return adapter(
                Nova(conf),
                check=work.check,
                wait=work.wait,
                request_id=request_id,
            )

    return bind
