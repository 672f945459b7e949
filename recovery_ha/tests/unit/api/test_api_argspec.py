import inspect

import pecan.core
import pecan.rest
import pecan.routing
import pecan.util

from recovery_ha.api import argspec


class Controller:
    def method(self, req, resp, *references, name=None):
        pass


def test_signatures_are_worked_out_once(monkeypatch):
    assert argspec.remember_signatures()
    assert argspec.remember_signatures()
    for module in (pecan.util, pecan.core, pecan.routing, pecan.rest):
        assert module.getargspec is pecan.util.getargspec

    first = pecan.util.getargspec(Controller().method)
    assert first.args == ["self", "req", "resp"]
    assert first.varargs == "references"

    def fail(*_args, **_more):
        raise AssertionError("worked out again")

    monkeypatch.setattr(inspect, "getfullargspec", fail)
    assert pecan.util.getargspec(Controller().method) is first


def test_unknown_pecan_is_left_alone(monkeypatch, caplog):
    def other(method):
        raise AssertionError(method)

    monkeypatch.setattr(pecan.routing, "getargspec", other)
    monkeypatch.setattr(pecan.util, "getargspec", lambda _method: None)
    assert not argspec.remember_signatures()
    assert "unknown" in caplog.text
    assert pecan.routing.getargspec is other
