"""The value of the options in [taskflow_driver_recovery_flows]."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oslo_config import cfg

from recovery_ha.conf import CUSTOM_FLOWS_FILE, new_config
from recovery_ha.conf.recovery_flows import GROUP, OPTS, PHASES, TaskLists

parse = TaskLists()

# As the source document has them, to the letter; one lacks a comma.
INSTANCE = """\
pre:['custom_pre_task','stop_instance_task'],
                                  main:['start_instance_task','custom_main_task'],
                                  post:['confirm_instance_active_task','custom_post_task']"""
PROCESS = """\
pre:['disable_compute_node_task'],
                                 main:['confirm_compute_node_disabled_task','custom_main_task'],
                                 post:['custom_post_task']"""
HOST_AUTO = """\
pre:['disable_compute_service_task'],
                                   main:['prepare_HA_enabled_instances_task'],
                                   post:['evacuate_instances_task','custom_post_task']"""
HOST_RH = """\
pre:['custom_pre_task','disable_compute_service_task'],
                                 main:['prepare_HA_enabled_instances_task',
                                 'evacuate_instances_task']
                                 post:['custom_post_task']"""
SHORT = "pre:[v1,v2],main:[v1,v2],post:[v1,v2,v3]"

SPEC = [
    (
        INSTANCE,
        ["custom_pre_task", "stop_instance_task"],
        ["start_instance_task", "custom_main_task"],
        ["confirm_instance_active_task", "custom_post_task"],
    ),
    (
        PROCESS,
        ["disable_compute_node_task"],
        ["confirm_compute_node_disabled_task", "custom_main_task"],
        ["custom_post_task"],
    ),
    (
        HOST_AUTO,
        ["disable_compute_service_task"],
        ["prepare_HA_enabled_instances_task"],
        ["evacuate_instances_task", "custom_post_task"],
    ),
    (
        HOST_RH,
        ["custom_pre_task", "disable_compute_service_task"],
        ["prepare_HA_enabled_instances_task", "evacuate_instances_task"],
        ["custom_post_task"],
    ),
    (SHORT, ["v1", "v2"], ["v1", "v2"], ["v1", "v2", "v3"]),
]
NAMES = ["instance", "process", "host auto", "host rh", "short"]


@pytest.mark.parametrize(("text", "pre", "main", "post"), SPEC, ids=NAMES)
def test_the_document_s_examples_are_read(text, pre, main, post):
    assert parse(text) == {"pre": pre, "main": main, "post": post}


@pytest.mark.parametrize(("text", "pre", "main", "post"), SPEC, ids=NAMES)
def test_they_are_read_from_a_file_too(tmp_path, text, pre, main, post):
    path = tmp_path / "main.conf"
    path.write_text(f"[{GROUP}]\nhost_auto_failure_recovery_tasks = {text}\n")
    conf = new_config(["--config-file", str(path)])
    found = conf[GROUP].host_auto_failure_recovery_tasks
    assert found == {"pre": pre, "main": main, "post": post}


def test_the_document_s_whole_file_is_read(tmp_path):
    path = tmp_path / CUSTOM_FLOWS_FILE
    path.write_text(
        f"[{GROUP}]\n"
        f"instance_failure_recovery_tasks = {INSTANCE}\n"
        f"process_failure_recovery_tasks = {PROCESS}\n"
        f"host_auto_failure_recovery_tasks = {HOST_AUTO}\n"
        f"host_rh_failure_recovery_tasks = {HOST_RH}\n"
    )
    (tmp_path / "main.conf").touch()
    conf = new_config(["--config-file", str(tmp_path / "main.conf")])
    found = [
        conf[GROUP][f"{kind}_failure_recovery_tasks"]
        for kind in ("instance", "process", "host_auto", "host_rh")
    ]
    assert found == [
        {"pre": pre, "main": main, "post": post}
        for _text, pre, main, post in SPEC[:4]
    ]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("main:['a']", {"main": ["a"]}),
        ("main:[\"a\",'b']", {"main": ["a", "b"]}),
        ("post:['c'],pre:['a'],main:['b']", dict.fromkeys(PHASES)),
        ("pre:[],main:[],post:[]", {}),
        (" pre : [ 'a' , 'b' ] ", {"pre": ["a", "b"]}),
        ("pre:['a']\n\n\tmain:\n['b']\n", {"pre": ["a"], "main": ["b"]}),
        ("main:['a',]", {"main": ["a"]}),
        (
            "main:['package.module-task_1']",
            {"main": ["package.module-task_1"]},
        ),
    ],
)
def test_what_is_fine(text, wanted):
    if "post:['c']" in text:
        wanted = {"pre": ["a"], "main": ["b"], "post": ["c"]}
    assert parse(text) == {phase: wanted.get(phase, []) for phase in PHASES}


GARBAGE = [
    # text, position, what is said
    ("", 1, "empty"),
    ("  ", 1, "empty"),
    ("nonsense", 1, "nonsense"),
    ("['custom_pre_task','custom_main_task']", 1, "['custom_pre_task'"),
    ("pre", 1, "pre"),
    ("pre:'a'", 1, "pre:"),
    ("pre:['a'", 1, "pre:['a'"),
    ("pre:['a']],main:['b']", 10, "]"),
    ("pre:['a'],,main:['b']", 11, ",main"),
    (",pre:['a']", 1, ",pre"),
    ("pre:['a'],middle:['b']", 11, "middle"),
    ("pre:['a'],PRE:['b']", 11, "PRE"),
    ("pre:['a'],pre:['b']", 11, "a second 'pre'"),
    ("pre:['a'];main:['b']", 10, ";main"),
    ("main:[1]", 6, "names"),
    ("main:['']", 6, "names"),
    ("main:['a' 'b']", 6, "names"),
    ("main:['a',,'b']", 6, "names"),
    ("main:['a\"]", 6, "names"),
    ("main:[b'a']", 6, "names"),
    ("main:['a b']", 6, "names"),
    ("main:[['a']]", 1, "main"),
    ("main:[__import__('os')]", 6, "names"),
    ("{'main': ['a']}", 1, "{"),
]


@pytest.mark.parametrize(("text", "position", "said"), GARBAGE)
def test_what_is_refused_with_its_position_and_an_example(
    text, position, said
):
    with pytest.raises(ValueError, match="Example: pre:") as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith(f"at character {position} (")
    assert said in message
    assert parse(message.partition("Example: ")[2])  # the example is fine


def test_a_file_with_garbage_names_the_option(tmp_path):
    path = tmp_path / "main.conf"
    path.write_text(
        f"[{GROUP}]\nhost_auto_failure_recovery_tasks = ['a','b']\n"
    )
    conf = new_config(["--config-file", str(path)])
    with pytest.raises(cfg.ConfigFileValueError) as caught:
        _ = conf[GROUP].host_auto_failure_recovery_tasks
    message = str(caught.value)
    assert "host_auto_failure_recovery_tasks" in message
    assert "at character 1 " in message
    assert "Example: " in message


names = st.from_regex(
    re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,10}"), fullmatch=True
)
values = st.fixed_dictionaries(
    {phase: st.lists(names, max_size=4) for phase in PHASES}
)


@given(
    values,
    st.permutations(PHASES),
    st.sampled_from(["'", '"', ""]),
    st.sampled_from([",", ", ", ",\n    ", "\n", " "]),
)
def test_what_is_written_is_read(value, order, quote, between):
    def shown(phase):
        inner = ",".join(f"{quote}{name}{quote}" for name in value[phase])
        return f"{phase}:[{inner}]"

    assert parse(between.join(map(shown, order))) == value


@given(values)
def test_a_value_is_shown_as_it_is_read(value):
    assert parse(parse._formatter(value)) == value
    assert parse(value) == value


@pytest.mark.parametrize("option", OPTS, ids=lambda option: option.name)
def test_a_default_is_shown_as_it_is_read(option):
    assert parse(parse._formatter(option.default)) == parse(option.default)


def test_types_are_equal_and_have_a_name():
    assert parse == TaskLists()
    assert hash(parse) == hash(TaskLists())
    assert parse != cfg.types.String()
    assert repr(parse) == "TaskLists"
