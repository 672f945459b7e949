"""What is let pass quickly is what jsonschema lets pass, for every schema."""

import importlib
import pkgutil

import fastjsonschema
import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_ha.api import refusals, schemas
from recovery_ha.api.validation import Schemas, Validator
from recovery_ha.domain.errors import BadRequest


def all_validators():
    """Return each validator of a module of schemas, and where it is."""
    for module in pkgutil.iter_modules(schemas.__path__, "recovery_ha.api."):
        name = module.name.rpartition(".")[2]
        found = importlib.import_module(f"{schemas.__name__}.{name}")
        for variable, value in vars(found).items():
            inside = [value]
            if isinstance(value, dict):
                inside = list(value.values())
            elif isinstance(value, Schemas):
                inside = [validator for _, _, validator in value._ranges]
            for number, validator in enumerate(inside):
                if isinstance(validator, Validator):
                    where = f"{name}.{variable}.{number}"
                    yield pytest.param(validator, id=where)


VALIDATORS = list(all_validators())
#: What the two libraries might see differently, and what is often allowed.
TRAPS = st.sampled_from(
    [
        *(True, False, 0, 1, 0.0, 1.0, -0.0, None, "", "True", "1", "on"),
        *("a", "a\n", " a", "\u3000", "x" * 256, "auto", "STOPPED", "PROCESS"),
        *("2026-11-20T12:00:00", "2026-11-20T12:00:00\n", "٣", "asc", "7"),
        *("9bd6ab6b-6a07-4a33-8f7b-d4e9a9c6ba3b", [], {}, [True], [1]),
    ]
)


def values_for(schema):
    """Return values that look much like what a schema allows."""
    wanted = schema.get("type")
    found = [TRAPS]
    if "properties" in schema:
        known = schema["properties"]
        required = {key: values_for(known[key]) for key in known}
        found.append(st.fixed_dictionaries({}, optional=required))
        found.append(st.fixed_dictionaries(required))
    if wanted == "array":
        found.append(st.lists(values_for(schema.get("items", {})), max_size=3))
    if "enum" in schema:
        found.append(st.sampled_from(schema["enum"]))
    if wanted == "integer":
        found.append(st.integers())
    return st.one_of(*found)


@pytest.mark.parametrize("validator", VALIDATORS)
def test_a_schema_is_one(validator):
    jsonschema.Draft202012Validator.check_schema(validator.schema)


@pytest.mark.parametrize("validator", VALIDATORS)
def test_nothing_is_let_pass_that_the_schema_forbids(validator):
    @given(values_for(validator.schema))
    def passes(value):
        try:
            validator._quick(value)
        except fastjsonschema.JsonSchemaValueException:
            return
        refusals.check(validator.schema, value, "")

    passes()


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"enum": [True, "on"]}, 1),
        ({"enum": [False]}, 0),
        ({"const": False}, 0.0),
        ({"properties": {"a": {"const": True}}}, {"a": 1}),
        ({"anyOf": [{"enum": [True]}]}, 1),
    ],
)
def test_a_number_is_no_truth(schema, value):
    with pytest.raises(BadRequest):
        Validator(schema).check(value)


@pytest.mark.parametrize("value", [True, False, "on"])
def test_a_truth_is_let_pass(value):
    Validator({"enum": [True, False, "on"]}).check(value)
    if value is not True:
        Validator({"anyOf": [{"const": False}, {"const": "on"}]}).check(value)
