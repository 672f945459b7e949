import os
import pathlib

import pytest

import recovery_ha
from recovery_ha.conf import CUSTOM_FLOWS_FILE
from recovery_ha.tests.fixtures.operating import Operator
from recovery_ha.tests.fixtures.processes import write_config
from recovery_ha.tests.fixtures.third_party import (
    forget_entry_points,
    install,
)
from recovery_ha.tests.fixtures.waiting import eventually

ROOT = pathlib.Path(recovery_ha.__file__).parents[1]
EXAMPLE = ROOT / "doc" / "examples" / "recovery_ha_folders"


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """Install the example, once."""
    return install(EXAMPLE, tmp_path_factory.mktemp("example"))


@pytest.fixture
def folders(site, installed, monkeypatch):
    """Have the example installed and configured; return its directory."""
    forget_entry_points(monkeypatch)
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setenv("PYTHONPATH", str(installed), prepend=os.pathsep)
    path = site.directory / "folders"
    write_config(
        site.directory / CUSTOM_FLOWS_FILE,
        {"recovery_ha_folders": {"path": path, "retry_seconds": 0.05}},
    )
    return path


class User:
    """Somebody who has clusters."""

    def __init__(self, site):
        self.api = Operator(site).api

    def create(self, count, plugin_name="folders", **fields):
        """Have a cluster, and return its id."""
        group = {"name": "worker", "count": count, "flavor_id": "2"}
        body = {
            "name": "one",
            "plugin_name": plugin_name,
            "hadoop_version": "1",
            "node_groups": [group],
        }
        answer = self.api.post("/clusters", body | fields)
        assert answer.status == 202, answer
        return answer.json["cluster"]["id"]

    def show(self, cluster, query=""):
        answer = self.api.get(f"/clusters/{cluster}{query}")
        assert answer.status == 200, answer
        return answer.json["cluster"]

    def steps(self, cluster, query=""):
        return self.show(cluster, query)["provisioning_progress"]

    def scale(self, cluster, count):
        body = {"resize_node_groups": [{"name": "worker", "count": count}]}
        answer = self.api.put(f"/clusters/{cluster}", body)
        assert answer.status == 202, answer

    def delete(self, cluster):
        assert self.api.delete(f"/clusters/{cluster}").status == 204

    def reaches(self, cluster, status, seconds=60.0):
        """Wait until a cluster has a status."""

        def find():
            found = self.show(cluster)
            return found if found["status"] == status else None

        try:
            return eventually(find, f"the cluster is {status}", seconds)
        except AssertionError as exc:
            raise AssertionError(f"{exc}: {self.show(cluster)}") from None

    def is_gone(self, cluster, seconds=60.0):
        """Wait until there is no such cluster."""

        def find():
            return self.api.get(f"/clusters/{cluster}").status == 404

        eventually(find, "the cluster is gone", seconds)


@pytest.fixture
def user(site, folders):
    return User(site)
