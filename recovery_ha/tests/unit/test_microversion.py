import importlib.resources
import itertools

import pytest

from recovery_ha import microversion
from recovery_ha.microversion import Version


def test_list_has_no_gap():
    versions = [version for version, _line in microversion.MICROVERSIONS]
    expected = [Version(1, minor) for minor in range(len(versions))]
    assert versions == expected
    assert (versions[0], versions[-1]) == (microversion.MIN, microversion.MAX)


def test_each_version_has_its_section_in_the_history():
    text = (
        importlib.resources.files("recovery_ha")
        .joinpath("rest_api_version_history.rst")
        .read_text(encoding="utf-8")
    )
    lines = text.splitlines()
    found = [
        title
        for title, line in itertools.pairwise(lines)
        if line and set(line) == {"-"}
    ]
    assert found == [str(version) for version, _ in microversion.MICROVERSIONS]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.0", Version(1, 0)),
        ("1.10", Version(1, 10)),
        ("2.3", Version(2, 3)),
        ("latest", microversion.MAX),
    ],
)
def test_parse(text, expected):
    assert microversion.parse(text) == expected
    assert expected < Version(3, 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "0.9",
        "1.01",
        "1.x",
        "1.2.3",
        " 1.2",
        "\u0661.\u0662",
        "1." + "9" * 99,
    ],
)
def test_other_forms_are_refused(text):
    with pytest.raises(ValueError, match="no version"):
        microversion.parse(text)
