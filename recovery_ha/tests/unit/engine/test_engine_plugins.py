import itertools
import pathlib
import sys

import pytest
from oslo_config import cfg

from recovery_ha.conf import new_config, recovery_flows
from recovery_ha.domain import errors
from recovery_ha.engine.plugins import INPUTS, Flow, load_flow, load_flows
from recovery_ha.engine.plugins import load_tasks as load_any_tasks
from recovery_ha.plugin import RecoveryTask
from recovery_ha.tests.fixtures.third_party import (
    forget_entry_points,
    write_distribution,
)

OPTION = "[taskflow_driver_recovery_flows] host_auto_failure_recovery_tasks"

MODULE = """
from recovery_ha.plugin import RecoveryTask


class MailTask(RecoveryTask):
    def execute(self, host_name):
        pass


class BillingTask(RecoveryTask):
    default_provides = "invoice"

    def execute(self, evacuated, *args, currency="EUR", **kwargs):
        pass


class LetterTask(RecoveryTask):
    def execute(self, invoice, host_name):
        pass


class NoTask:
    pass


not_even_a_class = 7


class BareTask(RecoveryTask):
    pass


class FussyTask(RecoveryTask):
    def execute(self):
        pass

    def revert(self, weather, result, flow_failures, **kwargs):
        pass


class Twin:
    class MailTask(RecoveryTask):
        def execute(self):
            pass
"""
ENTRY_POINTS = """
[recovery_ha.task_flow.tasks]
mail_task = third_party_tasks:MailTask
billing_task = third_party_tasks:BillingTask
letter_task = third_party_tasks:LetterTask
no_task = third_party_tasks:NoTask
no_class = third_party_tasks:not_even_a_class
no_module = third_party_nowhere:Task
no_name = third_party_tasks:Missing
bare_task = third_party_tasks:BareTask
fussy_task = third_party_tasks:FussyTask
twin_task = third_party_tasks:Twin.MailTask
"""
RIVAL = """
from recovery_ha.plugin import RecoveryTask


class EvacuateTask(RecoveryTask):
    def execute(self):
        pass
"""


@pytest.fixture
def third_parties(tmp_path, monkeypatch):
    """Return a function that installs a package for this process."""

    def install(name, module, entry_points):
        directory = write_distribution(
            tmp_path / name, name, module, entry_points
        )
        monkeypatch.syspath_prepend(str(directory))
        installed.append(name)

    forget_entry_points(monkeypatch)
    installed = []
    yield install
    for name in installed:
        sys.modules.pop(name, None)


@pytest.fixture
def third_party(third_parties):
    third_parties("third_party_tasks", MODULE, ENTRY_POINTS)


@pytest.fixture
def rival(third_parties):
    point = "evacuate_instances_task = rival_tasks:EvacuateTask"
    third_parties(
        "rival_tasks", RIVAL, f"[recovery_ha.task_flow.tasks]\n{point}\n"
    )


def phases(**named):
    return {"pre": [], "main": [], "post": [], **named}


def load_tasks(option, named):
    """Return the tasks of a host's flow."""
    return load_any_tasks(option, named, ("notification_uuid", "host_name"))


def tasks(named):
    return load_tasks(OPTION, named).tasks


def refusal(named):
    with pytest.raises(errors.InvalidConfiguration) as caught:
        load_tasks(OPTION, named)
    assert str(caught.value).startswith(f"{OPTION}: ")
    return str(caught.value)[len(OPTION) + 2 :]


def test_the_default_flow_is_there_and_in_order():
    conf = new_config([], default_config_files=[])
    group = conf[recovery_flows.GROUP]
    found = tasks(group.host_auto_failure_recovery_tasks)
    assert [task.__name__ for task in found] == [
        "DisableComputeServiceTask",
        "PrepareHAEnabledInstancesTask",
        "EvacuateInstancesTask",
    ]
    assert all(issubclass(task, RecoveryTask) for task in found)


