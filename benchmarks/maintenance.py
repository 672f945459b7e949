"""How long a rolling maintenance takes, and what it asks for.

Run with nothing else on the machine:

    python -m benchmarks.maintenance --database URL [--hosts 200]

All hosts of a simulated cloud are maintained, empty ones side by side, the
others one after the other; the managers of two projects reply as soon as
they hear. The ideal is what the migrations and the actions alone need: a
host that is emptied waits for its instances, so many at once, and for its
action, and no host is emptied before the one before it is maintained.
"""

import argparse
import math
import time
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from benchmarks.site import Site, resident_mb

PROJECTS = ("red", "blue")
_ENDS = {"MAINTENANCE_DONE", "MAINTENANCE_FAILED"}
_STATEMENTS = ("select", "insert", "update", "delete")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--database", required=True, help="URL; its tables are dropped"
    )
    parser.add_argument(
        "--transport", default="rabbit://guest:guest@127.0.0.1"
    )
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--instances", type=int, default=25)
    parser.add_argument(
        "--moves", type=int, default=25, help="migrations at once"
    )
    parser.add_argument("--migrate-seconds", type=float, default=0.5)
    parser.add_argument("--action-seconds", type=float, default=0.0)
    parser.add_argument("--poll-interval", type=float, default=0.5)
    return parser.parse_args()


def _ideal(arguments: argparse.Namespace) -> float:
    """Return the seconds that migrations and actions need by themselves."""
    lots = math.ceil(arguments.instances / arguments.moves)
    each = lots * arguments.migrate_seconds + arguments.action_seconds
    return float(arguments.hosts * each)


def _statements(site: Site) -> int:
    """Return how many statements the database has been sent so far.

    Of everybody: nothing else may use it. 0 where it does not count them.
    """
    if site.database.engine.dialect.name != "mysql":
        return 0
    names = ", ".join(f"'Com_{word}'" for word in _STATEMENTS)
    with site.database.engine.connect() as connection:
        rows = connection.execute(
            sa.text(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})")
        )
        return sum(int(row[1]) for row in rows)


def _populate(site: Site, arguments: argparse.Namespace) -> list[str]:
    """Have projects with managers, and their servers; return the hosts."""
    projects = [
        site.control.add_manager(name, default={"action": "LIVE_MIGRATE"})
        for name in PROJECTS
    ]
    hosts: list[str] = [one["host"] for one in site.control.computes()]
    for place, host in enumerate(hosts[1:], 1):
        site.control.create_servers(
            host,
            arguments.instances,
            name_prefix=f"s{place}",
            project_id=projects[place % 2]["project_id"],
        )
    return hosts


def _open(site: Site, hosts: list[str], arguments: argparse.Namespace) -> str:
    seconds = {"seconds": arguments.action_seconds}
    answer = site.call(
        "POST",
        "/maintenance",
        {
            "hosts": hosts,
            "state": "MAINTENANCE",
            "maintenance_at": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
            "metadata": {},
            "workflow": "default",
            "actions": [
                {"plugin": "dummy", "type": "host", "metadata": seconds}
            ],
        },
    )
    uuid: str = answer["session_id"]
    return uuid


def _site(arguments: argparse.Namespace) -> Site:
    return Site(
        arguments.database,
        arguments.transport,
        computes=arguments.hosts,
        migrate_seconds=arguments.migrate_seconds,
        threads=64,
        transport_url=arguments.transport,
        page_limit=1000,
    )


def _options(site: Site, arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "maintenance": {
            "api_url": f"http://127.0.0.1:{site.api_port}/v1",
            "max_parallel_moves": arguments.moves,
            "poll_interval": arguments.poll_interval,
        }
    }


def measure(arguments: argparse.Namespace) -> None:
    """Print how long a session takes, and what it asks for."""
    with _site(arguments) as site:
        options = _options(site, arguments)
        site.api(**options)
        engine = site.engine("a", **options)
        hosts = _populate(site, arguments)
        site.control.reset_counts()
        before = _statements(site)
        began = time.monotonic()
        uuid = _open(site, hosts, arguments)
        session: dict[str, Any] = {}
        while session.get("state") not in _ENDS:
            time.sleep(0.5)
            session = site.call("GET", f"/maintenance/{uuid}")
        took = time.monotonic() - began
        statements = _statements(site) - before
        detail = site.call("GET", f"/maintenance/{uuid}/detail")
        head = detail["session"]
        ideal = _ideal(arguments)
        print(
            f"{arguments.hosts} hosts, {arguments.instances} instances each:"
            f" {head['state']} after {took:.1f} s; ideal {ideal:.1f} s"
            f" (ratio {took / ideal:.2f}); {head['message']}"
        )
        moved = arguments.instances * (arguments.hosts - 1)
        requests = sum(site.control.counts().get("compute", {}).values())
        print(f"  Nova requests: {requests}, {requests / moved:.2f} per move")
        for route, count in sorted(site.control.counts()["compute"].items()):
            print(f"    {count:6d} {route}")
        print(
            f"  SQL statements: {statements}, {statements / moved:.1f} per"
            f" move, {statements / max(head['round'], 1):.0f} per state"
            f" ({head['round']} entered)"
        )
        print(f"  engine resident {resident_mb(engine.pid):.0f} MiB")


if __name__ == "__main__":
    measure(_arguments())
