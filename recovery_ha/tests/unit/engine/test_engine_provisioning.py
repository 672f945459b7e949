"""Provisioning plug-ins that cannot be used stop the engine at its start."""

import itertools
import sys

import pytest

from recovery_ha.conf import new_config
from recovery_ha.domain import errors
from recovery_ha.engine.provisioning.plugins import load_plugins
from recovery_ha.provisioning import installed_plugins
from recovery_ha.tests.fixtures.third_party import (
    forget_entry_points,
    write_distribution,
)

MODULE = """
from recovery_ha.plugin import ProvisioningPlugin


class Good(ProvisioningPlugin):
    def get_provisioning_steps(self):
        return {}

    def create(self, cluster):
        pass

    def scale(self, cluster):
        pass

    def delete(self, cluster):
        pass


class Bare(ProvisioningPlugin):
    def get_provisioning_steps(self):
        return {}


class Other:
    pass
"""
NUMBERS = itertools.count()


@pytest.fixture
def announce(tmp_path, monkeypatch):
    """Return a function that installs a package with plug-ins."""

    def announce(**plugins):
        name = f"provisioner{next(NUMBERS)}"
        lines = [f"{key} = {name}:{value}" for key, value in plugins.items()]
        text = "\n".join(["[recovery_ha.provisioning_plugins]", *lines, ""])
        directory = tmp_path / name
        write_distribution(directory, name, MODULE, text)
        monkeypatch.syspath_prepend(str(directory))
        return name

    forget_entry_points(monkeypatch)
    yield announce
    for name in [n for n in sys.modules if n.startswith("provisioner")]:
        del sys.modules[name]


@pytest.fixture
def conf():
    return new_config([], default_config_files=[])


def test_there_are_none(conf):
    assert load_plugins(conf) == {}
    assert installed_plugins() == frozenset()


def test_it_is_made_with_the_configuration(announce, conf):
    name = announce(good="Good")
    assert installed_plugins() == {"good"}
    assert name not in sys.modules  # the API does not import it
    found = load_plugins(conf)
    assert set(found) == {"good"}
    assert found["good"].conf is conf


@pytest.mark.parametrize(
    ("plugins", "text"),
    [
        (
            {"bare": "Bare"},
            "provisioning_plugins has no method create, delete, scale.",
        ),
        (
            {"other": "Other"},
            "is no subclass of recovery_ha.plugin.ProvisioningPlugin.",
        ),
        ({"gone": "Gone"}, "plug-in 'gone' of"),
    ],
)
def test_what_cannot_be_used(announce, conf, plugins, text):
    announce(good="Good", **plugins)
    with pytest.raises(errors.InvalidConfiguration) as caught:
        load_plugins(conf)
    assert text in str(caught.value)


def test_two_packages_with_one_name(announce, conf):
    announce(good="Good")
    announce(good="Good")
    with pytest.raises(errors.InvalidConfiguration) as caught:
        load_plugins(conf)
    assert "'good'" in str(caught.value)
    assert "is announced by more than one package." in str(caught.value)
