"""The options of sessions that are JSON: commands and archives."""

import json

import pytest
from oslo_config import cfg

from recovery_ha.conf import new_config

SHA256 = "0123456789abcdef" * 4


@pytest.fixture
def read(tmp_path):
    """Return a function that reads an option from a file."""

    def read(group, name, value):
        text = value if isinstance(value, str) else json.dumps(value)
        path = tmp_path / "main.conf"
        path.write_text(f"[{group}]\n{name} = {text}\n")
        conf = new_config(["--config-file", str(path)])
        return conf[group][name]

    return read


@pytest.fixture
def archives(read):
    return lambda value: read("maintenance_download", "archives", value)


def test_archives_have_checksums_in_lower_case(archives):
    found = archives(
        {
            "https://files.example.org/a.tar.gz?v=2": SHA256.upper(),
            "http://[::1]:8080/b.zip": SHA256,
        }
    )
    assert found == {
        "https://files.example.org/a.tar.gz?v=2": SHA256,
        "http://[::1]:8080/b.zip": SHA256,
    }


def test_there_are_none_by_default():
    conf = new_config([], default_config_files=[])
    assert conf.maintenance_download.archives == {}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("soon", "not JSON"),
        ([], "no JSON object"),
        ({"ftp://x/a": SHA256}, "begins with https:// or http://"),
        ({"/srv/a.tar": SHA256}, "begins with https:// or http://"),
        ({"https:///a": SHA256}, "begins with https:// or http://"),
        ({"https://x:y/a": SHA256}, "is no URL"),
        ({"https://x/a": SHA256[1:]}, "64 hexadecimal digits"),
        ({"https://x/a": "g" + SHA256[1:]}, "64 hexadecimal digits"),
        ({"https://x/a": SHA256 + "\n"}, "64 hexadecimal digits"),
        ({"https://x/a": None}, "64 hexadecimal digits"),
    ],
)
def test_bad_archives(archives, value, said):
    with pytest.raises(cfg.ConfigFileValueError, match="archives") as caught:
        archives(value)
    assert said in str(caught.value)


def test_a_password_in_a_url_is_refused_and_not_repeated(archives):
    with pytest.raises(cfg.ConfigFileValueError, match="archives") as caught:
        archives({"https://me:hidden@files.example.org/a": SHA256})
    assert "files.example.org has a user or password" in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("argv", ["ssh", [], ["ssh", ""], ["ssh", 7], None])
def test_bad_commands(read, argv):
    with pytest.raises(cfg.ConfigFileValueError, match="'one' is no list"):
        read("maintenance_command", "commands", {"one": argv})
