import pathlib
import re

import pytest

import recovery_ha
from recovery_ha import policies
from recovery_ha.api.controllers import root

SOURCE = pathlib.Path(recovery_ha.__file__).parents[1] / "api-ref" / "source"

pytestmark = pytest.mark.skipif(
    not SOURCE.is_dir(), reason="the source of the reference is not installed"
)


def normal(path):
    return re.sub(r"{\w*}", "{}", path).lstrip("/")


def test_reference_has_every_route_and_no_other():
    text = "".join(path.read_text() for path in SOURCE.glob("*.rst"))
    described = {
        (method, normal(path))
        for method, path in re.findall(
            r"^``(GET|POST|PUT|DELETE) (\S+)``$", text, re.MULTILINE
        )
    }
    documents = {("GET", ""), ("GET", "v1"), ("GET", "healthcheck")}
    existing = {
        (method, url)
        for url, methods in root.routes(None).items()
        for method in methods
    }
    assert described == existing | documents


def test_each_rule_names_its_route():
    routes = root.routes(None)
    for rule in policies.list_rules():
        for operation in getattr(rule, "operations", ()):
            url = normal(operation["path"])
            if url:
                handler = routes[url][operation["method"]]
                assert handler.spec.policy == rule.name