def test_every_entry_point_of_ours_loads():
    setup = pathlib.Path(__file__).parents[4] / "setup.cfg"
    _, _, text = setup.read_text().partition("recovery_ha.task_flow.tasks =")
    names = [
        line.split("=")[0].strip()
        for line in text.partition("\n\n")[0].splitlines()
        if "=" in line and line.startswith("    ")
    ]
    assert len(names) >= 4
    given = {"evacuated", *itertools.chain(*INPUTS.values())}
    for name in names:
        assert load_any_tasks(OPTION, phases(main=[name]), given).tasks


def test_phases_run_in_their_order_whatever_the_option_says():
    named = {
        "post": ["evacuate_instances_task"],
        "main": ["prepare_HA_enabled_instances_task"],
        "pre": ["disable_compute_service_task"],
    }
    found = [task.__name__ for task in tasks(named)]
    assert found[0] == "DisableComputeServiceTask"
    assert found[-1] == "EvacuateInstancesTask"


def test_no_tasks_are_no_tasks():
    assert load_tasks(OPTION, phases()) == Flow((), (), ())


@pytest.mark.usefixtures("third_party")
def test_a_third_party_s_task_is_found():
    named = phases(pre=["mail_task"], main=["disable_compute_service_task"])
    names = [task.__name__ for task in tasks(named)]
    assert names == ["MailTask", "DisableComputeServiceTask"]


@pytest.mark.parametrize(
    "named",
    [
        phases(main=["nonsense_task"]),
        phases(pre=["disable_compute_service_task"], post=["nonsense_task"]),
    ],
)
def test_an_unknown_task_is_named(named):
    assert refusal(named) == (
        "there is no task 'nonsense_task' among the entry points of"
        " recovery_ha.task_flow.tasks."
    )


def test_a_task_that_is_named_twice_is_refused():
    name = "disable_compute_service_task"
    assert refusal(phases(pre=[name], post=[name])) == (
        f"task {name!r} is named more than once."
    )


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize("name", ["no_module", "no_name"])
def test_a_task_that_cannot_be_imported_says_why(name):
    said = refusal(phases(main=[name]))
    assert said.startswith(f"task {name!r} cannot be loaded: ")
    assert {"no_module": "third_party_nowhere", "no_name": "Missing"}[
        name
    ] in said


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize("name", ["no_task", "no_class"])
def test_what_is_no_task_is_refused(name):
    assert refusal(phases(main=[name])) == (
        f"task {name!r} is no subclass of recovery_ha.plugin.RecoveryTask."
    )


HOST_TASKS = [
    "disable_compute_service_task",
    "prepare_HA_enabled_instances_task",
    "evacuate_instances_task",
]


@pytest.mark.usefixtures("third_party")
def test_a_task_may_use_what_an_earlier_one_provides():
    named = phases(
        pre=["mail_task"],
        main=[*HOST_TASKS, "billing_task"],
        post=["letter_task"],
    )
    assert len(tasks(named)) == 6


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize(
    ("named", "task", "missing"),
    [
        (phases(main=["billing_task"]), "billing_task", "evacuated"),
        (
            phases(pre=["letter_task"], main=[*HOST_TASKS, "billing_task"]),
            "letter_task",
            "invoice",
        ),
    ],
)
def test_an_input_that_nobody_provides_is_named(named, task, missing):
    assert refusal(named) == (
        f"task {task!r} needs {missing!r}, which no task before it provides."
    )


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["bare_task"], "task 'bare_task' has no method execute."),
        (
            ["fussy_task"],
            "task 'fussy_task' needs 'weather'",
        ),
        (
            ["mail_task", "twin_task"],
            "tasks 'mail_task' and 'twin_task' are both of a class named",
        ),
    ],
)
def test_what_would_fail_in_the_middle_of_a_recovery(names, said):
    assert refusal(phases(main=names)).startswith(said)


