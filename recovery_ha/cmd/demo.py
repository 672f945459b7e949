"""``make demo``: lose a simulated host with 20 instances, and watch.

Everything is the real thing but the cloud: the standalone service in a
process of its own, reached over its REST API as any client would.
"""

import contextlib
import sys
import time
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from recovery_ha.cmd.demo_stage import standing
from recovery_ha.simulator.control_client import ControlClient

_HOST = "compute-1"
_SERVERS = 20
_LIMIT_SECONDS = 60
_TERMINAL = frozenset({"finished", "failed", "ignored"})
_OPTIONS = """\
computes = 4
rebuild_seconds = 2
down_time_seconds = 3
"""


def main() -> int:
    """Run the demonstration.

    :returns: 0 when every instance is ACTIVE on another host, else 1.
    """
    console = Console()
    with standing(console, _OPTIONS) as stage:
        return _demonstrate(console, stage.cloud, stage.control)


def _demonstrate(console: Console, cloud: Any, control: ControlClient) -> int:
    ha = cloud.instance_ha
    segment = ha.create_segment(
        name="demo", recovery_method="auto", service_type="COMPUTE"
    )
    for compute in control.computes():
        ha.create_host(
            segment.uuid,
            name=compute["host"],
            type="COMPUTE",
            control_attributes="none",
        )
    half = _SERVERS // 2
    control.create_servers(
        host=_HOST,
        count=half,
        name_prefix="db",
        metadata={"HA_Enabled": "True"},
    )
    control.create_servers(
        host=_HOST, count=_SERVERS - half, name_prefix="web"
    )
    console.print(
        f"{_SERVERS} instances run on {_HOST}, {half} of them HA-enabled."
        f" Killing {_HOST} now, and reporting it as a monitor would."
    )
    control.kill(_HOST)
    began = time.monotonic()
    notification = ha.create_notification(
        type="COMPUTE_HOST",
        hostname=_HOST,
        generated_time=datetime.now(UTC).replace(tzinfo=None),
        payload={
            "event": "STOPPED",
            "cluster_status": "OFFLINE",
            "host_status": "NORMAL",
        },
    )
    uuid: str = notification.notification_uuid
    ended = _watch(console, ha, uuid)
    took = time.monotonic() - began
    console.print(f"Notification {ended['status']} after {took:.1f} seconds.")
    return _judge(console, cloud, ended)


def _get(ha: Any, path: str) -> dict[str, Any]:
    response = ha.get(path, microversion="1.3")
    body: dict[str, Any] = response.json()
    return body


def _watch(console: Console, ha: Any, uuid: str) -> dict[str, Any]:
    """Show the recovery until it has ended; return the notification."""
    path = f"/notifications/{uuid}"
    shown = 0
    end = time.monotonic() + _LIMIT_SECONDS
    with contextlib.ExitStack() as stack:
        live = None
        if console.is_terminal:
            live = stack.enter_context(
                Live(console=console, auto_refresh=False)
            )
        while True:
            body: dict[str, Any] = _get(ha, path)["notification"]
            if live is None:
                shown = _print_remarks(console, body, shown)
            else:
                query = "sort_key=id&sort_dir=asc"
                vmoves = _get(ha, f"{path}/vmoves?{query}")["vmoves"]
                live.update(_picture(body, vmoves), refresh=True)
            if body["status"] in _TERMINAL or time.monotonic() > end:
                return body
            time.sleep(0.2)


def _remarks(body: dict[str, Any]) -> list[str]:
    return [
        f"{detail['timestamp'][11:19]} {task['name']}: {detail['message']}"
        for task in body["recovery_workflow_details"]
        for detail in task["progress_details"]
    ]


def _print_remarks(console: Console, body: dict[str, Any], shown: int) -> int:
    remarks = _remarks(body)
    for remark in remarks[shown:]:
        console.print(remark, highlight=False, soft_wrap=True)
    return len(remarks)


def _picture(body: dict[str, Any], vmoves: list[dict[str, Any]]) -> Group:
    tasks = Table(title=f"Notification {body['status']}", expand=True)
    for column in ("task", "state", "progress"):
        tasks.add_column(column, no_wrap=True)
    tasks.add_column("last message", ratio=1)
    for task in body["recovery_workflow_details"]:
        last = task["progress_details"][-1]
        tasks.add_row(
            task["name"],
            task["state"],
            f"{task['progress']:.0%}",
            last["message"],
        )
    moves = Table(expand=True)
    for column in ("instance", "state", "to", "instance", "state", "to"):
        moves.add_column(column, no_wrap=True)
    half = (len(vmoves) + 1) // 2
    for index in range(half):
        pair = [vmoves[index], *vmoves[index + half : index + half + 1]]
        moves.add_row(
            *(
                text
                for vmove in pair
                for text in (
                    vmove["instance_name"],
                    vmove["status"],
                    vmove["dest_host"] or "",
                )
            )
        )
    return Group(tasks, moves)


def _judge(console: Console, cloud: Any, body: dict[str, Any]) -> int:
    """Ask the cloud itself where the instances are."""
    servers = sorted(
        cloud.compute.servers(all_projects=True), key=lambda s: s.name
    )
    table = Table(title="Where the cloud says they are")
    for column in ("instance", "from", "to", "status"):
        table.add_column(column)
    for server in servers:
        table.add_row(server.name, _HOST, server.compute_host, server.status)
    console.print(table)
    good = [
        server
        for server in servers
        if server.status == "ACTIVE" and server.compute_host != _HOST
    ]
    console.print(f"{len(good)} of {_SERVERS} instances are ACTIVE elsewhere.")
    return 0 if len(good) == _SERVERS and body["status"] == "finished" else 1


if __name__ == "__main__":
    sys.exit(main())
