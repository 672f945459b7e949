"""Nothing is evacuated from a host that Nova still sees alive."""

from recovery_ha.domain.recovery import NotificationStatus


def evacuations_refused(site):
    calls = site.world.journal.calls(action="evacuate")
    return [call for call in calls if call.status != 200]


def test_it_goes_on_as_soon_as_nova_sees_the_service_down(site):
    site.world.settings.down_time_seconds = 1.5
    servers = site.servers("compute-1", 2)
    site.engine_here()

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert not evacuations_refused(site)


def test_a_service_that_stays_up_is_never_evacuated(site):
    (server,) = site.servers("compute-1")
    site.engine_here(wait_period_after_service_update=1, max_attempts=2)

    uuid = site.report("compute-1")

    ended = site.ended(uuid)
    assert ended.status is NotificationStatus.FAILED
    assert ended.attempts == 2
    assert "still sees the compute service on compute-1 up" in ended.message
    assert not site.asked("evacuate")
    assert site.world.servers[server].host == "compute-1"
    assert site.locks() == 0


def test_a_host_that_comes_back_before_it_was_seen_down(site):
    site.world.settings.down_time_seconds = 60
    site.servers("compute-1", 2)
    site.engine_here(wait_period_after_service_update=1, max_attempts=1)

    uuid = site.lose("compute-1")
    site.world.start("compute-1")

    assert site.ended(uuid).status is NotificationStatus.FAILED
    assert not site.asked("evacuate")


def test_the_service_is_forced_down_where_that_is_allowed(site):
    servers = site.servers("compute-1", 2)
    site.engine_here(force_down="always")

    uuid = site.report("compute-1")

    site.assert_recovered(uuid, servers)
    assert site.world.computes.get("compute-1").forced_down


def test_a_host_that_nova_does_not_know(site):
    site.register_host("ghost")
    site.engine_here(max_attempts=1)

    uuid = site.report("ghost")

    ended = site.ended(uuid)
    assert ended.status is NotificationStatus.FAILED
    assert "no compute service on a host named ghost" in ended.message
    assert site.locks() == 0
