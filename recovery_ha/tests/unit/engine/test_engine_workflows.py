"""Workflows: which can be used, and what the base class makes of them."""

import datetime as dt
import itertools
import sys
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import (
    SESSION,
    WORKING,
    HostStatus,
    HostType,
    Session,
    SessionHost,
    SessionState,
)
from recovery_ha.engine.maintenance import asking
from recovery_ha.engine.maintenance.workflows import load_workflows
from recovery_ha.plugin import MaintenanceFailed, Waiting, Workflow
from recovery_ha.tests.fixtures.third_party import (
    forget_entry_points,
    write_distribution,
)

S = SessionState
MODULE = """
from recovery_ha.plugin import Workflow


class Good(Workflow):
    states_methods = {"MAINTENANCE": "begin"}

    def begin(self):
        pass


class Bare(Workflow):
    pass


class Late(Workflow):
    states_methods = {"SCALE_IN": "begin"}
    begin = Good.begin


class Ended(Workflow):
    states_methods = {"MAINTENANCE": "begin", "MAINTENANCE_DONE": "begin"}
    begin = Good.begin


class Other:
    pass
"""
NUMBERS = itertools.count()


@pytest.fixture
def announce(tmp_path, monkeypatch):
    """Return a function that installs a package with workflows."""

    def announce(**workflows):
        name = f"workflows{next(NUMBERS)}"
        lines = [f"{key} = {name}:{value}" for key, value in workflows.items()]
        text = "\n".join(["[recovery_ha.workflows]", *lines, ""])
        directory = tmp_path / name
        write_distribution(directory, name, MODULE, text)
        monkeypatch.syspath_prepend(str(directory))

    forget_entry_points(monkeypatch)
    yield announce
    for name in [n for n in sys.modules if n.startswith("workflows")]:
        del sys.modules[name]


def test_the_built_in_ones_are_there(announce):
    assert {"default", "vnf"} <= load_workflows().keys()


def test_one_of_a_third_party(announce):
    announce(good="Good")
    assert "good" in load_workflows()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("Bare", "has no method maintenance for state MAINTENANCE."),
        ("Late", "has no method for MAINTENANCE."),
        ("Ended", "has a method for MAINTENANCE_DONE, which is none."),
        ("Other", "is no subclass of recovery_ha.plugin.Workflow."),
        ("Gone", "cannot be loaded"),
    ],
)
def test_what_cannot_be_used(announce, kind, text):
    announce(mine=kind)
    with pytest.raises(errors.InvalidConfiguration, match="'mine'") as caught:
        load_workflows()
    assert text in str(caught.value)


def test_two_packages_with_one_name(announce):
    announce(good="Good")
    announce(good="Good")
    with pytest.raises(errors.InvalidConfiguration, match="more than one"):
        load_workflows()


# The base class


def session(state=S.MAINTENANCE, hosts=(), **values):
    return Session(
        **{
            "id": 1,
            "uuid": "s",
            "state": state,
            "round": 1,
            "workflow": "mine",
            "maintenance_at": dt.datetime(2026, 1, 1),
            "metadata": {},
            "all_hosts": False,
            "hosts": hosts,
            "projects": (),
            "instances": (),
            "actions": (),
            "runs": (),
            "failed_state": None,
            "aborted": False,
            "paused": False,
            "requested": None,
            "seen": 0,
            "attempts": 0,
            "percent_done": 0,
            "record": {},
            "message": None,
            "project_id": None,
            "user_id": None,
            "request_id": None,
            "created_at": dt.datetime(2026, 1, 1),
            "updated_at": None,
        }
        | values
    )


class Work:
    """What a workflow is given, as far as it is needed here."""

    def __init__(self, found, now=0.0):
        self.session = found
        self.time = now

    def now(self):
        return self.time


class Mine(Workflow):
    """A workflow whose methods do what they are told."""

    states_methods = dict.fromkeys(WORKING, "anything")
    then = None

    def anything(self):
        if self.then is not None:
            self.state = self.then


@pytest.mark.parametrize("state", sorted(WORKING))
@pytest.mark.parametrize("then", list(S))
def test_only_moves_of_the_table(state, then):
    workflow = Mine(Work(session(state)))
    workflow.then = then
    if then in SESSION.moves[state]:
        assert workflow.run() is then
        assert workflow.state is then
    else:
        with pytest.raises(errors.IllegalTransition):
            workflow.run()
        assert workflow.state is state


@pytest.mark.parametrize("state", sorted(WORKING))
def test_a_method_that_does_not_say_what_follows(state):
    with pytest.raises(MaintenanceFailed, match=f"what follows {state}"):
        Mine(Work(session(state))).run()


def test_a_state_that_the_workflow_does_not_have():
    class Short(Mine):
        states_methods: ClassVar = {"MAINTENANCE": "anything"}

    with pytest.raises(MaintenanceFailed, match="no method for SCALE_IN"):
        Short(Work(session(S.SCALE_IN))).run()
    workflow = Short(Work(session()))
    workflow.then = S.SCALE_IN
    with pytest.raises(errors.IllegalTransition):
        workflow.run()


@pytest.mark.parametrize("when", [100.0, dt.datetime(1970, 1, 1, 0, 1, 40)])
def test_waiting_until_it_is_time(when):
    early = Mine(Work(session(), now=99.0))
    with pytest.raises(Waiting) as caught:
        early.wait_until(when)
    assert caught.value.until == 100.0
    Mine(Work(session(), now=100.0)).wait_until(when)


def test_hosts_that_are_left_in_the_order_of_the_session():
    def host(ordinal, type_, status):
        return SessionHost(
            ordinal=ordinal, host=f"h-{ordinal}", type=type_, status=status
        )

    hosts = (
        host(2, HostType.COMPUTE, HostStatus.FAILED),
        host(0, HostType.COMPUTE, HostStatus.PENDING),
        host(1, HostType.COMPUTE, HostStatus.MAINTAINED),
        host(3, HostType.CONTROLLER, HostStatus.PENDING),
    )
    workflow = Mine(Work(session(hosts=hosts)))
    assert workflow.unmaintained() == ["h-0", "h-2"]
    assert workflow.unmaintained(HostType.CONTROLLER) == ["h-3"]


# Times


@given(
    now=st.floats(1.7e9, 1.9e9),
    timeout=st.floats(0.1, 1e6),
    lead_time=st.floats(0, 1e6),
    state=st.sampled_from([*WORKING]),
)
def test_a_reply_is_due_before_anything_is_done(
    now, timeout, lead_time, state
):
    reply_at, actions_at = asking.times(
        session(state), state, now, timeout, lead_time
    )
    assert now < reply_at < actions_at
    assert actions_at >= now + lead_time


def test_the_maintenance_does_not_begin_before_its_time():
    begin = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()
    early = asking.times(session(), S.MAINTENANCE, begin - 500, 40)
    assert early == (begin - 460, begin)
    late = asking.times(session(), S.MAINTENANCE, begin + 500, 40)
    assert late == (begin + 540, begin + 541)
