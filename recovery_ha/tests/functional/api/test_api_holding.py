"""Segments and hosts that change while reports about them are open."""

import pytest
import sqlalchemy as sa

from recovery_ha.db import models

ENABLED = {"segment": {"enabled": True}}
DISABLED = {"segment": {"enabled": False}}


@pytest.fixture
def url(segment):
    return f"/segments/{segment['uuid']}"


@pytest.fixture
def held(world, notification):
    """Have a gate hold the report for a long time."""
    world.set(notification, held=True, wake_at=9e9)
    return notification


@pytest.fixture
def wakes_at(database):
    def wakes_at(notification):
        with database.read_engine.connect() as connection:
            return connection.scalar(
                sa.select(models.Notification.wake_at).where(
                    models.Notification.id == notification["id"]
                )
            )

    return wakes_at


@pytest.mark.usefixtures("notification")
def test_a_busy_segment_can_be_disabled(api, url):
    answer = api.put(url, DISABLED, version="1.2")
    assert answer.status == 200
    assert answer.json["segment"]["enabled"] is False
    answer = api.put(url, {"segment": {"description": "x"}}, version="1.2")
    assert answer.status == 409
    both = {"segment": {"enabled": True, "description": "x"}}
    assert api.put(url, both, version="1.2").status == 409


def test_enabling_a_segment_wakes_what_it_held(
    api, world, url, held, wakes, wakes_at
):
    before = wakes.count
    api.put(url, DISABLED, version="1.2")
    assert (wakes.count, wakes_at(held)) == (before, 9e9)

    api.put(url, ENABLED, version="1.2")
    assert wakes.count == before + 1
    assert wakes_at(held) < 9e9


def test_of_another_segment_nothing_wakes(api, world, held, wakes_at):
    other = world.segment(name="two")
    api.put(f"/segments/{other['uuid']}", ENABLED, version="1.2")
    assert wakes_at(held) == 9e9


def test_a_host_is_taken_off_maintenance_while_it_is_held(
    api, world, url, host, held, wakes, wakes_at
):
    before = wakes.count
    host_url = f"{url}/hosts/{host['uuid']}"
    on = {"host": {"on_maintenance": True}}
    assert api.put(host_url, on).status == 409
    renamed = {"host": {"on_maintenance": False, "name": "x"}}
    assert api.put(host_url, renamed).status == 409

    back = {"host": {"on_maintenance": False}}
    assert api.put(host_url, back).status == 200
    assert wakes.count == before + 1
    assert wakes_at(held) < 9e9

    # One that is recovered is reason enough to wait.
    world.report(payload={"event": "STOPPED"})
    assert api.put(host_url, back).status == 409
