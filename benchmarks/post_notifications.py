"""How many reports one API worker accepts per second.

Run with nothing else on the machine:

    python -m benchmarks.post_notifications --database URL [--server uwsgi]

Each request is a report of its own about one of many hosts, so that each is
accepted (202) and written. Beside the rate stands what the database alone
does with rows of that size, one commit each, on one connection.
"""

import argparse
import json
import os
import pathlib
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from typing import Any

import sqlalchemy as sa

from benchmarks.site import Site, cpu_seconds, resident_mb

HOSTS = 50


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", help="URL; its tables are dropped")
    parser.add_argument(
        "--transport", default="rabbit://guest:guest@127.0.0.1"
    )
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument(
        "--server",
        choices=["cheroot", "gunicorn", "uwsgi"],
        default="gunicorn",
    )
    parser.add_argument(
        "--keystone",
        action="store_true",
        help="have each request's token checked; keystonemiddleware caches "
        "it in memory",
    )
    return parser.parse_args()


def _floor(site: Site, count: int = 2000) -> float:
    """Return raw single-row commits per second of one connection."""
    engine = site.database.engine
    payload = "x" * 400
    with engine.connect() as connection:
        connection.execute(
            sa.text("CREATE TABLE floor (id INTEGER, payload TEXT)")
        )
        connection.commit()
        began = time.perf_counter()
        for number in range(count):
            connection.exec_driver_sql(
                f"INSERT INTO floor VALUES ({number}, '{payload}')"  # noqa: S608
            )
            connection.commit()
        rate = count / (time.perf_counter() - began)
        connection.execute(sa.text("DROP TABLE floor"))
        connection.commit()
    return rate


def _command(server: str, port: int) -> list[str]:
    """Return what serves the WSGI application in one worker."""
    application = "recovery_ha.wsgi.api:application"
    if server == "gunicorn":
        return [
            "gunicorn", "--workers=1", "--threads=4", "--keep-alive=60",
            f"--bind=127.0.0.1:{port}", application,
        ]  # fmt: skip
    return [
        "uwsgi", "--master", "--processes=1", "--threads=4",
        "--enable-threads", "--lazy-apps", "--die-on-term",
        "--disable-logging", f"--virtualenv={sys.prefix}",
        f"--http11-socket=127.0.0.1:{port}", f"--module={application}",
    ]  # fmt: skip


class _WSGIServer:
    """The WSGI application under gunicorn or uWSGI, one worker."""

    def __init__(self, site: Site, server: str, config: pathlib.Path) -> None:
        environment = {
            **os.environ,
            "OS_RECOVERY_HA_CONFIG_DIR": str(config.parent),
            "OS_RECOVERY_HA_CONFIG_FILES": config.name,
        }
        program, *arguments = _command(server, site.api_port)
        path = pathlib.Path(sys.executable).with_name(program)
        if not path.exists():
            raise SystemExit(f"{path} is not there: pip install {program}")
        self._process = subprocess.Popen(
            [str(path), *arguments], env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        _wait_for_port(site.api_port)

    @property
    def worker_pid(self) -> int:
        children = pathlib.Path(
            f"/proc/{self._process.pid}/task/{self._process.pid}/children"
        )
        return int(children.read_text().split()[0])

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)