@pytest.mark.usefixtures("rival")
def test_a_name_that_two_packages_announce_is_nobody_s():
    said = refusal(phases(main=["evacuate_instances_task"]))
    assert said.startswith(
        "task 'evacuate_instances_task' is announced by more than one package"
    )
    assert "rival_tasks:EvacuateTask" in said
    assert "recovery_ha.engine.recovery.evacuate:EvacuateInst" in said


def test_confirmation_without_evacuation():
    assert refusal(phases(main=["confirm_evacuation_task"])) == (
        "task 'confirm_evacuation_task' needs 'evacuated', which no task"
        " before it provides."
    )


@pytest.mark.usefixtures("third_party")
def test_what_is_evacuated_is_known_before_and_after_the_confirmation():
    for place in (3, 4):
        names = [*HOST_TASKS, "confirm_evacuation_task"]
        names.insert(place, "billing_task")
        assert len(tasks(phases(main=names))) == 5


@pytest.fixture
def configured(tmp_path):
    """Return a function that reads a file with one option of a flow."""

    def configured(option, value):
        path = tmp_path / "main.conf"
        path.write_text(f"[{recovery_flows.GROUP}]\n{option} = {value}\n")
        return new_config(["--config-file", str(path)])

    return configured


def test_every_option_has_its_inputs():
    assert set(INPUTS) == {o.name for o in recovery_flows.OPTS}


@pytest.mark.parametrize("option", INPUTS)
@pytest.mark.usefixtures("third_party")
def test_a_mistake_in_any_option_names_it(configured, option):
    for value, said in (
        ("main:['nonsense_task']", "there is no task 'nonsense_task'"),
        ("main:['letter_task']", "task 'letter_task' needs 'invoice'"),
        ("main:['mail_task'],post:['mail_task']", "named more than once"),
    ):
        conf = configured(option, value)
        with pytest.raises(errors.InvalidConfiguration) as caught:
            load_flow(conf, option)
        message = str(caught.value)
        assert message.startswith(f"[{recovery_flows.GROUP}] {option}: ")
        assert said in message
        assert "\n" not in message
    with pytest.raises(cfg.ConfigFileValueError, match=option):
        load_flow(configured(option, "['mail_task']"), option)


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("instance_failure_recovery_tasks", "instance_uuid"),
        ("process_failure_recovery_tasks", "process_name"),
        ("host_rh_failure_recovery_tasks", "reserved_host"),
        ("host_rh_failure_recovery_tasks", "reserved_host_list"),
    ],
)
def test_each_kind_has_inputs_of_its_own(
    configured, monkeypatch, option, given
):
    import third_party_tasks  # noqa: PLC0415

    namespace = {"RecoveryTask": RecoveryTask}
    exec(  # noqa: S102 - a method with an argument of that name
        f"class MailTask(RecoveryTask):\n"
        f"    def execute(self, {given}): pass\n",
        namespace,
    )
    monkeypatch.setattr(third_party_tasks, "MailTask", namespace["MailTask"])
    for other in INPUTS:
        conf = configured(other, "main:['mail_task']")
        if given in INPUTS[other]:
            assert load_flow(conf, other).main == (namespace["MailTask"],)
            continue
        with pytest.raises(errors.InvalidConfiguration, match=given):
            load_flow(conf, other)
    assert given in INPUTS[option]


def test_all_flows_are_loaded():
    flows = load_flows(new_config([], default_config_files=[]))
    shown = {
        kind: [task.__name__ for task in getattr(flows, kind).tasks]
        for kind in ("instance", "process", "host_auto", "host_rh")
    }
    host = [
        "DisableComputeServiceTask",
        "PrepareHAEnabledInstancesTask",
        "EvacuateInstancesTask",
    ]
    assert shown == {
        "instance": [
            "StopInstanceTask",
            "StartInstanceTask",
            "ConfirmInstanceActiveTask",
        ],
        "process": [
            "DisableComputeNodeTask",
            "ConfirmComputeNodeDisabledTask",
        ],
        "host_auto": host,
        "host_rh": host,
    }
    assert flows.host_rh.main == flows.host_auto.main + flows.host_auto.post
