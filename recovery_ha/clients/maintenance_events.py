"""What is said of maintenance outside: the payloads, as clients decode them.

The names are Fenix's (reference ``fenix.md`` 3). On their way through
Ceilometer and Aodh values become texts of at most 255 characters, lists and
dicts those that Python shows, which clients read as Python again: so they
hold plain values and are short, and what may be long is a link.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from oslo_config import cfg

from recovery_ha.domain.maintenance import (
    INSTANCE_ACTION_DONE,
    InstanceAction,
    Session,
)

Payload = dict[str, Any]

#: What projects are told: the name that every known client listens to, and
#: the one of the source. Both have the same payload and message id.
SCHEDULED = "maintenance.scheduled"
PLANNED = "maintenance.planned"
PROJECT_EVENTS = (SCHEDULED, PLANNED)
#: What administrators are told.
HOST_EVENT = "maintenance.host"
SESSION_EVENT = "maintenance.session"

#: Who says it, in every payload.
SERVICE = "recovery_ha"
#: How long a text may be that Ceilometer hands on.
LONGEST = 255


def project_events(conf: cfg.ConfigOpts) -> tuple[str, ...]:
    """Return the names under which projects are told, as configured."""
    chosen: str = conf.outbox.project_events
    return PROJECT_EVENTS if chosen == "both" else (chosen,)


def project_link(
    api_url: str,
    session_id: str,
    project_id: str,
    instance_id: str | None = None,
) -> str:
    """Return where a project finds its instances, and replies.

    :param api_url: of this service's API, with or without its version.
    :param instance_id: where the reply is about one instance only.
    """
    root = api_url.rstrip("/")
    if not root.endswith("/v1"):
        root += "/v1"
    link = f"{root}/maintenance/{session_id}/{project_id}"
    return link if instance_id is None else f"{link}/{instance_id}"


def wire_time(when: datetime | float | None) -> str | None:
    """Return a time as it is written there: UTC, to the second.

    :param when: UTC where it has no zone, or epoch seconds.
    """
    if when is None:
        return None
    if isinstance(when, int | float):
        when = datetime.fromtimestamp(when, UTC)
    elif when.tzinfo is not None:
        when = when.astimezone(UTC)
    return when.strftime("%Y-%m-%d %H:%M:%S")


def project_payload(
    *,
    session: Session | str,
    project_id: str,
    state: str,
    api_url: str,
    instance_ids: Sequence[str] | None = None,
    allowed_actions: Iterable[InstanceAction | str] = (),
    reply_at: datetime | float | None = None,
    actions_at: datetime | float | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Payload:
    """Return what a project is told, or asked.

    :param session: or its uuid.
    :param state: the session's, or ``INSTANCE_ACTION_DONE``.
    :param api_url: where the project reaches this service's API.
    :param instance_ids: the instance that alone it is about, as a list; None
        gives the link under which the project finds all of them.
    :param allowed_actions: what it may choose from.
    :param reply_at: until when it may reply; None: no reply is expected.
    :param actions_at: when something is done, after ``reply_at``.
    :param metadata: the session's; of it, as many entries as fit.
    """
    uuid = session if isinstance(session, str) else session.uuid
    alone = None
    if instance_ids is not None and len(instance_ids) == 1:
        alone = instance_ids[0]
    link = project_link(api_url, uuid, project_id)
    done = state == INSTANCE_ACTION_DONE
    reply_url = link
    if alone is not None and not done:
        reply_url = project_link(api_url, uuid, project_id, alone)
    return {
        "service": SERVICE,
        "session_id": uuid,
        "project_id": project_id,
        "state": str(state),
        "instance_ids": link if alone is None else [alone],
        "allowed_actions": [str(action) for action in allowed_actions],
        "reply_url": reply_url,
        "reply_at": wire_time(reply_at),
        "actions_at": wire_time(actions_at),
        "metadata": {} if done else _short(metadata or {}),
    }


def host_payload(
    *, session: Session | str, project_id: str | None, host: str, state: str
) -> Payload:
    """Return what administrators are told of a host.

    :param session: or its uuid.
    :param project_id: the administrator's; Aodh finds its alarms by it.
    :param state: ``IN_MAINTENANCE`` or ``MAINTENANCE_COMPLETE``.
    """
    uuid = session if isinstance(session, str) else session.uuid
    return {
        "service": SERVICE,
        "session_id": uuid,
        "project_id": project_id,
        "host": host,
        "state": str(state),
    }


def session_payload(
    *,
    session: Session | str,
    project_id: str | None,
    state: str,
    percent_done: int,
) -> Payload:
    """Return what administrators are told of a session.

    :param session: or its uuid.
    :param project_id: see :func:`host_payload`.
    :param state: that it has entered.
    :param percent_done: how many of a hundred hosts are maintained.
    """
    uuid = session if isinstance(session, str) else session.uuid
    return {
        "service": SERVICE,
        "session_id": uuid,
        "project_id": project_id,
        "state": str(state),
        "percent_done": percent_done,
    }


def _short(metadata: Mapping[str, Any]) -> Payload:
    """Return the first entries whose text is handed on as a whole."""
    kept: Payload = {}
    for name, value in metadata.items():
        if len(repr({**kept, name: value})) > LONGEST:
            break
        kept[name] = value
    return kept
