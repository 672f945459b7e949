import pathlib

import openstack
import pytest

from recovery_ha.simulator.control_client import ControlClient
from recovery_ha.simulator.server import Simulator

HERE = pathlib.Path(__file__).parent


def pytest_collection_modifyitems(items):
    # openstacksdk warns of its own insides, whatever its users do.
    names = ("RemovedInSDK50Warning", "RemovedInSDK60Warning")
    ours = [
        pytest.mark.filterwarnings(f"ignore::openstack.warnings.{name}")
        for name in names
    ]
    for item in items:
        if HERE in item.path.parents:
            for mark in ours:
                item.add_marker(mark)


@pytest.fixture
def simulator():
    with Simulator(
        rebuild_seconds=0.05,
        done_delay_seconds=0.05,
        action_seconds=0.02,
        boot_seconds=0.02,
        migrate_seconds=0.05,
        start_seconds=0.05,
        down_time_seconds=0.05,
        computes=4,
    ) as simulator:
        yield simulator


@pytest.fixture
def world(simulator):
    return simulator.world


@pytest.fixture
def control(simulator):
    with ControlClient(simulator.url) as control:
        yield control


@pytest.fixture
def connect(simulator):
    """Log in as a user and return the SDK's connection."""
    made = []

    def connect(user="admin", password=None, project="admin", **options):
        if project is not None:
            options |= {
                "project_name": project,
                "project_domain_id": "default",
            }
        connection = openstack.connect(
            auth_url=simulator.auth_url,
            username=user,
            password=password or user,
            user_domain_id="default",
            region_name="RegionOne",
            compute_default_microversion="2.94",
            load_envvars=False,
            load_yaml_config=False,
            **options,
        )
        made.append(connection)
        return connection

    yield connect
    for connection in made:
        connection.session.session.close()
        connection.close()


@pytest.fixture
def cloud(connect):
    return connect()
