"""Action plug-ins on hosts, run as an engine runs them."""

import json
import os
import signal
import threading

import pytest
import sqlalchemy as sa

from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import PluginType, RunStatus
from recovery_ha.engine.maintenance import actions
from recovery_ha.plugin import HostAction, MaintenanceFailed
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.owned_session import OwnedSession
from recovery_ha.tests.fixtures.waiting import eventually

every_backend = pytest.mark.parametrize("backend", BACKENDS)
HOST, PRE = PluginType.HOST, PluginType.PRE


class Flash(HostAction):
    """An action of a third party, which a test controls."""

    did: list = []  # noqa: RUF012 - emptied by the fixture
    trouble: list = []  # noqa: RUF012

    def run(self):
        name = self.metadata.get("name", "flash")
        type(self).did.append((self.host, name))
        self.progress(0.7, f"Flashing {self.host}")
        if (self.host, name) in self.trouble:
            raise RuntimeError("no power")
        return f"{name} is flashed, {self.type} of {self.session_id}"


class Killed(SystemExit):
    """What no part of the service catches."""


@pytest.fixture(autouse=True)
def flash(monkeypatch):
    """Have the action installed, beside the built-in ones."""
    found = actions.load_actions()
    monkeypatch.setattr(
        actions, "load_actions", lambda: {**found, "flash": Flash}
    )
    Flash.did.clear()
    Flash.trouble.clear()
    return Flash


@pytest.fixture
def own(site):
    """Return a function that makes a session which this test owns."""

    def own(*used, hosts=("compute-1", "compute-2"), **options):
        return OwnedSession(site, *hosts, actions=used, **options)

    return own


def commands(**found):
    """Return the option as an operator writes it: each $ twice."""
    return json.dumps(found).replace("$", "$$")


def run(session, type_=HOST, host="compute-1"):
    actions.run(session.env, session.session, type_, host)


def statuses(session):
    return [
        (one.plugin, one.host, one.status, one.attempt)
        for one in session.session.runs
    ]


def atoms(site):
    flows = sa.table("flowdetails", *map(sa.column, ("uuid", "name", "state")))
    found = sa.table(
        "atomdetails",
        *map(sa.column, ("parent_uuid", "name", "state", "meta")),
    )
    with site.database.engine.begin() as connection:
        return connection.execute(
            sa.select(
                flows.c.name, found.c.name, found.c.state, found.c.meta
            ).join(found, found.c.parent_uuid == flows.c.uuid)
        ).all()


@every_backend
def test_those_of_a_type_run_in_the_order_in_which_they_are_defined(
    site, own, flash
):
    session = own(
        ("flash", "host", {"name": "z"}),
        ("flash", "pre", {"name": "p"}),
        ("dummy", "host", {"message": "nothing done"}),
        ("flash", "host", {"name": "a"}),
    )
    run(session, PRE, "localhost")
    run(session)
    assert flash.did == [
        ("localhost", "p"),
        ("compute-1", "z"),
        ("compute-1", "a"),
    ]
    found = {(one.ordinal, one.host): one for one in session.session.runs}
    assert {one.status for one in found.values()} == {RunStatus.DONE}
    assert found[0, "compute-1"].output == (
        f"z is flashed, host of {session.uuid}"
    )
    assert found[1, "localhost"].output == (
        f"p is flashed, pre of {session.uuid}"
    )
    assert found[2, "compute-1"].output == "nothing done"
    assert all(one.ended_at >= one.started_at for one in found.values())
    # nothing is done again
    run(session)
    assert len(flash.did) == 3
    # the logbook of a host has its progress, and the ledger has it too
    shown = {row[1]: row for row in atoms(site)}
    assert set(shown) == {"flash-0", "flash-1", "dummy-2", "flash-3"}
    assert shown["flash-0"][0] == "maintenance_host_engine"
    assert "Flashing compute-1" in str(shown["flash-0"][3])
    assert site.said(session.uuid)[-3:] == [
        "compute-1: Started execution of Flash",
        "compute-1: Flashing compute-1",
        "compute-1: Finished execution of Flash",
    ]
    assert session.history("compute-1")[0] == (
        "flash-0 (7)",
        "ready",
        "compute-1: Finished execution of Flash",
    )


def test_nothing_of_a_type_is_nothing_to_do(site, own, flash):
    session = own(("flash", "host", {}))
    run(session, PluginType.COMPUTE)
    assert flash.did == []
    assert atoms(site) == []