def _wait_for_port(port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the API did not open its port")


def _requests(count: int, port: int, token: str | None) -> list[bytes]:
    head = (
        "POST /v1/notifications HTTP/1.1\r\n"
        f"Host: 127.0.0.1:{port}\r\n"
        "Content-Type: application/json\r\n"
    ) + (f"X-Auth-Token: {token}\r\n" if token else "")
    requests = []
    for number in range(count):
        body = json.dumps(_report(number)).encode()
        requests.append(
            f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        )
    return requests


def _report(number: int) -> dict[str, Any]:
    """Return a report that equals no other one."""
    return {
        "notification": {
            "type": "PROCESS",
            "hostname": f"host-{number % HOSTS}",
            "generated_time": "2026-01-01T00:00:00.000000",
            "payload": {"event": "STARTED", "process_name": f"p{number}"},
        }
    }


def _drive(
    requests: list[bytes], port: int, connections: int
) -> tuple[float, list[float], int]:
    """Send all requests over some connections, one at a time on each.

    :returns: seconds for all, seconds of each, and how many were accepted.
    """
    selector = selectors.DefaultSelector()
    pending = iter(requests)
    times: list[float] = []
    accepted = 0
    sent_at: dict[int, float] = {}
    began = time.perf_counter()
    for _ in range(connections):
        link = socket.create_connection(("127.0.0.1", port))
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(link, selectors.EVENT_READ)
        sent_at[link.fileno()] = time.perf_counter()
        link.sendall(next(pending))
    while selector.get_map():
        for key, _events in selector.select():
            link = key.fileobj  # type: ignore[assignment]
            answer = _answer(link)
            times.append(time.perf_counter() - sent_at[link.fileno()])
            accepted += answer.startswith(b"HTTP/1.1 202")
            request = next(pending, None)
            if request is None:
                selector.unregister(link)
                link.close()
                continue
            sent_at[link.fileno()] = time.perf_counter()
            link.sendall(request)
    return time.perf_counter() - began, times, accepted


def _answer(link: socket.socket) -> bytes:
    """Read one answer whose length its header says."""
    data = link.recv(65536)
    while b"\r\n\r\n" not in data:
        data += link.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    lower = head.lower()
    length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += link.recv(65536)
    return head


def _token(site: Site) -> str:
    body = {
        "auth": {
            "identity": {
                "methods": ["password"],
                "password": {
                    "user": {
                        "name": "service",
                        "domain": {"id": "default"},
                        "password": "secret",
                    }
                },
            },
            "scope": {
                "project": {"name": "service", "domain": {"id": "default"}}
            },
        }
    }
    request = urllib.request.Request(  # noqa: S310 - our own simulator
        f"{site.simulator_url}/identity/v3/auth/tokens",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        token: str = answer.headers["X-Subject-Token"]
    return token


def main() -> None:
    """Print all figures."""
    arguments = _arguments()
    simulator = {"computes": 1}
    with Site(arguments.database, arguments.transport, **simulator) as site:
        floor = _floor(site)
        daemon = site.api()
        site.register([f"host-{number}" for number in range(HOSTS)])
        token = _token(site) if arguments.keystone else None
        daemon.terminate()
        daemon.wait_ended()
        strategy = "keystone" if arguments.keystone else "noauth"
        options = {
            "auth_strategy": strategy, "port": site.api_port,
            "allow_remote_noauth": True,
        }  # fmt: skip
        stop, pid = _serve(site, arguments.server, options)
        requests = _requests(arguments.requests, site.api_port, token)
        warm = max(len(requests) // 10, arguments.connections)
        _drive(requests[:1], site.api_port, 1)  # a worker may load late
        _drive(requests[1:warm], site.api_port, arguments.connections)
        cpu = cpu_seconds(pid)
        wall, times, accepted = _drive(
            requests[warm:], site.api_port, arguments.connections
        )
        rate = accepted / wall
        cpu = cpu_seconds(pid) - cpu
        times.sort()
        print(
            f"{site.database.engine.dialect.name}, {arguments.server},"
            f" {strategy}: {accepted} of {len(times)} accepted,"
            f" {rate:.0f}/s, median {statistics.median(times) * 1e3:.1f} ms,"
            f" p99 {times[int(len(times) * 0.99)] * 1e3:.1f} ms"
        )
        print(
            f"  {cpu / len(times) * 1e6:.0f} us of the worker's processor"
            f" each; {rate / floor:.2f} of {floor:.0f} raw commits/s;"
            f" worker resident {resident_mb(pid):.0f} MiB"
        )
        stop()


def _serve(
    site: Site, server: str, options: dict[str, Any]
) -> tuple[Any, int]:
    if server == "cheroot":
        ready = "Listening on"
        daemon = site.start("api", "measured", ready=ready, api=options)
        return daemon.terminate, daemon.pid
    log = {"transport_url": site.transport, "log_file": site.log_file}
    config = site.configure(server, "api", {"api": options, "DEFAULT": log})
    served = _WSGIServer(site, server, config)
    return served.stop, served.worker_pid


if __name__ == "__main__":
    main()
