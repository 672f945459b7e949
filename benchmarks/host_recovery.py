"""How fast a host is recovered, how often Nova is asked, what it takes.

Run with nothing else on the machine:

    python -m benchmarks.host_recovery [--database URL] [--transport URL]

A simulated host with instances dies; each destination rebuilds 10 at a time,
each in 2 seconds. The ideal is what those rebuilds alone need.
"""

import argparse
import math
import time
from typing import Any

from benchmarks.site import Site, resident_mb

REBUILD_SECONDS = 2.0
DONE_DELAY_SECONDS = 0.3
PER_DESTINATION = 10
DESTINATIONS = 4
HOST = "compute-1"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", help="URL; its tables are dropped")
    parser.add_argument(
        "--transport", default="rabbit://guest:guest@127.0.0.1"
    )
    parser.add_argument("--instances", type=int, default=100)
    parser.add_argument(
        "--threads",
        type=int,
        nargs="*",
        default=[16, 100],
        help="values of host_failure_recovery_threads",
    )
    parser.add_argument("--lease", type=int, default=10)
    return parser.parse_args()


def _ideal(instances: int, threads: int) -> float:
    """Return the seconds that the rebuilds need by themselves.

    Where our own limit is the narrower one, each place is free again only
    when Nova's record says so, a moment after the server is ACTIVE.
    """
    at_once = min(threads, PER_DESTINATION * DESTINATIONS)
    rounds = math.ceil(instances / at_once)
    between = DONE_DELAY_SECONDS if at_once == threads else 0.0
    return rounds * REBUILD_SECONDS + (rounds - 1) * between


def _site(arguments: argparse.Namespace) -> Site:
    return Site(
        arguments.database,
        arguments.transport,
        computes=DESTINATIONS + 1,
        rebuild_seconds=REBUILD_SECONDS,
        done_delay_seconds=DONE_DELAY_SECONDS,
        rebuild_concurrency=PER_DESTINATION,
        down_time_seconds=1,
        threads=64,
    )


def _lose_host(site: Site, instances: int) -> None:
    """Have a dead host that Nova has already seen down."""
    computes = [compute["host"] for compute in site.control.computes()]
    site.register(computes)
    site.control.create_servers(host=HOST, count=instances)
    site.control.kill(HOST)
    while site.control.compute(HOST)["up"]:
        time.sleep(0.05)


def _all_moved(site: Site) -> bool:
    return all(
        server["host"] != HOST and server["status"] == "ACTIVE"
        for server in site.control.servers()
    )


def _status(site: Site, uuid: str) -> str:
    body = site.call("GET", f"/notifications/{uuid}")["notification"]
    status: str = body["status"]
    return status


def _nova_requests(site: Site) -> int:
    return sum(site.control.counts().get("compute", {}).values())


def measure_recovery(arguments: argparse.Namespace, threads: int) -> None:
    """Print how long a recovery takes and how often Nova is asked."""
    with _site(arguments) as site:
        api = site.api()
        options: dict[str, Any] = {
            "DEFAULT": {
                "transport_url": arguments.transport,
                "host_failure_recovery_threads": threads,
            },
            "engine": {"host": "a", "max_evacuations": max(threads, 64)},
        }
        engine = site.engine("a", **options)
        time.sleep(2)  # the engine's queue is bound by now
        _lose_host(site, arguments.instances)
        site.control.reset_counts()
        began = time.monotonic()
        uuid = site.report(HOST)
        while not _all_moved(site):
            time.sleep(0.05)
        active = time.monotonic() - began
        while (status := _status(site, uuid)) == "running":
            time.sleep(0.02)
        ended = time.monotonic() - began
        ideal = _ideal(arguments.instances, threads)
        requests = _nova_requests(site)
        print(
            f"{arguments.instances} instances, {threads} at once: ideal"
            f" {ideal:.1f} s; all ACTIVE {active:.2f} s (ratio"
            f" {active / ideal:.3f}); {status} {ended:.2f} s (ratio"
            f" {ended / ideal:.3f})"
        )
        print(
            f"  Nova requests: {requests},"
            f" {requests / arguments.instances:.2f} per instance"
        )
        for route, count in sorted(site.control.counts()["compute"].items()):
            print(f"    {count:5d} {route}")
        print(
            f"  resident: engine {resident_mb(engine.pid):.0f} MiB,"
            f" API {resident_mb(api.pid):.0f} MiB"
        )


def measure_take_over(arguments: argparse.Namespace) -> None:
    """Print how long after kill -9 another engine goes on."""
    with _site(arguments) as site:
        site.api()
        engines = {
            name: site.engine(
                name,
                engine={"host": name, "lease_seconds": arguments.lease},
            )
            for name in ("a", "b")
        }
        time.sleep(2)
        _lose_host(site, arguments.instances)
        site.report(HOST)
        while not site.control.log(action="evacuate"):
            time.sleep(0.02)
        time.sleep(1)
        owner = next(e for e in engines.values() if e.said("has stopped: ev"))
        other = next(e for e in engines.values() if e is not owner)
        owner.kill9()
        killed = time.monotonic()
        while not other.said("is taken over"):
            time.sleep(0.02)
        taken = time.monotonic() - killed
        while not _all_moved(site):
            time.sleep(0.02)
        print(
            f"kill -9 with a lease of {arguments.lease} s: taken over after"
            f" {taken:.2f} s; all ACTIVE"
            f" {time.monotonic() - killed:.2f} s after the kill"
        )


def main() -> None:
    """Print all figures."""
    arguments = _arguments()
    for threads in arguments.threads:
        measure_recovery(arguments, threads)
    measure_take_over(arguments)


if __name__ == "__main__":
    main()