def test_a_failure_keeps_its_output_and_is_gone_on_with(site, own, flash):
    session = own(
        ("flash", "host", {"name": "one"}),
        ("flash", "host", {"name": "two"}),
        ("flash", "host", {"name": "three"}),
    )
    flash.trouble.append(("compute-1", "two"))
    with pytest.raises(MaintenanceFailed) as raised:
        run(session)
    assert str(raised.value) == (
        "Action flash (host) failed on compute-1: no power"
    )
    assert statuses(session) == [
        ("flash", "compute-1", RunStatus.DONE, 1),
        ("flash", "compute-1", RunStatus.FAILED, 1),
    ]
    assert session.session.runs[1].output == "no power"

    flash.trouble.clear()
    flash.did.clear()
    run(session)
    assert flash.did == [("compute-1", "two"), ("compute-1", "three")]
    assert statuses(session) == [
        ("flash", "compute-1", RunStatus.DONE, 1),
        ("flash", "compute-1", RunStatus.DONE, 2),
        ("flash", "compute-1", RunStatus.DONE, 1),
    ]


def test_whatever_an_action_raises_can_be_kept(site, own, flash, monkeypatch):
    def run_badly(self):
        error = ValueError({"a": object}, "bad")
        error.__context__ = LookupError(object())
        raise error

    kind = type("Flash", (Flash,), {"run": run_badly})
    monkeypatch.setattr(actions, "load_actions", lambda: {"flash": kind})
    session = own(("flash", "host", {}))
    with pytest.raises(MaintenanceFailed, match="bad"):
        run(session)
    assert [one[2] for one in statuses(session)] == [RunStatus.FAILED]


def test_an_action_that_is_not_installed(own):
    session = own(("unheard-of", "host", {}))
    with pytest.raises(MaintenanceFailed, match="unheard-of is not installed"):
        run(session)


@every_backend
@pytest.mark.parametrize(
    "point", ["in the plug-in", "before its end", "after its end"]
)
def test_killed_in_the_middle_that_one_runs_again(
    site, own, flash, monkeypatch, point
):
    session = own(
        ("flash", "host", {"name": "one"}),
        ("flash", "host", {"name": "two"}),
        ("flash", "host", {"name": "three"}),
    )
    tell = actions.action_work.tell

    def dying(self):
        output = Flash.run(self)
        if self.metadata["name"] == "two":
            raise Killed
        return output

    def dying_tell(ctx, claim, session, unit, remarks, **values):
        mine = (unit.use.ordinal, values.get("status")) == (1, RunStatus.DONE)
        if mine and point == "before its end":
            raise Killed
        tell(ctx, claim, session, unit, remarks, **values)
        if mine:
            raise Killed

    with monkeypatch.context() as patch:
        if point == "in the plug-in":
            kind = type("Flash", (Flash,), {"run": dying})
            patch.setattr(actions, "load_actions", lambda: {"flash": kind})
        else:
            patch.setattr(actions.action_work, "tell", dying_tell)
        with pytest.raises(Killed):
            run(session)
    session.take_over()
    run(session)

    again = [] if point == "after its end" else ["two"]
    assert [name for _host, name in flash.did] == [
        *("one", "two"),
        *again,
        "three",
    ]
    attempt = 1 if point == "after its end" else 2
    assert [one[2:] for one in statuses(session)] == [
        (RunStatus.DONE, 1),
        (RunStatus.DONE, attempt),
        (RunStatus.DONE, 1),
    ]


