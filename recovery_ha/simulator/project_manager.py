"""Managers of projects: who is asked when hosts are maintained.

The reference of what a VNF manager does: it hears of maintenance by an alarm
of Aodh or by a webhook, finds its instances at the address it is told, and
replies to the other. How it behaves can be chosen per project and state, bad
manners included.
"""

import ast
import base64
import binascii
import dataclasses
import datetime as dt
import hashlib
import hmac
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import requests

from recovery_ha.simulator.errors import BadRequest, Forbidden, NotFound
from recovery_ha.simulator.identity import Identity, Project
from recovery_ha.simulator.records import now

LOG = logging.getLogger(__name__)
Json = dict[str, Any]

ANSWERS = ("ack", "nack", "silent", "late", "twice", "nonsense")
ACTIONS = ("MIGRATE", "LIVE_MIGRATE", "OWN_ACTION")
# What a manager is asked about, and where it chooses actions.
MOVING = frozenset({"PREPARE_MAINTENANCE", "PLANNED_MAINTENANCE"})
ASKED = MOVING | {"MAINTENANCE", "SCALE_IN", "MAINTENANCE_COMPLETE"}
PROJECT_EVENTS = ("maintenance.scheduled", "maintenance.planned")
_KEPT = 2000
_ANSWER_SECONDS = 10.0
_BOOT_SECONDS = 30.0
_LOOK_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class Behaviour:
    """How a manager behaves, in one state or in all.

    :param answer: one of `ANSWERS`; `late` is after `reply_at`
    :param action: what is to become of each instance, one of `ACTIONS`; of
        those that are its own it does what it says
    :param delay_seconds: between hearing and answering
    :param scale_in: how many servers it deletes when it is asked to
    :param scale_out: whether it makes those again when all is over
    :param reason: what it says when it refuses
    """

    answer: str = "ack"
    action: str = "MIGRATE"
    delay_seconds: float = 0.0
    scale_in: int = 0
    scale_out: bool = True
    reason: str = "It does not suit us."

    def changed(self, values: Mapping[str, Any]) -> "Behaviour":
        """Return a behaviour that differs in some values.

        :raises BadRequest: a name or a value does not exist
        """
        for name, value in values.items():
            default = getattr(Behaviour, name, None)
            kind = float if name == "delay_seconds" else type(default)
            if default is None or not isinstance(value, kind | int):
                raise BadRequest(f"{name} cannot be set to {value!r}")
        new = dataclasses.replace(self, **values)
        if new.answer not in ANSWERS:
            raise BadRequest(f"answer is one of {', '.join(ANSWERS)}")
        if new.action not in ACTIONS:
            raise BadRequest(f"action is one of {', '.join(ACTIONS)}")
        return new


@dataclasses.dataclass(frozen=True)
class Message:
    """What a manager was told.

    :param via: `alarm` or `webhook`
    :param fields: the payload; of an alarm the traits, which are texts
    :param again: it was told before, under this name or another
    """

    message_id: str
    event_type: str
    via: str
    fields: Json
    again: bool = False
    time: dt.datetime = dataclasses.field(default_factory=now)

    @property
    def state(self) -> str:
        """Return the state that it is about."""
        return str(self.fields.get("state", ""))

    def shown(self) -> Json:
        """Return it as the control interface shows it."""
        return {
            **dataclasses.asdict(self),
            "state": self.state,
            "time": self.time.isoformat(),
        }


