"""Archives of a session, fetched by the engine that runs its actions."""

import json
import threading

import pytest

from recovery_ha.domain import errors
from recovery_ha.domain.maintenance import PluginType, RunStatus
from recovery_ha.engine.maintenance import actions
from recovery_ha.plugin import HostAction, MaintenanceFailed
from recovery_ha.tests.fixtures.archives import (
    checksum,
    serving,
    tarred,
    zipped,
)
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.owned_session import OwnedSession
from recovery_ha.tests.fixtures.receiver import Answer, Receiver

every_backend = pytest.mark.parametrize("backend", BACKENDS)
SHOW = ("show", "host", {})


class Show(HostAction):
    """An action of a third party that reads what was fetched."""

    def run(self):
        return " ".join(
            (path / "VERSION").read_text() for path in self.downloads
        )


@pytest.fixture(autouse=True)
def show(monkeypatch):
    """Have the action installed, beside the built-in ones."""
    found = {**actions.load_actions(), "show": Show}
    monkeypatch.setattr(actions, "load_actions", lambda: found)


@pytest.fixture
def own(site):
    """Return a function that makes a session which this test owns.

    Its archives are allowed to the engine, unless that is said otherwise.
    """

    def own(*used, downloads, archives=None, **options):
        return OwnedSession(
            site,
            "compute-1",
            actions=used,
            downloads=downloads,
            archives=json.dumps(downloads if archives is None else archives),
            directory=site.directory / "downloads",
            **options,
        )

    return own


def run(session):
    actions.run(session.env, session.session, PluginType.HOST, "compute-1")


def outcome(session):
    (found,) = session.session.runs
    return found.status, found.output, found.attempt


@every_backend
def test_an_action_finds_archives_in_their_order(site, own):
    new, old = tarred({"VERSION": b"2.1"}), zipped({"VERSION": b"2.0"})
    with serving(new) as one, serving(old) as two:
        urls = {f"{one.url}/a": checksum(new), f"{two.url}/b": checksum(old)}
        session = own(SHOW, ("show", "host", {}), downloads=urls)
        run(session)
        assert (len(one.requests), len(two.requests)) == (1, 1)
    assert [one.output for one in session.session.runs] == ["2.1 2.0"] * 2


@every_backend
def test_a_failure_says_which_and_is_gone_on_with(site, own):
    good = tarred({"VERSION": b"2.1"})
    served = [Answer(503), Answer(parts=[good])]
    with Receiver(lambda _request: served.pop(0)) as server:
        url = f"{server.url}/a.tar.gz"
        session = own(SHOW, downloads={url: checksum(good)})
        said = f"{url} was answered with 503 Service Unavailable."
        with pytest.raises(MaintenanceFailed) as caught:
            run(session)
        assert str(caught.value) == (
            f"Action show (host) failed on compute-1: {said}"
        )
        assert outcome(session) == (RunStatus.FAILED, said, 1)
        run(session)
    assert outcome(session) == (RunStatus.DONE, "2.1", 2)


def test_an_engine_fetches_only_what_it_is_configured_for(site, own):
    data = tarred()
    with serving(data) as server:
        session = own(
            SHOW, downloads={server.url: checksum(data)}, archives={}
        )
        with pytest.raises(MaintenanceFailed, match=r"this engine's \[maint"):
            run(session)
        assert server.requests == []


def test_a_command_is_told_where_archives_are(site, own):
    new, old = tarred(), zipped()
    argv = ["sh", "-c", "echo $$RECOVERY_HA_DOWNLOADS"]
    command = ("command", "host", {"name": "say"})
    with serving(new) as one, serving(old) as two:
        session = own(
            command,
            downloads={one.url: checksum(new), two.url: checksum(old)},
            commands=json.dumps({"say": argv}),
        )
        run(session)
    directory = site.directory / "downloads"
    assert outcome(session)[1] == (
        f"{directory / checksum(new)}:{directory / checksum(old)}"
    )


@pytest.mark.parametrize(
    ("end", "raised"),
    [
        (lambda lease: lease.lose(), errors.LeaseLost),
        (lambda lease: lease.stop(), errors.EngineStopping),
        (lambda lease: lease.interrupt("abort"), errors.RecoveryInterrupted),
    ],
)
def test_nobody_waits_for_a_server_that_is_silent(own, end, raised):
    stopped, data = threading.Event(), tarred()

    def answer(_request):
        end(session.env.lease)
        stopped.wait(10)
        return Answer(parts=[data])

    with Receiver(answer) as server:
        session = own(SHOW, downloads={server.url: checksum(data)})
        with pytest.raises(raised):
            run(session)
        stopped.set()
    # it may be begun once more
    assert outcome(session)[0] is RunStatus.RUNNING
