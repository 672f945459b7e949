import pytest

from recovery_ha.simulator.settings import Settings
from recovery_ha.simulator.world import World


@pytest.fixture
def settings():
    return Settings(
        rebuild_seconds=0.05,
        done_delay_seconds=0.05,
        action_seconds=0.02,
        boot_seconds=0.02,
        migrate_seconds=0.05,
        start_seconds=0.05,
        down_time_seconds=0.05,
    )


@pytest.fixture
def world(settings):
    world = World(settings)
    world.timeline.start()
    yield world
    world.timeline.stop()


@pytest.fixture
def down(world):
    """Kill a host and wait until Nova says that it is down."""

    def down(host):
        world.kill(host)
        world.wait(lambda: not world.up(host))

    return down


@pytest.fixture
def evacuate(world):
    """Evacuate a server and return the migration record."""

    def evacuate(uuid, host=None, **options):
        with world.lock:
            return world.evacuations.evacuate(
                world.servers[uuid], host, **options
            )

    return evacuate
