import pkgutil

import pytest
from oslo_config import cfg
from oslo_db import options as oslo_db_options

from recovery_ha import conf as recovery_conf
from recovery_ha import opts
from recovery_ha.conf import CUSTOM_FLOWS_FILE, MODULES, new_config
from recovery_ha.conf.recovery_flows import GROUP as FLOWS

FLOW = "[taskflow_driver_recovery_flows]\nhost_auto_failure_recovery_tasks"
ALL = [(module, option) for module in MODULES for option in module.OPTS]


def tasks(conf):
    return conf[FLOWS].host_auto_failure_recovery_tasks["main"]


@pytest.mark.parametrize(
    "option",
    [option for _, option in ALL],
    ids=[f"{module.GROUP}.{option.name}" for module, option in ALL],
)
def test_every_option_says_what_it_is_for(option):
    assert option.help
    assert option.help[0].isupper()
    assert option.help.endswith(".")
    assert "  " not in option.help
    for choice in (getattr(option.type, "choices", None) or {}).items():
        assert choice[1], choice
        assert choice[1].endswith("."), choice


def test_what_is_listed_is_what_is_registered():
    conf = new_config([], default_config_files=[])
    listed = {
        (group, option.dest)
        for group, options in opts.list_all_opts()
        for option in options
    }
    of_others = {o.dest for o in oslo_db_options.database_opts}
    for module in MODULES:
        group = module.GROUP
        registered = {option.dest for option in module.OPTS}
        if group != "DEFAULT":  # that one has oslo's options too
            assert registered <= set(conf[group])
            registered = set(conf[group])
        if group == "database":
            registered -= of_others
        missing = {(group, name) for name in registered} - listed
        assert not missing
        for option in module.OPTS:
            assert (group, option.dest) in listed
    # What is listed for Keystone's sake only is registered when it is used.
    assert {group for group, _ in listed} == {m.GROUP for m in MODULES}


def test_no_option_is_listed_twice():
    for group, options in opts.list_all_opts():
        found = [option.dest for option in options]
        assert len(found) == len(set(found)), group


def test_every_module_is_in_the_list():
    found = {m.name for m in pkgutil.iter_modules(recovery_conf.__path__)}
    found.remove("json_types")  # it has no options
    assert found == {m.__name__.rpartition(".")[2] for m in MODULES}


def test_two_configurations_differ(tmp_path):
    one, two = tmp_path / "one.conf", tmp_path / "two.conf"
    one.write_text("[engine]\nhost = one\n")
    two.write_text("[engine]\nhost = two\nworkers = 3\n")
    first = new_config(["--config-file", str(one)])
    second = new_config(["--config-file", str(two)])
    assert (first.engine.host, first.engine.workers) == ("one", 16)
    assert (second.engine.host, second.engine.workers) == ("two", 3)
    first.set_override("host", "changed", "engine")
    assert second.engine.host == "two"


def test_nothing_global_is_set(tmp_path):
    path = tmp_path / "main.conf"
    path.write_text("[engine]\nhost = one\n")
    before = set(cfg.CONF._opts), set(cfg.CONF._groups)
    conf = new_config(["--config-file", str(path)])
    assert conf is not cfg.CONF
    assert (set(cfg.CONF._opts), set(cfg.CONF._groups)) == before


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("engine", "workers", "0"),
        ("engine", "lease_seconds", "soon"),
        ("engine", "sweep_interval", "0.01"),
        ("api", "port", "70000"),
        ("api", "auth_strategy", "none"),
        ("host_failure", "force_down", "sometimes"),
        ("host_failure", "evacuate_all_instances", "perhaps"),
        ("database", "sqlite_journal_synchronous", "OFF"),
        ("DEFAULT", "verify_interval", "0"),
        ("policy", "auditor", "a role"),
        ("nova", "read_retries", "-1"),
    ],
)
def test_a_bad_value_names_its_option(tmp_path, group, name, value):
    path = tmp_path / "main.conf"
    path.write_text(f"[{group}]\n{name} = {value}\n")
    conf = new_config(["--config-file", str(path)])
    with pytest.raises(cfg.ConfigFileValueError, match=name):
        _ = conf[name] if group == "DEFAULT" else conf[group][name]


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(cfg.ConfigFilesNotFoundError, match=r"nowhere\.conf"):
        new_config(["--config-file", str(tmp_path / "nowhere.conf")])


