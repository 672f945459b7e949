"""An Ansible callback plug-in that records playbook runs in recovery_ha.

Copy it to a directory of callback plug-ins, and ``recovery_ha/reporter.py``
one directory above it (or install the package). It needs keystoneauth1.
"""

import atexit
import importlib.util
import logging
import os
import threading
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible import context
from ansible.errors import AnsibleError
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: recovery_ha
type: notification
short_description: Records playbook runs as deployments in recovery_ha
description:
  - Each run of a playbook is a transaction, each play a step of it, and each
    task on each host a row of its history.
  - What a task has printed or returned is not recorded, but its message if it
    fails, and nothing but its status and its name if it has C(no_log).
  - What cannot be sent is kept, and sent by a later run or by
    C(python reporter.py replay DIRECTORY). The playbook goes on in any case.
  - Except for O(endpoint), the environment variables C(OS_*) of keystoneauth1
    say how to reach the API.
requirements:
  - keystoneauth1
  - enable it in the configuration, C(callbacks_enabled = recovery_ha)
options:
  endpoint:
    description:
      - Address of the API. If not set, what the catalog of Keystone has.
      - Without C(OS_AUTH_URL) it is talked to without a token.
    type: str
    env: [{name: RECOVERY_HA_ENDPOINT}]
    ini: [{section: callback_recovery_ha, key: endpoint}]
  reporter:
    description: Who reports.
    type: str
    default: ansible
    env: [{name: RECOVERY_HA_REPORTER}]
    ini: [{section: callback_recovery_ha, key: reporter}]
  run_name:
    description: What the runs are called. If not set, as the playbook's file.
    type: str
    env: [{name: RECOVERY_HA_RUN_NAME}]
    ini: [{section: callback_recovery_ha, key: run_name}]
  external_id:
    description:
      - What the caller calls this run, for finding it again; another one each
        time.
      - If a command runs several playbooks, C(-2) and so on is added for the
        second and later ones.
    type: str
    env: [{name: RECOVERY_HA_EXTERNAL_ID}]
    ini: [{section: callback_recovery_ha, key: external_id}]
  cluster_id:
    description: The cluster that is deployed.
    type: str
    env: [{name: RECOVERY_HA_CLUSTER_ID}]
    ini: [{section: callback_recovery_ha, key: cluster_id}]
  lease_seconds:
    description: After so long a silence the API takes the run for lost.
    type: float
    default: 60
    env: [{name: RECOVERY_HA_LEASE_SECONDS}]
    ini: [{section: callback_recovery_ha, key: lease_seconds}]
  spool:
    description: Directory of what was not sent yet; see reporter.py.
    type: path
    env: [{name: RECOVERY_HA_SPOOL}]
    ini: [{section: callback_recovery_ha, key: spool}]
  start_delay:
    description:
      - Seconds until a task is said to run, if there is no result before.
      - In the ledger what runs cannot be skipped any more. A task that turns
        out to be skipped after that is C(ready), and its message says so.
    type: float
    default: 3
    env: [{name: RECOVERY_HA_START_DELAY}]
    ini: [{section: callback_recovery_ha, key: start_delay}]
"""

_LONGEST_NAME = 240
_LONGEST_MESSAGE = 2000
_MOST_REASONS = 5
_MOST_HOSTS = 20
_COUNTED = (
    "ok",
    "changed",
    "failures",
    "dark",
    "skipped",
    "rescued",
    "ignored",
)
#: What Ansible's own summary calls them.
_WORDS = {"failures": "failed", "dark": "unreachable"}


def _load_reporter() -> Any:
    """Return the module reporter, of the package or a copy near this file."""
    here = Path(__file__).resolve().parent
    for path in (here.parent / "reporter.py", here / "reporter.py"):
        if path.exists():
            spec = importlib.util.spec_from_file_location("reporter", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    try:
        from recovery_ha import reporter  # noqa: PLC0415
    except ImportError as exc:
        raise AnsibleError(
            f"There is no reporter.py in {here.parent}, and the package"
            f" recovery_ha cannot be imported: {exc}"
        ) from exc
    return reporter


class _Warnings(logging.Handler):
    """Shows the reporter's warnings where Ansible shows its own."""

    def __init__(self, display: Any) -> None:
        super().__init__(logging.WARNING)
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        self._display.warning(f"recovery_ha: {record.getMessage()}")


