import pathlib
import sys

import pytest

from recovery_ha.conf import new_config, recovery_flows
from recovery_ha.domain import errors
from recovery_ha.engine.plugins import load_tasks
from recovery_ha.plugin import RecoveryTask

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
"""


@pytest.fixture
def third_party(tmp_path, monkeypatch):
    """Install a distribution with tasks of its own, for this process."""
    (tmp_path / "third_party_tasks.py").write_text(MODULE)
    info = tmp_path / "third_party_tasks-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: third-party-tasks\nVersion: 1\n"
    )
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    # stevedore keeps what it has found, on disk and in its managers.
    from stevedore import _cache, extension  # noqa: PLC0415

    monkeypatch.setattr(_cache._c, "_internal", {}, raising=False)
    monkeypatch.setattr(_cache._c, "_disable_caching", True)
    monkeypatch.setattr(extension.ExtensionManager, "ENTRY_POINT_CACHE", {})
    yield
    sys.modules.pop("third_party_tasks", None)


def phases(**named):
    return {"pre": [], "main": [], "post": [], **named}


def refusal(named):
    with pytest.raises(errors.InvalidConfiguration) as caught:
        load_tasks(OPTION, named)
    assert str(caught.value).startswith(f"{OPTION}: ")
    return str(caught.value)[len(OPTION) + 2 :]


def test_the_default_flow_is_there_and_in_order():
    conf = new_config([], default_config_files=[])
    group = conf[recovery_flows.GROUP]
    found = load_tasks(OPTION, group.host_auto_failure_recovery_tasks)
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
        for line in text.splitlines()
        if "=" in line and line.startswith("    ")
    ]
    assert len(names) >= 3
    for name in names:
        assert load_tasks(OPTION, phases(main=[name]))


def test_phases_run_in_their_order_whatever_the_option_says():
    named = {
        "post": ["evacuate_instances_task"],
        "main": ["prepare_HA_enabled_instances_task"],
        "pre": ["disable_compute_service_task"],
    }
    found = [task.__name__ for task in load_tasks(OPTION, named)]
    assert found[0] == "DisableComputeServiceTask"
    assert found[-1] == "EvacuateInstancesTask"


def test_no_tasks_are_no_tasks():
    assert load_tasks(OPTION, phases()) == []


@pytest.mark.usefixtures("third_party")
def test_a_third_party_s_task_is_found():
    named = phases(pre=["mail_task"], main=["disable_compute_service_task"])
    names = [task.__name__ for task in load_tasks(OPTION, named)]
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
    assert len(load_tasks(OPTION, named)) == 6


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
