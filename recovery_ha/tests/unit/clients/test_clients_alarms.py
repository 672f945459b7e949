"""Which projects have an alarm for an event."""

import functools
import warnings

import pytest

from recovery_ha.clients.alarms import Alarms
from recovery_ha.clients.compute import Nova
from recovery_ha.clients.maintenance_events import PROJECT_EVENTS
from recovery_ha.domain import errors

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture
def alarms(bind):
    return bind(Alarms)


@pytest.fixture
def add(world):
    """Return a function that gives a project an alarm."""

    def add(project, event_type="maintenance.scheduled", query=(), **fields):
        rule = {"event_type": event_type, "query": list(query)}
        body = {"name": "tell us", "event_rule": rule, **fields}
        return world.alarms.add(body, project, "user")

    return add


@pytest.mark.parametrize(
    ("event_type", "counts"),
    [
        ("maintenance.scheduled", True),
        ("maintenance.planned", True),
        ("maintenance.*", True),
        ("*", True),
        ("maintenance.plan?ed", True),
        ("maintenance.host", False),
        ("compute.*", False),
        ("maintenance", False),
    ],
)
def test_an_alarm_for_either_name_counts(alarms, add, event_type, counts):
    add("p1", event_type)
    found = alarms.subscribed_projects(PROJECT_EVENTS)
    assert found == ({"p1"} if counts else set())


def test_one_name_may_be_all_there_is(alarms, add):
    add("p1", "maintenance.planned")
    assert alarms.subscribed_projects(["maintenance.scheduled"]) == set()


def test_alarms_of_all_projects_are_looked_at(alarms, add):
    for project in ("p1", "p2", "p1", "p3"):
        add(project)
    found = alarms.subscribed_projects(PROJECT_EVENTS)
    assert found == {"p1", "p2", "p3"}


def test_a_disabled_alarm_does_not_count(alarms, add):
    add("p1", enabled=False)
    assert alarms.subscribed_projects(PROJECT_EVENTS) == set()


def test_alarms_of_another_kind_are_passed_over(alarms, add):
    threshold = add("p1")
    threshold.fields["type"] = "gnocchi_resources_threshold"
    del threshold.fields["event_rule"]
    composite = add("p2")
    composite.fields["event_rule"] = None
    add("p3")
    assert alarms.subscribed_projects(PROJECT_EVENTS) == {"p3"}


@pytest.mark.parametrize(
    ("condition", "counts"),
    [
        ({"field": "traits.project_id", "op": "eq", "value": "p1"}, True),
        ({"field": "traits.project_id", "value": "p1"}, True),
        ({"field": "traits.tenant_id", "op": "eq", "value": "p1"}, True),
        ({"field": "traits.project_id", "op": "eq", "value": "p2"}, False),
        ({"field": "traits.project_id", "op": "ne", "value": "p1"}, False),
        ({"field": "traits.project_id", "op": "ne", "value": "p2"}, True),
        ({"field": "traits.project_id", "op": "odd", "value": "p2"}, True),
        ({"field": "traits.state", "op": "eq", "value": "SCALE_IN"}, True),
        ({}, True),
    ],
)
def test_a_query_that_excludes_its_own_project_excludes_it(
    alarms, add, condition, counts
):
    add("p1", query=[condition])
    found = alarms.subscribed_projects(PROJECT_EVENTS)
    assert found == ({"p1"} if counts else set())


def test_pages_are_followed(bind, add, world):
    projects = {f"p{number}" for number in range(7)}
    for project in sorted(projects):
        add(project)
    alarms = bind(functools.partial(Alarms, page_size=3))
    world.journal.clear_counts()
    assert alarms.subscribed_projects(PROJECT_EVENTS) == projects
    assert world.journal.counts()["alarm"]["GET /alarms"] == 4


def test_an_aodh_without_pages_gives_all_at_once(
    bind, add, monkeypatch, world
):
    for number in range(7):
        add(f"p{number}")
    monkeypatch.setattr(
        "recovery_ha.simulator.alarm_api._page", lambda _context, found: found
    )
    world.journal.clear_counts()
    alarms = bind(functools.partial(Alarms, page_size=3))
    found = alarms.subscribed_projects(PROJECT_EVENTS)
    assert len(found) == 7
    assert world.journal.counts()["alarm"]["GET /alarms"] == 2


def test_a_refusal_is_aodh_s_own_sentence(alarms, world):
    world.faults.add(
        service="alarm", path="/alarms", status=403, message="Not yours."
    )
    with pytest.raises(errors.ComputeError) as caught:
        alarms.subscribed_projects(PROJECT_EVENTS)
    assert str(caught.value) == "Aodh answered 403: Not yours."
    assert not isinstance(caught.value, errors.ComputeUnavailable)


def test_an_outage_is_waited_out_and_then_told(bind, world, work, add):
    add("p1")
    alarms = bind(Alarms, read_retries=2)
    alarms.subscribed_projects(PROJECT_EVENTS)
    world.outages.begin("alarm", 503)
    with pytest.raises(errors.ComputeUnavailable, match=r"^Aodh answered 503"):
        alarms.subscribed_projects(PROJECT_EVENTS)
    assert len(work.slept) == 2


@pytest.fixture
def bind_with(simulator, world, configure, work):
    """Return a function that binds Aodh with options of [alarm]."""

    def bind_with(nova, **options):
        conf = configure(
            auth_type="password",
            auth_url=simulator.auth_url,
            username="service",
            password="secret",
            project_name="service",
            user_domain_id="default",
            project_domain_id="default",
            read_retries=0,
            **nova,
        )
        for name, value in options.items():
            conf.set_override(name, value, "alarm")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Alarms(
                Nova(conf), check=work.check, wait=work.wait, request_id=None
            )

    return bind_with


@pytest.mark.parametrize(
    ("nova", "alarm", "found"),
    [
        ({}, {}, True),
        ({"region_name": "RegionOne"}, {}, True),
        ({"region_name": "Elsewhere"}, {}, False),
        ({"region_name": "Elsewhere"}, {"region_name": "RegionOne"}, True),
        ({"valid_interfaces": "internal"}, {}, True),
        ({}, {"service_type": "nothing"}, False),
    ],
)
def test_where_aodh_is(bind_with, add, nova, alarm, found):
    add("p1")
    alarms = bind_with(nova, **alarm)
    if found:
        assert alarms.subscribed_projects(PROJECT_EVENTS) == {"p1"}
    else:
        with pytest.raises(errors.ComputeUnavailable, match=r"^Aodh: "):
            alarms.subscribed_projects(PROJECT_EVENTS)


def test_where_aodh_is_may_be_said(bind_with, add, simulator):
    add("p1")
    alarms = bind_with(
        {"region_name": "Elsewhere"},
        endpoint_override=f"{simulator.url}/alarm",
    )
    assert alarms.subscribed_projects(PROJECT_EVENTS) == {"p1"}


def test_an_option_that_makes_no_sense_is_named(bind_with):
    with pytest.raises(errors.InvalidConfiguration, match=r"\[alarm\].*nobo"):
        bind_with({}, valid_interfaces=["nobodys"])
