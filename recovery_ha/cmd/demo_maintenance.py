"""``make demo-maintenance``: maintain a simulated cloud host by host.

Everything is the real thing but the cloud: the standalone service in a
process of its own, reached over its REST API. Two projects have managers,
which hear of it by alarms of Aodh and reply over REST as a VNF manager does.
"""

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from recovery_ha.cmd.demo_stage import Stage, standing

Json = dict[str, Any]

_LIMIT_SECONDS = 120
_SETTLE_SECONDS = 10
_LOOK_SECONDS = 0.25
_SHOWN_EVENTS = 8
_ENDED = frozenset({"MAINTENANCE_DONE", "MAINTENANCE_FAILED"})
#: What each project's servers are called, how many each host has, and how
#: its manager behaves.
_PROJECTS: dict[str, tuple[int, Json]] = {
    "shop": (3, {"action": "LIVE_MIGRATE", "delay_seconds": 0.3}),
    "bank": (2, {"action": "MIGRATE", "delay_seconds": 0.5}),
}
#: Too full to empty a host before the projects have scaled in.
_OPTIONS = """\
computes = 3
memory_mb = 960
migrate_seconds = 0.5
boot_seconds = 0.3
[maintenance]
poll_interval = 0.2
max_parallel_moves = 8
"""


def main() -> int:
    """Run the demonstration.

    :returns: 0 if the session is done, every host is maintained and enabled
        and every instance is ACTIVE, else 1.
    """
    console = Console()
    with standing(console, _OPTIONS) as stage:
        return _demonstrate(console, stage)


def _demonstrate(console: Console, stage: Stage) -> int:
    hosts = [compute["host"] for compute in stage.control.computes()]
    names = _populate(stage, hosts)
    servers = len(stage.control.servers())
    console.print(
        f"{servers} instances of the projects {' and '.join(_PROJECTS)} run"
        f" on {len(hosts)} hosts, which leaves no room to empty one. Each"
        " project has a manager with an alarm in Aodh."
    )
    begun = time.monotonic()
    uuid: str = stage.cloud.instance_ha.post(
        "/maintenance",
        json={
            "state": "MAINTENANCE",
            "hosts": hosts,
            "maintenance_at": _soon(),
            "workflow": "default",
            "metadata": {"openstack_release": "Flamingo"},
            "actions": [
                {"plugin": "dummy", "type": "host", "metadata": {"seconds": 1}}
            ],
        },
    ).json()["session_id"]
    console.print(f"Maintenance session {uuid} over all of them begins.")
    ended = _watch(console, _Session(stage, uuid, names))
    took = time.monotonic() - begun
    state = ended["session"]["state"]
    console.print(f"{state} after {took:.1f} seconds.")
    if ended["session"]["message"]:
        console.print(ended["session"]["message"])
    return _judge(console, stage, ended, names, servers)


def _populate(stage: Stage, hosts: list[str]) -> dict[str, str]:
    """Have projects, their managers and their servers.

    :returns: the names of the projects by their ids.
    """
    names = {}
    for name, (count, behaviour) in _PROJECTS.items():
        manager = stage.control.add_manager(
            name,
            default=behaviour,
            SCALE_IN={"scale_in": 1},
        )
        names[manager["project_id"]] = name
        for host in hosts:
            stage.control.create_servers(
                host,
                count,
                name_prefix=name,
                project_id=manager["project_id"],
            )
    return names


def _soon() -> str:
    when = datetime.now(UTC) + timedelta(seconds=2)
    return when.strftime("%Y-%m-%d %H:%M:%S")


class _Session:
    """A session, as the REST API tells of it.

    :ivar events: what was said in it, in order.
    """

    def __init__(self, stage: Stage, uuid: str, names: dict[str, str]) -> None:
        self._stage = stage
        self._uuid = uuid
        self._last = 0
        self.names = names
        self.events: list[Json] = []

    def look(self) -> Json:
        """Return its detail, and remember what is new."""
        detail: Json = self._get(f"/maintenance/{self._uuid}/detail")
        found = self._get(
            f"/transactions/{self._uuid}/events?since={self._last}"
        )["events"]
        self.events += found
        if found:
            self._last = found[-1]["id"]
        return detail

    def remarks(self) -> list[str]:
        """Return what was said, a line each."""
        return [
            self.named(f"{one['created_at'][11:19]} {one['message']}")
            for one in self.events
        ]

    def named(self, text: str) -> str:
        """Return a text with the names of projects instead of their ids."""
        for project_id, name in self.names.items():
            text = text.replace(project_id, name)
        return text

    def _get(self, path: str) -> Json:
        body: Json = self._stage.cloud.instance_ha.get(path).json()
        return body