def test_a_broken_file_is_an_error(tmp_path):
    path = tmp_path / "main.conf"
    path.write_text("no option at all\n")
    with pytest.raises(cfg.ConfigFileParseError, match=r"main\.conf"):
        new_config(["--config-file", str(path)])


def test_a_bad_command_line_ends_the_program(capsys):
    with pytest.raises(SystemExit):
        new_config(["--nonsense"], default_config_files=[])
    assert "--nonsense" in capsys.readouterr().err


# The file of custom flows


@pytest.fixture
def main(tmp_path):
    path = tmp_path / "main.conf"
    path.write_text(f"[engine]\nhost = alpha\n{FLOW} = main:['main']\n")
    return path


@pytest.fixture
def custom(tmp_path):
    path = tmp_path / CUSTOM_FLOWS_FILE
    path.write_text(f"{FLOW} = main:['custom']\n")
    return path


def test_without_one_the_main_file_counts(main):
    assert tasks(new_config(["--config-file", str(main)])) == ["main"]


def test_without_anything_the_default_counts():
    conf = new_config([], default_config_files=[])
    assert tasks(conf) == ["prepare_HA_enabled_instances_task"]


@pytest.mark.usefixtures("custom")
@pytest.mark.parametrize("form", ["two words", "one word"])
def test_one_beside_the_named_file_wins(main, form):
    argv = ["--config-file", str(main)]
    if form == "one word":
        argv = [f"--config-file={main}"]
    conf = new_config(argv)
    assert tasks(conf) == ["custom"]
    assert conf.engine.host == "alpha"


@pytest.mark.usefixtures("custom")
def test_one_beside_a_default_file_wins(main):
    conf = new_config([], default_config_files=[str(main)])
    assert tasks(conf) == ["custom"]


@pytest.mark.usefixtures("custom")
def test_one_beside_any_of_several_files_wins(main, tmp_path):
    other = tmp_path / "elsewhere" / "other.conf"
    other.parent.mkdir()
    other.write_text("[engine]\nworkers = 5\n")
    conf = new_config(
        ["--config-file", str(main), "--config-file", str(other)]
    )
    assert (tasks(conf), conf.engine.workers) == (["custom"], 5)


def test_one_that_is_named_itself_is_read_once(main, custom):
    named = ["--config-file", str(main), "--config-file", str(custom)]
    conf = new_config(named)
    assert tasks(conf) == ["custom"]
    assert conf.config_file == [str(main), str(custom)]


@pytest.mark.usefixtures("main", "custom")
def test_one_in_a_directory_wins(tmp_path, main):
    directory = tmp_path / "conf.d"
    directory.mkdir()
    (directory / CUSTOM_FLOWS_FILE).write_text(f"{FLOW} = main:['d']\n")
    alone = tmp_path / "alone" / "main.conf"
    alone.parent.mkdir()
    alone.write_text(main.read_text())
    conf = new_config(
        ["--config-file", str(alone), "--config-dir", str(directory)]
    )
    assert tasks(conf) == ["d"]
    assert conf.engine.host == "alpha"


@pytest.mark.usefixtures("custom")
def test_words_after_the_options_are_left_alone(main):
    """``recovery-ha-manage --config-file main.conf db sync``."""

    def add(subparsers):
        subparsers.add_parser("db").add_argument("action")

    command = cfg.SubCommandOpt("command", handler=add)
    conf = new_config(
        ["--config-file", str(main), "db", "sync"], cli_opts=[command]
    )
    assert (conf.command.name, conf.command.action) == ("db", "sync")
    assert tasks(conf) == ["custom"]


@pytest.mark.usefixtures("custom")
def test_reading_again_reads_all_of_them(main, custom):
    conf = new_config(["--config-file", str(main)])
    custom.write_text(f"{FLOW} = main:['changed']\n")
    conf.reload_config_files()
    assert tasks(conf) == ["changed"]
