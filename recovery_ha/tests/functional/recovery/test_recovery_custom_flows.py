"""The example package of the documentation, installed and run by engines.

The flows are the use cases of the document that customised recovery comes
from.
"""

import itertools
import os
import pathlib
import socket
import sqlite3
import subprocess
import sys
import textwrap

import pytest

import recovery_ha
from recovery_ha.conf import CUSTOM_FLOWS_FILE, new_config
from recovery_ha.conf.recovery_flows import TaskLists
from recovery_ha.db import progress
from recovery_ha.domain.recovery import NotificationStatus
from recovery_ha.tests.fixtures.databases import BACKENDS
from recovery_ha.tests.fixtures.processes import write_config
from recovery_ha.tests.fixtures.third_party import install, mail_server
from recovery_ha.tests.fixtures.waiting import eventually

ROOT = pathlib.Path(recovery_ha.__file__).parents[1]
EXAMPLE = ROOT / "doc" / "examples" / "recovery_ha_mail"
CONFIRM = "recovery_ha.engine.recovery.evacuate:ConfirmEvacuationTask.execute"

pytestmark = pytest.mark.processes

ALERT_ONLY = "pre:['mail_before_recovery_task']"
WITHOUT_METERING = (
    "pre:['mail_before_recovery_task','disable_compute_service_task'],"
    "main:['prepare_HA_enabled_instances_task','evacuate_instances_task'],"
    "post:['confirm_evacuation_task','mail_after_recovery_task']"
)
WITH_METERING = WITHOUT_METERING.replace(
    "],post:", ",'update_metering_task'],post:"
)
CLASSES = [
    "MailBeforeRecoveryTask",
    "DisableComputeServiceTask",
    "PrepareHAEnabledInstancesTask",
    "EvacuateInstancesTask",
    "UpdateMeteringTask",
    "ConfirmEvacuationTask",
    "MailAfterRecoveryTask",
]


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """Install the example, once."""
    return install(EXAMPLE, tmp_path_factory.mktemp("example"))


@pytest.fixture
def mailbox():
    with mail_server() as mailbox:
        yield mailbox


@pytest.fixture
def customise(site, installed, mailbox, monkeypatch):
    """Return a function that writes the file of custom flows."""
    monkeypatch.setenv("PYTHONPATH", str(installed), prepend=os.pathsep)

    def customise(flow, **options):
        mail = {
            "smtp_host": "127.0.0.1",
            "smtp_port": mailbox.port,
            "sender": "recovery@example.org",
            "recipients": "one@example.org, two@example.org",
            "metering_file": site.directory / "metering.sqlite",
        }
        groups = {
            "taskflow_driver_recovery_flows": {
                "host_auto_failure_recovery_tasks": flow
            },
            "recovery_ha_mail": mail | options,
        }
        return write_config(site.directory / CUSTOM_FLOWS_FILE, groups)

    return customise


def metered(site):
    with sqlite3.connect(site.directory / "metering.sqlite") as database:
        rows = database.execute("SELECT * FROM moved").fetchall()
    database.close()
    return sorted(rows)


def tasks(site, uuid):
    return progress.list_task_progress(site.ctx, uuid)


def said(site, uuid, name):
    """Return what a task has reported."""
    (task,) = [task for task in tasks(site, uuid) if task.name == name]
    return [detail.message for detail in task.details]


def test_alert_only(site, customise, mailbox):
    customise(ALERT_ONLY)
    servers = site.servers("compute-1", 2)
    site.engine("alpha")

    uuid = site.lose("compute-1")

    assert site.ended(uuid).status is NotificationStatus.FINISHED
    (mail,) = mailbox.mails
    assert mail["Subject"] == "Recovery of host compute-1 begins"
    assert mail["From"] == "recovery@example.org"
    assert mail["To"] == "one@example.org, two@example.org"
    assert uuid in mail.get_content()
    assert [t.name for t in tasks(site, uuid)] == CLASSES[:1]
    assert said(site, uuid, CLASSES[0]) == [
        "Started execution of MailBeforeRecoveryTask",
        "Sent: Recovery of host compute-1 begins",
        "Finished execution of MailBeforeRecoveryTask",
    ]
    assert not site.asked("evacuate")
    assert site.servers_on("compute-1") == servers


def test_alert_and_metering_around_an_evacuation(site, customise, mailbox):
    customise(WITH_METERING)
    servers = site.servers("compute-1", 3)
    site.engine("alpha")

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    assert [t.name for t in tasks(site, uuid)] == CLASSES
    assert {t.state for t in tasks(site, uuid)} == {"SUCCESS"}
    assert {t.progress for t in tasks(site, uuid)} == {1.0}
    assert metered(site) == [(uuid, server) for server in servers]
    before, after = mailbox.mails
    assert before["Subject"] == "Recovery of host compute-1 begins"
    assert after["Subject"] == "Recovery of host compute-1 is done"
    # what one task provides is what a later one is given
    assert after["In-Reply-To"] == before["Message-ID"]
    assert after.get_content().split()[-3:] == servers
    assert "3 instances metered" in said(site, uuid, "UpdateMeteringTask")