class Manager:
    """The manager of one project."""

    def __init__(
        self, project: Project, token: Callable[[], str], root_url: str
    ) -> None:
        """Make a manager that nobody tells anything yet.

        :param token: makes a token of a member of the project
        :param root_url: where it finds the simulator
        """
        self.project = project
        self.secret: str | None = None
        self.behaviours: dict[str, Behaviour] = {"default": Behaviour()}
        self.received: deque[Message] = deque(maxlen=_KEPT)
        self.answers: deque[Json] = deque(maxlen=_KEPT)
        self._token = token
        self._nova = f"{root_url}/compute/v2.1"
        self._heard: set[str] = set()
        self._removed: list[Json] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def behave(self, state: str, values: Mapping[str, Any]) -> None:
        """Choose how to behave.

        :param state: in which state, or `default`
        :raises BadRequest: see :meth:`Behaviour.changed`
        """
        if state != "default" and state not in ASKED:
            raise BadRequest(f"{state} is nothing that a project is asked")
        before = self.behaviours.get(state, self.behaviours["default"])
        self.behaviours[state] = before.changed(values)

    def forget(self) -> None:
        """Forget what was received and answered."""
        with self._lock:
            self.received.clear()
            self.answers.clear()

    def stop(self) -> None:
        """Answer nothing any more."""
        self._stopping.set()

    def shown(self) -> Json:
        """Return all of it, as the control interface shows it."""
        with self._lock:
            return {
                "project_id": self.project.id,
                "project": self.project.name,
                "behaviours": {
                    state: dataclasses.asdict(one)
                    for state, one in self.behaviours.items()
                },
                "received": [one.shown() for one in self.received],
                "answers": list(self.answers),
                "scaled_in": len(self._removed),
            }

    # Hearing

    def receive(self, data: bytes, body: Any, headers: Any) -> None:
        """Take what Aodh or a webhook has POSTed; returns at once.

        :raises BadRequest: it is neither
        :raises Forbidden: the signature is wrong
        """
        if isinstance(body, dict) and "reason_data" in body:
            event = body["reason_data"]["event"]
            self.hear(
                Message(
                    event["message_id"],
                    event["event_type"],
                    "alarm",
                    {name: value for name, _kind, value in event["traits"]},
                )
            )
        elif isinstance(body, dict) and "payload" in body:
            if self.secret is not None:
                _verify(self.secret, data, headers)
            self.hear(
                Message(
                    body["message_id"],
                    body["event_type"],
                    "webhook",
                    dict(body["payload"]),
                )
            )
        else:
            raise BadRequest("Neither an alarm nor a message of a webhook")

    def hear(self, message: Message) -> None:
        """Remember a message, and act on it in a thread if it is new."""
        with self._lock:
            if message.message_id in self._heard:
                message = dataclasses.replace(message, again=True)
            self._heard.add(message.message_id)
            self.received.append(message)
        if (
            message.again
            or message.event_type not in PROJECT_EVENTS
            or message.state not in ASKED
        ):
            return
        threading.Thread(
            target=self._act, args=(message,), name="manager", daemon=True
        ).start()

    # Acting

    def _act(self, message: Message) -> None:
        chosen = self.behaviours.get(message.state)
        behaviour = chosen or self.behaviours["default"]
        if behaviour.answer == "silent":
            return
        try:
            with requests.Session() as http:
                http.trust_env = False
                http.headers["X-Auth-Token"] = self._token()
                self._answer(http, message, behaviour)
        except Exception:
            # Whatever it was told, the manager must go on.
            LOG.exception("The manager of %s failed", self.project.name)

    def _answer(
        self, http: requests.Session, message: Message, behaviour: Behaviour
    ) -> None:
        instances = self._instances(http, message)
        pause = behaviour.delay_seconds
        if behaviour.answer == "late":
            pause += _seconds_until(message.fields["reply_at"])
        if self._stopping.wait(max(0.0, pause)):
            return
        refuses = behaviour.answer in {"nack", "nonsense"}
        if message.state == "SCALE_IN" and not refuses:
            self._scale_in(http, behaviour.scale_in)
        if message.state == "MAINTENANCE_COMPLETE" and behaviour.scale_out:
            self._scale_out(http)
        body = _reply(message, behaviour, instances)
        accepted = self._put(http, message, body)
        if behaviour.answer == "twice":
            self._put(http, message, body)
        own = behaviour.action == "OWN_ACTION" and not refuses
        if accepted and own and message.state in MOVING:
            for instance in instances:
                self._make_anew(http, instance)

    def _put(
        self, http: requests.Session, message: Message, body: Json
    ) -> bool:
        url = str(message.fields["reply_url"])
        response = http.put(url, json=body, timeout=_ANSWER_SECONDS)
        with self._lock:
            self.answers.append(
                {
                    "state": message.state,
                    "session_id": message.fields.get("session_id"),
                    "url": url,
                    "body": body,
                    "status": response.status_code,
                    "text": response.text,
                    "time": now().isoformat(),
                }
            )
        return response.ok

    def _instances(
        self, http: requests.Session, message: Message
    ) -> list[str]:
        """Return what it is about: a list, the text of one, or a link."""
        found = message.fields.get("instance_ids") or []
        if isinstance(found, str) and found.startswith("["):
            found = ast.literal_eval(found)
        if isinstance(found, str):
            response = http.get(found, timeout=_ANSWER_SECONDS)
            response.raise_for_status()
            found = response.json()["instance_ids"]
        return [str(one) for one in found]

    # Its own servers

    def _servers(self, http: requests.Session) -> list[Json]:
        response = http.get(
            f"{self._nova}/servers/detail", timeout=_ANSWER_SECONDS
        )
        response.raise_for_status()
        found: list[Json] = response.json()["servers"]
        return [one for one in found if one["status"] == "ACTIVE"]

    def _scale_in(self, http: requests.Session, count: int) -> None:
        for server in self._servers(http)[:count]:
            self._delete(http, server["id"])
            with self._lock:
                self._removed.append(server)

    def _scale_out(self, http: requests.Session) -> None:
        with self._lock:
            removed, self._removed = self._removed, []
        for server in removed:
            self._create(http, server)

    def _make_anew(self, http: requests.Session, instance: str) -> None:
        """Have an instance elsewhere, then remove the old one."""
        response = http.get(
            f"{self._nova}/servers/{instance}", timeout=_ANSWER_SECONDS
        )
        if not response.ok:
            return
        made = self._create(http, response.json()["server"])
        for _ in range(int(_BOOT_SECONDS / _LOOK_SECONDS)):
            if any(one["id"] == made for one in self._servers(http)):
                self._delete(http, instance)
                return
            if self._stopping.wait(_LOOK_SECONDS):
                return
        LOG.warning("Server %s did not become active", made)

    def _create(self, http: requests.Session, like: Json) -> str:
        image = like.get("image") or {}
        body = {
            "name": like["name"],
            "flavorRef": like["flavor"]["id"],
            "imageRef": image.get("id", ""),
            "metadata": like.get("metadata") or {},
        }
        response = http.post(
            f"{self._nova}/servers",
            json={"server": body},
            timeout=_ANSWER_SECONDS,
        )
        response.raise_for_status()
        return str(response.json()["server"]["id"])

    def _delete(self, http: requests.Session, instance: str) -> None:
        http.delete(
            f"{self._nova}/servers/{instance}", timeout=_ANSWER_SECONDS
        )


