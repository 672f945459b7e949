"""``/healthcheck`` with the looks that it takes when it is asked to."""

import json
import socket
import threading

import pytest
import sqlalchemy as sa
from oslo_middleware.healthcheck import opts

from recovery_ha.api import health
from recovery_ha.api.app import make_app
from recovery_ha.db.migration import VERSION_TABLE
from recovery_ha.tests.fixtures.databases import BACKENDS, configure
from recovery_ha.tests.fixtures.rest import Api

BOTH = ["disable_by_file", "recovery_ha_database", "recovery_ha_schema"]
VERSION = sa.table(VERSION_TABLE, sa.column("version_num"))


@pytest.fixture
def ask(conf, database):
    """Return a function that asks for the health of an application."""

    def ask(conf=conf, backends=BOTH, **headers):
        conf.set_override("auth_strategy", "noauth", "api")
        conf.register_opts(opts.HEALTHCHECK_OPTS, group="healthcheck")
        conf.set_override("backends", backends, "healthcheck")
        api = Api(make_app(conf, database, lambda: None), prefix="")
        return lambda: api.get("/healthcheck", **headers)

    return ask


@pytest.mark.parametrize("backend", BACKENDS, indirect=True)
def test_all_is_well(ask):
    answer = ask()()
    assert (answer.status, answer.raw) == (200, b"OK\nOK\nOK")


@pytest.mark.parametrize("backend", BACKENDS, indirect=True)
def test_tables_of_another_release(ask, database):
    with database.engine.begin() as connection:
        now = connection.scalar(sa.select(VERSION.c.version_num))
        connection.execute(sa.update(VERSION).values(version_num="9999"))
    try:
        answer = ask()()
    finally:
        with database.engine.begin() as connection:
            connection.execute(sa.update(VERSION).values(version_num=now))
    assert answer.status == 503
    assert answer.raw.startswith(b"OK\nOK\nTHE DATABASE DOES NOT FIT")


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_details_are_told_only_where_they_are_wanted(ask, conf):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        url = f"mysql+pymysql://somebody:hunter2@127.0.0.1:{port}/nothing"
        other = configure(url)
        answer = ask(other, Accept="application/json")()
        assert answer.status == 503
        assert json.loads(answer.raw) == {
            "detailed": False,
            "reasons": [
                "OK",
                "THE DATABASE DOES NOT ANSWER",
                "THE DATABASE DOES NOT FIT THIS RELEASE",
            ],
        }
        other.set_override("detailed", True, "healthcheck")
        answer = ask(other, Accept="application/json")()
    assert answer.status == 503
    said = [reason["details"] for reason in json.loads(answer.raw)["reasons"]]
    assert "cannot be used" in said[1]
    assert b"hunter2" not in answer.raw


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_an_answer_is_kept_for_a_while(ask, monkeypatch):
    looks = []
    look = health.DatabaseHealthcheck.ask

    def counted(self, database):
        looks.append(1)
        look(self, database)

    monkeypatch.setattr(health.DatabaseHealthcheck, "ask", counted)
    asked = ask(backends=["recovery_ha_database"])
    assert {asked().status for _turn in range(5)} == {200}
    assert len(looks) == 1
    monkeypatch.setattr(health, "_KEPT_SECONDS", -1.0)
    assert asked().status == 200
    assert len(looks) == 2


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
def test_a_database_that_hangs_is_not_waited_for(ask, monkeypatch):
    free = threading.Event()
    looks = []

    def hang(_self, _database):
        looks.append(1)
        assert free.wait(30)

    monkeypatch.setattr(health, "_DEADLINE_SECONDS", 0.05)
    monkeypatch.setattr(health.DatabaseHealthcheck, "ask", hang)
    asked = ask(backends=["recovery_ha_database"])
    for _turn in range(3):
        answer = asked()
        assert answer.status == 503
        assert answer.raw == b"THE DATABASE DOES NOT ANSWER"
    assert len(looks) == 1  # it is not asked again while it does not answer
    free.set()
    monkeypatch.setattr(health, "_DEADLINE_SECONDS", 30.0)
    assert asked().status == 200