class _Names:
    """Gives plays and tasks names that are theirs alone."""

    def __init__(self) -> None:
        self._plays: dict[str, str] = {}
        self._places: dict[str, list[str]] = defaultdict(list)
        self._runs: dict[tuple[str, str], list[str]] = defaultdict(list)

    def play(self, play: Any) -> str:
        """Return a play's name; batches of ``serial`` are one play."""
        if play._uuid not in self._plays:
            name = _printable(play.get_name(), _LONGEST_NAME // 2)
            known = Counter(
                n.rpartition(" #")[0] for n in self._plays.values()
            )
            number = known[name] + 1
            self._plays[play._uuid] = f"{name} #{number}"
        return self._plays[play._uuid].removesuffix(" #1")

    def task(self, play: str, host: str, task: Any) -> str:
        """Return the name of a task on a host.

        A second task of the same name, in another place of the playbook, is
        ``name #2``. A second run of the same place, where it is included in a
        loop, is ``name [2]`` on that host.
        """
        name = _printable(f"{play} : {task.get_name()}", _LONGEST_NAME)
        place = str(task.get_path() or task._uuid)
        number = _number(self._places[name], place)
        name += f" #{number}" if number > 1 else ""
        run = _number(self._runs[host, name], task._uuid)
        return name + (f" [{run}]" if run > 1 else "")


def _printable(text: str, longest: int) -> str:
    """Return a name as the API takes it: one line, and not too long."""
    words = "".join(c if c.isprintable() else " " for c in text).split()
    return " ".join(words)[:longest].strip()


def _number(known: list[str], value: str) -> int:
    if value not in known:
        known.append(value)
    return known.index(value) + 1


class CallbackModule(CallbackBase):
    """Turns what Ansible tells into reports."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "recovery_ha"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._run: Any = None
        self._reporter: Any = None
        self._pid = os.getpid()
        self._number = 0
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        self._past: Counter[tuple[str, str]] = Counter()
        self._reset()

    def _reset(self) -> None:
        self._names = _Names()
        self._play = ""
        self._attempts: Counter[tuple[str, str]] = Counter()
        #: Since when tasks run of which nothing was said yet.
        self._held: dict[tuple[str, str], tuple[datetime, dict[str, Any]]] = {}

    def set_options(self, *args: Any, **kwargs: Any) -> None:
        """Read the options, and find the module to report with."""
        super().set_options(*args, **kwargs)
        self._reporter = _load_reporter()
        self._reporter.LOG.addHandler(_Warnings(self._display))
        self._reporter.LOG.propagate = False
        atexit.register(self._abort)

    # What Ansible tells

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Begin a transaction."""
        self._reset()
        self._number += 1
        external_id = self.get_option("external_id")
        if external_id and self._number > 1:
            external_id += f"-{self._number}"
        file_name = Path(getattr(playbook, "_file_name", None) or "ansible")
        self._run = self._reporter.Reporter(
            endpoint=self.get_option("endpoint"),
            reporter=self.get_option("reporter"),
            name=self.get_option("run_name") or file_name.stem,
            external_id=external_id,
            cluster_id=self.get_option("cluster_id"),
            lease_seconds=self.get_option("lease_seconds"),
            spool=self.get_option("spool"),
            dry_run=bool(context.CLIARGS.get("check", False)),
        )
        self._run.start()

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Note which play runs."""
        self._play = self._names.play(play)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Note that a task begins on a host."""
        with self._lock:
            key = (host.get_name(), task._uuid)
            self._attempts[key] += 1
            unit = self._unit(key[0], task)
            self._held[key] = (datetime.now(UTC), unit)
            delay = self.get_option("start_delay")
            if delay > 0:
                self._arm(delay)
            else:
                self._tell_start(key)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Report a task that has ended well, changed something or not."""
        self._end(result, "ready")

    def v2_runner_on_failed(
        self, result: Any, ignore_errors: bool = False
    ) -> None:
        """Report a task that has failed; it has, although it is ignored."""
        self._end(result, "error", ignored=ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Report a task whose host cannot be reached."""
        ignored = bool(_fields(result).get("ignore_unreachable"))
        self._end(result, "error", ignored=ignored, unreachable=True)

    def v2_runner_on_skipped(self, result: Any) -> None:
        """Report a task that there was no need for."""
        self._end(result, "skipped")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """End the transaction by what became of the hosts."""
        # Of several playbooks in one command the last one's include all.
        now = Counter(
            {
                (name, host): count
                for name in _COUNTED
                for host, count in getattr(stats, name, {}).items()
            }
        )
        new, self._past = now - self._past, now
        troubles = [
            f"{len(hosts)} {_WORDS[name]} ({', '.join(hosts[:_MOST_HOSTS])})"
            for name in ("failures", "dark")
            if (hosts := sorted(host for kind, host in new if kind == name))
        ]
        totals: Counter[str] = Counter()
        for (name, _host), count in new.items():
            totals[_WORDS.get(name, name)] += count
        self._finish(
            "error" if troubles else "ready",
            f"Hosts: {', '.join(troubles)}" if troubles else None,
            result=dict(totals),
        )

    # What is reported

    def _unit(self, host: str, task: Any) -> dict[str, Any]:
        return {
            "node": host,
            "task": self._names.task(self._play, host, task),
            "attempt": self._attempts[host, task._uuid],
            "step_name": self._play,
            "step_type": "play",
            "instance_name": host,
        }

    def _arm(self, seconds: float) -> None:
        """Have what is held told after a while."""
        if self._timer is None:
            self._timer = threading.Timer(seconds, self._tell_held)
            self._timer.daemon = True
            self._timer.start()

    def _tell_held(self) -> None:
        with self._lock:
            self._timer = None
            delay = timedelta(seconds=self.get_option("start_delay"))
            now = datetime.now(UTC)
            for key, (since, _unit) in [*self._held.items()]:
                if now - since >= delay:
                    self._tell_start(key)
            if self._held:
                oldest = min(since for since, _unit in self._held.values())
                self._arm(max(0.05, (oldest + delay - now).total_seconds()))

    def _tell_start(self, key: tuple[str, str]) -> None:
        since, unit = self._held.pop(key)
        self._run.task(status="running", time=since, **unit)

    def _end(
        self,
        result: Any,
        status: str,
        *,
        ignored: bool = False,
        unreachable: bool = False,
    ) -> None:
        task = getattr(result, "task", None) or result._task
        host = (getattr(result, "host", None) or result._host).get_name()
        key = (host, task._uuid)
        summary, message = _describe(result, task, status)
        with self._lock:
            self._attempts[key] = self._attempts[key] or 1
            if key in self._held and status != "skipped":
                self._tell_start(key)
            elif status == "skipped" and self._held.pop(key, None) is None:
                # It was said to run, and can only end now.
                status, message = "ready", f"skipped: {message or ''}"
                summary["skipped"] = True
            custom = {"ignored": ignored, "unreachable": unreachable}
            custom = {name: True for name, is_so in custom.items() if is_so}
            if ignored:
                message = f"ignored: {message or ''}"
            self._run.task(
                status=status,
                message=message,
                summary=summary,
                custom=custom or None,
                **self._unit(host, task),
            )

    def _finish(self, status: str, message: str | None, **rest: Any) -> None:
        with self._lock:
            run, self._run = self._run, None
            if run is None:
                return
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            for since, unit in self._held.values():
                run.task(status="running", time=since, **unit)
            self._held.clear()
        run.end(status, message, **rest)
        run.close()

    def _abort(self) -> None:
        # Workers are forks of this process, and the run is not theirs.
        if os.getpid() == self._pid:
            sentence = "Ansible has ended before the playbook did."
            self._finish("error", sentence, outcome="aborted")


def _fields(result: Any) -> dict[str, Any]:
    """Return a task's fields as they were for that host."""
    found = getattr(result, "task_fields", None)
    return found if found is not None else getattr(result, "_task_fields", {})


def _describe(
    result: Any, task: Any, status: str
) -> tuple[dict[str, Any], str | None]:
    """Return what may be told of a result: a summary, and a message."""
    fields = _fields(result)
    data = getattr(result, "result", None)
    data = result._result if data is None else data
    items = [i for i in data.get("results") or () if isinstance(i, dict)]
    summary: dict[str, Any] = {
        "action": str(task.action),
        "path": task.get_path(),
        "changed": bool(data.get("changed", False)),
    }
    if data.get("attempts"):
        summary["attempts"] = data["attempts"]
    if fields.get("check_mode"):
        summary["check_mode"] = True
    # An item may be secret where the others are not.
    secret = _is_secret(fields, data) or any(
        _is_secret({}, item) for item in items
    )
    if secret:
        # Nor does Ansible say then which of them have failed.
        summary |= {"items": {"hidden": len(items)}} if items else {}
        return summary, "no_log" if status == "error" else None
    if items:
        summary["items"] = dict(Counter(map(_fate, items)))
    if isinstance(data.get("rc"), int):
        summary["rc"] = data["rc"]
    return summary, _message(status, data, items)


def _is_secret(fields: dict[str, Any], data: dict[str, Any]) -> bool:
    return bool(
        fields.get("no_log")
        or data.get("_ansible_no_log")
        or "censored" in data
    )


def _fate(item: dict[str, Any]) -> str:
    for name in ("unreachable", "failed", "skipped", "changed"):
        if item.get(name):
            return name
    return "ok"


def _message(
    status: str, data: dict[str, Any], items: list[dict[str, Any]]
) -> str | None:
    if status == "ready":
        return None
    if status == "skipped":
        found = data.get("skip_reason") or data.get("skipped_reason")
        return str(found or data.get("msg") or "")[:_LONGEST_MESSAGE] or None
    failed = [i for i in items if _fate(i) in {"failed", "unreachable"}]
    told = [
        f"{item.get('_ansible_item_label', item.get('item'))}:"
        f" {item.get('msg', '')}"
        for item in failed[:_MOST_REASONS]
    ]
    text = "; ".join(filter(None, [str(data.get("msg") or ""), *told]))
    return text[:_LONGEST_MESSAGE] or None