def test_hosts_run_side_by_side(site, own, flash):
    session = own(("dummy", "host", {"seconds": 2}))
    hosts = ["compute-1", "compute-2", "compute-3"]
    failed = []

    def work(host):
        try:
            run(session, host=host)
        except Exception as exc:  # noqa: BLE001 - shown below
            failed.append(exc)

    threads = [threading.Thread(target=work, args=(host,)) for host in hosts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(one[1] for one in statuses(session)) == hosts
    assert {one[2] for one in statuses(session)} == {RunStatus.DONE}
    runs = session.session.runs
    assert max(r.started_at for r in runs) < min(r.ended_at for r in runs)


def test_whoever_lost_the_session_writes_nothing(site, own, flash):
    session = own(("flash", "host", {}))
    stale = session.env
    session.take_over()
    with pytest.raises(errors.LeaseLost):
        actions.run(stale, session.session, HOST, "compute-1")
    assert flash.did == []
    assert statuses(session) == []


def test_an_abort_is_heard_between_two_actions(site, own, flash, monkeypatch):
    session = own(
        ("flash", "host", {"name": "one"}), ("flash", "host", {"name": "two"})
    )

    def aborted(self):
        session.env.lease.interrupt("abort")
        return Flash.run(self)

    kind = type("Flash", (Flash,), {"run": aborted})
    monkeypatch.setattr(actions, "load_actions", lambda: {"flash": kind})
    with pytest.raises(errors.RecoveryInterrupted):
        run(session)
    assert flash.did == [("compute-1", "one")]
    assert [one[2] for one in statuses(session)] == [RunStatus.DONE]


# Commands


def test_a_command_of_the_operator_runs(site, own):
    session = own(
        ("command", "host", {"name": "say", "argv": ["rm"], "host": "x"}),
        commands=commands(say=["echo", "hello {host}; $HOME", "{host}"]),
    )
    run(session)
    (found,) = session.session.runs
    assert found.status is RunStatus.DONE
    assert found.output == "hello compute-1; $HOME compute-1"


@pytest.mark.parametrize(
    ("metadata", "why"),
    [
        ({}, "There is no command None in"),
        ({"name": "other"}, "there are: say."),
        ({"name": ["say"]}, "There is no command ['say'] in"),
    ],
)
def test_only_what_the_operator_has_named(own, metadata, why):
    session = own(
        ("command", "host", metadata), commands=commands(say=["echo"])
    )
    with pytest.raises(MaintenanceFailed) as raised:
        run(session)
    assert why in str(raised.value)


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["sh", "-c", "echo broken; exit 3"], "sh ended with 3.\nbroken"),
        (["sh", "-c", "kill -9 $$"], "sh ended with -9."),
        (["/no/such/thing"], "/no/such/thing cannot be started:"),
    ],
)
def test_its_exit_status_is_judged(own, argv, why):
    session = own(
        ("command", "host", {"name": "c"}), commands=commands(c=argv)
    )
    with pytest.raises(MaintenanceFailed) as raised:
        run(session)
    assert f"Action command (host) failed on compute-1: {why}" in str(
        raised.value
    )
    assert why in session.session.runs[0].output


def test_what_it_says_is_bounded(own):
    code = "for i in $(seq 20000); do echo line $i of many; done; exit 1"
    session = own(
        ("command", "host", {"name": "c"}),
        commands=commands(c=["sh", "-c", code]),
    )
    with pytest.raises(MaintenanceFailed) as raised:
        run(session)
    assert len(str(raised.value)) < 1200
    assert "line 20000 of many" in str(raised.value)
    output = session.session.runs[0].output
    assert len(output) < 70000
    assert "characters left out" in output
    assert "line 20000 of many" in output


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def lingering(site):
    """A command that starts another one and waits, and their pids."""
    path = site.directory / "pids"
    code = f"sleep 600 & echo $$ $! > {path}.new; mv {path}.new {path}; wait"

    def pids():
        eventually(path.exists, "the command runs")
        return [int(word) for word in path.read_text().split()]

    yield commands(c=["sh", "-c", code]), pids
    if path.exists():
        for pid in map(int, path.read_text().split()):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_what_takes_too_long_is_killed_with_all_it_started(own, lingering):
    session = own(
        ("command", "host", {"name": "c"}), commands=lingering[0], kill_after=1
    )
    with pytest.raises(MaintenanceFailed, match="sh was killed after 1 s"):
        run(session)
    eventually(lambda: not any(map(alive, lingering[1]())), "all is dead")


@pytest.mark.parametrize(
    ("end", "raised"),
    [
        (lambda lease: lease.lose(), errors.LeaseLost),
        (lambda lease: lease.stop(), errors.EngineStopping),
        (lambda lease: lease.interrupt("abort"), errors.RecoveryInterrupted),
    ],
)
def test_it_is_killed_when_the_session_is_lost_or_aborted(
    site, own, lingering, end, raised
):
    session = own(("command", "host", {"name": "c"}), commands=lingering[0])
    timer = threading.Timer(
        0.0, lambda: (lingering[1](), end(session.env.lease))
    )
    timer.start()
    with pytest.raises(raised):
        run(session)
    timer.join()
    eventually(lambda: not any(map(alive, lingering[1]())), "all is dead")
    # it may be begun once more
    (found,) = session.session.runs
    assert found.status is RunStatus.RUNNING
