import keystoneauth1.identity
import keystoneauth1.session
import openstack
import pytest

from recovery_ha.simulator.control_client import ControlClient
from recovery_ha.simulator.server import Simulator


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
        session = keystoneauth1.session.Session(
            keystoneauth1.identity.V3Password(
                simulator.auth_url,
                username=user,
                password=password or user,
                user_domain_id="default",
                **options,
            )
        )
        connection = openstack.connection.Connection(
            session=session,
            region_name="RegionOne",
            compute_default_microversion="2.94",
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