def test_alert_around_an_evacuation(site, customise, mailbox):
    customise(WITHOUT_METERING)
    servers = site.servers("compute-1", 2)
    site.engine("alpha")

    uuid = site.lose("compute-1")

    site.assert_recovered(uuid, servers)
    wanted = [name for name in CLASSES if name != "UpdateMeteringTask"]
    assert [t.name for t in tasks(site, uuid)] == wanted
    assert len(mailbox.mails) == 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_killed_between_evacuation_and_confirmation(site, customise, mailbox):
    customise(WITH_METERING)
    servers = site.servers("compute-1", 3)
    dying = site.engine(
        "dying", crash=("KILL", "before", CONFIRM, "1")
    ).wait_ready()

    uuid = site.lose("compute-1")
    dying.wait_ended()
    site.engine("heir")

    site.assert_recovered(uuid, servers)
    assert sorted(site.asked("evacuate")) == servers
    assert site.notification(uuid).attempts == 1
    assert [t.name for t in tasks(site, uuid)] == CLASSES
    assert metered(site) == [(uuid, server) for server in servers]
    assert len(mailbox.mails) == 2


def test_killed_while_confirming(site, customise, mailbox):
    site.world.settings.rebuild_seconds = 3
    customise(WITH_METERING)
    servers = site.servers("compute-1", 3)
    for name in ("alpha", "beta"):
        site.engine(name)

    uuid = site.lose("compute-1")
    confirming = "ConfirmEvacuationTask"
    eventually(
        lambda: confirming in {t.name for t in tasks(site, uuid)},
        "the confirmation has begun",
    )
    site.owning_daemon(uuid).kill9()

    site.assert_recovered(uuid, servers)
    assert sorted(site.asked("evacuate")) == servers
    assert len(mailbox.mails) == 2


def test_a_task_s_revert_runs_when_a_later_one_fails(site, customise, mailbox):
    customise(WITH_METERING)
    servers = site.servers("compute-1", 2)
    site.fault(kind="rebuild", server=servers[0])
    site.engine("alpha", max_attempts=1)

    uuid = site.lose("compute-1")

    ended = site.ended(uuid)
    assert ended.status is NotificationStatus.FAILED
    assert "Failed to confirm the evacuation: 1 of 2" in ended.message
    assert metered(site) == []
    assert len(mailbox.mails) == 1


def test_a_mail_server_that_says_nothing_does_not_stop_it(site, customise):
    servers = site.servers("compute-1", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        customise(WITHOUT_METERING, smtp_port=port, timeout=0.2)
        site.engine("alpha")

        uuid = site.lose("compute-1")

        site.assert_recovered(uuid, servers)
    _start, failure, _end = said(site, uuid, CLASSES[0])
    assert failure.startswith(f"The mail was not sent: 127.0.0.1:{port}: ")


def test_a_flow_that_cannot_be_stops_the_engine(site, customise):
    customise("main:['update_metering_task']")
    engine = site.engine("alpha")

    assert engine.wait_ended() == 1
    last = engine.log.read_text().splitlines()[-1]
    assert last.endswith(
        "[taskflow_driver_recovery_flows] host_auto_failure_recovery_tasks:"
        " task 'update_metering_task' needs 'evacuated', which no task"
        " before it provides."
    )


@pytest.mark.parametrize(
    "name",
    [
        "doc/examples/recovery_ha_mail/README.rst",
        "doc/source/configuration/recovery-flows.rst",
    ],
)
def test_the_flow_that_readers_are_shown_is_the_one_above(tmp_path, name):
    blocks = (ROOT / name).read_text().split(".. code-block:: ini\n\n")
    (shown,) = [b for b in blocks if "'update_metering_task'" in b]
    lines = itertools.takewhile(
        lambda line: line.startswith("   ") or not line, shown.splitlines()
    )
    path = tmp_path / "main.conf"
    path.write_text(textwrap.dedent("\n".join(lines)))
    conf = new_config(["--config-file", str(path)])
    assert (
        conf.taskflow_driver_recovery_flows.host_auto_failure_recovery_tasks
        == TaskLists()(WITH_METERING)
    )


def test_its_options_are_in_a_generated_sample(installed, tmp_path):
    out = tmp_path / "sample"
    subprocess.run(
        [
            *(sys.executable, "-W", "ignore"),
            *("-m", "oslo_config.generator", "--output-file", out),
            *("--namespace", "recovery_ha.recovery_flows"),
            *("--namespace", "recovery_ha_mail"),
        ],
        check=True,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )
    text = out.read_text()
    assert "[recovery_ha_mail]\n" in text
    assert "#smtp_host = localhost\n" in text
    assert "#host_rh_failure_recovery_tasks = pre:[" in text
