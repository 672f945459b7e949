import itertools

import pytest

from recovery_ha import microversion, policies
from recovery_ha.api import expose as module
from recovery_ha.api.controllers import root
from recovery_ha.api.controllers.documents import Documents
from recovery_ha.api.expose import Spec, expose
from recovery_ha.api.schemas import common
from recovery_ha.api.validation import Schemas

RULES = {rule.name for rule in policies.list_rules()}


def handlers():
    for url, methods in root.routes(None).items():
        for method, handler in methods.items():
            yield pytest.param(method, handler, id=f"{method} {url}")
    documents = Documents(None)
    for name in ("versions", "version", "choices"):
        yield pytest.param("GET", getattr(documents, name), id=name)


@pytest.mark.parametrize(("method", "handler"), list(handlers()))
def test_each_method_says_everything(method, handler):
    spec = handler.spec
    assert isinstance(spec, Spec)
    assert microversion.MIN <= spec.first <= spec.last <= microversion.MAX
    if spec.policy is module.NO_TOKEN:
        assert isinstance(handler.__self__, Documents)
    else:
        assert spec.policy in RULES
    assert isinstance(spec.query, Schemas)
    assert (spec.body is not None) == (method in {"POST", "PUT"})
    assert (spec.response is None) == (spec.status == 204)
    assert spec.status in {200, 201, 202, 204, 300}
    for schemas in (spec.query, spec.body, spec.response):
        for version, _line in microversion.MICROVERSIONS:
            if schemas is not None and spec.first <= version <= spec.last:
                assert schemas.at(version)


def test_each_public_method_of_a_controller_is_exposed():
    controllers = {
        type(handler.__self__)
        for methods in root.routes(None).values()
        for handler in methods.values()
    }
    for controller in controllers:
        for name, value in vars(controller).items():
            if callable(value) and not name.startswith("_"):
                assert hasattr(value, "spec"), f"{controller}.{name}"


def test_each_rule_of_a_method_is_used():
    used = {
        handler.spec.policy
        for methods in root.routes(None).values()
        for handler in methods.values()
    }
    unused = {
        name
        for name in RULES - used
        if name.startswith("os_masakari_api:")
        and not name.endswith(":discoverable")
    }
    assert unused == {"os_masakari_api:versions:index"}


SAID = {
    "versions": ("1.0", None),
    "policy": "x",
    "query": common.NO_QUERY,
    "body": None,
    "response": None,
    "status": 200,
}


@pytest.mark.parametrize("missing", SAID)
def test_nothing_can_be_left_out(missing):
    said = {name: value for name, value in SAID.items() if name != missing}
    with pytest.raises(TypeError, match=missing):
        expose(**said)


@pytest.mark.parametrize("which", ["query", "body", "response"])
def test_schema_must_cover_the_versions_of_its_method(which):
    late = Schemas(("1.1", None, {}))
    early = Schemas(("1.0", "1.2", {}))
    for schemas in (late, early):
        with pytest.raises(ValueError, match="cover"):
            expose(**{**SAID, which: schemas})


@pytest.mark.parametrize(
    "ranges",
    [
        [("1.0", "1.0"), ("1.2", None)],
        [("1.0", "1.2"), ("1.2", None)],
        [("1.2", None), ("1.0", "1.1")],
        [("1.0", None), ("1.4", None)],
        [("1.2", "1.1")],
        [("x", None)],
    ],
)
def test_ranges_with_a_gap_or_an_overlap_are_refused(ranges):
    with pytest.raises(ValueError, match=r"meet|later|version"):
        Schemas(*((first, last, {}) for first, last in ranges))


def test_each_version_has_the_schema_of_its_range():
    schemas = Schemas(
        ("1.0", "1.1", {"const": "old"}), ("1.2", None, {"const": "new"})
    )
    versions = [version for version, _ in microversion.MICROVERSIONS]
    found = [schemas.at(version).schema["const"] for version in versions]
    assert [key for key, _ in itertools.groupby(found)] == ["old", "new"]
    assert found.count("old") == 2
    with pytest.raises(LookupError):
        schemas.at(microversion.Version(2, 0))