class Managers:
    """All managers, by the ids of their projects."""

    def __init__(self, identity: Identity, lock: threading.RLock) -> None:
        self._identity = identity
        self._lock = lock
        self._managers: dict[str, Manager] = {}

    def add(self, project: str, root_url: str) -> Manager:
        """Have a manager for a project, which is made if there is none.

        :param project: its name or id
        :param root_url: see :class:`Manager`
        """
        with self._lock:
            found = self._identity.add_project(project)
            if found.id not in self._managers:
                self._managers[found.id] = Manager(
                    found, lambda: self._new_token(found), root_url
                )
            return self._managers[found.id]

    def _new_token(self, project: Project) -> str:
        with self._lock:
            return self._identity.member_token(project).id

    def get(self, project_id: str) -> Manager:
        """Return the manager of a project, by its id or name.

        :raises NotFound: it has none
        """
        for manager in self._managers.values():
            if project_id in {manager.project.id, manager.project.name}:
                return manager
        raise NotFound(f"Project {project_id} has no manager")

    def all(self) -> list[Manager]:
        """Return all of them."""
        return list(self._managers.values())

    def remove(self, project_id: str) -> None:
        """Have a project without a manager.

        :raises NotFound: it has none
        """
        manager = self.get(project_id)
        manager.stop()
        del self._managers[manager.project.id]

    def clear(self) -> None:
        """Remove all of them."""
        for manager in self._managers.values():
            manager.stop()
        self._managers.clear()


def _reply(
    message: Message, behaviour: Behaviour, instances: list[str]
) -> Json:
    if behaviour.answer == "nonsense":
        return {"state": "PERHAPS", "instance_actions": "all of them"}
    if behaviour.answer == "nack":
        return {"state": f"NACK_{message.state}", "reason": behaviour.reason}
    body: Json = {"state": f"ACK_{message.state}"}
    if message.state not in MOVING:
        return body
    url = str(message.fields["reply_url"])
    if len(instances) == 1 and url.endswith(f"/{instances[0]}"):
        return body | {"instance_action": behaviour.action}
    actions = dict.fromkeys(instances, behaviour.action)
    return body | {"instance_actions": actions}


def _seconds_until(text: str) -> float:
    when = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    return (when - now()).total_seconds() + 1.0


def _verify(secret: str, data: bytes, headers: Any) -> None:
    """Check a message as Standard Webhooks says.

    :raises Forbidden: somebody else has sent it
    """
    parts = [
        headers.get("webhook-id", ""),
        headers.get("webhook-timestamp", ""),
        data.decode("utf-8", "replace"),
    ]
    digest = hmac.new(
        secret.encode(), ".".join(parts).encode(), hashlib.sha256
    ).digest()
    given = headers.get("webhook-signature", "").removeprefix("v1,")
    try:
        good = hmac.compare_digest(base64.b64decode(given), digest)
    except binascii.Error:
        good = False
    if not good:
        raise Forbidden("The signature is wrong")