def _watch(console: Console, session: _Session) -> Json:
    """Show the session until it has ended; return its detail."""
    shown = 0
    end = time.monotonic() + _LIMIT_SECONDS
    with _live(console) as live:
        while True:
            detail = session.look()
            if live is None:
                for remark in session.remarks()[shown:]:
                    console.print(remark, highlight=False, soft_wrap=True)
                shown = len(session.events)
            else:
                live.update(_picture(session, detail), refresh=True)
            over = detail["session"]["state"] in _ENDED
            if over or time.monotonic() > end:
                return detail
            time.sleep(_LOOK_SECONDS)


@contextlib.contextmanager
def _live(console: Console) -> Iterator[Live | None]:
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield live
    else:
        yield None


def _picture(session: _Session, detail: Json) -> Group:
    head = detail["session"]
    hosts = Table(
        title=f"{head['state']}, {head['percent_done']} % of the hosts",
        expand=True,
    )
    for column in ("host", "status", "placing", *session.names.values()):
        hosts.add_column(column, no_wrap=True)
    placed = Counter(
        (one["host"], one["project_id"]) for one in detail["instances"]
    )
    for host in detail["hosts"]:
        name = host["hostname"]
        hosts.add_row(
            name,
            host["status"],
            "disabled" if host["disabled"] else "enabled",
            *(str(placed[name, project]) for project in session.names),
        )
    projects = Table(expand=True)
    for column in ("project", "asked or replied", "until"):
        projects.add_column(column, no_wrap=True)
    for project in detail["projects"]:
        projects.add_row(
            session.names.get(project["project_id"], "?"),
            project["state"] or "",
            project["reply_at"] or "",
        )
    moving = Table(expand=True)
    for column in ("instance", "from", "how", "state"):
        moving.add_column(column, no_wrap=True)
    for one in detail["instances"]:
        if one["listed"]:
            moving.add_row(
                one["instance_name"],
                one["source_host"] or one["host"],
                one["action"] or "",
                one["state"],
            )
    said = "\n".join(session.remarks()[-_SHOWN_EVENTS:])
    return Group(hosts, projects, moving, said)


def _settled(stage: Stage) -> list[Any]:
    """Return all servers when those that were made last are there."""
    end = time.monotonic() + _SETTLE_SECONDS
    while True:
        found = list(stage.cloud.compute.servers(all_projects=True))
        building = any(one.status == "BUILD" for one in found)
        if not building or time.monotonic() > end:
            return found
        time.sleep(_LOOK_SECONDS)


def _judge(
    console: Console,
    stage: Stage,
    detail: Json,
    names: dict[str, str],
    servers: int,
) -> int:
    """Ask the cloud itself how things are."""
    found = _settled(stage)
    services = {
        one.host: one.status
        for one in stage.cloud.compute.services(binary="nova-compute")
    }
    table = Table(title="What the cloud says")
    for column in ("host", "maintained", "service", *names.values()):
        table.add_column(column)
    placed = Counter((one.compute_host, one.project_id) for one in found)
    for host in detail["hosts"]:
        name = host["hostname"]
        table.add_row(
            name,
            "yes" if host["maintained"] else "no",
            services[name],
            *(str(placed[name, project]) for project in names),
        )
    console.print(table)
    active = sum(one.status == "ACTIVE" for one in found)
    maintained = sum(one["maintained"] for one in detail["hosts"])
    console.print(
        f"{maintained} of {len(services)} hosts are maintained, {active} of"
        f" {servers} instances are ACTIVE."
    )
    good = (
        detail["session"]["state"] == "MAINTENANCE_DONE"
        and maintained == len(services)
        and set(services.values()) == {"enabled"}
        and active == len(found) == servers
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
