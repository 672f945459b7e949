"""A client of the control interface, for other processes.

It needs nothing but the standard library, and one instance may be used from
several threads.
"""

import http.client
import json
import threading
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

Json = dict[str, Any]
TIMEOUT_SECONDS = 30.0


class ControlError(Exception):
    """The simulator refused.

    :param status: its HTTP status
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class ControlClient:
    """Controls a running simulator.

    Every method raises `ControlError` when the simulator refuses and
    `OSError` when it cannot be reached.

    :param url: where the simulator listens, for example
        http://127.0.0.1:15900
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or 80
        self._local = threading.local()

    def settings(self, **changes: Any) -> Json:
        """Return the settings, after changing those that are named."""
        if not changes:
            return self._call("GET", "/settings")
        return self._call("PUT", "/settings", changes)

    def computes(self) -> list[Json]:
        """Return the hosts as they really are, guests included."""
        found: list[Json] = self._call("GET", "/computes")["computes"]
        return found

    def compute(self, host: str) -> Json:
        """Return one host.

        :raises LookupError: there is none
        """
        for compute in self.computes():
            if compute["host"] == host:
                return compute
        raise LookupError(host)

    def add_compute(self, host: str | None = None) -> Json:
        """Add a host; without a name it becomes compute-N."""
        return self._call("POST", "/computes", {"host": host})

    def set_compute(self, host: str, **amounts: int | None) -> Json:
        """Set what a host offers in Placement.

        :param amounts: vcpus, memory_mb, disk_gb; disk_gb None is for a host
            whose disks are elsewhere
        """
        return self._call("PUT", f"/computes/{quote(host)}", amounts)

    def remove_compute(self, host: str) -> None:
        """Remove a host without servers."""
        self._call("DELETE", f"/computes/{quote(host)}")

    def kill(self, host: str) -> Json:
        """Power a host off."""
        return self._call("POST", f"/computes/{quote(host)}/kill")

    def start(self, host: str) -> Json:
        """Start a dead host."""
        return self._call("POST", f"/computes/{quote(host)}/start")

    def freeze(self, host: str) -> Json:
        """Silence a host while its guests go on."""
        return self._call("POST", f"/computes/{quote(host)}/freeze")

    def thaw(self, host: str) -> Json:
        """Let a frozen host go on."""
        return self._call("POST", f"/computes/{quote(host)}/thaw")

    def create_servers(
        self, host: str, count: int = 1, **fields: Any
    ) -> list[str]:
        """Have servers on a host at once.

        :param fields: name_prefix, flavor, vm_state, task_state,
            power_state, locked, locked_reason, metadata, project_id,
            user_id, image_id (None: on a volume), extra_specs, …
        :returns: their UUIDs
        """
        body = {"host": host, "count": count, **fields}
        uuids: list[str] = self._call("POST", "/servers", body)["servers"]
        return uuids

    def servers(self) -> list[Json]:
        """Return all servers in short."""
        found: list[Json] = self._call("GET", "/servers")["servers"]
        return found

    def set_server(self, uuid: str, **fields: Any) -> Json:
        """Set what Nova says of a server, for example its vm_state."""
        return self._call("PUT", f"/servers/{quote(uuid)}", fields)

    def crash(self, uuid: str, *, noticed: bool = False) -> Json:
        """Let the guest of a server end.

        :param noticed: have Nova see it and stop the server, by itself, as
            its power-state sync does; else it stays active, and shut down
        """
        body = {"noticed": noticed}
        return self._call("POST", f"/servers/{quote(uuid)}/crash", body)

    def add_flavor(self, name: str, **fields: Any) -> Json:
        """Add a size of servers.

        :param fields: vcpus, ram (MiB), disk (GiB), extra_specs
        """
        return self._call("POST", "/flavors", {"name": name, **fields})

    def images(self) -> list[Json]:
        """Return the images; the first is the one that servers have."""
        found: list[Json] = self._call("GET", "/images")["images"]
        return found

    def set_image(self, image_id: str | None = None, **fields: Any) -> Json:
        """Have an image with these properties and tags and no others.

        :param image_id: of the one to change; None makes a new one
        :param fields: properties, tags, name
        """
        return self._call("POST", "/images", {"image_id": image_id, **fields})

    def remove_image(self, image_id: str) -> None:
        """Delete an image; its servers stay."""
        self._call("DELETE", f"/images/{quote(image_id)}")

    def add_project(self, name: str) -> Json:
        """Add a project with a member of the same name and password."""
        return self._call("POST", "/projects", {"name": name})

    def managers(self) -> list[Json]:
        """Return the managers of projects."""
        found: list[Json] = self._call("GET", "/managers")["managers"]
        return found

    def manager(self, project: str) -> Json:
        """Return how a manager behaves, what it received and answered.

        :param project: name or id
        """
        return self._call("GET", f"/managers/{quote(project)}")

    def add_manager(
        self,
        project: str,
        event_type: str | None = "maintenance.scheduled",
        secret: str | None = None,
        **behaviours: Json,
    ) -> Json:
        """Have a manager for a project, which is made if there is none.

        :param event_type: of the alarm that tells it; None makes no alarm
        :param secret: of its webhook, whose signatures it checks then
        :param behaviours: see :meth:`set_manager`
        """
        body = {
            "project": project,
            "event_type": event_type,
            "secret": secret,
            "behaviours": behaviours,
        }
        return self._call("POST", "/managers", body)

    def set_manager(self, project: str, **behaviours: Json) -> Json:
        """Change how a manager behaves.

        :param behaviours: by the state in which, or `default`, the fields
            of `recovery_ha.simulator.project_manager.Behaviour`
        """
        return self._call("PUT", f"/managers/{quote(project)}", behaviours)

    def clear_manager(self, project: str) -> None:
        """Have a manager forget what it received and answered."""
        self._call("DELETE", f"/managers/{quote(project)}/received")

    def remove_manager(self, project: str) -> None:
        """Have a project without a manager; its alarms stay."""
        self._call("DELETE", f"/managers/{quote(project)}")

    def add_fault(self, **fields: Any) -> int:
        """Set a fault and return its number.

        :param fields: those of `recovery_ha.simulator.faults.Fault`
        """
        return int(self._call("POST", "/faults", fields)["id"])

    def faults(self) -> list[Json]:
        """Return the faults, their hits and what they hold."""
        found: list[Json] = self._call("GET", "/faults")["faults"]
        return found

    def fault(self, number: int) -> Json:
        """Return one fault.

        :raises LookupError: there is none
        """
        for fault in self.faults():
            if fault["id"] == number:
                return fault
        raise LookupError(number)

    def release(self, number: int) -> Json:
        """Let the requests go that a fault holds; it strikes no more."""
        return self._call("POST", f"/faults/{number}/release")

    def remove_fault(self, number: int) -> None:
        """Remove a fault and release what it holds."""
        self._call("DELETE", f"/faults/{number}")

    def remove_faults(self) -> None:
        """Remove all faults."""
        self._call("DELETE", "/faults")

    def log(self, since: int = 0, action: str | None = None) -> list[Json]:
        """Return the calls that change the cloud, after number `since`."""
        query: dict[str, Any] = {"since": since}
        if action is not None:
            query["action"] = action
        path = f"/log?{urlencode(query)}"
        found: list[Json] = self._call("GET", path)["log"]
        return found

    def clear_log(self) -> None:
        """Forget the calls."""
        self._call("DELETE", "/log")

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of requests by service and route."""
        found: dict[str, dict[str, int]] = self._call("GET", "/counts")[
            "counts"
        ]
        return found

    def reset_counts(self) -> None:
        """Count from zero again."""
        self._call("POST", "/counts/reset")

    def expire_tokens(self) -> int:
        """Let all tokens expire and return how many there were."""
        return int(self._call("POST", "/tokens/expire")["expired"])

    def begin_outage(
        self, service: str, status: int = 503, seconds: float | None = None
    ) -> None:
        """Let a service fail, for some seconds or until `end_outage`."""
        body = {"service": service, "status": status, "seconds": seconds}
        self._call("POST", "/outage", body)

    def end_outage(self, service: str | None = None) -> None:
        """End the outage of one service, or of all."""
        query = f"?{urlencode({'service': service})}" if service else ""
        self._call("DELETE", f"/outage{query}")

    def reset(
        self,
        computes: int | None = None,
        servers_per_compute: int | None = None,
    ) -> list[Json]:
        """Start anew; numbers that are not given come from the settings."""
        given = {
            "computes": computes,
            "servers_per_compute": servers_per_compute,
        }
        body = {key: n for key, n in given.items() if n is not None}
        found: list[Json] = self._call("POST", "/reset", body)["computes"]
        return found

    def close(self) -> None:
        """Close the connection of this thread."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    def __enter__(self) -> "ControlClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, method: str, path: str, body: Any = None) -> Json:
        text = None if body is None else json.dumps(body)
        status, data = self._send(method, f"/control{path}", text)
        value: Json = json.loads(data) if data else {}
        if status >= http.HTTPStatus.BAD_REQUEST:
            message = value.get("error", {}).get("message", "")
            raise ControlError(status, message)
        return value

    def _send(
        self, method: str, path: str, text: str | None
    ) -> tuple[int, bytes]:
        connection = getattr(self._local, "connection", None)
        reused = connection is not None
        if connection is None:
            connection = http.client.HTTPConnection(
                self._host, self._port, timeout=TIMEOUT_SECONDS
            )
            self._local.connection = connection
        try:
            connection.request(method, path, text)
            response = connection.getresponse()
            return response.status, response.read()
        except (http.client.RemoteDisconnected, ConnectionError):
            self.close()
            if not reused:
                raise
            # The server may close an idle connection; nothing was lost.
            return self._send(method, path, text)
        except (OSError, http.client.HTTPException):
            self.close()
            raise
